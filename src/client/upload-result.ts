/** What an upload comes to. */

import type { DownloadResult, Proof } from './download-result.ts';

export interface UploadedFile extends Proof, Pick<DownloadResult, 'hops' | 'replaced' | 'pieces'> {
  /** Whether the origin had the file already, with this file's digests: nothing was written there. */
  readonly alreadyThere: boolean;
  /** Of the file, as other programs compute it; null where there are several pieces, which tell theirs. */
  readonly digest: UploadedFile['piecesDigest'];
  /** Over the digests of all pieces, or of the only one; null when the file changed before all were known. */
  readonly piecesDigest: DownloadResult['piecesDigest'];
  /** Bytes that an earlier run had left at the origin. */
  readonly resumedBytes: number;
  /** Bytes that were sent and worth nothing: damaged, lost with a circuit, or there already. */
  readonly wastedBytes: number;
}

export interface UploadResult extends UploadedFile {
  /** The name at the origin. */
  readonly file: string;
  /** Bytes. */
  readonly size: number;
  /** How often a circuit failed and another took its place. */
  readonly reroutes: number;
  readonly elapsedMs: number;
}
