/**
 * A tree on its way to disk: what of it is there already, where the rest goes, and what its directories become in the end.
 *
 * Each file is a target of its own, as any other. What is there and not in the
 * tree is left alone. Paths are relative to the tree, with `/` between their
 * parts, and empty for the tree itself; whoever gives them has checked them.
 * Invariant: nothing is written through a link that lies in the tree.
 */

import { chmod, type FileHandle, lstat, mkdir, open, utimes } from 'node:fs/promises';
import path from 'node:path';
import { setImmediate as immediately } from 'node:timers/promises';
import { HoplineError } from '../../../core/errors.ts';
import type { Signal } from '../../../core/signal.ts';
import { writeError } from '../../../core/system-errors.ts';
import { loadDiskCalls } from '../../kernel/libc.ts';
import { makeNamedDirectory } from '../directories.ts';
import type { TargetCalls } from '../durable.ts';
import { mayHaveLeft, removeFinished } from '../leftover.ts';
import { isSpecial, lookAtPlace, notReplaced } from '../occupant.ts';
import { PresentFile } from '../reading/present-file.ts';
import { lookAtEntry, QuickLooks } from '../reading/quick-looks.ts';
import { readUmask } from '../umask.ts';
import { NewFiles } from '../whole/new-files.ts';
import { WholeTarget } from '../whole/whole-target.ts';
import { FileTarget, type FileTargetOptions } from '../writing/file-target.ts';
import type { Target } from '../writing/target.ts';
import {
  type Attributes,
  type Distinctions,
  isSameMode,
  isSameTime,
  probeDistinctions,
  setAttributes,
} from './attributes.ts';
import { checkTreeNames } from './tree-names.ts';

export interface TreeDirectory extends Attributes {
  readonly path: string;
}

export interface TreeFile extends TreeDirectory {
  /** Bytes. */
  readonly size: number;
}

/**
 * How a file on disk compares with the one of the tree. `resembles`: only its time differs, so that its content must tell.
 * `directory`: there is one of that name; `special`: something that no file replaces.
 */
export type TreeVerdict = 'same' | 'missing' | 'resembles' | 'differs' | 'directory' | 'special';

export interface TreeTargetOptions extends Pick<FileTargetOptions, 'force' | 'resume' | 'calls'> {
  readonly signal: Signal;
  /** Whether nothing is made, and nothing changed. @default false */
  readonly isLookedAt?: boolean;
}

/** Files or directories that are looked at, or finished, at once. */
const atOnce = 16;
/** What its owner needs to fill a directory. */
const fillMode = 0o700;

export class TreeTarget {
  readonly path: string;
  readonly #options: TreeTargetOptions;
  readonly #calls: Partial<TargetCalls>;
  /** The directories that were not there, so that nothing can be in them. */
  readonly #missing = new Set<string>();
  #directories: readonly TreeDirectory[] = [];
  /** What the user does not grant to anybody, whatever the tree has. */
  #umask = 0;
  #files: NewFiles | undefined;
  #distinctions: Promise<Distinctions> | undefined;

  constructor(directory: string, options: TreeTargetOptions) {
    this.path = path.resolve(directory);
    this.#options = options;
    this.#calls = options.calls ?? loadDiskCalls();
  }

