/**
 * The file that is uploaded: opened once, read piece by piece, and the same from the first to the last.
 *
 * Invariant: its failures are this machine's, so they never look like a hop's.
 */

import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { asHoplineError, HoplineError } from '../../../core/errors.ts';
import type { Signal } from '../../../core/signal.ts';
import { inWords, systemReason } from '../../../core/system-errors.ts';
import { VersionedFile } from '../../../io/disk/reading/versioned-file.ts';
import { spool } from './spooled-source.ts';

export class SourceFile {
  readonly path: string;
  readonly #file: VersionedFile;
  readonly #remove: () => Promise<void>;

  private constructor(path: string, file: VersionedFile, remove = async () => {}) {
    this.path = path;
    this.#file = file;
    this.#remove = remove;
  }

  /** Opens a regular file. Throws `USAGE_INVALID` for anything else. */
  static async open(path: string): Promise<SourceFile> {
    let handle: FileHandle | undefined;
    try {
      // Non-blocking, or opening a FIFO would wait for its writer.
      handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
      const opened = await handle.stat({ bigint: true });
      if (opened.isFile()) return new SourceFile(path, new VersionedFile(handle, opened));
    } catch (cause) {
      await handle?.close();
      throw unusable(path, systemReason(cause), cause);
    }
    const isDirectory = (await handle.stat()).isDirectory();
    await handle.close();
    throw unusable(path, isDirectory ? 'it is a directory' : 'it is not a regular file');
  }

  /** All that comes from a stream; `name` is what it is called in messages. Throws as `spool`. */
  static async ofStream(stream: Readable, name: string, signal: Signal): Promise<SourceFile> {
    const { handle, remove } = await spool(stream, signal);
    return new SourceFile(name, new VersionedFile(handle, await handle.stat({ bigint: true })), remove);
  }

  /** Bytes. */
  get size(): number {
    return this.#file.size;
  }

  /** Changes whenever the file does. */
  get version(): string {
    return this.#file.version;
  }

  /** What is at `position`, as much of it as fits into `buffer`. Throws `FILE_CHANGED`, `DISK_FAILED`. */
  async readPiece(buffer: Buffer, position: number): Promise<Buffer> {
    const bytes = buffer.subarray(0, this.size - position);
    try {
      await this.#file.readFully(bytes, position);
      this.#file.check();
    } catch (error) {
      throw this.#ours(error);
    }
    return bytes;
  }

  /** Throws `FILE_CHANGED` unless the file is as it was opened. */
  check(): void {
    try {
      this.#file.check();
    } catch (error) {
      throw this.#ours(error);
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
    await this.#remove();
  }

  #ours(error: unknown): HoplineError {
    const { code, reason = 'unknown' } = asHoplineError(error);
    if (code === 'FILE_CHANGED') return new HoplineError(code, `${this.path} changed while it was read`, { hop: 0 });
    return new HoplineError('DISK_FAILED', `cannot read ${this.path}: ${inWords(reason)}`, { cause: error, reason });
  }
}

function unusable(path: string, why: string, cause?: unknown): HoplineError {
  return new HoplineError('USAGE_INVALID', `cannot read ${path}: ${why}`, { cause });
}
