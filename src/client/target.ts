/**
 * Where a download goes: what the file and the stream have in common.
 *
 * Bytes are written as they arrive, before anyone knows that they are right;
 * `accept` says so piece by piece, and only `commit` makes the result visible.
 */

import type { Chunk } from '../io/blocks.ts';

/**
 * `allocated`: the disk has set the space aside. `sparse`: the file has its length, but the space may still run out.
 * `none`: nothing to reserve, for an empty file or a stream.
 */
export type Reservation = 'allocated' | 'sparse' | 'none';

export interface Target {
  /** Where the file will be, or null for a stream. */
  readonly path: string | null;
  /** Whether there is a file of that name now, which `commit` will replace. */
  readonly replaces: boolean;
  /** Makes room for `size` bytes before the first arrives. Throws `DISK_FULL`, `DISK_FAILED`. */
  reserve(size: number): Promise<Reservation>;
  /**
   * Takes the bytes at `position` of the file, of the piece that starts at `offset`, and releases the chunk when it is
   * done with; settles when another may be given. Throws `DISK_FULL`, `DISK_FAILED`.
   */
  write(chunk: Chunk, offset: number, position: number): Promise<void>;
  /** The piece at `offset` has been verified, or (`reject`) was wrong and will be written again. */
  accept(offset: number): Promise<void>;
  reject(offset: number): void;
  /** Makes the finished file durable and visible under its name. Throws `DISK_EXISTS`, `DISK_FULL`, `DISK_FAILED`. */
  commit(): Promise<void>;
  /** Removes all traces of an unfinished download. Never throws. */
  discard(): Promise<void>;
}
