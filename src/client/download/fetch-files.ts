/**
 * Fetches several files over as many circuits at once as was asked for: each lane takes the next file, and helps with a larger one
 * when no other is left.
 *
 * Owns how many lanes there are and when they end. Does not know how files are asked for.
 * Invariant: when `run` has settled no lane is at work.
 */

import { asHoplineError } from '../../core/errors.ts';
import type { ClientContext } from '../circuit/circuit.ts';
import type { Circuits } from '../circuit/circuits.ts';
import type { FileFetch } from './fetch-file.ts';
import { FilesLane } from './files-lane.ts';
import { type FileJob, type FilesListener, FilesWork } from './files-work.ts';

export interface FilesRunOptions {
  readonly circuits: Circuits;
  readonly client: ClientContext;
  readonly listener: FilesListener;
  /** How many circuits fetch at once. @default 1 */
  readonly parallel?: number | undefined;
}

export class FilesRun {
  readonly #options: FilesRunOptions;
  readonly #work: FilesWork;
  #atWork = 0;

  constructor(jobs: readonly FileJob[], options: FilesRunOptions) {
    this.#options = options;
    this.#work = new FilesWork(jobs, options.parallel ?? 1, options.client.limits);
  }

  /** Fetches every job. Throws when no circuit can be had; what became of no job by then is then not fetched. */
  async run(): Promise<void> {
    this.#atWork = this.#work.parallel;
    const lanes = Array.from({ length: this.#work.parallel }, () => this.#runLane());
    const ended = await Promise.allSettled(lanes);
    const failed = ended.find((lane) => lane.status === 'rejected');
    if (failed && this.#work.isDue) throw failed.reason;
  }

  async #runLane(): Promise<void> {
    const { circuits, client, listener } = this.#options;
    const lane = new FilesLane(this.#work, circuits, client, listener);
    const helped = new WeakSet<FileFetch>();
    try {
      for (;;) {
        await lane.run();
        const next = await this.#next(helped);
        if (next === 'nothing') return;
        if (next === 'own') continue;
        helped.add(next);
        const help = circuits.run(
          () => next.requests(),
          (circuit) => next.fetchOver(circuit, false),
          next.over,
        );
        // Whoever is at the file fetches all of it, if need be.
        await help.catch(() => {});
      }
    } catch (error) {
      // Who takes no further circuit still serves those that he took.
      if (this.#atWork === 1 || asHoplineError(error).code !== 'LIMIT_CONNECTIONS') throw error;
    } finally {
      this.#leave();
    }
  }

  /** What a lane without files does next. */
  async #next(helped: WeakSet<FileFetch>): Promise<FileFetch | 'own' | 'nothing'> {
    this.#leave();
    try {
      while (this.#atWork > 0) {
        if (this.#work.isDue) return 'own';
        const toHelp = this.#work.toHelp(helped);
        if (toHelp) return toHelp;
        await this.#work.changed();
      }
      return this.#work.isDue ? 'own' : 'nothing';
    } finally {
      this.#atWork += 1;
    }
  }

  #leave(): void {
    this.#atWork -= 1;
    this.#work.tell();
  }
}
