/**
 * Downloads several files over one route into one directory: each on its own outcome, all on one circuit.
 *
 * Owns the outcomes, and the clean-up of what did not arrive. How files are
 * asked for is fetch-files.ts's affair.
 * Invariant: when `downloadFiles` has settled there is no socket, timer or
 * temporary file left, and each target is either the whole file or untouched.
 */

import path from 'node:path';
import { asHoplineError, HoplineError } from '../core/errors.ts';
import type { Chunk } from '../io/blocks.ts';
import { availableDigests } from '../io/digest.ts';
import type { Hop } from '../wire/address.ts';
import { checkName } from '../wire/route.ts';
import type { ClientContext } from './circuit.ts';
import { locateFailure } from './diagnose.ts';
import { type DownloadOptions, type DownloadResult, startClient } from './download.ts';
import { type FetchedFile, type FileJob, fetchFiles } from './fetch-files.ts';
import { TargetDirectory } from './file-target.ts';
import { Finisher } from './finisher.ts';
import type { Reservation } from './target.ts';

export interface DownloadFilesOptions
  extends Pick<DownloadOptions, 'force' | 'signal' | 'limits' | 'clock' | 'resolve'> {
  /** The last one is the origin. */
  readonly hops: readonly Hop[];
  /** Paths below the origin's root; no two may end in the same name. */
  readonly files: readonly string[];
  /** The directory to put them into. @default the working directory */
  readonly output?: string;
  /** Must not throw. */
  readonly onEvent?: (event: FilesEvent) => void;
}

export type FilesEvent =
  | { readonly kind: 'started'; readonly file: string; readonly size: number; readonly reservation: Reservation }
  /** Of all files together, and how many are done or failed. */
  | { readonly kind: 'progress'; readonly bytes: number; readonly settled: number }
  | { readonly kind: 'retry'; readonly file: string; readonly piece: number; readonly attempt: number }
  | ({ readonly kind: 'settled' } & FileOutcome);

/** What became of one file: a result or an error. Files that failed together share the error. */
export type FileOutcome =
  | { readonly file: string; readonly result: DownloadResult; readonly error?: never }
  | { readonly file: string; readonly error: HoplineError; readonly result?: never };

interface Job extends FileJob {
  readonly place: number;
}

/**
 * Downloads files over one route; the outcomes come in the order of `files`.
 * A file that fails does not stop the others; a route that fails, or an aborted signal (`INTERRUPTED`), is the error of
 * every file that was not finished. Throws for a mistake in the options and for an output that is not a directory.
 */
export async function downloadFiles(options: DownloadFilesOptions): Promise<readonly FileOutcome[]> {
  const { hops, files, output = '.', force = false } = options;
  checkNames(files, options.limits?.maxNameBytes);
  const { client, end } = startClient(options);
  const run = new FilesDownload(options, client);
  try {
    const directory = await TargetDirectory.open(output, force);
    const jobs = run.createJobs(directory);
    await fetchFiles(hops, jobs, availableDigests(), client, run).catch(async (error) => {
      const failure = client.signal.aborted
        ? client.signal.reason
        : await locateFailure(asHoplineError(error), hops, client);
      await run.failRest(jobs, failure);
    });
    await run.drain();
    await directory.sync();
    return run.outcomes;
  } finally {
    end();
  }
}

function checkNames(files: readonly string[], maxNameBytes: number | undefined): void {
  const byName = new Map<string, string>();
  for (const file of files) {
    checkName(file, maxNameBytes);
    const name = path.basename(file);
    const other = byName.get(name);
    if (other !== undefined) {
      throw new HoplineError('USAGE_INVALID', `"${other}" and "${file}" would both be written to "${name}"`);
    }
    byName.set(name, file);
  }
}

class FilesDownload {
  readonly outcomes: FileOutcome[] = [];
  readonly #options: DownloadFilesOptions;
  readonly #client: ClientContext;
  readonly #startedMs: number;
  readonly #finisher = new Finisher();
  /** The files that have arrived whole, so that a broken circuit is not their affair. */
  readonly #arrived = new Set<FileJob>();
  #settled = 0;
  #bytes = 0;

  constructor(options: DownloadFilesOptions, client: ClientContext) {
    this.#options = options;
    this.#client = client;
    this.#startedMs = client.clock.now();
  }

  /** A job for each file that may be written; a target that exists is refused before anything is fetched. */
  createJobs(directory: TargetDirectory): Job[] {
    const jobs: Job[] = [];
    for (const [place, file] of this.#options.files.entries()) {
      try {
        jobs.push({ file, place, target: directory.target(path.basename(file)) });
      } catch (error) {
        this.#settle(place, { file, error: asHoplineError(error) });
      }
    }
    return jobs;
  }

  fetched = async (job: FileJob, fetched: FetchedFile): Promise<void> => {
    this.#arrived.add(job);
    await this.#finisher.start(() => this.#finish(job as Job, fetched));
  };

  failed = async (job: FileJob, error: HoplineError): Promise<void> => {
    this.#arrived.add(job);
    await job.target.discard();
    this.#settle((job as Job).place, { file: job.file, error });
  };

  onStarted = ({ file }: FileJob, size: number, reservation: Reservation): void => {
    this.#options.onEvent?.({ kind: 'started', file, size, reservation });
  };

  onBytes = (count: number): void => {
    this.#bytes += count;
    this.#options.onEvent?.({ kind: 'progress', bytes: this.#bytes, settled: this.#settled });
  };

  onRetry = ({ file }: FileJob, piece: number, attempt: number): void => {
    this.#options.onEvent?.({ kind: 'retry', file, piece, attempt });
  };

  async failRest(jobs: readonly Job[], failure: HoplineError): Promise<void> {
    for (const job of jobs) if (!this.#arrived.has(job)) await this.failed(job, failure);
  }

  drain(): Promise<void> {
    return this.#finisher.drain();
  }

  async #finish(job: Job, fetched: FetchedFile): Promise<void> {
    const { file, target, place } = job;
    const { size, pieces, algorithm, digest } = fetched;
    try {
      const reservation = fetched.reservation ?? (await this.#write(job, fetched));
      await target.commit();
      const elapsedMs = this.#client.clock.now() - this.#startedMs;
      const named = { algorithm: algorithm.name, hex: digest };
      const content = { size, reservation, verified: true, pieces, digest: named };
      this.#settle(place, { file, result: { path: target.path, replaced: target.replaces, ...content, elapsedMs } });
    } catch (error) {
      await this.failed(job, asHoplineError(error));
    }
  }

  async #write(job: Job, { size, content }: FetchedFile): Promise<Reservation> {
    const reservation = await job.target.reserve(size);
    this.onStarted(job, size, reservation);
    if (content && size > 0) await job.target.write(held(content), 0, 0);
    await job.target.accept(0);
    return reservation;
  }

  #settle(place: number, outcome: FileOutcome): void {
    this.outcomes[place] = outcome;
    this.#settled += 1;
    this.#options.onEvent?.({ kind: 'settled', ...outcome });
  }
}

/** Bytes that no leg waits for. */
function held(bytes: Buffer): Chunk {
  return { bytes, release: () => {} };
}
