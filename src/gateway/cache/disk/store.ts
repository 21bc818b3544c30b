/**
 * The stored answers of one directory: an index in memory, a file each, the small ones' content in memory besides.
 *
 * Owns the directory (a lock keeps a second process out), the names in it, which are random, and which answer goes when room is
 * needed: the one used longest ago. Does not know what freshness is. Invariant: content is compared with its digests
 * the first time it is read after a start; what does not fit is removed and was never there.
 */

import { randomUUID } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '../../../core/clock.ts';
import { HoplineError } from '../../../core/errors.ts';
import type { Limits } from '../../../core/limits.ts';
import type { Logger } from '../../../core/log.ts';
import { systemCode, systemError } from '../../../core/system-errors.ts';
import { BoundedMap } from '../../../core/work/bounded-map.ts';
import { selectionKey } from '../../../http/caching/vary.ts';
import { availableDigests, type DigestAlgorithm } from '../../../io/digests/digest.ts';
import { makeDirectory, privateMode } from '../../../io/disk/directories.ts';
import { DiskSpeed } from './disk-speed.ts';
import { EntryWriter, type ReadRecord, rewriteRecord, writeEntry } from './entry-file.ts';
import type { EntryHead, EntryRecord } from './entry-record.ts';
import { LeavingFiles } from './leaving-files.ts';
import { lockDirectory } from './lock.ts';
import { scanEntries } from './scan.ts';
import { openContent, type ReadableEntry, type StoredContent } from './stored-content.ts';

export interface StoreOptions {
  readonly directory: string;
  /** Bytes of all files together. */
  readonly maxBytes: number;
  readonly limits: Limits;
  readonly log: Logger;
  readonly clock: Clock;
}

/** One stored answer. */
export interface CacheEntry extends ReadableEntry {
  record: EntryRecord;
  /** Of its file. */
  bytes: number;
  /** False once it has been removed. */
  isStored: boolean;
}

export class CacheStore {
  readonly #options: StoreOptions;
  readonly #lock: FileHandle;
  readonly #algorithms: readonly DigestAlgorithm[] = availableDigests();
  readonly #byKey = new Map<string, CacheEntry[]>();
  /** By name, with the bytes of their files. */
  readonly #entries: BoundedMap<string, CacheEntry>;
  /** Those whose content is in memory, with the bytes of that. */
  readonly #inMemory: BoundedMap<string, CacheEntry>;
  readonly #leaving: LeavingFiles;
  readonly #pace: DiskSpeed;

  private constructor(options: StoreOptions, lock: FileHandle) {
    const { clock, limits, maxBytes } = options;
    this.#options = options;
    this.#lock = lock;
    this.#pace = new DiskSpeed(clock, limits);
    this.#leaving = new LeavingFiles(options.directory);
    this.#entries = new BoundedMap({ maxCount: limits.maxCacheEntries, maxWeight: maxBytes });
    this.#inMemory = new BoundedMap({ maxWeight: limits.maxCacheMemoryBytes });
  }

