/** Content that tells which answer it belongs to, of a length of its own: up to 3 MiB, mostly less. */

import { createHash } from 'node:crypto';

export function contentOf(target: string, etag: string): Buffer {
  const seed = createHash('sha256').update(`${target} ${etag}`).digest();
  const pattern = Buffer.concat([seed, Buffer.from(`${target} ${etag}`)]);
  const bytes =
    seed.readUInt8(0) < 16 ? (seed.readUInt32BE(4) % 3) * 1024 * 1024 + 77_777 : seed.readUInt32BE(4) % 200_000;
  return Buffer.alloc(bytes, pattern);
}
