/**
 * Files of stored answers that are to be removed, until they are gone.
 *
 * Windows refuses to remove a file that is being read; removing it is tried again with the next one. Never throws.
 */

import { unlinkSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import path from 'node:path';
import { systemCode } from '../../../core/system-errors.ts';

export class LeavingFiles {
  readonly #directory: string;
  /** By their names, those that are still there. */
  readonly #left = new Set<string>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  async remove(name: string): Promise<void> {
    this.#left.add(name);
    await this.removeLeft();
  }

  /** Before it returns, where the system lets it. */
  removeSync(name: string): void {
    try {
      unlinkSync(path.join(this.#directory, name));
    } catch {
      void this.remove(name);
    }
  }

  async removeLeft(): Promise<void> {
    for (const name of [...this.#left]) {
      const code = await unlink(path.join(this.#directory, name)).then(() => undefined, systemCode);
      if (code === undefined || code === 'ENOENT') this.#left.delete(name);
    }
  }
}
