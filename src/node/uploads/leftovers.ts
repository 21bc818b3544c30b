/**
 * What unfinished uploads have left at an origin: how much of it is kept, and for how long.
 *
 * Knows what circuits of this process left, and what it found below the root at its start. The one that nobody has
 * written to for longest goes first: that of the peer that has its share, or of all.
 * Invariant: what is kept, in number and in bytes, is within the limits, and no more than the disk has free besides.
 * Rules: docs/limits.md#budgets
 */

import path from 'node:path';
import type { Clock } from '../../core/clock.ts';
import type { Limits } from '../../core/limits.ts';
import type { Logger } from '../../core/log.ts';
import { systemCode } from '../../core/system-errors.ts';
import { Budget, type GiveBack, limitNamed } from '../../core/work/budget.ts';
import {
  findLeftovers,
  type Leftover,
  measureLeftover,
  removeIfFinished,
  removeLeftover,
} from '../../io/disk/leftover.ts';
import { freeBytes } from '../../io/disk/reserve.ts';
import type { DiskCalls } from '../../io/kernel/libc.ts';
import { type MadeDirectory, removeDirectories } from './upload-place.ts';

interface Live {
  /** Those in effect now. */
  readonly limits: Limits;
  readonly log: Logger;
  readonly clock: Clock;
}

export interface LeftoversOptions {
  readonly lock: DiskCalls['lock'];
  /** Whether an upload to this file, a real path, is under way. */
  readonly isClaimed: (file: string) => boolean;
}

/** What is known of one that is kept. */
interface Kept {
  readonly leftover: Leftover;
  readonly owner: string;
  /** Directories that were made for it. */
  readonly made: readonly MadeDirectory[];
  readonly giveBack: readonly GiveBack[];
}

/** Owns what was found at the start: nobody knows whose it was. */
const nobody = '';

export class Leftovers {
  readonly #live: Live;
  readonly #options: LeftoversOptions;
  readonly #count: Budget;
  readonly #bytes: Budget;
  /** By the path of the file to be. */
  readonly #kept = new Map<string, Kept>();
  readonly #closing = new AbortController();
  /** One change after the other. */
  #working: Promise<void> = Promise.resolve();
  #root: string | undefined;
  #finding: Promise<void> = Promise.resolve();
  #cancelSweep = () => {};

  constructor(live: Live, options: LeftoversOptions) {
    this.#live = live;
    this.#options = options;
    const limits = () => live.limits;
    const code = 'LIMIT_UPLOADS';
    this.#count = new Budget({
      code,
      what: 'unfinished uploads',
      perOwner: limitNamed('maxPeerLeftUploads', limits),
      inAll: limitNamed('maxLeftUploads', limits),
    });
    this.#bytes = new Budget({
      code,
      what: 'bytes of unfinished uploads',
      perOwner: limitNamed('maxPeerLeftUploadBytes', limits),
      inAll: limitNamed('maxLeftUploadBytes', limits),
    });
  }

  /** Looks, once, below `root` for what an earlier process left. Never throws. */
  find(root: string): Promise<void> {
    if (root === this.#root) return this.#finding;
    this.#root = root;
    this.#finding = this.#finding.then(async () => {
      for await (const found of findLeftovers(root, this.#closing.signal)) {
        const isKnown = this.#kept.has(path.join(found.directory, found.base));
        if (!isKnown) await this.#next(() => this.#keepFound(found));
      }
    });
    return this.#finding;
  }

  /**
   * An upload of `owner` to `file` has ended unfinished: takes note of what it left. Where that is nothing, the directories
   * that were `made` for it go. Never throws.
   */
  add(file: string, owner: string, made: readonly MadeDirectory[]): Promise<void> {
    return this.#next(async () => {
      const leftover = await measureLeftover(path.dirname(file), path.basename(file));
      if (leftover) await this.#keep(leftover, owner, made);
      else await removeDirectories(made);
    });
  }

  /** An upload goes on with `file`: returns the directories that were made for it before. */
  take(file: string): readonly MadeDirectory[] {
    const kept = this.#kept.get(file);
    if (!kept) return [];
    this.#forget(file, kept);
    return kept.made;
  }

  /** Settles once nothing is being looked at or removed any more. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#finding;
    await this.#working;
    this.#cancelSweep();
  }

  #next(work: () => Promise<void>): Promise<void> {
    const swept = async () => {
      await work();
      await this.#sweep();
    };
    const failed = (error: unknown) => this.#live.log.warn({ reason: systemCode(error) }, 'sweeping uploads failed');
    this.#working = this.#working.then(swept).catch(failed);
    return this.#working;
  }

  /** Of a file that is whole nothing is kept: the node that wrote it was killed at its last step. */
  async #keepFound({ directory, base }: Leftover): Promise<void> {
    const { isClaimed, lock } = this.#options;
    if (!isClaimed(path.join(directory, base))) await removeIfFinished({ directory, base }, lock);
    const leftover = await measureLeftover(directory, base);
    if (leftover) await this.#keep(leftover, nobody, []);
  }

  async #keep(leftover: Leftover, owner: string, made: readonly MadeDirectory[]): Promise<void> {
    const file = path.join(leftover.directory, leftover.base);
    // Somebody went on with it already.
    if (this.#options.isClaimed(file)) return;
    const { bytes } = leftover;
    const fits = () => this.#count.has(owner) && this.#bytes.has(owner, bytes);
    while (!fits()) {
      const oldest = this.#oldest(owner) ?? this.#oldest();
      if (!oldest) break;
      await this.#remove(...oldest);
    }
    const giveBack = fits() ? [this.#count.take(owner), this.#bytes.take(owner, bytes)] : [];
    const kept = { leftover, owner, made, giveBack };
    this.#kept.set(file, kept);
    const free = await freeBytes(leftover.directory).catch(() => Number.POSITIVE_INFINITY);
    if (giveBack.length === 0) return this.#remove(file, kept);
    while (this.#bytes.total > free) {
      const oldest = this.#oldest();
      if (!oldest) break;
      await this.#remove(...oldest);
    }
  }

  /** Removes what is too old, and comes back when the next one is. */
  async #sweep(): Promise<void> {
    const { clock, limits } = this.#live;
    const { keepUploadMs } = limits;
    this.#cancelSweep();
    for (let oldest = this.#oldest(); oldest && !this.#closing.signal.aborted; oldest = this.#oldest()) {
      const leftMs = oldest[1].leftover.writtenMs + keepUploadMs - Date.now();
      if (leftMs > 0) {
        this.#cancelSweep = clock.after(Math.min(leftMs, keepUploadMs), () => void this.#next(async () => {}));
        return;
      }
      await this.#remove(...oldest, keepUploadMs);
    }
  }

  #oldest(owner?: string): [file: string, kept: Kept] | undefined {
    const all = [...this.#kept].filter(([, kept]) => owner === undefined || kept.owner === owner);
    return all.sort(([, one], [, other]) => one.leftover.writtenMs - other.leftover.writtenMs)[0];
  }

  async #remove(file: string, kept: Kept, unusedMs = 0): Promise<void> {
    this.#forget(file, kept);
    const { lock, isClaimed } = this.#options;
    if (isClaimed(file) || !(await removeLeftover(kept.leftover, unusedMs, lock))) return;
    await removeDirectories(kept.made);
    this.#live.log.info({ bytes: kept.leftover.bytes }, 'unfinished upload removed');
  }

  #forget(file: string, { giveBack }: Kept): void {
    this.#kept.delete(file);
    for (const give of giveBack) give();
  }
}
