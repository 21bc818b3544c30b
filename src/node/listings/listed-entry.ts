/** What a listing says of one entry of a directory. Links are told and never followed. */

import type { BigIntStats } from 'node:fs';
import { lstat, readlink } from 'node:fs/promises';
import type { Held } from '../../io/disk/held.ts';
import type { Listed } from '../../wire/native/messages.ts';

/** Characters. */
const maxTargetLength = 1024;

/** What is known of the content of a file, in hex. */
export type KnownDigest = (file: BigIntStats) => Promise<string | undefined>;

/** What is called `name` in a directory. Throws what the system says. */
export async function describe(
  directory: Held,
  name: string,
  relative: string,
  knownDigest: KnownDigest | undefined,
): Promise<Listed> {
  const way = directory.way(name);
  const stats = directory.lookNow?.(name) ?? (await lstat(way, { bigint: true }));
  if (stats.isSymbolicLink()) return { kind: 'link', path: relative, target: await readTarget(way) };
  const entry = entryOf(stats, relative);
  if (entry.kind !== 'file') return entry;
  const digest = await knownDigest?.(stats);
  return digest === undefined ? entry : { ...entry, digest };
}

export function entryOf(stats: BigIntStats, relative: string): Listed {
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
