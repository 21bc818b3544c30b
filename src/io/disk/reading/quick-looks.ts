/**
 * What lies below a directory of this machine, looked at: at once where the kernel has it in memory, and several at a time where it
 * would have to ask the disk.
 *
 * Does not know what is looked for. Invariant: no look waits for a disk at once, and no link in the last place is followed.
 */

import { type BigIntStats, closeSync, constants, fstatSync, readSync } from 'node:fs';
import { lstat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { systemCode } from '../../../core/system-errors.ts';
import { isLocalType } from '../../kernel/disk/disk-types.ts';
import { loadOpenCached, type OpenCached } from '../../kernel/disk/open-cached.ts';
import { O_PATH } from '../held.ts';

const readFlags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

export class QuickLooks {
  readonly #directory: string;
  #openCached: OpenCached | undefined;
  /** Of the directory, while there is one to begin at. */
  #fd: number | undefined;
  #memory = Buffer.alloc(0);

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** For a directory that may not be there. To be closed. */
  static async at(directory: string): Promise<QuickLooks> {
    const looks = new QuickLooks(directory);
    const isLocal = await statfs(directory).then(
      ({ type }) => isLocalType(type),
      () => false,
    );
    looks.#openCached = isLocal ? loadOpenCached() : undefined;
    looks.#fd = looks.#openCached?.(directory, O_PATH | constants.O_DIRECTORY);
    return looks;
  }

  /** What is at a path below the directory, with `/` between its parts; undefined if nothing is. Throws what the system says. */
  async look(relative: string): Promise<BigIntStats | undefined> {
    const known = this.#openCached && this.#fd !== undefined && lookNow(this.#openCached, this.#fd, relative);
    return known || lookAtEntry(path.join(this.#directory, ...relative.split('/')));
  }

  /**
   * The content of a regular file of `size` bytes, until the next one is read; undefined where it is none, or has to be opened the
   * usual way. Waits for the disk: for a process that serves nobody else.
   */
  readNow(relative: string, size: number): Buffer | undefined {
    if (this.#fd === undefined) return undefined;
    const fd = this.#openCached?.(relative, readFlags, this.#fd);
    if (fd === undefined) return undefined;
    try {
      const found = fstatSync(fd);
      if (!found.isFile() || found.size !== size) return undefined;
      if (size > this.#memory.length) this.#memory = Buffer.allocUnsafeSlow(size);
      return readSync(fd, this.#memory, 0, size, 0) === size ? this.#memory.subarray(0, size) : undefined;
    } catch {
      return undefined;
    } finally {
      closeSync(fd);
    }
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

/** What `lstat` says; undefined if there is nothing. Throws what the system says otherwise. */
export function lookAtEntry(place: string): Promise<BigIntStats | undefined> {
  return lstat(place, { bigint: true }).catch((error) => {
    if (systemCode(error) !== 'ENOENT') throw error;
    return undefined;
  });
}

/** The same from memory, of a path below the directory that is open; undefined also where the disk would have to be asked. */
export function lookNow(openCached: OpenCached, directory: number, relative: string): BigIntStats | undefined {
  const pin = openCached(relative, O_PATH | constants.O_NOFOLLOW, directory);
  if (pin === undefined) return undefined;
  try {
    return fstatSync(pin, { bigint: true });
  } finally {
    closeSync(pin);
  }
}
