/**
 * What a cache's directory holds at the start: reads the end of every file.
 *
 * Invariant: what is no whole entry is removed, and nothing but files with an entry's name is touched.
 */

import { readdir, unlink } from 'node:fs/promises';
import path from 'node:path';
import type { DigestAlgorithm } from '../../../io/digests/digest.ts';
import { openOwn } from '../../../io/disk/own-file.ts';
import { type ReadRecord, readRecord } from './entry-file.ts';

interface FoundEntry extends ReadRecord {
  readonly name: string;
  /** The blocks of its content, none of which has been compared with its digest; undefined without content. */
  readonly unchecked: Set<number> | undefined;
}

const entryName = /^[0-9a-f]{32}\.entry$/;
/** Files that are looked at side by side. */
const scannedAtOnce = 16;

/** The one that came or was confirmed longest ago first. Throws what the system says of the directory, or where too many files are open. */
export async function scanEntries(directory: string, algorithms: readonly DigestAlgorithm[]): Promise<FoundEntry[]> {
  const names = (await readdir(directory)).filter((name) => entryName.test(name)).values();
  const found: FoundEntry[] = [];
  const work = async () => {
    for (const name of names) {
      const file = path.join(directory, name);
      const read = await readEnd(file);
      if (read && algorithms.some((algorithm) => algorithm.name === read.record.algorithm)) {
        found.push({ name, ...read, unchecked: blocksOf(read) });
      } else await unlink(file).catch(() => {});
    }
  };
  await Promise.all(Array.from({ length: scannedAtOnce }, work));
  return found.sort((a, b) => a.record.head.arrivedMs - b.record.head.arrivedMs);
}

async function readEnd(file: string): Promise<ReadRecord | undefined> {
  const handle = await openOwn(file);
  if (!handle) return undefined;
  try {
    return await readRecord(handle);
  } catch {
    return undefined;
  } finally {
    await handle.close();
  }
}

function blocksOf({ record: { contentBytes, blockBytes } }: ReadRecord): Set<number> | undefined {
  const count = Math.ceil(contentBytes / blockBytes);
  return count > 0 ? new Set(Array.from({ length: count }, (_, index) => index)) : undefined;
}
