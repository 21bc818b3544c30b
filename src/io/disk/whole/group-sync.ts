/**
 * Files that are synced together: those that come while the ones before are on their way to the disk.
 *
 * A disk that has much to do at a time takes little longer than for one file. Knows open files by their numbers, which are the
 * caller's until their sync has settled.
 * Invariant: a sync succeeds only once the disk has all of its file; what it failed with is told to whoever it concerns. What is
 * tried for all of them may fail, and then each is synced by itself: nobody waits for a sync that is not to come.
 */

import { fsync } from 'node:fs';
import { promisify } from 'node:util';
import { loadSyncCalls, type SyncCalls } from '../../kernel/disk/sync-calls.ts';
import { syncDirectory } from '../directories.ts';

export interface GroupCalls extends Partial<SyncCalls> {
  readonly sync: (fd: number) => Promise<void>;
  readonly syncDirectory: (directory: string) => Promise<void>;
}

interface Waiting {
  readonly fd: number;
  readonly directory: string | undefined;
  readonly opened: number;
  readonly resolve: () => void;
  readonly reject: (cause: unknown) => void;
}

export class GroupSync {
  readonly #calls: GroupCalls;
  #waiting: Waiting[] = [];
  #isSyncing = false;

  /** With `syncAll`, the files must be on one file system, which tells by it what it failed with. */
  constructor(calls: GroupCalls) {
    this.#calls = calls;
  }

  /** By what the system has; `tellsAll` says that it is one file system which does. */
  static create({ tellsAll }: { readonly tellsAll: boolean }): GroupSync {
    const { beginWrites, syncAll } = loadSyncCalls() ?? {};
    return new GroupSync({
      sync: promisify(fsync),
      syncDirectory,
      ...(beginWrites ? { beginWrites } : {}),
      ...(syncAll && tellsAll ? { syncAll } : {}),
    });
  }

  /**
   * Settles when what the open file holds lasts, and the name that it has in `directory`. Throws what the disk failed with.
   * `opened` is greater for a file that was opened later.
   */
  sync(fd: number, directory?: string, opened = 0): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ fd, directory, opened, resolve, reject });
      if (this.#isSyncing) return;
      this.#isSyncing = true;
      // Others that have arrived with it go along.
      setImmediate(() => void this.#syncAll());
    });
  }

  async #syncAll(): Promise<void> {
    while (this.#waiting.length > 0) await this.#syncGroup(this.#waiting.splice(0));
    this.#isSyncing = false;
  }

  async #syncGroup(group: readonly Waiting[]): Promise<void> {
    if (group.length > 1 && (await this.#syncAtOnce(group))) {
      for (const { resolve } of group) resolve();
      return;
    }
    if (group.length > 1) this.#beginWrites(group);
    await Promise.all(group.map((waiting) => this.#syncOne(waiting).then(waiting.resolve, waiting.reject)));
  }

  async #syncOne({ fd, directory }: Waiting): Promise<void> {
    await this.#calls.sync(fd);
    if (directory !== undefined) await this.#calls.syncDirectory(directory);
  }

  /** By the file that was opened first, since when failures are told. Whose they are, only a sync of each file says. */
  async #syncAtOnce(group: readonly Waiting[]): Promise<boolean> {
    const first = group.reduce((one, other) => (other.opened < one.opened ? other : one));
    try {
      return (await this.#calls.syncAll?.(first.fd)) === 0;
    } catch {
      return false;
    }
  }

  #beginWrites(group: readonly Waiting[]): void {
    try {
      for (const { fd } of group) this.#calls.beginWrites?.(fd);
    } catch {
      // A sync writes as well.
    }
  }
}
