/**
 * A second way into an open file: whole blocks go from memory to the disk, past the system's cache.
 *
 * A copy into the cache costs the system more than all else that a download
 * does, and what is in the cache must still be written before the file can be
 * synced. Owns a descriptor of its own and the memory that the disk reads from.
 * Invariant: a file system that will not have it is told once; the caller then writes the usual way.
 */

import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { systemCode } from '../../../core/system-errors.ts';
import type { AlignedMemory } from '../../kernel/aligned-memory.ts';

/** What places, lengths and addresses must be multiples of; no disk in use has larger blocks. */
export const directBlockBytes = 4096;

const { O_WRONLY, O_DIRECT } = constants;
const memoryBytes = 1024 * 1024;
const maxFreeMemories = 4;

export class DirectFile {
  readonly #handle: FileHandle;
  readonly #memory: AlignedMemory;
  readonly #free: Buffer[] = [];
  #isRefused = false;

  private constructor(handle: FileHandle, memory: AlignedMemory) {
    this.#handle = handle;
    this.#memory = memory;
  }

  /** Opens an open file once more; undefined where the system or the file system has no such way. */
  static async open(file: FileHandle, memory: AlignedMemory | undefined): Promise<DirectFile | undefined> {
    if (!memory || O_DIRECT === undefined) return undefined;
    // By its name, it could be another file by now.
    const handle = await open(`/proc/self/fd/${file.fd}`, O_WRONLY | O_DIRECT).catch(() => undefined);
    return handle && new DirectFile(handle, memory);
  }

  /**
   * Writes from the beginning of `buffers`, which belong at `position`, some whole blocks; resolves to how many bytes. After 0 the
   * next bytes are the caller's to write. Throws what the write failed with.
   */
  async write(buffers: readonly Buffer[], position: number): Promise<number> {
    if (this.#isRefused || position % directBlockBytes !== 0) return 0;
    if (this.#isAligned(buffers)) return this.#writeOnce(wholeBlocks(buffers), position);
    const memory = this.#free.pop() ?? this.#memory.allocate(memoryBytes, directBlockBytes);
    try {
      const filled = fill(memory, buffers);
      return await this.#writeOnce(wholeBlocks([memory.subarray(0, filled)]), position);
    } finally {
      if (this.#free.length < maxFreeMemories) this.#free.push(memory);
    }
  }

  /** Whether the disk can read from where they are: only the last one may end within a block. */
  #isAligned(buffers: readonly Buffer[]): boolean {
    return buffers.every(
      (buffer, index) =>
        this.#memory.isAligned(buffer, directBlockBytes) &&
        (index === buffers.length - 1 || buffer.length % directBlockBytes === 0),
    );
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async #writeOnce(buffers: readonly Buffer[], position: number): Promise<number> {
    if (buffers.length === 0) return 0;
    try {
      const { bytesWritten } = await this.#handle.writev(buffers, position);
      // A disk that is nearly full may take less than a block's multiple; the rest of that block is written again.
      return bytesWritten - (bytesWritten % directBlockBytes);
    } catch (error) {
      if (systemCode(error) !== 'EINVAL') throw error;
      this.#isRefused = true;
      return 0;
    }
  }
}

/** Of buffers of which only the last one may end within a block. */
function wholeBlocks(buffers: readonly Buffer[]): readonly Buffer[] {
  const last = buffers.at(-1);
  const beyond = (last?.length ?? 0) % directBlockBytes;
  if (!last || beyond === 0) return buffers;
  const rest = beyond < last.length ? [last.subarray(0, last.length - beyond)] : [];
  return [...buffers.slice(0, -1), ...rest];
}

/** What is left of `buffers` after the first `count` bytes. */
export function dropBytes(buffers: readonly Buffer[], count: number): Buffer[] {
  let drop = count;
  const left: Buffer[] = [];
  for (const buffer of buffers) {
    const taken = Math.min(drop, buffer.length);
    drop -= taken;
    if (taken < buffer.length) left.push(taken > 0 ? buffer.subarray(taken) : buffer);
  }
  return left;
}

/** Copies as many bytes of `buffers`, one behind the other, as fit into `memory`; returns how many. */
function fill(memory: Buffer, buffers: readonly Buffer[]): number {
  let filled = 0;
  for (const buffer of buffers) filled += buffer.copy(memory, filled);
  return filled;
}