  /**
   * Makes the directories that are missing; each must come behind the one that it is in.
   * Throws `DISK_EXISTS` where something else is in the place of one, `DISK_FAILED` also for names that cannot be here.
   */
  async begin(directories: readonly TreeDirectory[], files: readonly TreeFile[]): Promise<void> {
    try {
      this.#umask = readUmask();
      if (!this.#options.isLookedAt) {
        await makeNamedDirectory(path.dirname(this.path));
        await checkTreeNames(pathsOf(directories, files), () => this.#ask());
      }
      for (const directory of directories) await this.#look(directory);
      if (this.#options.isLookedAt) return;
      this.#directories = directories.map((directory) => this.#masked(directory));
      for (const { path: relative, mode } of directories) {
        this.#options.signal.throwIfAborted();
        if (this.#missing.has(relative)) await mkdir(this.#place(relative), mode | fillMode);
      }
    } catch (error) {
      throw this.#failure(error);
    }
  }

  /** Compares files with what is there, by size and time; where only the permissions differ, they are set. Throws `DISK_FAILED`. */
  async compare(files: readonly TreeFile[]): Promise<TreeVerdict[]> {
    const looks = await QuickLooks.at(this.path);
    try {
      const verdicts = await inGroups(files, (file) => this.#compare(file, looks), this.#options.signal);
      const missing = files.filter((_, at) => verdicts[at] === 'missing');
      if (!this.#options.isLookedAt && missing.length > 0) this.#files = await NewFiles.in(this.#placesOf(missing));
      return verdicts;
    } catch (error) {
      throw this.#failure(error);
    } finally {
      looks.close();
    }
  }

  /** Whether a file of which this is known is written. */
  takes(verdict: TreeVerdict): boolean {
    return verdict === 'missing' || (/^(resembles|differs)$/.test(verdict) && this.#options.force);
  }

  /** The place for a file that is not the same, or what is there to be compared. Throws `DISK_EXISTS`, `DISK_FAILED`. */
  target(file: TreeFile, verdict: TreeVerdict): Target {
    const { force, resume = true, signal } = this.#options;
    const target = this.#place(file.path);
    if (verdict === 'special') throw notReplaced(target, { what: 'no regular file' });
    if (verdict === 'directory') throw new HoplineError('DISK_EXISTS', `${target} is a directory`);
    if (verdict === 'resembles' && !force) return new PresentFile(target, signal);
    if (!this.takes(verdict)) throw new HoplineError('DISK_EXISTS', `${target} exists already, and is another file`);
    const replaces = verdict !== 'missing';
    const how = { force, resume, signal, calls: this.#calls, leavesDirectory: true };
    const options = { ...how, replaces, attributes: this.#masked(file) };
    return replaces || !this.#files ? new FileTarget(target, options) : new WholeTarget(target, options, this.#files);
  }

  /** Gives the directories their permissions and times, and makes the names in them durable. Throws `DISK_FAILED`. */
  async finish(): Promise<void> {
    const levels: TreeDirectory[][] = [];
    for (const directory of this.#directories) {
      const depth = directory.path === '' ? 0 : directory.path.split('/').length;
      levels[depth] ??= [];
      levels[depth]?.push(directory);
    }
    try {
      // The deepest first: the final permissions of a directory may keep its owner out.
      for (const level of levels.reverse()) await inGroups(level, (directory) => this.#finish(directory));
    } catch (error) {
      throw this.#failure(error);
    }
  }

  /** Finds out whether a directory is there, and makes sure that it can be looked into. */
  async #look({ path: relative }: TreeDirectory): Promise<void> {
    this.#options.signal.throwIfAborted();
    const isBelowMissing = relative !== '' && this.#missing.has(parentOf(relative));
    const directory = this.#place(relative);
    const existing = isBelowMissing ? undefined : await lookAtEntry(directory);
    if (!existing) this.#missing.add(relative);
    else if (!existing.isDirectory()) {
      const what = existing.isSymbolicLink() ? 'a link' : 'a file';
      throw new HoplineError('DISK_EXISTS', `${directory} is ${what}, where a directory is to be`);
    } else if (!this.#options.isLookedAt && (Number(existing.mode) & fillMode) !== fillMode) {
      await chmod(directory, (Number(existing.mode) & 0o777) | fillMode);
    }
  }

  async #compare(file: TreeFile, looks: QuickLooks): Promise<TreeVerdict> {
    if (this.#missing.has(parentOf(file.path))) return 'missing';
    const place = this.#place(file.path);
    const existing = await looks.look(file.path);
    if (!existing) return 'missing';
    if (existing.isDirectory()) return 'directory';
    if (!existing.isFile() && isSpecial(await lookAtPlace(place))) return 'special';
    if (!existing.isFile() || existing.size !== BigInt(file.size)) return 'differs';
    const stepNs = async () => (await this.#ask()).timeStepNs;
    if (!(await isSameTime(existing.mtimeNs, file.mtimeNs, stepNs))) return 'resembles';
    // The one who wrote it may have been killed then.
    if (!this.#options.isLookedAt && mayHaveLeft(place, existing)) await removeFinished(place, this.#calls.lock);
    const { mode } = this.#masked(file);
    if (!this.#options.isLookedAt && !isSameMode(Number(existing.mode), mode)) await chmod(place, mode);
    return 'same';
  }

  async #finish(directory: TreeDirectory): Promise<void> {
    const place = this.#place(directory.path);
    let handle: FileHandle | undefined;
    try {
      if (process.platform === 'win32') return await utimes(place, new Date(), Number(directory.mtimeNs) / 1e9);
      const { mode, mtimeNs } = await lstat(place, { bigint: true });
      if (mtimeNs === directory.mtimeNs && isSameMode(Number(mode), directory.mode)) return;
      handle = await open(place);
      await setAttributes(handle, directory, this.#calls);
      await handle.sync();
    } catch (error) {
      throw writeError(place, error);
    } finally {
      await handle?.close();
    }
  }

  /** With the permissions that it gets here. */
  #masked<Entry extends Attributes>(entry: Entry): Entry {
    return { ...entry, mode: entry.mode & 0o777 & ~this.#umask };
  }

  /** The directories that these files are in, as far as they were there; what was made is on the disk of the tree. */
  *#placesOf(files: readonly TreeFile[]): Generator<string> {
    yield this.path;
    for (const file of files) if (!this.#missing.has(parentOf(file.path))) yield this.#place(parentOf(file.path));
  }

  #place(relative: string): string {
    return path.join(this.path, ...relative.split('/'));
  }

  /** What the disk tells apart: asked in the tree, or next to it as long as there is none. */
  #ask(): Promise<Distinctions> {
    this.#distinctions ??= lstat(this.path).then(
      (existing) => probeDistinctions(existing.isDirectory() ? this.path : path.dirname(this.path), this.#calls),
      () => probeDistinctions(path.dirname(this.path), this.#calls),
    );
    return this.#distinctions;
  }

  #failure(error: unknown): unknown {
    return this.#options.signal.aborted ? this.#options.signal.reason : writeError(this.path, error);
  }
}

function pathsOf(directories: readonly TreeDirectory[], files: readonly TreeFile[]): Iterable<string> {
  return [...directories, ...files].map((entry) => entry.path).filter((relative) => relative !== '');
}

function parentOf(relative: string): string {
  return relative.slice(0, Math.max(0, relative.lastIndexOf('/')));
}

/** Does the work for each item, several at once; the results come in the order of the items. When it throws, none is under way. */
async function inGroups<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
  signal?: Signal,
): Promise<Result[]> {
  const results: Result[] = [];
  for (let next = 0; next < items.length; next += atOnce) {
    signal?.throwIfAborted();
    // Whatever is known at once, signals are heard.
    await immediately();
    for (const settled of await Promise.allSettled(items.slice(next, next + atOnce).map(work))) {
      if (settled.status === 'rejected') throw settled.reason;
      results.push(settled.value);
    }
  }
  return results;
}
