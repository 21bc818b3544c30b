/** The files that are moved: random bytes, written in full, the same random block again and again. */

import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';

const blockBytes = 64 * 1024 * 1024;

export class Content {
  readonly root: string;
  #block: Buffer | undefined;

  constructor(directory: string) {
    this.root = path.join(directory, 'root');
    mkdirSync(this.root, { recursive: true });
  }

  /** The name of a file of this size, made when it is first asked for. */
  file(bytes: number): string {
    const name = `file-${bytes}`;
    if (!existsSync(path.join(this.root, name))) this.#write(name, bytes);
    return name;
  }

  /** The names of `count` files of this size. */
  files(count: number, bytes: number): string[] {
    const names = Array.from({ length: count }, (_, index) => `s${index}`);
    for (const name of names) if (!existsSync(path.join(this.root, name))) this.#write(name, bytes);
    return names;
  }

  #write(name: string, bytes: number): void {
    this.#block ??= randomBytes(blockBytes);
    const file = openSync(path.join(this.root, name), 'w');
    for (let written = 0; written < bytes; ) {
      written += writeSync(file, this.#block, 0, Math.min(blockBytes, bytes - written), written);
    }
    closeSync(file);
  }
}
