/**
 * The download of a demo that is watched: again and again, and what happens to it, in lines.
 *
 * Owns how far the file is, and the last lines. Invariant: one download at a time; once `end` has settled there is none.
 */

import { Writable } from 'node:stream';
import type { ChainNews, FileSight } from '../../admin/chain-sight.ts';
import { download } from '../../client/download/download.ts';
import type { DownloadEvent } from '../../client/transfer-events.ts';
import { asHoplineError, type HoplineError } from '../../core/errors.ts';
import type { RoutePlan } from '../../wire/route.ts';
import { say } from '../terminal/lines.ts';
import { describePieces, describeRoutes, tellDamage, tellReroute } from '../terminal/show.ts';
import { formatBytes } from '../terminal/units.ts';

export interface DemoTransferOptions {
  readonly route: RoutePlan;
  /** @default nowhere */
  readonly output?: string | undefined;
  readonly force?: boolean | undefined;
  readonly signal: AbortSignal;
}

/** Lines that are remembered. */
const maxNews = 20;
/** A node that was killed is started again by a person, or not at all. */
const retry = 10_000;

export class DemoTransfer {
  readonly news: ChainNews[] = [];
  readonly #options: DemoTransferOptions;
  #file: FileSight;
  #running: Promise<void> | undefined;
  #failure: HoplineError | undefined;
  #force: boolean;

  constructor(options: DemoTransferOptions) {
    this.#options = options;
    this.#force = options.force ?? false;
    this.#file = { name: options.route.file, size: undefined, bytes: 0, state: 'under way' };
  }

  get file(): FileSight {
    return this.#file;
  }

  /** Why the last one failed, unless it was ended. */
  get failure(): HoplineError | undefined {
    return this.#failure;
  }

  /** Begins, unless a download is under way. */
  begin(): void {
    if (this.#running || this.#options.signal.aborted) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  async end(): Promise<void> {
    await this.#running;
  }

  /** For the terminal and for the page. */
  tell(text: string): void {
    say(text);
    this.news.unshift({ time: Date.now(), text });
    this.news.length = Math.min(this.news.length, maxNews);
  }

  async #run(): Promise<void> {
    const { route, output = nowhere(), signal } = this.#options;
    const { file } = route;
    this.#file = { name: file, size: undefined, bytes: 0, state: 'under way' };
    this.tell(`fetching ${file} over ${describeRoutes(route.routes)}`);
    try {
      const onEvent = (event: DownloadEvent) => this.#hear(event);
      const result = await download({ route, output, force: this.#force, retry, signal, onEvent });
      this.#file = { name: file, size: result.size, bytes: result.size, state: 'arrived' };
      const proof = result.alreadyHere ? 'was here already' : `arrived undamaged, ${describePieces(result)}`;
      this.tell(`${file} ${proof}, in ${(result.elapsedMs / 1000).toFixed(1)} s`);
      this.#failure = undefined;
      // What another run brings would be the same, and is brought to be watched.
      this.#force = true;
    } catch (error) {
      if (signal.aborted) return;
      this.#failure = asHoplineError(error);
      this.#file = { ...this.#file, state: 'failed' };
      this.tell(this.#failure.message);
    }
  }

  #hear(event: DownloadEvent): void {
    switch (event.kind) {
      case 'started':
        this.#file = { ...this.#file, size: event.size, bytes: event.leftBytes };
        this.tell(`${formatBytes(event.size)} are on their way`);
        break;
      case 'progress':
        this.#file = { ...this.#file, bytes: event.bytes };
        break;
      case 'reroute':
        this.tell(tellReroute(event));
        break;
      case 'retry':
        this.tell(tellDamage(`piece ${event.piece + 1}`, event));
        break;
      default:
        break;
    }
  }
}

function nowhere(): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => done() });
}
