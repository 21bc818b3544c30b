/**
 * Several files on their way to one origin, in a few lanes at once.
 *
 * Owns which file is sent next and what became of each. Does not know how files go over circuits.
 * Invariant: when `send` has settled every file has its outcome, and no open file is left here.
 */

import { elapsedSince } from '../../core/clock.ts';
import { asHoplineError, type HoplineError } from '../../core/errors.ts';
import type { ClientContext } from '../circuit/circuit.ts';
import type { Circuits } from '../circuit/circuits.ts';
import type { FileOutcome } from '../download-result.ts';
import type { UploadEvent, UploadsEvent } from '../transfer-events.ts';
import type { UploadResult } from '../upload-result.ts';
import { SourceFile } from './source/source-file.ts';
import { withoutUploads } from './upload.ts';
import { FileSend } from './upload-file.ts';
import { type Sending, UploadsLane, type UploadsWork } from './uploads-lane.ts';

/** A file here, and the name that it gets at the origin. */
export interface FileToSend {
  readonly source: string;
  readonly file: string;
}

/** What is sent, and how. */
export interface UploadsOptions {
  /** No two may get the same name. */
  readonly files: readonly FileToSend[];
  /** Replaces files at the origin, if its node is started to allow that. @default false */
  readonly force?: boolean | undefined;
  /** How many files are on their way at once, each over a circuit of its own. @default 4 */
  readonly parallel?: number | undefined;
  /** Must not throw. */
  readonly onEvent?: ((event: UploadsEvent) => void) | undefined;
}

/** Each file waits for the origin's disk, which others can use meanwhile. */
const atOnce = 4;

/** Files on their way over circuits that the caller has. */
export class UploadsRun implements UploadsWork {
  readonly outcomes: FileOutcome<UploadResult>[] = [];
  readonly #circuits: Circuits;
  readonly #options: UploadsOptions;
  readonly #client: ClientContext;
  readonly #startedMs: number;
  /** Of each file under way, the bytes that the origin has. */
  readonly #moving = new Map<string, number>();
  /** Files that lanes could not send over the circuits that they had, the next one last. */
  readonly #returned: Sending[] = [];
  #atWork = 0;
  #next = 0;
  #settled = 0;
  #bytes = 0;
  #failure: HoplineError | undefined;

  constructor(circuits: Circuits, options: UploadsOptions, client: ClientContext) {
    this.#circuits = circuits;
    this.#options = options;
    this.#client = client;
    this.#startedMs = client.clock.now();
  }

  /** Never throws. */
  async send(): Promise<void> {
    const { files, parallel = atOnce } = this.#options;
    this.#atWork = Math.min(parallel, files.length);
    const run = async () => {
      await new UploadsLane(this, this.#circuits, this.#client.limits).run();
      this.#atWork -= 1;
    };
    await Promise.all(Array.from({ length: this.#atWork }, run));
    // What a lane left when the last of the others had just ended.
    this.#atWork = 1;
    if (this.#returned.length > 0) await run();
  }

  get filesAhead(): number {
    const { files, parallel = atOnce } = this.#options;
    const share = Math.max(1, Math.ceil(files.length / (2 * parallel)));
    return Math.min(this.#client.limits.maxFilesAhead, share);
  }

  /** The next file that can be sent; those that cannot have failed. */
  async take(): Promise<Sending | undefined> {
    for (;;) {
      const next = this.#returned.pop() ?? (await this.#open());
      if (!next || !this.#failure) return next;
      await this.settle(next, this.#failure);
    }
  }

  giveBack(files: readonly Sending[]): void {
    this.#returned.push(...files.toReversed());
  }

  fail(error: HoplineError): HoplineError | undefined {
    // Who takes no further circuit still serves those that he took.
    if (this.#atWork > 1 && isFull(error)) return undefined;
    // What no circuit could mend is no better for the files behind it.
    const { signal } = this.#client;
    this.#failure ??= signal.aborted ? asHoplineError(signal.reason) : withoutUploads(error);
    return this.#failure;
  }

  async #open(): Promise<Sending | undefined> {
    const { files, force = false } = this.#options;
    for (;;) {
      const place = this.#next;
      const chosen = files[place];
      if (!chosen) return undefined;
      this.#next += 1;
      const { file } = chosen;
      if (this.#failure) {
        this.#tell(place, { file, error: this.#failure });
        continue;
      }
      let source: SourceFile | undefined;
      try {
        source = await SourceFile.open(chosen.source);
        const onEvent = (event: UploadEvent) => this.#hear(file, event);
        const send = new FileSend({ file, source, force, client: this.#client, circuits: this.#circuits, onEvent });
        return { place, file, source, send };
      } catch (error) {
        await source?.close();
        this.#tell(place, { file, error: asHoplineError(error) });
      }
    }
  }

  #hear(file: string, event: UploadEvent): void {
    const { onEvent = () => {} } = this.#options;
    if (event.kind === 'started') {
      onEvent({ file, ...event });
      this.#move(file, event.leftBytes);
    } else if (event.kind === 'progress') this.#move(file, event.bytes);
    else if (event.kind === 'retry') onEvent({ file, ...event });
  }

  #move(file: string, bytes: number): void {
    this.#bytes += bytes - (this.#moving.get(file) ?? 0);
    this.#moving.set(file, bytes);
    this.#options.onEvent?.({ kind: 'progress', bytes: this.#bytes, settled: this.#settled });
  }

  async settle({ place, file, source, send }: Sending, failure: HoplineError | undefined): Promise<void> {
    const { size } = source;
    try {
      if (failure) throw failure;
      const sent = await send.result();
      const elapsedMs = elapsedSince(this.#client.clock, this.#startedMs);
      // What was rerouted is that of the run, not of one file.
      this.#tell(place, { file, result: { file, size, ...sent, reroutes: 0, elapsedMs } });
    } catch (error) {
      const { keptBytes: bytes } = send;
      // Pieces of another version are worth nothing to the next run.
      const isWorth = bytes > 0 && asHoplineError(error).code !== 'FILE_CHANGED';
      if (isWorth) this.#options.onEvent?.({ kind: 'kept', file, bytes, size });
      this.#tell(place, { file, error: asHoplineError(error) });
    } finally {
      this.#moving.delete(file);
      await source.close();
    }
  }

  #tell(place: number, outcome: FileOutcome<UploadResult>): void {
    this.outcomes[place] = outcome;
    this.#settled += 1;
    this.#options.onEvent?.({ kind: 'settled', ...outcome });
  }
}

/** Whether a node takes no further circuit, or no further upload. */
function isFull({ code }: HoplineError): boolean {
  return code === 'LIMIT_CONNECTIONS' || code === 'LIMIT_UPLOADS';
}
