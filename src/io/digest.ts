/**
 * The digest algorithms that prove a piece: BLAKE3 where its native library loads, SHA-256 everywhere.
 *
 * Owns the names that are negotiated and the order of preference. Knows nothing about pieces or files.
 */

import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';

export interface Hasher {
  update(bytes: Buffer): unknown;
  /** The digest in lower-case hex; the hasher is spent. */
  digest(): string;
}

export type DigestName = 'blake3' | 'sha256';

/** Makes hashers for one algorithm. */
export interface DigestAlgorithm {
  readonly name: DigestName;
  readonly start: () => Hasher;
  /** Of bytes that are all there: a quarter of what a hasher costs for 1 KiB. */
  readonly digestOf: (bytes: Buffer) => Buffer;
}

interface BlakeLibrary {
  readonly blake3: (bytes: Buffer) => Buffer;
  readonly Blake3Hasher: new () => { update(bytes: Buffer): unknown; digest(format: 'hex'): string };
}

const sha256: DigestAlgorithm = {
  name: 'sha256',
  start: () => {
    const hash = createHash('sha256');
    return { update: (bytes) => hash.update(bytes), digest: () => hash.digest('hex') };
  },
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

/** The first algorithm of `ours` that the peer offers, whose order decides. */
export function chooseDigest(
  ours: readonly DigestAlgorithm[],
  offered: readonly string[],
): DigestAlgorithm | undefined {
  const names = offered.map((name) => ours.find((algorithm) => algorithm.name === name));
  return names.find((algorithm) => algorithm !== undefined);
}

/** The digest of a file: that of its only piece, else the digest over its pieces' digests in their order. */
export function digestOfPieces(digests: readonly string[], algorithm: DigestAlgorithm): string {
  const [only] = digests;
  if (only !== undefined && digests.length === 1) return only;
  const hasher = algorithm.start();
  for (const digest of digests) hasher.update(Buffer.from(digest, 'hex'));
  return hasher.digest();
}

function loadBlake(): BlakeLibrary | undefined {
  try {
    return createRequire(import.meta.url)('@napi-rs/blake-hash') as BlakeLibrary;
  } catch {
    return undefined;
  }
}
