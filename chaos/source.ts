/**
 * The files of a round: at every origin (or, to be sent, at the client), and what may come out at the other end.
 *
 * Invariant: `judge` knows every content that a file ever had as a whole, and which it has now.
 */

import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import type { FilePlan } from './plan.ts';
import { contentOf } from './random.ts';

/** `old`: whole, and right until the file was changed. */
export type FileState = 'right' | 'old' | 'absent' | 'wrong';

const rewriteBytes = 512 * 1024;
/** So many are in nothing by chance. */
const secretBytes = 32;

export class Source {
  readonly #files: readonly FilePlan[];
  readonly #roots: readonly string[];
  readonly #spare: string;
  readonly #contents: Buffer[][];

  /** Writes the files into each of `roots`; `spare` is a directory on the same disk that nobody serves. */
  constructor(files: readonly FilePlan[], roots: readonly string[], spare: string) {
    this.#files = files;
    this.#roots = roots;
    this.#spare = spare;
    this.#contents = files.map(({ name, bytes }) => [contentOf(name, bytes)]);
    mkdirSync(spare, { recursive: true });
    for (const root of roots) {
      for (const [index, { name }] of files.entries()) {
        writeFileSync(path.join(root, name), this.#now(index));
      }
    }
  }

  /** Puts another file in its place, by rename. */
  replace(index: number, bytes: number): void {
    const { name } = this.#files[index] as FilePlan;
    const content = this.#change(index, bytes);
    for (const root of this.#roots) {
      const beside = path.join(this.#spare, name);
      writeFileSync(beside, content);
      renameSync(beside, path.join(root, name));
    }
  }

  /** Writes other bytes of the same size over it, block by block, maybe after cutting it to nothing. */
  rewrite(index: number, truncates: boolean): void {
    const { name, bytes } = this.#files[index] as FilePlan;
    const content = this.#change(index, bytes);
    for (const root of this.#roots) {
      const file = openSync(path.join(root, name), 'r+');
      if (truncates) ftruncateSync(file);
      for (let at = 0; at < bytes; at += rewriteBytes)
        writeSync(file, content, at, Math.min(rewriteBytes, bytes - at), at);
      closeSync(file);
    }
  }

  /** What nobody may see of a file that is encrypted: its name, and some bytes out of its middle, if it has as many. */
  secrets(index: number): Buffer[] {
    const content = this.#now(index);
    const middle = content.subarray(content.length >> 1, (content.length >> 1) + secretBytes);
    return [Buffer.from(this.#files[index]?.name ?? ''), ...(middle.length === secretBytes ? [middle] : [])];
  }

  /** What is at `file` in the place of the file with this index. */
  judge(index: number, file: string): FileState {
    const found = readIfThere(file);
    if (!found) return 'absent';
    if (found.equals(this.#now(index))) return 'right';
    return this.#contents[index]?.some((content) => found.equals(content)) ? 'old' : 'wrong';
  }

  /** Bytes of the pieces that are missing or wrong in the part file at `part`. */
  missing(index: number, part: string, pieceBytes: number): number {
    return this.size(index) - this.present(index, part, pieceBytes, () => true);
  }

  /** Bytes of the pieces that are right in the part file at `part`, and that `counts`. */
  present(index: number, part: string, pieceBytes: number, counts: (piece: number) => boolean): number {
    const content = this.#now(index);
    const found = readIfThere(part) ?? Buffer.alloc(0);
    let present = 0;
    for (let at = 0; at < content.length; at += pieceBytes) {
      const piece = content.subarray(at, at + pieceBytes);
      if (counts(at / pieceBytes) && found.subarray(at, at + pieceBytes).equals(piece)) present += piece.length;
    }
    return present;
  }

  size(index: number): number {
    return this.#now(index).length;
  }

  #change(index: number, bytes: number): Buffer {
    const contents = this.#contents[index] as Buffer[];
    const content = contentOf(`${this.#files[index]?.name} ${contents.length}`, bytes);
    contents.push(content);
    return content;
  }

  #now(index: number): Buffer {
    return this.#contents[index]?.at(-1) as Buffer;
  }
}

function readIfThere(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}
