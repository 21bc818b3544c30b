/**
 * The regular files of a tree on this disk that the tree it is a copy of does not have, and their removal.
 *
 * Knows names alone: links, sockets and unfinished files are left where they are.
 * Invariant: what the disk may take for a file that is to stay is not removed, and nothing is removed outside the tree.
 */

import { lstat, open, realpath, rmdir, unlink } from 'node:fs/promises';
import path from 'node:path';
import { HoplineError } from '../../../core/errors.ts';
import { systemCode, writeError } from '../../../core/system-errors.ts';
import { loadDiskCalls } from '../../kernel/libc.ts';
import { type LocalTreeRules, readLocalTree } from '../reading/local-tree.ts';
import { type Attributes, setAttributes } from './attributes.ts';

/** Paths below the tree. */
export interface ExtraFiles {
  readonly files: readonly string[];
  /** Those in which such files lie and that the other tree does not have, the deepest first. */
  readonly directories: readonly string[];
}

/** What none of `kept` is, also where the disk does not tell letter cases or forms of a character apart. */
export async function findExtraFiles(
  directory: string,
  { kept, select }: { readonly kept: Iterable<string>; readonly select: (file: string) => boolean },
  rules: LocalTreeRules,
): Promise<ExtraFiles> {
  const names = new Set<string>();
  for (const name of kept) names.add(alike(name));
  const isExtra = (name: string) => !names.has(alike(name));
  const found = await readLocalTree(directory, rules);
  const files = found.files.filter((file) => isExtra(file) && select(file));
  const above = new Set(files.flatMap(directoriesAbove));
  const directories = [...above].filter(isExtra).sort((one, other) => other.length - one.length);
  return { files, directories };
}

/** Removes these files, and these directories if they are empty then. Throws `DISK_FAILED`. */
export async function removeExtraFiles(directory: string, { files, directories }: ExtraFiles): Promise<void> {
  const root = await realpath(directory);
  /** Of the directories that stay: a file that goes would make them look changed. */
  const times = new Map<string, Attributes>();
  const removeAt = async (name: string, remove: (place: string) => Promise<void>) => {
    const place = path.join(root, ...name.split('/'));
    const parent = path.dirname(place);
    try {
      // A directory that has become a link leads elsewhere.
      if ((await realpath(parent)) !== parent) throw new HoplineError('DISK_FAILED', `${parent} is not where it was`);
      times.set(parent, times.get(parent) ?? (await attributesOf(parent)));
      await remove(place);
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw writeError(place, error);
    }
  };
  for (const file of files) await removeAt(file, unlink);
  // One in which something is left stays.
  for (const name of directories) await removeAt(name, (place) => rmdir(place).catch(() => {}));
  for (const [place, attributes] of times) await restore(place, attributes);
}

async function attributesOf(directory: string): Promise<Attributes> {
  const { mode, mtimeNs } = await lstat(directory, { bigint: true });
  return { mode: Number(mode & 0o777n), mtimeNs };
}

/** One that is gone needs nothing. */
async function restore(directory: string, attributes: Attributes): Promise<void> {
  const handle = await open(directory).catch(() => undefined);
  try {
    if (handle) await setAttributes(handle, attributes, loadDiskCalls());
  } catch (error) {
    throw writeError(directory, error);
  } finally {
    await handle?.close();
  }
}

function directoriesAbove(file: string): string[] {
  const parts = file.split('/').slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
}

function alike(name: string): string {
  return name.normalize('NFC').toLowerCase();
}
