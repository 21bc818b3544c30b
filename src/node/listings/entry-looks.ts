/**
 * What a listing tells of the names in a directory: what is there, and how many of them it leaves out, and why.
 *
 * Does not know how names are read, or in which order.
 * Invariant: what is told has a name that a client may ask for.
 */

import { isUtf8 } from 'node:buffer';
import type { Held } from '../../io/disk/held.ts';
import { openError } from '../../io/disk/reading/below-root.ts';
import { isUnfinished, nameProblem } from '../../wire/name.ts';
import type { Listed } from '../../wire/native/messages.ts';
import { describe, type KnownDigest } from './listed-entry.ts';
import type { ShownEntries } from './shown-entries.ts';

/** Entries that are there and not in the listing. */
export interface Skipped {
  /** Their names cannot travel. */
  names: number;
  /** Directories and entries that could not be read; the directories are in the listing, without what is in them. */
  unreadable: number;
  /** Part files of unfinished transfers. */
  unfinished: number;
}

interface EntryLooksOptions {
  /** Of the directory that is listed. */
  readonly name: string;
  readonly maxNameBytes: number;
  readonly shown: ShownEntries;
  readonly knownDigest: KnownDigest | undefined;
}

export class EntryLooks {
  readonly skipped: Skipped = { names: 0, unreadable: 0, unfinished: 0 };
  /** The first name that cannot travel, its bytes as a character each. */
  firstBad: string | undefined;
  readonly #options: EntryLooksOptions;

  constructor(options: EntryLooksOptions) {
    this.#options = options;
  }

  /** What is to be told of `names` in `directory`, each as its bytes, a character each; `prefix` comes before their paths. */
  async look(directory: Held, prefix: string, names: readonly string[]): Promise<Listed[]> {
    const entries = await Promise.all(names.map((name) => this.#look(directory, prefix, name)));
    return entries.filter((entry) => entry !== undefined);
  }

  /** What was removed since the names were read is not missing. */
  countUnreadable(error: unknown, entries: number): void {
    if (openError(error).code !== 'FILE_NOT_FOUND') this.skipped.unreadable += entries;
  }

  async #look(directory: Held, prefix: string, bytes: string): Promise<Listed | undefined> {
    const { name: listed, maxNameBytes, shown, knownDigest } = this.#options;
    const raw = Buffer.from(bytes, 'latin1');
    const name = raw.toString('utf8');
    const relative = `${prefix}${name}`;
    if (!shown.concerns(relative)) return undefined;
    if (isUnfinished(name)) {
      this.skipped.unfinished += 1;
      return undefined;
    }
    if (!isUtf8(raw) || nameProblem(`${listed}/${relative}`, maxNameBytes) !== undefined) {
      this.skipped.names += 1;
      this.firstBad ??= `${prefix}${bytes}`;
      return undefined;
    }
    return describe(directory, name, relative, knownDigest).catch((error) => {
      this.countUnreadable(error, 1);
      return undefined;
    });
  }
}
