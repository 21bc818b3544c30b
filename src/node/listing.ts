/**
 * What lies below a directory of the root, frame by frame and as fast as the client takes it.
 *
 * Depth first, the names of each directory in the order of their bytes, so that
 * the same tree always gives the same listing. Links are told and never followed.
 * Invariant: holds the names of the directories it is in, and no more than `maxListEntries` of them.
 * Format: docs/protocol.md#directories
 */

import { isUtf8 } from 'node:buffer';
import type { BigIntStats } from 'node:fs';
import { lstat, opendir, readlink } from 'node:fs/promises';
import path from 'node:path';
import { HoplineError } from '../core/errors.ts';
import type { Limits } from '../core/limits.ts';
import { holdBelow, openError, outside } from '../io/disk/below-root.ts';
import { type Held, type Hold, hold } from '../io/disk/held.ts';
import type { AnswerOf, Listed } from '../wire/messages.ts';
import { isUnfinished, nameProblem } from '../wire/name.ts';

/** Entries that are looked at before their turn. */
const looksAhead = 32;
/** Names that are read from a directory in one go. */
const namesAtOnce = 256;
/** Characters. */
const maxTargetLength = 1024;

/** Bytes of entries after which a frame leaves; one more entry, of the longest, still fits under the cap of a header. */
const frameBytes = 32 * 1024;

/** Entries that are there and not in the listing. */
export interface Skipped {
  /** Their names cannot travel. */
  names: number;
  /** Directories and entries that could not be read; the directories are in the listing, without what is in them. */
  unreadable: number;
  /** Part files of unfinished transfers. */
  unfinished: number;
}

type Frame = AnswerOf<'listing'>;

/** A directory that the walk is in. */
interface Level {
  readonly real: string;
  /** What comes before the names of its entries. */
  readonly prefix: string;
  /** In order; each character is one byte. */
  readonly names: readonly string[];
  next: number;
  ready: Listed[];
}

export class Listing {
  readonly skipped: Skipped = { names: 0, unreadable: 0, unfinished: 0 };
  readonly #name: string;
  readonly #limits: Limits;
  readonly #levels: Level[] = [];
  readonly #top: string;
  readonly #hold: Hold;
  #isBegun = false;
  #entries = 0;
  #namesRead = 0;
  #firstBad: string | undefined;

  private constructor(top: string, name: string, limits: Limits, by: Hold) {
    this.#top = top;
    this.#hold = by;
    this.#name = name;
    this.#limits = limits;
  }

  /**
   * Opens the directory `name` below `root`, which must be a real path.
   * Throws `FILE_NOT_FOUND`, `FILE_DENIED`, `FILE_UNREADABLE`.
   */
  static async open(root: string, name: string, limits: Limits, by: Hold = hold): Promise<Listing> {
    let held: Held | undefined;
    try {
      held = await holdBelow(root, name, limits.maxNameBytes, by);
      if (!held.stats.isDirectory()) throw new HoplineError('FILE_DENIED', 'the name is not that of a directory');
      return new Listing(held.real, name, limits, by);
    } catch (error) {
      throw openError(error);
    } finally {
      await held?.close();
    }
  }

  /** What there is to say once the last frame is made. */
  get summary() {
    return { entries: this.#entries, ...this.skipped, firstBadName: this.#firstBad };
  }

  /** The next LISTING. Throws `LIMIT_LISTING`; on the first call, `FILE_DENIED` and `FILE_UNREADABLE`. */
  async nextFrame(): Promise<Frame> {
    const entries: Listed[] = [];
    let bytes = 0;
    while (bytes < frameBytes) {
      const entry = await this.#next();
      if (!entry) return { type: 'listing', entries, last: true, skipped: this.skipped };
      this.#entries += 1;
      bytes += Buffer.byteLength(JSON.stringify(entry));
      entries.push(entry);
    }
    return { type: 'listing', entries, last: false };
  }

  /** The next entry, the directory itself first; undefined at the end. */
  async #next(): Promise<Listed | undefined> {
    if (!this.#isBegun) return this.#begin();
    for (let level = this.#levels.at(-1); level; level = this.#levels.at(-1)) {
      const entry = level.ready.shift();
      if (entry) {
        if (entry.kind === 'directory') await this.#tryToEnter(entry.path);
        return entry;
      }
      if (level.next === level.names.length) this.#levels.pop();
      else await this.#lookAhead(level);
    }
    return undefined;
  }

  async #begin(): Promise<Listed> {
    this.#isBegun = true;
    try {
      return await this.#enter(this.#top, '');
    } catch (error) {
      throw openError(error);
    }
  }