  /** Makes the directory if it is not there, and reads what is in it. Throws `USAGE_INVALID`, or `DISK_BUSY` if another process has it. */
  static async open(options: StoreOptions): Promise<CacheStore> {
    try {
      await makeDirectory(options.directory, privateMode);
      const store = new CacheStore(options, await lockDirectory(options.directory));
      await store.#scan().catch(async (error) => {
        await store.close();
        throw error;
      });
      return store;
    } catch (cause) {
      const message = `cache directory "${options.directory}": expected one that can be written`;
      throw systemError('USAGE_INVALID', message, cause);
    }
  }

  get size(): { readonly entries: number; readonly bytes: number; readonly memoryBytes: number } {
    return { entries: this.#entries.size, bytes: this.#entries.weight, memoryBytes: this.#inMemory.weight };
  }

  /** All of one resource, the newest last. */
  variants(key: string): readonly CacheEntry[] {
    return this.#byKey.get(key) ?? [];
  }

  /** The one used longest ago first. */
  all(): Iterable<CacheEntry> {
    return this.#entries.values();
  }

  /** Says that an entry was used. */
  touch(entry: CacheEntry): void {
    this.#entries.use(entry.name);
    this.#inMemory.use(entry.name);
  }

  /** The file for an answer that is arriving. */
  async create(): Promise<EntryWriter> {
    return EntryWriter.create(this.#pathOf(randomName()), this.#algorithm);
  }

  /**
   * Takes what a writer has written, in place of what was there for the same request, unless it is not `isWanted` any more.
   * A small `content` is kept in memory, too.
   */
  async publish(writer: EntryWriter, head: EntryHead, isWanted: () => boolean, content?: Buffer): Promise<void> {
    const { name } = writer;
    const written = await writer.publish(head);
    if (!isWanted() || this.#hasNewer(head)) return this.#leaving.remove(name);
    for (const other of this.#add(newEntry(name, written), content)) await this.#leaving.remove(other.name);
  }

  /** Whether small answers are best `put`, and not left to other threads. */
  get isQuick(): boolean {
    return this.#pace.isQuick;
  }

  /** Takes a small content, which is on disk and in memory when this returns. Throws what the system says. */
  put(head: EntryHead, content: Buffer): void {
    if (this.#hasNewer(head)) return;
    this.#pace.time(() => {
      const name = randomName();
      const written = writeEntry(this.#pathOf(name), head, content, this.#algorithm);
      for (const other of this.#add(newEntry(name, written), content)) this.#removeFile(other);
    });
  }

  /** Writes down what is now known of an entry. */
  async refresh(entry: CacheEntry, head: EntryHead): Promise<void> {
    entry.record = { ...entry.record, head };
    if (!entry.isStored) return;
    try {
      entry.bytes = await rewriteRecord(this.#pathOf(entry.name), entry.record);
      if (!entry.isStored) return;
      for (const oldest of this.#entries.set(entry.name, entry, entry.bytes)) await this.remove(oldest);
    } catch (error) {
      this.#options.log.warn({ reason: systemCode(error) }, 'a stored answer was confirmed, but not written down');
      await this.remove(entry);
    }
  }

  /** Resolves when it is gone from the disk, too. Whoever reads it reads on. */
  async remove(entry: CacheEntry): Promise<void> {
    if (!entry.isStored) return;
    this.#takeOut(entry);
    await this.#leaving.remove(entry.name);
  }

  /** The content, or undefined if it has been damaged or is gone; the entry is then removed. Throws `DISK_FAILED` where it cannot be opened now. */
  async open(entry: CacheEntry): Promise<StoredContent | undefined> {
    if (entry.content) return { kind: 'memory', bytes: entry.content };
    const content = await openContent(this.#pathOf(entry.name), entry, {
      algorithms: this.#algorithms,
      isSmall: this.#isSmall(entry.record),
      onDamage: () => void this.#drop(entry),
    });
    if (!content) await this.#drop(entry);
    else if (content.kind === 'memory') this.#remember(entry, content.bytes);
    return content;
  }

  /** Lets another process have the directory. */
  async close(): Promise<void> {
    await this.#leaving.removeLeft();
    await this.#lock.close();
  }

  get #algorithm(): DigestAlgorithm {
    const [best] = this.#algorithms;
    if (!best) throw new HoplineError('INTERNAL', 'no digest algorithm at all');
    return best;
  }

  #isSmall({ contentBytes }: EntryRecord): boolean {
    return contentBytes <= this.#options.limits.maxCacheSmallBytes;
  }

  #pathOf(name: string): string {
    return path.join(this.#options.directory, name);
  }

  /** Answers that were fetched side by side are complete in any order. */
  #hasNewer({ key, selection, arrivedMs }: EntryHead): boolean {
    const same = selectionKey(selection);
    const others = this.variants(key).map(({ record }) => record.head);
    return others.some((head) => head.arrivedMs > arrivedMs && selectionKey(head.selection) === same);
  }

  async #drop(entry: CacheEntry): Promise<void> {
    this.#options.log.warn({ key: entry.record.head.key }, 'a stored answer is damaged or gone, and dropped');
    await this.remove(entry);
  }

  /** At once where that takes a few µs; a large file takes as long as it takes. */
  #removeFile({ name, record }: CacheEntry): void {
    if (this.#isSmall(record)) this.#leaving.removeSync(name);
    else void this.#leaving.remove(name);
  }

  /** Returns those that are no longer stored for it: replaced, or used longest ago when room is needed. Their files are there still. */
  #add(entry: CacheEntry, content?: Buffer): Iterable<CacheEntry> {
    const { head } = entry.record;
    const same = selectionKey(head.selection);
    const others = this.variants(head.key);
    const replaced = others.filter((other) => selectionKey(other.record.head.selection) === same);
    const surplus = others.length - replaced.length >= this.#options.limits.maxCacheVariants ? others.slice(0, 1) : [];
    const gone = new Set([...replaced, ...surplus]);
    for (const other of gone) this.#takeOut(other);
    this.#byKey.set(head.key, [...this.variants(head.key), entry]);
    for (const oldest of this.#entries.set(entry.name, entry, entry.bytes)) {
      this.#takeOut(oldest);
      gone.add(oldest);
    }
    if (content) this.#remember(entry, content);
    return gone;
  }

  #takeOut(entry: CacheEntry): void {
    entry.isStored = false;
    this.#entries.delete(entry.name);
    this.#forget(entry);
    const { key } = entry.record.head;
    const left = this.variants(key).filter((other) => other !== entry);
    if (left.length > 0) this.#byKey.set(key, left);
    else this.#byKey.delete(key);
  }

  #remember(entry: CacheEntry, content: Buffer): void {
    if (!entry.isStored || entry.content) return;
    entry.content = content;
    for (const oldest of this.#inMemory.set(entry.name, entry, content.length)) this.#forget(oldest);
  }

  #forget(entry: CacheEntry): void {
    this.#inMemory.delete(entry.name);
    entry.content = undefined;
  }

  async #scan(): Promise<void> {
    for (const entry of await scanEntries(this.#options.directory, this.#algorithms)) {
      for (const other of this.#add({ ...entry, isStored: true, content: undefined }))
        await this.#leaving.remove(other.name);
    }
  }
}

const randomName = () => `${randomUUID().replaceAll('-', '')}.entry`;

/** Of a file that this process wrote, so there is nothing to compare. */
function newEntry(name: string, written: ReadRecord): CacheEntry {
  return { name, ...written, isStored: true, content: undefined, unchecked: undefined };
}
