/**
 * A file that is read as one version: what an origin serves, and what a client uploads.
 *
 * Knows nothing about which file may be opened, or how.
 * Invariant: every byte read belongs to the version that was opened, or the read fails with `FILE_CHANGED`.
 */

import { hash } from 'node:crypto';
import { type BigIntStats, fstatSync } from 'node:fs';
import { HoplineError } from '../../../core/errors.ts';
import { systemCode } from '../../../core/system-errors.ts';
import { type FileRange, fill, type ReadableFile } from './read-blocks.ts';

/** The coarsest step in which file systems count times. */
const timeStepMs = 2000;

/** What makes a file another version when it differs. */
const versionFacts = ['dev', 'ino', 'size', 'mtimeNs', 'ctimeNs'] as const;

export class VersionedFile {
  /** Bytes. */
  readonly size: number;
  /**
   * Changes whenever the file does: a hash of device, inode, size and two times in nanoseconds. That of modification anyone
   * may set back who may write to the file; that of the last change of any kind the system sets.
   */
  readonly version: string;
  readonly #handle: ReadableFile;
  /** As the system said last. */
  #opened: BigIntStats;

  /** Takes over an open regular file; `opened` is what the system said of it. */
  constructor(handle: ReadableFile, opened: BigIntStats) {
    this.#handle = handle;
    this.size = Number(opened.size);
    this.version = versionOf(opened);
    this.#opened = opened;
  }

  /**
   * Whether any change from now on will show in the version. A file that was modified a moment ago can be modified
   * again within the same step of its time stamps.
   */
  get isSettled(): boolean {
    const { mtimeMs, ctimeMs } = this.#opened;
    return Date.now() - Math.max(Number(mtimeMs), Number(ctimeMs)) > timeStepMs;
  }

  /** When the file was last modified, in nanoseconds since 1970. */
  get mtimeNs(): bigint {
    return this.#opened.mtimeNs;
  }

  /** Permission bits, without those that would give another user's rights. */
  get mode(): number {
    return Number(this.#opened.mode & 0o777n);
  }

  /** The same for every copy of this size and modification time, wherever it is. */
  get copy(): string {
    return nameCopy(this.size, this.mtimeNs);
  }

  get handle(): ReadableFile {
    return this.#handle;
  }

  /** Reads into `buffer` at `position`, all of it. Throws `FILE_CHANGED` if the file ends before, `FILE_UNREADABLE`. */
  async readFully(buffer: Buffer, position: number): Promise<void> {
    const filled = await fill(this.#handle, buffer, position).catch((cause) => {
      throw unreadable(cause);
    });
    if (filled < buffer.length) throw changed();
  }

  /** A range, block by block in `block`, and then `check`. Throws as they do. */
  async *blocks({ offset, length }: FileRange, block: Buffer): AsyncGenerator<Buffer, void> {
    for (let done = 0; done < length; done += block.length) {
      const part = block.subarray(0, length - done);
      await this.readFully(part, offset + done);
      yield part;
    }
    this.check();
  }

  /**
   * Throws `FILE_CHANGED` unless the file is still the version that was opened.
   * Asks at once instead of through the thread pool, which takes ten times as long as the kernel's answer from memory.
   */
  check(): void {
    const now = fstatSync(this.#handle.fd, { bigint: true });
    // A file that loses a name, as when another is renamed over it, was not written to, though it has changed.
    const opened = now.nlink < this.#opened.nlink ? { ...this.#opened, ctimeNs: now.ctimeNs } : this.#opened;
    for (const fact of versionFacts) if (now[fact] !== opened[fact]) throw changed();
    this.#opened = now;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** What copies of a file have in common that were made with its modification time. */
export function nameCopy(size: number, mtimeNs: bigint): string {
  return `${mtimeNs.toString(16)}-${size.toString(16)}`;
}

export function changed(): HoplineError {
  return new HoplineError('FILE_CHANGED', 'the file changed while it was read');
}

/** As `VersionedFile.version`. */
export function versionOf(opened: BigIntStats): string {
  const facts = versionFacts.map((fact) => opened[fact]);
  return hash('sha256', facts.join(':')).slice(0, 32);
}

export function unreadable(cause: unknown): HoplineError {
  const reason = systemCode(cause);
  return new HoplineError('FILE_UNREADABLE', `the file cannot be read (${reason ?? 'unknown'})`, {
    cause,
    ...(reason === undefined ? {} : { reason }),
  });
}
