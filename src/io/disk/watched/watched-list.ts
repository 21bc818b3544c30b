/**
 * A list in a file that says who may do what: read at the start, and again whenever the file has changed.
 *
 * Owns when it is read and what then holds. Does not know what stands in it, nor what follows from a change.
 * Invariant: a file that is not there, or not to be trusted, is an empty list; one with a mistake adds nothing, and takes away
 * what it names no more.
 */

import { asHoplineError, HoplineError, mistakes } from '../../../core/errors.ts';
import type { Logger } from '../../../core/log.ts';
import { readTrustedText, stampOf, type TrustRules } from './trusted-text.ts';

export interface WatchedListOptions<T> {
  readonly file: string;
  /** What stands in it, in the plural: `authorized keys`. */
  readonly what: string;
  readonly rules: TrustRules;
  readonly empty: T;
  /** Throws `CONFIG_INVALID`, with a line in `problems` for each mistake. */
  readonly parse: (text: string, current: T) => T;
  /** What of `current` the text still has a line for, though as a whole it is not valid. */
  readonly stillNamed: (text: string, current: T) => T;
  /** Told of each list that is in effect from then on. */
  readonly putInEffect?: ((list: T) => void) | undefined;
  /** Told of each time that the file is not in effect as it stands, or still is not. */
  readonly onTrouble?: (() => void) | undefined;
  readonly log: Logger;
}

/** Milliseconds between two looks at a file: it must be the same in both before it is read. */
export const lookMs = 1000;
/** What is wrong with the file is told again after so many looks. */
const looksBetweenReminders = 60;

export class WatchedList<T extends { readonly size: number }> {
  readonly #options: WatchedListOptions<T>;
  #current: T;
  /** The state of the file that was read last, and that of the last look. */
  #read: string | undefined;
  #seen: string | undefined;
  /** Why the list is not what the file says. */
  #trouble: string | undefined;
  #looks = 0;
  #isClosed = false;
  /** One look or read after the other. */
  #busy: Promise<void> = Promise.resolve();

  private constructor(options: WatchedListOptions<T>) {
    this.#options = options;
    this.#current = options.empty;
  }

  /** Throws `CONFIG_INVALID` for a file with a mistake. */
  static async open<T extends { readonly size: number }>(options: WatchedListOptions<T>): Promise<WatchedList<T>> {
    const list = new WatchedList(options);
    await list.#load((problems) => {
      throw mistakes(problems);
    });
    return list;
  }

  /** What is in effect now. */
  get current(): T {
    return this.#current;
  }

  /** Why it is not what the file says; undefined if it is. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** To be called every `lookMs`: reads the file if it has changed and stands still. */
  look(): void {
    const { what, log, onTrouble } = this.#options;
    this.#looks += 1;
    if (this.#trouble !== undefined && this.#looks % looksBetweenReminders === 0) {
      onTrouble?.();
      log.error({}, `${what} are still not in effect: ${this.#trouble}`);
    }
    void this.#next(() => this.#readIfChanged());
  }

  /** Reads the file again, whether or not it has changed; never rejects. */
  reread(): Promise<void> {
    return this.#next(() => this.#reload());
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#busy;
  }

  /** Never rejects: a defect must not keep the file from being read ever again. */
  #next(work: () => Promise<void>): Promise<void> {
    this.#busy = this.#busy.then(work).catch((error) => this.#complain(asHoplineError(error).message));
    return this.#busy;
  }

  async #readIfChanged(): Promise<void> {
    const stamp = await stampOf(this.#options.file);
    const isStill = stamp === this.#seen;
    this.#seen = stamp;
    if (isStill && stamp !== this.#read) await this.#reload();
  }

  async #reload(): Promise<void> {
    if (this.#isClosed) return;
    await this.#load((problems, text) => {
      const [first] = problems;
      const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
      const kept = text === undefined ? this.#current : this.#options.stillNamed(text, this.#current);
      const dropped = this.#current.size - kept.size;
      this.#complain(`${first}${more}; the old list goes on${dropped > 0 ? `, without ${dropped} of its lines` : ''}`);
      return kept;
    });
  }

  /** `onMistakes` says what is in effect where the text is not valid. */
  async #load(onMistakes: (problems: readonly string[], text: string | undefined) => T): Promise<void> {
    const { file, what, rules, empty, parse, log } = this.#options;
    const read = await readTrustedText(file, rules);
    this.#read = read.stamp;
    if (read.kind === 'closed') {
      this.#complain(`${read.problem}; nobody is let in`);
      return this.#putInEffect(empty);
    }
    if (read.kind === 'invalid') return this.#putInEffect(onMistakes([read.problem], read.text));
    try {
      const list = parse(read.text, this.#current);
      this.#trouble = undefined;
      this.#putInEffect(list);
      log.info({ lines: list.size }, `${what} read`);
    } catch (error) {
      if (!(error instanceof HoplineError)) throw error;
      this.#putInEffect(onMistakes(error.problems ?? [error.message], read.text));
    }
  }

  #complain(trouble: string): void {
    this.#trouble = trouble;
    this.#options.onTrouble?.();
    this.#options.log.error({}, `${this.#options.what}: ${trouble}`);
  }

  #putInEffect(list: T): void {
    this.#current = list;
    this.#options.putInEffect?.(list);
  }
}
