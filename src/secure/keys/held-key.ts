/**
 * A key file that one running node has to itself.
 *
 * Two nodes with one key would be one to every client, whatever each of them serves.
 * Invariant: as long as it is held here, nobody else holds the same file; with the process, whatever ends it, the hold ends.
 * Documentation: docs/security.md#keys
 */

import { HoplineError } from '../../core/errors.ts';
import { loadDiskCalls } from '../../io/kernel/libc.ts';
import type { KeyPair } from '../../wire/keys/key.ts';
import { openKeyFile, readKey } from './key-file.ts';

export interface HeldKey {
  readonly key: KeyPair;
  release(): Promise<void>;
}

/** Reads `file` and holds it: the file that was read, whatever has its name by then. Throws `KEY_INVALID`, also where another node has it. */
export async function holdKeyFile(file: string): Promise<HeldKey> {
  const handle = await openKeyFile(file);
  try {
    // What is no regular file gives its key once, and nobody can hold it.
    const isHeld = (await handle.stat()).isFile();
    const { lock } = loadDiskCalls();
    if (isHeld && lock && !lock(handle.fd)) {
      throw new HoplineError('KEY_INVALID', `${file} is in use by another node: each node has a key of its own`);
    }
    const key = await readKey(file, handle);
    if (!isHeld) await handle.close();
    return { key, release: async () => (isHeld ? handle.close() : undefined) };
  } catch (error) {
    await handle.close();
    throw error;
  }
}
