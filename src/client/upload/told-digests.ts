/**
 * Which files here have the content whose digest an origin told along with its listing: they are read here, and nothing is asked.
 *
 * Invariant: what cannot be read counts as another; its failure is told by whoever sends it.
 */

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Signal } from '../../core/signal.ts';
import type { DigestAlgorithm } from '../../io/digests/digest.ts';
import type { QuickLooks } from '../../io/disk/reading/quick-looks.ts';
import type { Manifest } from '../download/tree-listing.ts';
import { SourceFile } from './source/source-file.ts';

export interface ComparedFile {
  /** Below the directory that is sent. */
  readonly path: string;
  /** Where it is. */
  readonly source: string;
  /** Bytes. */
  readonly size: number;
}

/** What an origin has told of them. */
export type ToldDigests = Pick<Manifest, 'digests' | 'algorithm'>;

/** A larger file would keep signals waiting. */
const maxNowBytes = 64 * 1024;
/** Files that are read in one turn of the event loop. */
const turnFiles = 32;

/** Whether `findToldSame` can say anything of this file. */
export function isToldOf({ path, size }: ComparedFile, { digests, algorithm }: ToldDigests): boolean {
  return size === 0 || (algorithm !== undefined && digests.has(path));
}

/** Those of `files`, all of which were told of and have the size that was told, that are the same. Throws the signal's reason. */
export async function findToldSame<File extends ComparedFile>(
  files: readonly File[],
  { digests, algorithm }: ToldDigests,
  { looks, signal }: { readonly looks: QuickLooks; readonly signal: Signal },
): Promise<readonly File[]> {
  const same: File[] = [];
  for (const [index, file] of files.entries()) {
    if (index % turnFiles === 0) await nextTurn();
    signal.throwIfAborted();
    if (file.size === 0 || (algorithm && (await digestOf(file, algorithm, looks)) === digests.get(file.path))) {
      same.push(file);
    }
  }
  return same;
}

/** An empty text where the file cannot be read. */
async function digestOf(file: ComparedFile, algorithm: DigestAlgorithm, looks: QuickLooks): Promise<string> {
  const now = file.size <= maxNowBytes ? looks.readNow(file.path, file.size) : undefined;
  const content = now ?? (await readLater(file));
  return content ? algorithm.digestOf(content).toString('hex') : '';
}

async function readLater({ source, size }: ComparedFile): Promise<Buffer | undefined> {
  const file = await SourceFile.open(source).catch(() => undefined);
  try {
    return file?.size === size ? await file.readPiece(Buffer.allocUnsafeSlow(size), 0) : undefined;
  } catch {
    return undefined;
  } finally {
    await file?.close();
  }
}
