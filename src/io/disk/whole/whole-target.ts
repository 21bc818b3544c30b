/**
 * The target of one of many files, at a name that is free: a small file is held until it is whole, and then made in one go.
 *
 * Any other, and one that an earlier run began, goes the way of a part file, and so does a small one where the disk has no
 * files without a name.
 * Invariant: until `commit` there is nothing of a small file on the disk; it holds no more than `maxHeldBytes`.
 * Rules: docs/resume.md#on-disk
 */

import type { BigIntStats } from 'node:fs';
import { HoplineError } from '../../../core/errors.ts';
import { writeError } from '../../../core/system-errors.ts';
import type { DigestAlgorithm } from '../../digests/digest.ts';
import type { FileRange } from '../reading/read-blocks.ts';
import { FileTarget, type FileTargetOptions } from '../writing/file-target.ts';
import type { Begun, Piece, Target, TargetContent } from '../writing/target.ts';
import { piecesAtOnce } from '../writing/write-fully.ts';
import type { NewFiles } from './new-files.ts';

/** A larger file is worth a place of its own before it is whole. */
const maxHeldBytes = 64 * 1024;

/** Whether a file is small enough to be held until it is whole. */
export function isHeldWhole({ size, pieceBytes }: Pick<TargetContent, 'size' | 'pieceBytes'>): boolean {
  return size <= Math.min(maxHeldBytes, pieceBytes);
}

export class WholeTarget implements Target {
  readonly path: string;
  readonly mayResume: boolean;
  readonly piecesAtOnce = piecesAtOnce;
  /** What it is once it was committed, where any change from then on will show in its times. */
  settled: BigIntStats | undefined;
  readonly #options: FileTargetOptions;
  readonly #files: NewFiles;
  readonly #way: string;
  /** What takes what is not held. */
  #part: FileTarget | undefined;
  /** Undefined while the other one has it. */
  #content: TargetContent | undefined;
  #piece: Piece | undefined;

  constructor(target: string, options: FileTargetOptions, files: NewFiles) {
    this.path = target;
    this.#options = options;
    this.#files = files;
    this.#way = options.way ?? target;
    if (files.hasLeft(this.#way)) this.#part = new FileTarget(target, options);
    this.mayResume = this.#part?.mayResume ?? false;
  }

  get replaces(): boolean {
    return this.#part?.replaces ?? false;
  }

  async begin(content: TargetContent, startOver = false): Promise<Begun> {
    this.#drop();
    // What was begun as a part file stays one.
    const isHeld = !this.#part && isHeldWhole(content);
    this.#content = isHeld ? content : undefined;
    return isHeld ? { reservation: 'none', left: new Map() } : this.#other.begin(content, startOver);
  }

  /** Where they are held there is one at most. */
  async write(...pieces: readonly Piece[]): Promise<void> {
    if (!this.#content) return this.#other.write(...pieces);
    this.#drop();
    [this.#piece] = pieces;
  }

  async digestOf(range: FileRange, algorithm: DigestAlgorithm): Promise<string> {
    if (!this.#content) return this.#other.digestOf(range, algorithm);
    const bytes = Buffer.concat(this.#buffers()).subarray(range.offset, range.offset + range.length);
    return algorithm.digestOf(bytes).toString('hex');
  }

  async commit(): Promise<void> {
    const content = this.#content;
    if (!content) return this.#other.commit();
    const buffers = this.#buffers();
    const held = buffers.reduce((sum, { length }) => sum + length, 0);
    if (held !== content.size) throw new HoplineError('INTERNAL', 'a file was to be finished that is not whole');
    try {
      const { attributes, leavesDirectory: leavesName } = this.#options;
      const made = await this.#files.make(this.#way, buffers, { attributes, leavesName });
      this.settled = made?.settled;
      if (!made) await this.#commitOther(content);
    } catch (error) {
      throw writeError(this.path, error);
    } finally {
      this.#drop();
    }
  }

  async giveBack(missing: Iterable<readonly [position: number, bytes: number]>): Promise<void> {
    await this.#part?.giveBack(missing);
  }

  async keep(): Promise<number> {
    this.#drop();
    return (await this.#part?.keep()) ?? 0;
  }

  async discard(): Promise<void> {
    this.#drop();
    await this.#part?.discard();
  }

  async #commitOther(content: TargetContent): Promise<void> {
    const piece = this.#piece;
    this.#content = undefined;
    this.#piece = undefined;
    await this.#other.begin(content);
    if (piece) await this.#other.write(piece);
    await this.#other.commit();
  }

  get #other(): FileTarget {
    this.#part ??= new FileTarget(this.path, this.#options);
    return this.#part;
  }

  #buffers(): Buffer[] {
    return (this.#piece?.chunks ?? []).map(({ bytes }) => bytes);
  }

  #drop(): void {
    for (const chunk of this.#piece?.chunks ?? []) chunk.release();
    this.#piece = undefined;
  }
}
