// Prints the BLAKE3 digest of a file, as `b3sum` does where it is installed. Usage: blake3.mjs FILE
import { open } from 'node:fs/promises';
import { Blake3Hasher } from '@napi-rs/blake-hash';

const file = await open(process.argv[2]);
const block = Buffer.allocUnsafeSlow(1024 * 1024);
const hasher = new Blake3Hasher();
for (;;) {
  const { bytesRead } = await file.read(block, 0, block.length);
  if (bytesRead === 0) break;
  hasher.update(block.subarray(0, bytesRead));
}
await file.close();
process.stdout.write(`${hasher.digest('hex')}\n`);
