/**
 * Where content goes, piece by piece: what a file and a stream have in common.
 *
 * A piece is given when it has been verified, never before, in any order; only
 * `commit` makes the result visible.
 */

import type { DigestAlgorithm, DigestName } from '../../digests/digest.ts';
import type { Chunk } from '../../legs/blocks.ts';
import type { FileRange } from '../reading/read-blocks.ts';

/**
 * `allocated`: the disk has set the space aside. `sparse`: the file has its length, but the space may still run out.
 * `none`: nothing to reserve, for an empty file, one that is held until it is whole, or a stream.
 */
export type Reservation = 'allocated' | 'sparse' | 'none';

/** What is being transferred: what an earlier run left counts only if all of this was the same. */
export interface TargetContent {
  /** The name that was asked for. */
  readonly file: string;
  /** Bytes. */
  readonly size: number;
  readonly pieceBytes: number;
  /** Undefined where nothing is verified; then nothing is kept for a later run either. */
  readonly algorithm: DigestName | undefined;
}

/** One piece that may be written: its bytes, in their order, are released when they are with the system. */
export interface Piece {
  readonly index: number;
  /** Bytes from the beginning of the file. */
  readonly position: number;
  readonly chunks: readonly Chunk[];
  /** Undefined where nothing is verified. */
  readonly vouched: Vouched | undefined;
}

/** Whose word it is: a version of a file, and the key by which whoever named it sealed all that it said. */
export interface Voucher {
  readonly version: string;
  /** As text; undefined where it came in plain, from nobody in particular. */
  readonly key?: string | undefined;
}

/** That a piece has a digest, in hex. */
export interface Vouched extends Voucher {
  readonly digest: string;
}

export interface Begun {
  readonly reservation: Reservation;
  /** The pieces that an earlier run left, by their index. */
  readonly left: ReadonlyMap<number, Vouched>;
  /** Whether it had left some of a file of another size, which are gone. */
  readonly isChanged?: boolean;
}

export interface Target {
  /** Where the file will be, or null for a stream. */
  readonly path: string | null;
  /** Whether there is a file of that name now, which `commit` will replace; once it has settled, whether it did. */
  readonly replaces: boolean;
  /** Whether an earlier run has left something, so that not every piece may be missing. */
  readonly mayResume: boolean;
  /** The file is there under its name, and is only compared: where it differs, `begin` throws `DISK_EXISTS`. */
  readonly isPresent?: boolean;
  /**
   * How many pieces may be asked for beyond the first that is missing: what comes early must be held.
   * Undefined where that costs nothing.
   */
  readonly maxPiecesEarly?: number;
  /**
   * Makes room for the content before its first byte arrives; with `startOver`, in place of what was begun or left.
   * Throws `DISK_FULL`, `DISK_BUSY`, `DISK_FAILED`; `FILE_CHANGED` where it is too late to start over.
   */
  begin(content: TargetContent, startOver?: boolean): Promise<Begun>;
  /**
   * The digest of what was written at a range, by whichever algorithm. Absent where what was written has left.
   * Throws `DISK_FAILED`.
   */
  digestOf?(range: FileRange, algorithm: DigestAlgorithm): Promise<string>;
  /** How many pieces that follow one another it had better be given at once. @default 1 */
  readonly piecesAtOnce?: number;
  /**
   * Takes pieces, each but the first the one behind the one before, and their chunks; settles when others may be given.
   * Throws `DISK_FULL`, `DISK_FAILED`.
   */
  write(...pieces: readonly Piece[]): Promise<void>;
  /** Makes the finished file durable and visible under its name. Throws `DISK_EXISTS`, `DISK_FULL`, `DISK_FAILED`. */
  commit(): Promise<void>;
  /** Ends an unfinished transfer and leaves its pieces for a later run; resolves to how many bytes they are. Never throws. */
  keep(): Promise<number>;
  /** Removes all traces of an unfinished transfer. Never throws. */
  discard(): Promise<void>;
}
