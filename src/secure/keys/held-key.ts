/**
 * A key file that one running node has to itself.
 *
 * Two nodes with one key would be one to every client, whatever each of them serves.
 * Invariant: as long as it is held here, nobody else holds the same file; with the process, whatever ends it, the hold ends.
 * Documentation: docs/security.md#keys
 */

import type { FileHandle } from 'node:fs/promises';
import { asHoplineError, HoplineError } from '../../core/errors.ts';
import { openLockFile } from '../../io/disk/lock-file.ts';
import { type DiskCalls, loadDiskCalls } from '../../io/kernel/libc.ts';
import type { KeyPair } from '../../wire/keys/key.ts';
import { openKeyFile, readKey } from './key-file.ts';

export interface HeldKey {
  readonly key: KeyPair;
  /** Whether others may read it there too: a pipe gives its key once, and nobody can hold it. */
  readonly isFile: boolean;
  release(): Promise<void>;
}

/** Reads `file` and holds it: the file that was read, whatever has its name by then. Throws `KEY_INVALID`, also where another node has it. */
export async function holdKeyFile(file: string, { lock }: Pick<DiskCalls, 'lock'> = loadDiskCalls()): Promise<HeldKey> {
  const handle = await openKeyFile(file);
  let held: FileHandle | undefined;
  try {
    const isFile = (await handle.stat()).isFile();
    if (isFile && lock && !lock(handle.fd)) throw inUse(file);
    // Where nothing can lock the key file itself, which is never written to, another one stands for it.
    held = isFile && !lock ? await lockBeside(file) : undefined;
    const key = await readKey(file, handle);
    if (!isFile) await handle.close();
    const release = async () => {
      if (isFile) await handle.close();
      // The number of this process may become that of another.
      await held?.truncate();
      await held?.close();
    };
    return { key, isFile, release };
  } catch (error) {
    await held?.close();
    await handle.close();
    throw error;
  }
}

async function lockBeside(file: string): Promise<FileHandle> {
  try {
    return await openLockFile(`${file}.lock`, file, undefined);
  } catch (cause) {
    const { code, message } = asHoplineError(cause);
    if (code === 'DISK_BUSY') throw inUse(file);
    throw new HoplineError(
      'KEY_INVALID',
      `${file} cannot be held, for which there has to be ${file}.lock: ${message}`,
      { cause },
    );
  }
}

function inUse(file: string): HoplineError {
  return new HoplineError('KEY_INVALID', `${file} is in use by another node: each node has a key of its own`);
}
