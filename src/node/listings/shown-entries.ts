/**
 * The entries of a listing that somebody may see and has asked for, and of directories those in which there is something to see.
 *
 * Does not know why something may not be seen.
 * Invariant: a directory is told before what is in it, and one that only leads on is told with the first entry in it; that
 * holds of the directory that is listed, too.
 */

import type { HoplineError } from '../../core/errors.ts';
import type { Listed } from '../../wire/native/messages.ts';

/** By the path below the directory that is listed, which is empty for itself. */
export interface ListingView {
  shows(relative: string): boolean;
  /** Whether something in this directory may be shown. */
  leads(relative: string): boolean;
  /** What is said of a directory to be listed that only leads on, with nothing in it to see: the same as if it was not there. */
  hidden(): HoplineError;
}

export class ShownEntries {
  readonly #view: ListingView | undefined;
  readonly #depth: number;
  /** Directories in which nothing was shown so far, each within the one before. */
  readonly #waiting: Listed[] = [];

  /** Without a view, all is shown, `depth` levels of it. */
  constructor(view: ListingView | undefined, depth: number) {
    this.#view = view;
    this.#depth = depth;
  }

  /** Whether there may be anything to tell of this name. */
  concerns(relative: string): boolean {
    return this.#view === undefined || this.#view.shows(relative) || this.#view.leads(relative);
  }

  /** Whether a directory is to be told only if there is something in it to see. */
  onlyLeads(relative: string): boolean {
    return this.#view !== undefined && !this.#view.shows(relative);
  }

  /** What is to be told now that the walk has come to `entry`, depth first. */
  take(entry: Listed): readonly Listed[] {
    if (this.#view === undefined) return [entry];
    while (this.#waiting.length > 0 && !isWithin(this.#waiting.at(-1), entry)) this.#waiting.pop();
    if (this.#view.shows(entry.path)) return [...this.#waiting.splice(0), entry].filter((one) => this.#isAsked(one));
    if (entry.kind === 'directory') this.#waiting.push(entry);
    return [];
  }

  /** What is to be said instead of the directory that is listed; undefined once that was told. To be asked at the end. */
  get refusal(): HoplineError | undefined {
    return this.#waiting[0]?.path === '' ? this.#view?.hidden() : undefined;
  }

  /** Deeper ones are looked at only to know whether there is something to see. */
  #isAsked({ path }: Listed): boolean {
    return path === '' || path.split('/').length <= this.#depth;
  }
}

function isWithin(directory: Listed | undefined, { path }: Listed): boolean {
  return directory !== undefined && (directory.path === '' || path.startsWith(`${directory.path}/`));
}
