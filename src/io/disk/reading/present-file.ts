/**
 * A file that has its name already, in the place of a target: read and compared, and never written.
 *
 * All of its pieces count as left by an earlier run, so that the origin is asked for their digests and for nothing else.
 * Invariant: nothing of the file changes, its times included.
 * Rules: docs/resume.md#already-here
 */

import type { BigIntStats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { HoplineError } from '../../../core/errors.ts';
import type { Signal } from '../../../core/signal.ts';
import { systemError, writeError } from '../../../core/system-errors.ts';
import { availableDigests, type DigestAlgorithm } from '../../digests/digest.ts';
import type { WholeDigest } from '../../digests/whole-digest.ts';
import { loadDiskCalls } from '../../kernel/libc.ts';
import { removeFinished } from '../leftover.ts';
import { isAt, ownFileFlags } from '../own-file.ts';
import { exists } from '../writing/part-names.ts';
import type { Begun, Target, TargetContent, Vouched } from '../writing/target.ts';
import type { FileRange } from './read-blocks.ts';
import { digestOfRange, RangeReader } from './read-digest.ts';

export class PresentFile implements Target {
  readonly path: string;
  readonly replaces = false;
  readonly mayResume = true;
  readonly isPresent = true;
  readonly #signal: Signal | undefined;
  readonly #whole: WholeDigest | undefined;
  #read: BigIntStats | undefined;

  constructor(target: string, signal?: Signal, whole?: WholeDigest) {
    this.path = target;
    this.#signal = signal;
    this.#whole = whole;
  }

  /** Reads the file. Throws `DISK_EXISTS` if it cannot be the origin's; with `startOver` it has turned out not to be. */
  async begin(content: TargetContent, startOver = false): Promise<Begun> {
    if (startOver) throw this.#differs(`it is not what the origin has`);
    let handle: FileHandle | undefined;
    try {
      handle = await open(this.path, ownFileFlags);
      const found = await handle.stat({ bigint: true });
      if (!found.isFile()) throw exists(this.path);
      if (found.size !== BigInt(content.size)) {
        throw this.#differs(`it has ${found.size} bytes, at the origin ${content.size}`);
      }
      this.#whole?.begin(content);
      const left = await this.#readPieces(handle, content);
      if (!isSame(found, await handle.stat({ bigint: true }))) throw this.#differs('it changed while it was read');
      this.#read = found;
      return { reservation: 'none', left };
    } catch (cause) {
      if (cause instanceof HoplineError || this.#signal?.aborted) throw cause;
      throw systemError('DISK_EXISTS', `${this.path} exists already, and cannot be read`, cause);
    } finally {
      await handle?.close();
    }
  }

  async digestOf(range: FileRange, algorithm: DigestAlgorithm): Promise<string> {
    const handle = await open(this.path, ownFileFlags).catch((cause) => {
      throw writeError(this.path, cause);
    });
    try {
      return await digestOfRange(handle, range, algorithm, this.#signal);
    } finally {
      await handle.close();
    }
  }

  write(): Promise<void> {
    throw new HoplineError('INTERNAL', 'a file that is only compared was to be written');
  }

  /** Throws `DISK_EXISTS` if another file has the name by now. */
  async commit(): Promise<void> {
    if (!this.#read || !(await isAt(this.path, this.#read))) throw this.#differs('it was exchanged meanwhile');
    await this.#whole?.finish(Number(this.#read.size));
    await removeFinished(this.path, loadDiskCalls().lock);
  }

  async keep(): Promise<number> {
    return 0;
  }

  async discard(): Promise<void> {}

  async #readPieces(
    handle: FileHandle,
    { size, pieceBytes, algorithm: name }: TargetContent,
  ): Promise<Map<number, Vouched>> {
    const algorithm = availableDigests().find((known) => known.name === name);
    if (!algorithm) throw exists(this.path);
    const reader = new RangeReader(handle, this.#signal);
    const left = new Map<number, Vouched>();
    let position = 0;
    const whole = {
      update: (bytes: Buffer) => {
        this.#whole?.take(position, [{ bytes }]);
        position += bytes.length;
      },
    };
    for (let start = 0; start < size; start += pieceBytes) {
      const hasher = algorithm.start();
      const isWhole = await reader.read(start, Math.min(size, start + pieceBytes), [hasher, whole]);
      if (!isWhole) throw this.#differs('it changed while it was read');
      left.set(start / pieceBytes, { digest: hasher.digest(), version: '' });
    }
    return left;
  }

  #differs(how: string): HoplineError {
    return new HoplineError('DISK_EXISTS', `${this.path} exists already, and is another file: ${how}`);
  }
}

function isSame(one: BigIntStats, other: BigIntStats): boolean {
  return one.size === other.size && one.mtimeNs === other.mtimeNs && one.ctimeNs === other.ctimeNs;
}
