/**
 * Where an upload goes: from a name on the wire to a place below the root, the directories in between made as needed.
 *
 * Holds one directory after the other, each reached from the one before it, and looks where it is before it makes the
 * next: a link may lead around inside the root, never out.
 * Invariant: nothing is made, written or removed outside the root.
 */

import { lstat, mkdir, rmdir } from 'node:fs/promises';
import path from 'node:path';
import { HoplineError } from '../../core/errors.ts';
import { systemCode, writeError } from '../../core/system-errors.ts';
import { syncDirectory } from '../../io/disk/directories.ts';
import { type Held, type Hold, hold } from '../../io/disk/held.ts';
import { checkReplaceable } from '../../io/disk/occupant.ts';
import { isWithin, outside, pathBelow } from '../../io/disk/reading/below-root.ts';

export interface UploadPlace {
  /** The real path, for people and to compare. */
  readonly path: string;
  /** The path by which the system comes there, for as long as the place is held. */
  readonly way: string;
  /** The file system that the directory is on. */
  readonly device: bigint;
  /** The name without what does not matter in it, so that it is the same however the client writes it. */
  readonly name: string;
  /** Throws `FILE_DENIED` if the directory was moved or exchanged since it was found, `DISK_FAILED` if that cannot be seen. */
  check(): Promise<void>;
  /** Directories that were made for it, the first first. */
  readonly made: readonly MadeDirectory[];
  /** Lets go of the directory. Never throws. */
  leave(): Promise<void>;
}

/** A directory, by the real path of the one that it is in. */
export interface MadeDirectory {
  readonly directory: string;
  readonly segment: string;
}

export interface UploadPlaceOptions {
  /** How directories are held. @default as everything else */
  readonly by?: Hold | undefined;
  /** Throws where a file with this real path must not be written; asked before anything is made. */
  readonly judge?: ((real: string) => void) | undefined;
}

/** Finds the place for `name` below `root`, which must be a real path. Throws `FILE_DENIED`, `DISK_FULL`, `DISK_FAILED`, and as `judge`. */
export async function placeUpload(
  root: string,
  name: string,
  maxNameBytes: number,
  { by = hold, judge = () => {} }: UploadPlaceOptions = {},
): Promise<UploadPlace> {
  pathBelow(root, name, maxNameBytes);
  const segments = name.split('/').filter((segment) => segment !== '' && segment !== '.');
  const base = segments.pop();
  if (base === undefined || /(^|\/)\.$/.test(name)) throw denied('the name is that of a directory');
  if (process.platform === 'win32' && [...segments, base].some((segment) => /[. ]$/.test(segment))) {
    throw denied('a part of the name ends in a character that Windows leaves out');
  }
  const walk = new Walk(root, by);
  try {
    // Most directories are there, and need not be gone through one by one.
    const isThere = await walk.jump(segments);
    if (!isThere) await walk.begin();
    for (const [index, segment] of isThere ? [] : segments.entries()) {
      // What is made has no links in it, so that the rest of the name is the rest of the path.
      await walk.enter(segment, (real) => judge(path.join(real, ...segments.slice(index), base)));
    }
    const place = walk.placeFor(base, [...segments, base].join('/'));
    judge(place.path);
    return place;
  } catch (error) {
    await walk.leave();
    await removeDirectories(walk.made);
    throw error;
  }
}

/** Whether there is something at the place. Throws `DISK_EXISTS` unless it may be replaced, `DISK_FAILED` if nothing may replace it. */
export async function checkReplaces(place: UploadPlace, mayReplace: boolean): Promise<boolean> {
  const existing = await lstat(place.way).catch(() => undefined);
  if (existing && !existing.isFile()) await checkReplaceable(place.way, place.path);
  if (existing && (!mayReplace || existing.isDirectory())) {
    throw new HoplineError('DISK_EXISTS', `${place.path} exists already`);
  }
  return existing !== undefined;
}

