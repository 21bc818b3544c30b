/**
 * Small files that get their name when they are whole: nobody finds one that is half-written, and a crash takes it along.
 *
 * Linux alone has files without a name, and not on every disk. Who is told that there is no such way writes a part file
 * (`writing/file-target.ts`). Does not know whose files they are, or what was there before.
 * Invariant: a name is given to a whole and synced file, and never taken from another.
 */

import { randomInt } from 'node:crypto';
import {
  type BigIntStats,
  close,
  closeSync,
  constants,
  fchmod,
  fchmodSync,
  fstatSync,
  open,
  openSync,
  writev,
  writevSync,
} from 'node:fs';
import { readdir, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { systemCode } from '../../../core/system-errors.ts';
import { isUnfinished } from '../../../wire/name.ts';
import { isLocalType, tellsOfSync } from '../../kernel/disk/disk-types.ts';
import { type LinkOpen, loadLinkOpen } from '../../kernel/disk/link-open.ts';
import { type DiskCalls, loadDiskCalls } from '../../kernel/libc.ts';
import type { Attributes } from '../tree/attributes.ts';
import { mayExist } from '../writing/journal.ts';
import { journalPath, partName } from '../writing/part-names.ts';
import { GroupSync } from './group-sync.ts';

type NewAttributes = Pick<Attributes, 'mtimeNs'> & Partial<Attributes>;

/** A file that has got its name. */
export interface MadeFile {
  /** As it is now, where any change from now on will show in its times. */
  readonly settled: BigIntStats | undefined;
}

/** What is done at once, or settles later. */
type Soon<Result> = Result | Promise<Result>;

/** What it takes of the system. */
export interface NewFileCalls {
  /** Opens a file without a name in a directory; `mode` before the umask. */
  readonly open: (directory: string, mode: number) => Soon<number>;
  /** Resolves to how many bytes were taken. */
  readonly write: (fd: number, buffers: readonly Buffer[], position: number) => Soon<number>;
  /** Sets a time, and permissions where there are any; false where the time cannot be told to the nanosecond. */
  readonly attribute: (fd: number, attributes: NewAttributes) => Soon<boolean>;
  /** Makes content and attributes last, and the name in `directory`; `opened` is greater for a file that was opened later. */
  readonly sync: (fd: number, directory?: string, opened?: number) => Soon<void>;
  /** Gives it its first name: 0, or an errno. */
  readonly link: (fd: number, name: string) => Soon<number>;
  readonly close: (fd: number) => Soon<void>;
}

/** O_TMPFILE, whose own bit has the same number on all machines whose calls are known. */
const namelessFlags = constants.O_WRONLY | constants.O_DIRECTORY | 0o20000000;

export class NewFiles {
  readonly #calls: NewFileCalls;
  readonly #isThere: (file: string) => boolean;
  #isRefused = false;
  /** Files that have been opened, or were tried to be. */
  #opened = 0;

  /** `isThere`: whether a part file, or the journal of one, was left by an earlier run. @default asks the disk */
  constructor(calls: NewFileCalls, isThere: (file: string) => boolean = mayExist) {
    this.#calls = calls;
    this.#isThere = isThere;
  }

  /**
   * For a process that serves nobody else: if all of these directories are on disks of this machine, it waits for all but a sync.
   * Undefined where there is no such way. Throws what the system says.
   */
  static async in(directories: Iterable<string>, disk: DiskCalls = loadDiskCalls()): Promise<NewFiles | undefined> {
    const link = loadLinkOpen();
    if (!link) return undefined;
    const looks: Look[] = [];
    for (const directory of new Set(directories)) looks.push(await look(directory));
    const unfinished = new Set(looks.flatMap((found) => found.unfinished));
    const tellsAll = looks.every(({ type, dev }) => tellsOfSync(type) && dev === looks[0]?.dev);
    const isLocal = looks.every(({ type }) => isLocalType(type));
    const group = GroupSync.create({ tellsAll });
    return new NewFiles((isLocal ? callsNow : callsLater)(link, disk, group), (file) => unfinished.has(file));
  }

  /**
   * For a process that serves others meanwhile, and for all of the file system that `directory` is on. Undefined where there is no
   * such way, or another machine would be waited for. Throws what the system says.
   */
  static async besideOthers(directory: string, disk: DiskCalls = loadDiskCalls()): Promise<NewFiles | undefined> {
    const link = loadLinkOpen();
    const type = link && (await statfs(directory)).type;
    if (type === undefined || !isLocalType(type)) return undefined;
    return new NewFiles(callsLater(link as LinkOpen, disk, GroupSync.create({ tellsAll: tellsOfSync(type) })));
  }

  /** Whether an earlier run left something of the file called `way`. */
  hasLeft(way: string): boolean {
    const part = path.join(path.dirname(way), partName(path.basename(way)));
    return this.#isThere(part) || this.#isThere(journalPath(part));
  }

  /**
   * Makes the file of `buffers` that is called `way`; with `leavesName` it is left to the caller to make the name last. Resolves to
   * nothing, with nothing done, where there is no such way, and where the name cannot be had. Throws what the disk fails with.
   */
  async make(
    way: string,
    buffers: readonly Buffer[],
    { attributes, leavesName = false }: { attributes?: Attributes | undefined; leavesName?: boolean | undefined } = {},
  ): Promise<MadeFile | undefined> {
    const { attribute, sync, link, close } = this.#calls;
    this.#opened += 1;
    const opened = this.#opened;
    const fd = this.#isRefused ? undefined : await this.#open(path.dirname(way), attributes?.mode ?? 0o666);
    if (fd === undefined) return undefined;
    let hasName = false;
    try {
      await this.#write(fd, buffers);
      const stamp = { mtimeNs: stampNow() };
      const isSet = await attribute(fd, attributes ?? stamp);
      if (attributes && !isSet) return undefined;
      await sync(fd, undefined, opened);
      hasName = (await link(fd, way)) === 0;
      if (!hasName) return undefined;
      const made = fstatSync(fd, { bigint: true });
      if (!leavesName) await sync(fd, path.dirname(way), opened);
      return { settled: made.mtimeNs === stamp.mtimeNs ? made : undefined };
    } finally {
      // Without a name its space goes back to the disk, which takes time.
      if (hasName) closeSync(fd);
      else await close(fd);
    }
  }

  async #open(directory: string, mode: number): Promise<number | undefined> {
    try {
      return await this.#calls.open(directory, mode);
    } catch (error) {
      // Of other failures a part file has the same.
      this.#isRefused = /^(EOPNOTSUPP|EISDIR|EINVAL)$/.test(systemCode(error) ?? '');
      return undefined;
    }
  }

  async #write(fd: number, buffers: readonly Buffer[]): Promise<void> {
    let position = 0;
    let left = buffers.filter(({ length }) => length > 0);
    while (left.length > 0) {
      let taken = await this.#calls.write(fd, left, position);
      position += taken;
      left = left.flatMap((buffer) => {
        const rest = buffer.subarray(Math.min(taken, buffer.length));
        taken -= buffer.length - rest.length;
        return rest.length > 0 ? [rest] : [];
      });
    }
  }
}

