/**
 * Several files on their way to their targets over one set of circuits: the outcome of each, and what is told meanwhile.
 *
 * How files are asked for is fetch-files.ts's affair; which files and where to,
 * that of download-files.ts and download-tree.ts.
 * Invariant: once `fetch` has settled every job has its outcome, and no target is left half done.
 */

import { asHoplineError, type HoplineError } from '../../core/errors.ts';
import { Tasks } from '../../core/work/tasks.ts';
import { digestOfPieces, ownDigest } from '../../io/digests/digest.ts';
import type { Target } from '../../io/disk/writing/target.ts';
import type { Hop } from '../../wire/address.ts';
import type { RoutePlan } from '../../wire/route.ts';
import type { Circuit, ClientContext } from '../circuit/circuit.ts';
import { Circuits, type Reroute, type RetryOptions } from '../circuit/circuits.ts';
import { RouteChooser } from '../ways/route-chooser.ts';
import { type DownloadResult, placeOf } from './download.ts';
import { type Fetched, type FetchStart, proofBy } from './fetch-file.ts';
import { type FileJob, type FilesSink, fetchFiles, type SmallFile } from './fetch-files.ts';

export type FilesEvent =
  | ({ readonly kind: 'started'; readonly file: string } & FetchStart)
  /** Of all files together, and how many are done or failed. */
  | { readonly kind: 'progress'; readonly bytes: number; readonly settled: number }
  | {
      readonly kind: 'retry';
      readonly file: string;
      readonly piece: number;
      readonly attempt: number;
      readonly hops: readonly Hop[];
    }
  | ({ readonly kind: 'reroute' } & Reroute)
  | ({ readonly kind: 'settled' } & FileOutcome);

/** What became of one file: a result or an error. Files that failed together share the error. */
export type FileOutcome =
  | { readonly file: string; readonly result: DownloadResult; readonly error?: never }
  | { readonly file: string; readonly error: HoplineError; readonly result?: never };

export interface SeveralFilesOptions extends RetryOptions {
  /** The ways to the origin. */
  readonly routes: RoutePlan['routes'];
  /** Must not throw. */
  readonly onEvent?: ((event: FilesEvent) => void) | undefined;
}

interface Job extends FileJob {
  readonly place: number;
}

const finishedAtOnce = 16;

export class SeveralFiles implements FilesSink {
  /** In the order in which the files were added. */
  readonly outcomes: FileOutcome[] = [];
  readonly circuits: Circuits;
  readonly #options: SeveralFilesOptions;
  readonly #client: ClientContext;
  readonly #startedMs: number;
  /** Files are brought to disk while others arrive, several at once, since each mostly waits for the disk. */
  readonly #finishing = new Tasks(finishedAtOnce);
  readonly #jobs: Job[] = [];
  /** The files that have arrived whole, so that a broken circuit is not their affair. */
  readonly #arrived = new Set<FileJob>();
  #added = 0;
  #settled = 0;
  #bytes = 0;

  constructor(options: SeveralFilesOptions, client: ClientContext) {
    this.#options = options;
    this.#client = client;
    this.#startedMs = client.clock.now();
    const { routes, retry, onEvent } = options;
    const chooser = new RouteChooser({ file: '', routes }, client);
    this.circuits = new Circuits(chooser, client, { retry }, (reroute) => onEvent?.({ kind: 'reroute', ...reroute }));
  }

  /** Adds a file; where `choose` throws, that is its outcome, before anything is fetched. */
  add(file: string, choose: () => Target): void {
    const place = this.#added;
    this.#added += 1;
    try {
      this.#jobs.push({ file, place, target: choose() });
    } catch (error) {
      this.#settle(place, { file, error: asHoplineError(error) });
    }
  }

  /**
   * Fetches what was added. Never throws: a route that fails, or an aborted signal, is the error of every file that was
   * not finished.
   */
  async fetch(): Promise<void> {
    await fetchFiles(this.circuits, this.#jobs, this.#client, this).catch(async (error) => {
      const failure = this.#client.signal.aborted ? this.#client.signal.reason : asHoplineError(error);
      for (const job of this.#jobs) if (!this.#arrived.has(job)) await this.failed(job, failure);
    });
    await this.#finishing.over();
  }

  fetched = async (job: FileJob, fetched: Fetched): Promise<void> => {
    this.#arrived.add(job);
    await this.#finishing.start(() => this.#finish(job as Job, async () => fetched));
  };

  fetchedSmall = async (job: FileJob, small: SmallFile): Promise<void> => {
    this.#arrived.add(job);
    await this.#finishing.start(() => this.#finish(job as Job, () => this.#write(job, small)));
  };

  failed = async (job: FileJob, error: HoplineError): Promise<void> => {
    this.#arrived.add(job);
    await job.target.keep();
    this.#settle((job as Job).place, { file: job.file, error });
  };

  onStarted = ({ file }: FileJob, start: FetchStart): void => {
    this.#options.onEvent?.({ kind: 'started', file, ...start });
  };

  onBytes = (count: number): void => {
    this.#bytes += count;
    this.#options.onEvent?.({ kind: 'progress', bytes: this.#bytes, settled: this.#settled });
  };

  onRetry = ({ file }: FileJob, piece: number, attempt: number, { hops }: Circuit): void => {
    this.#options.onEvent?.({ kind: 'retry', file, piece, attempt, hops });
  };

  async #finish(job: Job, arrive: () => Promise<Fetched>): Promise<void> {
    const { file, target, place } = job;
    try {
      const { leftBytes, ...fetched } = await arrive();
      await target.commit();
      const elapsedMs = this.#client.clock.now() - this.#startedMs;
      // What was wasted or rerouted is that of the run, not of one file.
      const facts = {
        verified: true,
        resumedBytes: leftBytes,
        wastedBytes: 0,
        reroutes: 0,
        hops: this.circuits.hops,
        elapsedMs,
      };
      this.#settle(place, { file, result: { ...placeOf(target), ...fetched, digest: ownDigest(fetched), ...facts } });
    } catch (error) {
      await this.failed(job, asHoplineError(error));
    }
  }

  async #write(job: FileJob, { content, algorithm, voucher, piece }: SmallFile): Promise<Fetched> {
    const { size } = content;
    const { reservation } = await job.target.begin(content);
    const start = { size, reservation, leftBytes: 0, restarted: false };
    this.onStarted(job, start);
    const digests = piece ? [piece.digest] : [];
    if (piece) {
      const { chunks, digest } = piece;
      await job.target.write({ index: 0, position: 0, chunks, vouched: { digest, ...voucher } });
    }
    const piecesDigest = { algorithm: algorithm.name, hex: digestOfPieces(digests, algorithm) };
    return { size, reservation, leftBytes: 0, pieces: digests.length, piecesDigest, ...proofBy(voucher.key) };
  }

  #settle(place: number, outcome: FileOutcome): void {
    this.outcomes[place] = outcome;
    this.#settled += 1;
    this.#options.onEvent?.({ kind: 'settled', ...outcome });
  }
}