  /** A directory that cannot be read is told without what is in it. */
  async #tryToEnter(relative: string): Promise<void> {
    try {
      await this.#enter(path.join(this.#top, relative), `${relative}/`);
    } catch (error) {
      if (openError(error).code === 'LIMIT_LISTING') throw error;
      this.skipped.unreadable += 1;
    }
  }

  /** Throws what the system says, `FILE_DENIED`, `LIMIT_LISTING`. */
  async #enter(real: string, prefix: string): Promise<Listed> {
    const { maxListDepth } = this.#limits;
    if (this.#levels.length >= maxListDepth) {
      throw new HoplineError('LIMIT_LISTING', `directories lie in each other more than ${maxListDepth} deep`);
    }
    const { names, stats } = await this.#inside(real, async (held) => {
      return { names: await this.#readNames(held.way()), stats: held.stats };
    });
    this.#levels.push({ real, prefix, names: names.sort(), next: 0, ready: [] });
    return entryOf(stats, '');
  }

  /**
   * What `look` finds out in the directory whose real path is `real`; nothing if a link leads there by now. Held for one
   * look at a time, so that no listing keeps descriptors while its client makes it wait.
   */
  async #inside<T>(real: string, look: (held: Held) => Promise<T>): Promise<T> {
    const held = await this.#hold(real);
    try {
      if (held.real !== real) throw outside();
      const found = await look(held);
      await held.check();
      return found;
    } finally {
      await held.close();
    }
  }

  /** Each name as its bytes, a character each, which is how `sort` then orders them. */
  async #readNames(directory: string): Promise<string[]> {
    const names: string[] = [];
    for await (const { name } of await opendir(directory, { encoding: 'latin1', bufferSize: namesAtOnce })) {
      this.#namesRead += 1;
      if (this.#namesRead > this.#limits.maxListEntries) {
        throw new HoplineError('LIMIT_LISTING', `there are more than ${this.#limits.maxListEntries} entries`);
      }
      names.push(name);
    }
    return names;
  }

  async #lookAhead(level: Level): Promise<void> {
    const names = level.names.slice(level.next, level.next + looksAhead);
    level.next += names.length;
    try {
      const look = (held: Held) => Promise.all(names.map((name) => this.#look(held, level.prefix, name)));
      const entries = await this.#inside(level.real, look);
      level.ready = entries.filter((entry) => entry !== undefined);
    } catch (error) {
      this.#countUnreadable(error, names.length);
    }
  }

  async #look(directory: Held, prefix: string, bytes: string): Promise<Listed | undefined> {
    const raw = Buffer.from(bytes, 'latin1');
    const name = raw.toString('utf8');
    const relative = `${prefix}${name}`;
    if (isUnfinished(name)) {
      this.skipped.unfinished += 1;
      return undefined;
    }
    if (!isUtf8(raw) || nameProblem(`${this.#name}/${relative}`, this.#limits.maxNameBytes) !== undefined) {
      this.skipped.names += 1;
      this.#firstBad ??= `${prefix}${bytes}`;
      return undefined;
    }
    return describe(directory.way(name), relative).catch((error) => {
      this.#countUnreadable(error, 1);
      return undefined;
    });
  }

  #countUnreadable(error: unknown, entries: number): void {
    // What was removed since the names were read is not missing.
    if (openError(error).code !== 'FILE_NOT_FOUND') this.skipped.unreadable += entries;
  }
}

/** What is at `way`, in a directory that is held. Throws what the system says. */
async function describe(way: string, relative: string): Promise<Listed> {
  const stats = await lstat(way, { bigint: true });
  return stats.isSymbolicLink()
    ? { kind: 'link', path: relative, target: await readTarget(way) }
    : entryOf(stats, relative);
}

function entryOf(stats: BigIntStats, relative: string): Listed {
  // Windows has no bit that lets one enter a directory.
  const mode = Number(stats.mode & 0o777n) | (process.platform === 'win32' && stats.isDirectory() ? 0o111 : 0);
  const attributes = { path: relative, mode, mtimeNs: String(stats.mtimeNs) };
  if (stats.isDirectory()) return { kind: 'directory', ...attributes };
  if (stats.isFile()) return { kind: 'file', size: Number(stats.size), ...attributes };
  return { kind: 'other', path: relative };
}

async function readTarget(way: string): Promise<string> {
  const target = await readlink(way).catch(() => '');
  return target.slice(0, maxTargetLength);
}