/** Until the sync the system writes into its memory. */
export function callsNow(link: LinkOpen, disk: DiskCalls, group: GroupSync): NewFileCalls {
  return {
    open: (directory, mode) => openSync(directory, namelessFlags, mode),
    write: (fd, buffers, position) => writevSync(fd, buffers, position),
    attribute: (fd, { mode, mtimeNs }) => {
      if (mode !== undefined) fchmodSync(fd, mode);
      return disk.setModifiedNs?.(fd, mtimeNs) === true;
    },
    sync: (...file) => group.sync(...file),
    link: link.now,
    close: closeSync,
  };
}

/** For who serves others meanwhile. */
export function callsLater(link: LinkOpen, disk: DiskCalls, group: GroupSync): NewFileCalls {
  const [openLater, chmodLater] = [promisify(open), promisify(fchmod)];
  return {
    open: (directory, mode) => openLater(directory, namelessFlags, mode),
    write: (fd, buffers, position) =>
      new Promise((resolve, reject) => {
        writev(fd, buffers, position, (error, taken) => (error ? reject(error) : resolve(taken)));
      }),
    attribute: async (fd, { mode, mtimeNs }) => {
      if (mode !== undefined) await chmodLater(fd, mode);
      return disk.setModifiedNs?.(fd, mtimeNs) === true;
    },
    sync: (...file) => group.sync(...file),
    link: link.later,
    close: promisify(close),
  };
}

/** The time of now, with a fraction that the system gives to no file: what is written in the same step of its clock gets another time. */
function stampNow(): bigint {
  return BigInt(Date.now()) * 1_000_000n + BigInt(randomInt(1, 1_000_000));
}

interface Look {
  /** Of the file system. */
  readonly type: number;
  readonly dev: number;
  readonly unfinished: readonly string[];
}

async function look(directory: string): Promise<Look> {
  const names = await readdir(directory);
  const [{ type }, { dev }] = [await statfs(directory), await stat(directory)];
  return { type, dev, unfinished: names.filter(isUnfinished).map((name) => path.join(directory, name)) };
}
