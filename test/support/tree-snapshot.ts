/** A directory with all that is in it as one value, so that two of them can be compared. */

import { createHash } from 'node:crypto';
import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import path from 'node:path';

/** A line for each entry, in the order of names: kind, path, permissions, time in nanoseconds, and what is in a file. */
export async function snapshotTree(directory: string): Promise<string[]> {
  const names = (await readdir(directory, { recursive: true })).sort();
  return Promise.all(['', ...names].map((name) => describe(path.join(directory, name), name)));
}

async function describe(place: string, name: string): Promise<string> {
  const stats = await lstat(place, { bigint: true });
  if (stats.isSymbolicLink()) return `link ${name} ${await readlink(place)}`;
  const kind = stats.isDirectory() ? 'directory' : 'file';
  const attributes = `${(stats.mode & 0o777n).toString(8)} ${stats.mtimeNs}`;
  const content = stats.isFile()
    ? createHash('sha256')
        .update(await readFile(place))
        .digest('hex')
    : '';
  return `${kind} ${name} ${attributes} ${content}`;
}
