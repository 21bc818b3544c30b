/** Content for targets: pieces with digests, as a transfer would give them. */

import { availableDigests, type DigestAlgorithm } from '../../src/io/digests/digest.ts';
import type { Piece, TargetContent } from '../../src/io/disk/writing/target.ts';

const [algorithm] = availableDigests() as [DigestAlgorithm];

/** The digest of `bytes` by the algorithm of `contentOf`, in hex. */
export function digestOf(bytes: Buffer): string {
  const hasher = algorithm.start();
  hasher.update(bytes);
  return hasher.digest();
}

export function contentOf(bytes: Buffer, pieceBytes: number): TargetContent {
  return { file: 'dir/name', size: bytes.length, pieceBytes, algorithm: algorithm.name };
}

/** Piece `index` of `bytes`; `onRelease` is called when its chunk is released. */
export function pieceOf(
  bytes: Buffer,
  index: number,
  { pieceBytes }: TargetContent,
  { version = 'v1', onRelease = () => {} } = {},
): Piece {
  const position = index * pieceBytes;
  const part = bytes.subarray(position, position + pieceBytes);
  return {
    index,
    position,
    chunks: [{ bytes: part, release: onRelease }],
    vouched: { digest: digestOf(part), version },
  };
}
