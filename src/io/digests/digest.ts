/**
 * The digest algorithms that prove a piece: BLAKE3 where its native library loads, SHA-256 everywhere.
 *
 * Owns the names that are negotiated and the order of preference. Knows nothing about pieces or files.
 */

import { createHash } from 'node:crypto';
import { HoplineError } from '../../core/errors.ts';
import { loadBlake } from './load-blake.ts';

export interface Hasher {
  update(bytes: Buffer): unknown;
  /** The digest in lower-case hex; the hasher is spent. */
  digest(): string;
}

export type DigestName = 'blake3' | 'sha256';

/** What files are published with. */
export type ChecksumName = DigestName | 'sha512';

/** Makes hashers for one algorithm. */
export interface DigestAlgorithm {
  readonly name: DigestName;
  readonly start: () => Hasher;
  /** Of bytes that are all there: a quarter of what a hasher costs for 1 KiB. */
  readonly digestOf: (bytes: Buffer) => Buffer;
}

const sha256: DigestAlgorithm = {
  name: 'sha256',
  start: () => startNodeHash('sha256'),
  digestOf: (bytes) => createHash('sha256').update(bytes).digest(),
};

/** The algorithms that this machine has, the best first. */
export function availableDigests(): readonly DigestAlgorithm[] {
  const library = loadBlake();
  if (!library) return [sha256];
  const start = () => {
    const hash = new library.Blake3Hasher();
    return { update: (bytes: Buffer) => hash.update(bytes), digest: () => hash.digest('hex') };
  };
  return [{ name: 'blake3', start, digestOf: library.blake3 }, sha256];
}

/** Whether BLAKE3 is fast here. */
export function takesBlake(): boolean {
  return loadBlake() !== undefined;
}

/** Throws `USAGE_INVALID` for BLAKE3 where its library does not load. */
export function startChecksum(name: ChecksumName): Hasher {
  if (name === 'sha512') return startNodeHash(name);
  const algorithm = availableDigests().find((known) => known.name === name);
  if (algorithm) return algorithm.start();
  throw new HoplineError('USAGE_INVALID', `this machine cannot compute ${name}: its native library does not load`);
}

/** The first algorithm of `ours` that the peer offers, whose order decides. */
export function chooseDigest(
  ours: readonly DigestAlgorithm[],
  offered: readonly string[],
): DigestAlgorithm | undefined {
  const names = offered.map((name) => ours.find((algorithm) => algorithm.name === name));
  return names.find((algorithm) => algorithm !== undefined);
}

/** The digest that other programs have for a file: known for free where there are no pieces to tell apart. */
export function ownDigest<Digest>(file: { readonly pieces: number; readonly piecesDigest: Digest }): Digest | null {
  return file.pieces <= 1 ? file.piecesDigest : null;
}

/** The digest over the digests of a file's pieces, in their order; of an only piece, its own. */
export function digestOfPieces(digests: readonly string[], algorithm: DigestAlgorithm): string {
  const [only] = digests;
  if (only !== undefined && digests.length === 1) return only;
  const hasher = algorithm.start();
  for (const digest of digests) hasher.update(Buffer.from(digest, 'hex'));
  return hasher.digest();
}

function startNodeHash(name: 'sha256' | 'sha512'): Hasher {
  const hash = createHash(name);
  return { update: (bytes) => hash.update(bytes), digest: () => hash.digest('hex') };
}