/** Removes directories that were made for nothing, as far as they are empty. Never throws. */
export async function removeDirectories(made: readonly MadeDirectory[]): Promise<void> {
  // The last first; one that is not empty, or not there any more, is in use or somebody's.
  for (const { directory, segment } of made.toReversed()) {
    const held = await hold(directory).catch(() => undefined);
    if (held?.real === directory) await rmdir(held.way(segment)).catch(() => {});
    await held?.close();
  }
}

/** A way from the root down, one directory after the other. */
class Walk {
  readonly #root: string;
  readonly #hold: Hold;
  #here: Held | undefined;
  /** Directories that were made on the way, the first first. */
  readonly made: MadeDirectory[] = [];

  constructor(root: string, by: Hold) {
    this.#root = root;
    this.#hold = by;
  }

  /** Goes straight to a directory below the root; false, with nothing done, where there is none, or a link on the way. */
  async jump(segments: readonly string[]): Promise<boolean> {
    const wanted = path.join(this.#root, ...segments);
    const held = await this.#hold(wanted).catch(() => undefined);
    if (held?.real === wanted && held.stats.isDirectory()) {
      this.#here = held;
      return true;
    }
    await held?.close();
    return false;
  }

  async begin(): Promise<void> {
    this.#here = await this.#held(this.#root, this.#root);
  }

  /** Goes on into `segment`, which is made if it is not there; `beforeMaking` may throw, and gets the real path of here. */
  async enter(segment: string, beforeMaking: (real: string) => void): Promise<void> {
    const from = this.#current;
    const wanted = path.join(from.real, segment);
    const make = () => {
      beforeMaking(from.real);
      return this.#make(from, segment);
    };
    const next = await this.#held(from.way(segment), wanted, make);
    await from.close();
    this.#here = next;
  }

  placeFor(base: string, name: string): UploadPlace {
    const { real, way, stats } = this.#current;
    return {
      path: path.join(real, base),
      way: way(base),
      device: stats.dev,
      name,
      check: async () => {
        const still = await this.#hold(real).catch((cause) => {
          // Without descriptors, or a disk that answers, nobody can tell.
          if (isElsewhere(cause)) return undefined;
          throw writeError(path.join(real, base), cause);
        });
        await still?.close();
        const { ino, dev } = this.#current.stats;
        if (still?.real !== real || still.stats.ino !== ino || still.stats.dev !== dev) throw outside();
      },
      made: this.made,
      leave: () => this.leave(),
    };
  }

  async leave(): Promise<void> {
    await this.#here?.close();
    this.#here = undefined;
  }

  get #current(): Held {
    if (!this.#here) throw new HoplineError('INTERNAL', 'a way from the root was left already');
    return this.#here;
  }

  /** Holds a directory, which `make` makes if there is none. Throws `FILE_DENIED`, `DISK_FULL`, `DISK_FAILED`. */
  async #held(way: string, wanted: string, make?: () => Promise<void>): Promise<Held> {
    try {
      const held = await this.#hold(way).catch(async (error) => {
        if (systemCode(error) !== 'ENOENT' || !make) throw error;
        await make();
        return this.#hold(way);
      });
      const isInside = isWithin(this.#root, held.real);
      if (isInside && held.stats.isDirectory()) return held;
      await held.close();
      if (!isInside) throw outside();
    } catch (cause) {
      throw writeError(wanted, cause);
    }
    throw new HoplineError('DISK_FAILED', `${wanted} is no directory`, { reason: 'ENOTDIR' });
  }

  async #make(from: Held, segment: string): Promise<void> {
    try {
      await from.check();
      await mkdir(from.way(segment));
      this.made.push({ directory: from.real, segment });
    } catch (error) {
      // Another upload may have been faster.
      if (systemCode(error) !== 'EEXIST') throw error;
    }
    await syncDirectory(from.way());
  }
}

/** Whether a path that led to a directory leads there no more. */
function isElsewhere(cause: unknown): boolean {
  return cause instanceof HoplineError || /^(ENOENT|ENOTDIR|ELOOP|EACCES)$/.test(systemCode(cause) ?? '');
}

function denied(message: string): HoplineError {
  return new HoplineError('FILE_DENIED', message);
}
