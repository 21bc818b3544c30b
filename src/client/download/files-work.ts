/**
 * What is left of several files to fetch, for all lanes that fetch them: files to ask for, larger ones to go on with, and those
 * that others may help with.
 *
 * Knows nothing of circuits. Invariant: a file is with one lane at a time, or here.
 */

import type { HoplineError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import type { Target } from '../../io/disk/writing/target.ts';
import type { Fetched } from '../download-result.ts';
import type { FilesEvent } from '../transfer-events.ts';
import type { FileFetch } from './fetch-file.ts';

/** A file to fetch, and who hears what becomes of it. Must not throw. */
export interface FileJob {
  readonly file: string;
  readonly target: Target;
  /**
   * It has come and is verified; `finish` brings it into its target, which is not committed, and throws as that does.
   * Settles when the next file may come.
   */
  readonly arrived: (finish: () => Promise<Fetched>) => Promise<void>;
  /** Likewise. */
  readonly failed: (failure: HoplineError) => Promise<void>;
}

/** Who hears what happens meanwhile. Must not throw. */
export interface FilesListener {
  readonly onBytes: (count: number) => void;
  readonly onEvent: (event: FilesEvent) => void;
}

/** A larger file of which the first piece has come, or some of an earlier run. */
export interface BegunFile {
  readonly job: FileJob;
  readonly fetch: FileFetch;
}

/** More would only wait for each other. */
const maxLanes = 256;

export class FilesWork {
  /** Not asked for yet, the next one last. */
  readonly waiting: FileJob[];
  /** Nobody is at them. */
  readonly begun: BegunFile[] = [];
  /** How many lanes there are at most. */
  readonly parallel: number;
  /** How many files a lane asks for ahead: few enough that there are some for each. */
  readonly filesAhead: number;
  readonly #worthHelp: number;
  readonly #underWay = new Set<FileFetch>();
  readonly #waking = new Set<() => void>();

  constructor(jobs: readonly FileJob[], parallel: number, limits: Pick<Limits, 'maxFilesAhead' | 'maxReadsAhead'>) {
    this.waiting = [...jobs].reverse();
    this.parallel = Math.max(1, Math.min(parallel, maxLanes));
    const share = Math.max(1, Math.ceil(jobs.length / (2 * this.parallel)));
    this.filesAhead = this.parallel === 1 ? limits.maxFilesAhead : Math.min(limits.maxFilesAhead, share);
    this.#worthHelp = limits.maxReadsAhead;
  }

  /** Whether there is anything that nobody is at. */
  get isDue(): boolean {
    return this.waiting.length + this.begun.length > 0;
  }

  /** A larger file to go on with; until `leave`, others may help. */
  take(): BegunFile | undefined {
    const begun = this.begun.shift();
    if (begun) this.#underWay.add(begun.fetch);
    this.tell();
    return begun;
  }

  leave({ fetch }: BegunFile): void {
    this.#underWay.delete(fetch);
    this.tell();
  }

  /** A file of which so much is missing that another circuit is worth opening for it, and that is none of `but`. */
  toHelp(but: WeakSet<FileFetch>): FileFetch | undefined {
    return [...this.#underWay].find(
      (fetch) => !fetch.over.aborted && fetch.missing > this.#worthHelp && !but.has(fetch),
    );
  }

  /** Settles at the next change. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.#waking.add(resolve));
  }

  tell(): void {
    for (const wake of this.#waking) wake();
    this.#waking.clear();
  }
}
