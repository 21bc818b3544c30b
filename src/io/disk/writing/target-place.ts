/**
 * Where files go: from what a user wrote after `-o`, and for many files in one directory.
 *
 * Looks at what is there, and says no to what may not be replaced.
 */

import { constants, type Dirent } from 'node:fs';
import { access, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { HoplineError } from '../../../core/errors.ts';
import type { Signal } from '../../../core/signal.ts';
import { systemError, writeError } from '../../../core/system-errors.ts';
import { loadDiskCalls } from '../../kernel/libc.ts';
import { makeDirectory, syncDirectory } from '../directories.ts';
import { checkCanMake, isSpecial, lookAtPlace, notReplaced, type Occupant } from '../occupant.ts';
import { PresentFile } from '../reading/present-file.ts';
import { newFileMode } from '../umask.ts';
import { NewFiles } from '../whole/new-files.ts';
import { WholeTarget } from '../whole/whole-target.ts';
import { FileTarget, type FileTargetOptions } from './file-target.ts';
import { exists } from './part-names.ts';
import { SpecialTarget } from './special-target.ts';
import type { Target } from './target.ts';

export interface PlaceOptions
  extends Pick<FileTargetOptions, 'force' | 'resume' | 'onChange' | 'calls' | 'signal' | 'whole'> {
  /** A file that is there is compared with the origin's, where there are digests to do it. @default false */
  readonly compares?: boolean;
}

export interface FilePlaceOptions extends PlaceOptions {
  /** For a FIFO or a device, which content is streamed into: what ends the waits, and how much may come early. @default refused */
  readonly stream?: { readonly signal: Signal; readonly maxPiecesEarly: number };
  /** What is to come may turn out to be a directory too, so that one in its place is no mistake yet. @default false */
  readonly mayBeDirectory?: boolean;
}

/**
 * The place for a file called `name`: `output`, or `name` in it if it is a directory or ends like one, which is then made.
 * Throws `DISK_EXISTS`, and `DISK_FAILED` where no such file can be made; with `mayBeDirectory`, a directory of that name is
 * in the way once the target begins.
 */
export async function createFileTarget(output: string, name: string, options: FilePlaceOptions): Promise<Target> {
  const wanted = path.resolve(output);
  const isDirectory =
    endsLikeDirectory(output) || ((await stat(wanted).catch(() => undefined))?.isDirectory() ?? false);
  const target = isDirectory ? path.join(wanted, name) : wanted;
  try {
    return await placeAt(target, isDirectory, options);
  } catch (error) {
    throw writeError(target, error);
  }
}

async function placeAt(target: string, isDirectory: boolean, given: FilePlaceOptions): Promise<Target> {
  const { stream, mayBeDirectory = false, ...options } = given;
  const occupant = await lookAtPlace(target);
  // Only where the user named it: below a directory the name is that of the file that is asked for.
  if (occupant.kind === 'stream' && stream && !isDirectory) {
    return new SpecialTarget(target, stream.signal, stream.maxPiecesEarly, options.whole);
  }
  if (isSpecial(occupant)) throw notReplaced(target, occupant);
  const isTaken = occupant.kind === 'directory';
  const replaces = occupant.kind !== 'nothing';
  if (isTaken && !mayBeDirectory) throw new HoplineError('DISK_EXISTS', `${target} is a directory`);
  if (replaces && !options.force && !isTaken) return presentAt(target, occupant, options);
  // Directories to a directory are made as well.
  await checkCanMake(target, isDirectory || mayBeDirectory);
  return new FileTarget(target, { ...options, replaces, isTaken, makeDirectory: isDirectory });
}

/** What is there already, to be compared. Throws `DISK_EXISTS` where nothing can tell. */
function presentAt(target: string, { kind }: Occupant, { compares, signal, whole }: PlaceOptions): Target {
  if (!compares || kind !== 'file') throw exists(target);
  return new PresentFile(target, signal, whole);
}

/** The directory that several files go into: looked into once for all of them, and synced once. */
export class TargetDirectory {
  readonly path: string;
  readonly #options: PlaceOptions;
  /** What is there now. */
  readonly #existing: ReadonlyMap<string, Occupant>;
  readonly #files: NewFiles | undefined;

  private constructor(
    directory: string,
    options: PlaceOptions,
    existing: ReadonlyMap<string, Occupant>,
    files: NewFiles | undefined,
  ) {
    this.path = directory;
    this.#files = files;
    // Of new files it is asked once: for each it would take as long as to write it.
    const mode = newFileMode();
    this.#options = { calls: { ...loadDiskCalls(), newFileMode: () => mode }, ...options };
    this.#existing = existing;
  }

  /** Throws `DISK_FAILED` unless `output` is a directory or can be made one. */
  static async open(output: string, options: PlaceOptions): Promise<TargetDirectory> {
    const directory = path.resolve(output);
    try {
      await makeDirectory(directory);
      const entries = await readdir(directory, { withFileTypes: true });
      await access(directory, constants.W_OK | constants.X_OK);
      const existing = new Map<string, Occupant>();
      for (const entry of entries) existing.set(entry.name, await occupantOf(entry, path.join(directory, entry.name)));
      return new TargetDirectory(directory, options, existing, await NewFiles.in([directory]));
    } catch (cause) {
      const message = `several files need a directory to go into, and ${directory} is none that takes them`;
      throw systemError('DISK_FAILED', message, cause);
    }
  }

  /** The place for the file called `name`. Throws `DISK_EXISTS`, and `DISK_FAILED` where something else stands there. */
  target(name: string): Target {
    const target = path.join(this.path, name);
    const { force } = this.#options;
    const occupant = this.#existing.get(name);
    if (occupant && isSpecial(occupant)) throw notReplaced(target, occupant);
    if (occupant?.kind === 'directory') throw new HoplineError('DISK_EXISTS', `${target} is a directory`);
    if (occupant && !force) return presentAt(target, occupant, this.#options);
    const chosen = { ...this.#options, leavesDirectory: true, replaces: occupant !== undefined };
    return occupant || !this.#files ? new FileTarget(target, chosen) : new WholeTarget(target, chosen, this.#files);
  }

  /** Makes the names of all committed files durable. Throws `DISK_FAILED`. */
  async sync(): Promise<void> {
    try {
      await syncDirectory(this.path);
    } catch (error) {
      throw writeError(this.path, error);
    }
  }
}

/** Most entries are files and directories, and tell it themselves. */
async function occupantOf(entry: Dirent, place: string): Promise<Occupant> {
  if (entry.isFile()) return { kind: 'file', what: 'a file' };
  return entry.isDirectory() ? { kind: 'directory', what: 'a directory' } : lookAtPlace(place);
}

function endsLikeDirectory(output: string): boolean {
  return /[\\/]$/.test(output);
}
