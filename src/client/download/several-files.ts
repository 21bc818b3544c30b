/**
 * Several files on their way to their targets over one set of circuits: the outcome of each, and what is told meanwhile.
 *
 * How files are asked for is fetch-files.ts's affair; which files and where to,
 * that of download-files.ts and download-tree.ts.
 * Invariant: once `fetch` has settled every job has its outcome, and no target is left half done.
 */

import { asHoplineError, type HoplineError } from '../../core/errors.ts';
import { Tasks } from '../../core/work/tasks.ts';
import type { Target } from '../../io/disk/writing/target.ts';
import type { RoutePlan } from '../../wire/route.ts';
import type { ClientContext } from '../circuit/circuit.ts';
import { Circuits } from '../circuit/circuits.ts';
import { type Fetched, type FileOutcome, resultOf } from '../download-result.ts';
import type { TransferOptions } from '../transfer.ts';
import type { FilesEvent } from '../transfer-events.ts';
import { type FileJob, type FilesSink, fetchFiles } from './fetch-files.ts';

export interface SeveralFilesOptions extends Pick<TransferOptions, 'retry' | 'pools'> {
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
  readonly onEvent: (event: FilesEvent) => void;
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

  private constructor(circuits: Circuits, { onEvent = () => {} }: SeveralFilesOptions, client: ClientContext) {
    this.circuits = circuits;
    this.onEvent = onEvent;
    this.#client = client;
    this.#startedMs = client.clock.now();
  }

  /** Throws as `Circuits.over`. */
  static async over(options: SeveralFilesOptions, client: ClientContext): Promise<SeveralFiles> {
    return new SeveralFiles(await Circuits.over(options.routes, client, options), options, client);
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

  arrived = async (job: FileJob, finish: () => Promise<Fetched>): Promise<void> => {
    this.#arrived.add(job);
    await this.#finishing.start(() => this.#finish(job as Job, finish));
  };

  failed = async (job: FileJob, error: HoplineError): Promise<void> => {
    this.#arrived.add(job);
    await job.target.keep();
    this.#settle((job as Job).place, { file: job.file, error });
  };

  onBytes = (count: number): void => {
    this.#bytes += count;
    this.onEvent({ kind: 'progress', bytes: this.#bytes, settled: this.#settled });
  };

  async #finish(job: Job, finish: () => Promise<Fetched>): Promise<void> {
    const { file, target, place } = job;
    try {
      const fetched = await finish();
      await target.commit();
      const elapsedMs = this.#client.clock.now() - this.#startedMs;
      // What was wasted or rerouted is that of the run, not of one file.
      const ofRun = { wastedBytes: 0, hops: this.circuits.hops, reroutes: 0, elapsedMs };
      this.#settle(place, { file, result: resultOf(target, undefined, { ...fetched, ...ofRun }) });
    } catch (error) {
      await this.failed(job, asHoplineError(error));
    }
  }

  #settle(place: number, outcome: FileOutcome): void {
    this.outcomes[place] = outcome;
    this.#settled += 1;
    this.onEvent({ kind: 'settled', ...outcome });
  }
}
