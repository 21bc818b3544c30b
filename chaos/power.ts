/**
 * What a machine has on its disk once it has lost its power: of each file what had been synced, and zeros for the rest.
 *
 * The cruellest disk that keeps its word: nothing that was not asked for got there. Names stay, since a name that lasts
 * longer than the content behind it is the harder case.
 */

import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';

/** `synced` has the copies that synced-copies.mjs made of the files in `directory`. */
export function losePower(directory: string, synced: string): void {
  for (const name of readdirSync(directory)) {
    const file = openSync(path.join(directory, name), 'r+');
    try {
      const { ino, size } = fstatSync(file);
      const copy = path.join(synced, String(ino));
      const lasting = existsSync(copy) ? readFileSync(copy).subarray(0, size) : Buffer.alloc(0);
      ftruncateSync(file, 0);
      writeSync(file, lasting, 0, lasting.length, 0);
      ftruncateSync(file, size);
    } finally {
      closeSync(file);
    }
  }
}
