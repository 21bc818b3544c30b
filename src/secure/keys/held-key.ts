/**
 * A key file that one running node has to itself.
 *
 * Two nodes with one key would be one to every client, whatever each of them serves.
 * Invariant: as long as it is held here, nobody else holds the same file; with the process, whatever ends it, the hold ends.
 * Documentation: docs/security.md#keys
 */

import { open } from 'node:fs/promises';
import { HoplineError } from '../../core/errors.ts';
import { loadDiskCalls } from '../../io/kernel/libc.ts';
import type { KeyPair } from '../../wire/keys/key.ts';
import { readKeyFile } from './key-file.ts';

export interface HeldKey {
  readonly key: KeyPair;
  release(): Promise<void>;
}

/** Reads `file` and holds it. Throws `KEY_INVALID`, also where another node has it. */
export async function holdKeyFile(file: string): Promise<HeldKey> {
  const handle = await open(file, 'r').catch(() => undefined);
  try {
    // What is no regular file gives its key once, and nobody can hold it.
    if (!handle || !(await handle.stat()).isFile()) {
      await handle?.close();
      return { key: await readKeyFile(file), release: async () => {} };
    }
    const { lock } = loadDiskCalls();
    if (lock && !lock(handle.fd)) {
      throw new HoplineError('KEY_INVALID', `${file} is in use by another node: each node has a key of its own`);
    }
    return { key: await readKeyFile(file), release: () => handle.close() };
  } catch (error) {
    await handle?.close();
    throw error;
  }
}
