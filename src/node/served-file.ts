/**
 * A file below the root, opened and then checked: the only way from a name on the wire to bytes on disk.
 *
 * Opens first and judges what was opened, so that nothing can be swapped in
 * between. Serves regular files alone, and only those whose real path lies
 * below the root: a link may point around inside it, never out.
 * Invariant: every byte read belongs to the version that was opened, or the read fails with `FILE_CHANGED`.
 */

import { createHash } from 'node:crypto';
import { type BigIntStats, constants, fstatSync } from 'node:fs';
import { type FileHandle, open, realpath, stat } from 'node:fs/promises';
import { HoplineError } from '../core/errors.ts';
import { isBelow, openError, outside, pathBelow, unreadable } from './below-root.ts';

/** The coarsest step in which file systems count modification times. */
const mtimeStepMs = 2000;

export class ServedFile {
  /** Bytes. */
  readonly size: number;
  /** Changes whenever the file does: a hash of device, inode, size and modification time in nanoseconds. */
  readonly version: string;
  readonly #handle: FileHandle;
  readonly #opened: BigIntStats;

  private constructor(handle: FileHandle, opened: BigIntStats) {
    this.#handle = handle;
    this.size = Number(opened.size);
    this.version = versionOf(opened);
    this.#opened = opened;
  }

  /**
   * Whether any change from now on will show in the version. A file that was modified a moment ago can be modified
   * again within the same step of its time stamp.
   */
  get isSettled(): boolean {
    return Date.now() - Number(this.#opened.mtimeMs) > mtimeStepMs;
  }

  /** Opens `name` below `root`, which must be a real path. Throws `FILE_NOT_FOUND`, `FILE_DENIED`, `FILE_IS_DIRECTORY`, `FILE_UNREADABLE`. */
  static async open(root: string, name: string, maxNameBytes: number): Promise<ServedFile> {
    const wanted = pathBelow(root, name, maxNameBytes);
    let handle: FileHandle | undefined;
    try {
      // Non-blocking, or opening a FIFO would wait for its writer.
      handle = await open(wanted, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
      const opened = await handle.stat({ bigint: true });
      const isServed = opened.isFile() || opened.isDirectory();
      if (!isServed) throw new HoplineError('FILE_DENIED', 'the name is not that of a regular file');
      await checkInside(root, wanted, opened);
      if (opened.isDirectory()) throw new HoplineError('FILE_IS_DIRECTORY', 'the name is that of a directory');
      return new ServedFile(handle, opened);
    } catch (error) {
      await handle?.close();
      throw openError(error);
    }
  }

  get descriptor(): number {
    return this.#handle.fd;
  }

  /** Reads into `buffer` at `position`, all of it. Throws `FILE_CHANGED` if the file ends before, `FILE_UNREADABLE`. */
  async readFully(buffer: Buffer, position: number): Promise<void> {
    let filled = 0;
    while (filled < buffer.length) {
      const length = buffer.length - filled;
      const { bytesRead } = await this.#handle.read(buffer, filled, length, position + filled).catch((cause) => {
        throw unreadable(cause);
      });
      if (bytesRead === 0) throw changed();
      filled += bytesRead;
    }
  }

  /**
   * Throws `FILE_CHANGED` unless the file is still the version that was opened.
   * Asks at once instead of through the thread pool, which takes ten times as long as the kernel's answer from memory.
   */
  check(): void {
    const { dev, ino, size, mtimeNs } = fstatSync(this.#handle.fd, { bigint: true });
    const opened = this.#opened;
    if (size !== opened.size || mtimeNs !== opened.mtimeNs || ino !== opened.ino || dev !== opened.dev) throw changed();
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

export function changed(): HoplineError {
  return new HoplineError('FILE_CHANGED', 'the file changed while it was read');
}

/** What was opened must be what the real path below the root names. */
async function checkInside(root: string, wanted: string, opened: BigIntStats): Promise<void> {
  const real = await realpath(wanted);
  if (isBelow(root, real)) {
    const named = await stat(real, { bigint: true });
    if (named.ino === opened.ino && named.dev === opened.dev) return;
  }
  throw outside();
}

function versionOf({ dev, ino, size, mtimeNs }: BigIntStats): string {
  return createHash('sha256').update([dev, ino, size, mtimeNs].join(':')).digest('hex').slice(0, 32);
}
