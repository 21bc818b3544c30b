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
import { TargetDirectory } from '../io/disk/place.ts';
import type { Hop } from '../wire/address.ts';
import { checkName, type RoutePlan } from '../wire/route.ts';
import type { Circuit, ClientContext } from './circuit.ts';
import { Circuits, type Reroute } from './circuits.ts';
import { type DownloadOptions, type DownloadResult, startClient, type TransferOptions } from './download.ts';
import { digestOfPieces, type Fetched, type FetchStart } from './fetch-file.ts';
import { type FileJob, fetchFiles, type SmallFile } from './fetch-files.ts';
import { Finisher } from './finisher.ts';
import { RouteChooser } from './route-chooser.ts';

export interface DownloadFilesOptions extends TransferOptions, Pick<DownloadOptions, 'force' | 'resume'> {
  /** The ways to the origin. */
  readonly routes: RoutePlan['routes'];
  /** Paths below the origin's root; no two may end in the same name. */
  readonly files: readonly string[];
  /** The directory to put them into. @default the working directory */
  readonly output?: string;
  /** Must not throw. */
  readonly onEvent?: (event: FilesEvent) => void;
}

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

interface Job extends FileJob {
  readonly place: number;
}

/**
 * Downloads files over one route; the outcomes come in the order of `files`.
 * A file that fails does not stop the others; a route that fails, or an aborted signal (`INTERRUPTED`), is the error of
 * every file that was not finished. Throws for a mistake in the options and for an output that is not a directory.
 */
export async function downloadFiles(options: DownloadFilesOptions): Promise<readonly FileOutcome[]> {
  const { routes, files, output = '.', force = false, resume = true, retry, onEvent } = options;
  checkNames(files, options.limits?.maxNameBytes);
  const { client, end } = startClient(options);
  const run = new FilesDownload(options, client);
  try {
    const directory = await TargetDirectory.open(output, { force, resume });
    const jobs = run.createJobs(directory);
    const chooser = new RouteChooser({ file: '', routes }, client);
    const circuits = new Circuits(chooser, client, { retry }, (reroute) => onEvent?.({ kind: 'reroute', ...reroute }));
    await fetchFiles(circuits, jobs, client, run).catch(async (error) => {
      await run.failRest(jobs, client.signal.aborted ? client.signal.reason : asHoplineError(error));
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

  fetched = async (job: FileJob, fetched: Fetched): Promise<void> => {
    this.#arrived.add(job);
    await this.#finisher.start(() => this.#finish(job as Job, async () => fetched));
  };

  fetchedSmall = async (job: FileJob, small: SmallFile): Promise<void> => {
    this.#arrived.add(job);
    await this.#finisher.start(() => this.#finish(job as Job, () => this.#write(job, small)));
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

  async failRest(jobs: readonly Job[], failure: HoplineError): Promise<void> {
    for (const job of jobs) if (!this.#arrived.has(job)) await this.failed(job, failure);
  }

  drain(): Promise<void> {
    return this.#finisher.drain();
  }

  async #finish(job: Job, arrive: () => Promise<Fetched>): Promise<void> {
    const { file, target, place } = job;
    try {
      const { leftBytes, ...fetched } = await arrive();
      await target.commit();
      const elapsedMs = this.#client.clock.now() - this.#startedMs;
      // What was wasted or rerouted is that of the run, not of one file.
      const facts = { verified: true, resumedBytes: leftBytes, wastedBytes: 0, reroutes: 0, elapsedMs };
      this.#settle(place, { file, result: { path: target.path, replaced: target.replaces, ...fetched, ...facts } });
    } catch (error) {
      await this.failed(job, asHoplineError(error));
    }
  }

  async #write(job: FileJob, { content, algorithm, version, piece }: SmallFile): Promise<Fetched> {
    const { size } = content;
    const { reservation } = await job.target.begin(content);
    const start = { size, reservation, leftBytes: 0, restarted: false };
    this.onStarted(job, start);
    const digests = piece ? [piece.digest] : [];
    if (piece) {
      const { chunks, digest } = piece;
      await job.target.write({ index: 0, position: 0, chunks, vouched: { digest, version } });
    }
    const digest = { algorithm: algorithm.name, hex: digestOfPieces(digests, algorithm) };
    return { size, reservation, leftBytes: 0, pieces: digests.length, digest };
  }

  #settle(place: number, outcome: FileOutcome): void {
    this.outcomes[place] = outcome;
    this.#settled += 1;
    this.#options.onEvent?.({ kind: 'settled', ...outcome });
  }
}
