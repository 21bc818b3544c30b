/**
 * The remains of unfinished transfers in a directory: found, measured and removed.
 *
 * A part file counts only if a journal beside it, of the same user, names it. Does not know how long remains are kept.
 * Invariant: nothing else is removed, and nothing that a writer holds.
 */

import type { BigIntStats } from 'node:fs';
import { lstat, opendir, unlink } from 'node:fs/promises';
import path from 'node:path';
import type { DiskCalls } from '../kernel/libc.ts';
import { type Held, hold } from './held.ts';
import { contentOf, mayExist, readBooks } from './writing/journal.ts';
import { openPart } from './writing/part.ts';
import { journalPath, partName } from './writing/part-names.ts';

export interface Leftover {
  /** The real path of the directory that it is in, and the name of the file that it was to be. */
  readonly directory: string;
  readonly base: string;
  /** On the disk. */
  readonly bytes: number;
  /** When it was written to last, in milliseconds since 1970. */
  readonly writtenMs: number;
}

/** Deeper than any listing goes by default. */
const maxDepth = 64;
/** A smaller file is one piece, which has no journal. */
const minJournaledBytes = 64n * 1024n;

/** What is left of the file to be `base` in a directory; undefined if nothing is. Never throws. */
export async function measureLeftover(directory: string, base: string): Promise<Leftover | undefined> {
  const held = await hold(directory).catch(() => undefined);
  try {
    return held?.real === directory ? await lookAt(held, journalPath(partName(base))) : undefined;
  } catch {
    return undefined;
  } finally {
    await held?.close();
  }
}

/** All of them below the real path `directory`, links not followed; what cannot be read is left out. Never throws. */
export async function* findLeftovers(directory: string, signal: AbortSignal, depth = 0): AsyncGenerator<Leftover> {
  const held = await hold(directory).catch(() => undefined);
  try {
    if (held?.real !== directory || depth > maxDepth) return;
    for await (const entry of await opendir(held.way())) {
      if (signal.aborted) return;
      if (entry.isDirectory()) yield* findLeftovers(path.join(directory, entry.name), signal, depth + 1);
      else if (entry.name.endsWith('.part.journal')) {
        const found = await lookAt(held, entry.name);
        if (found) yield found;
      }
    }
  } catch {
    // Of a directory that cannot be read nothing is known, and so nothing is swept.
  } finally {
    await held?.close();
  }
}

/**
 * Removes one, unless it is in use or was written to within the last `unusedMs`. Resolves to whether it is gone. Never throws.
 */
export async function removeLeftover(
  { directory, base }: Pick<Leftover, 'directory' | 'base'>,
  unusedMs: number,
  lock: DiskCalls['lock'],
): Promise<boolean> {
  const held = await hold(directory).catch(() => undefined);
  try {
    if (held?.real !== directory) return true;
    const part = held.way(partName(base));
    const found = await lookAt(held, journalPath(partName(base)));
    if (!found || Date.now() - found.writtenMs < unusedMs) return !found;
    const readOwner = async () => (await readBooks(journalPath(part)))?.owner ?? 0;
    const handle = await openPart(part, { target: path.join(directory, base), lock, readOwner, mode: 0o600 });
    try {
      // The journal first: it must not speak of a part file that another writer makes.
      await unlink(journalPath(part));
      await unlink(part);
    } finally {
      await handle.close();
    }
    return true;
  } catch {
    return false;
  } finally {
    await held?.close();
  }
}

/**
 * Removes what the writer of a finished file left if it was killed at its last step: the part file, where it is that file by a second
 * name, and the journal. Never throws.
 */
export async function removeFinished(target: string, lock: DiskCalls['lock']): Promise<void> {
  const part = partOf(target);
  const look = (file: string) => lstat(file, { bigint: true }).catch(() => undefined);
  const [named, left, journal] = [await look(target), await look(part), await look(journalPath(part))];
  const isFinished = left ? left.ino === named?.ino && left.dev === named.dev : journal !== undefined;
  if (!isFinished) return;
  try {
    // That makes one in the place of the second name, for the sake of the lock.
    const handle = await openPart(part, { target, lock, readOwner: async () => 0, mode: 0o600 });
    await unlink(journalPath(part)).catch(() => {});
    await unlink(part).catch(() => {});
    await handle.close();
  } catch {
    // Another writer has begun there.
  }
}

/** Does that for one that was found, if its file turns out to be finished. Never throws. */
export async function removeIfFinished(
  { directory, base }: Pick<Leftover, 'directory' | 'base'>,
  lock: DiskCalls['lock'],
): Promise<void> {
  const held = await hold(directory).catch(() => undefined);
  if (held?.real === directory) await removeFinished(held.way(base), lock);
  await held?.close();
}

/** Whether `removeFinished` may find anything at `target`, of which the system said `found`. */
export function mayHaveLeft(target: string, found: BigIntStats): boolean {
  // A second name may be that of the part file. One that was renamed has none, but the journal of a larger file stays.
  return found.nlink > 1n || (found.size > minJournaledBytes && mayExist(journalPath(partOf(target))));
}

function partOf(target: string): string {
  return path.join(path.dirname(target), partName(path.basename(target)));
}

/** What the journal of this name in a directory speaks of; undefined if it is none of ours. */
async function lookAt(directory: Held, journal: string): Promise<Leftover | undefined> {
  const way = directory.way(journal);
  const books = await readBooks(way);
  const content = books && contentOf(books);
  const base = content && path.posix.basename(content.file);
  if (!base || journalPath(partName(base)) !== journal) return undefined;
  const stats = await Promise.all(
    [way, directory.way(partName(base))].map((file) => lstat(file).catch(() => undefined)),
  );
  return {
    directory: directory.real,
    base,
    bytes: stats.reduce((sum, found) => sum + (found?.blocks ?? 0) * 512, 0),
    writtenMs: Math.max(...stats.map((found) => found?.mtimeMs ?? 0)),
  };
}
