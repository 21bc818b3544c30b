/**
 * Syncs of a part file: when they are due, and a failure that is never forgotten.
 *
 * The system reports once, to one descriptor, that bytes could not be written, and takes them for written from then on:
 * a later sync succeeds, and a later run would read the bytes from memory.
 * Invariant: after a sync that failed the journal is gone, and every further sync fails with the same error.
 */

import { type FileHandle, unlink } from 'node:fs/promises';
import path from 'node:path';
import type { HoplineError } from '../../../core/errors.ts';
import { writeError } from '../../../core/system-errors.ts';
import type { DurableCalls } from '../durable.ts';
import type { Journal } from './journal.ts';
import { journalPath } from './part-names.ts';

/** Bytes between two syncs: what a power cut may cost, and about what a disk takes in half a second. */
const syncBytes = 64 * 1024 * 1024;

export class PartSyncs {
  readonly #part: string;
  readonly #target: string;
  readonly #calls: DurableCalls;
  #unsyncedBytes = 0;
  #syncing: Promise<void> | undefined;
  #failure: HoplineError | undefined;

  /** `target` is what the part file will be, for messages. */
  constructor(part: string, target: string, calls: DurableCalls) {
    this.#part = part;
    this.#target = target;
    this.#calls = calls;
  }

  /** What a sync failed with, if one did. */
  get failure(): HoplineError | undefined {
    return this.#failure;
  }

  /** So many bytes were written, and are in the books; from time to time they are synced behind the caller's back. */
  wrote(bytes: number, handle: FileHandle, journal: Journal): void {
    this.#unsyncedBytes += bytes;
    if (this.#unsyncedBytes < syncBytes || this.#syncing) return;
    this.#unsyncedBytes = 0;
    this.#syncing = this.#syncBoth(handle, journal).finally(() => {
      this.#syncing = undefined;
    });
  }

  /** Settles when nothing is being synced. Never throws. */
  async settle(): Promise<void> {
    await this.#syncing;
  }

  /** Syncs what the file holds. Throws the failure of this, or of any before. */
  datasync(handle: FileHandle): Promise<void> {
    return this.#remember(() => this.#calls.datasync(handle));
  }

  /** The same for all of the file. */
  sync(handle: FileHandle): Promise<void> {
    return this.#remember(() => this.#calls.sync(handle));
  }

  /** Bytes before the books that speak of them, and the names of both. */
  async #syncBoth(handle: FileHandle, journal: Journal): Promise<void> {
    try {
      await this.datasync(handle);
      // Books that are lost cost what they speak of, no more.
      await journal.sync(this.#calls);
      await this.#calls.syncDirectory(path.dirname(this.#part));
    } catch {
      // Of the bytes, it is remembered.
    }
  }

  async #remember(sync: () => Promise<void>): Promise<void> {
    if (this.#failure) throw this.#failure;
    try {
      await sync();
    } catch (error) {
      this.#failure = writeError(this.#target, error);
      await unlink(journalPath(this.#part)).catch(() => {});
      throw this.#failure;
    }
  }
}
