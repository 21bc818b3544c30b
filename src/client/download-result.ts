/** What a download comes to, and whose word it is that what came is right. */

import type { HoplineError } from '../core/errors.ts';
import { type DigestName, ownDigest } from '../io/digests/digest.ts';
import type { FileDigest } from '../io/digests/whole-digest.ts';
import type { Reservation, Target } from '../io/disk/writing/target.ts';
import type { Hop } from '../wire/address.ts';

/** Whose word it is that a file is right. */
export interface Proof {
  /** Whether all that passed in this run was encrypted up to the origin. */
  readonly encrypted: boolean;
  /** The key, as text, that vouched for every piece; missing where all was in plain. */
  readonly verifiedBy?: string;
}

/** What it is worth that a key, or nobody in particular, vouched for all of a file. */
export function proofBy(key: string | undefined): Proof {
  return key === undefined ? { encrypted: false } : { encrypted: true, verifiedBy: key };
}

/** A file that has arrived whole; it is not committed yet. */
export interface Fetched extends Proof {
  /** Bytes. */
  readonly size: number;
  readonly reservation: Reservation;
  /** Whether every piece was compared with the digest that the origin gave, or in plain somebody on the way; the classic dialect has none. */
  readonly verified: boolean;
  readonly pieces: number;
  /** Over the digests of all pieces, in their order: docs/protocol/requests.md#pieces. Null when not verified. */
  readonly piecesDigest: { readonly algorithm: DigestName; readonly hex: string } | null;
  /** Bytes that an earlier run had left. */
  readonly resumedBytes: number;
}

export interface DownloadResult extends Fetched {
  /** Where the file is now; null for a stream. */
  readonly path: string | null;
  /** Whether an earlier file of that name was replaced. */
  readonly replaced: boolean;
  /** Whether the file was there already, with the origin's digests: nothing was fetched or written. */
  readonly alreadyHere: boolean;
  /**
   * Of the file, as other programs compute it: by the algorithm of `checksum`, else as far as it costs little. Null where it is
   * not known.
   */
  readonly digest: FileDigest | null;
  /** Bytes that came and were worth nothing: damaged, brought twice, or of another version. */
  readonly wastedBytes: number;
  /** The hops of the circuit that served last, each pool with the member that was taken. */
  readonly hops: readonly Hop[];
  /** How often a circuit failed and another took its place. */
  readonly reroutes: number;
  readonly elapsedMs: number;
}

/** What became of one file: a result or an error. Files that failed together share the error. */
export type FileOutcome<Result = DownloadResult> =
  | { readonly file: string; readonly result: Result; readonly error?: never }
  | { readonly file: string; readonly error: HoplineError; readonly result?: never };

/** The result for a file that is in its place: `whole` is its digest, where that was computed. */
export function resultOf(
  { path, replaces, isPresent = false }: Target,
  whole: FileDigest | undefined,
  run: Omit<DownloadResult, 'path' | 'replaced' | 'alreadyHere' | 'digest'>,
): DownloadResult {
  return { path, replaced: replaces, alreadyHere: isPresent, ...run, digest: whole ?? ownDigest(run) };
}
