/**
 * What lies on a disk of this machine and is in memory already, held and opened at once: through the pool of threads that takes
 * ten times as long as the kernel's answer.
 *
 * The kernel says where it would have to ask the disk for the way (`RESOLVE_CACHED`). That, and what lies elsewhere, is
 * held as everything else (`held.ts`).
 * Invariant: nothing here waits for a disk.
 */

import { close, closeSync, fstatSync, openSync, read as readLater, readlinkSync } from 'node:fs';
import { stat, statfs } from 'node:fs/promises';
import { promisify } from 'node:util';
import { isLocalType } from '../../kernel/disk/disk-types.ts';
import type { OpenCached } from '../../kernel/disk/open-cached.ts';
import { type Held, type Hold, hold, O_PATH } from '../held.ts';
import { lookNow } from './quick-looks.ts';
import type { ReadableFile } from './read-blocks.ts';

/** For what lies below `root`, a real path. `by` is for the rest. */
export function createQuickHold(root: string, openCached: OpenCached, by: Hold = hold): Hold {
  let device: bigint | undefined;
  void findLocalDevice(root).then((found) => {
    device = found;
  });
  return async (wanted) => {
    const pin = device === undefined ? undefined : openCached(wanted, O_PATH);
    if (pin === undefined) return by(wanted);
    try {
      const stats = fstatSync(pin, { bigint: true });
      if (stats.dev === device) return heldBy(pin, stats, openCached);
    } catch (error) {
      closeSync(pin);
      throw error;
    }
    closeSync(pin);
    return by(wanted);
  };
}

function heldBy(pin: number, stats: Held['stats'], openCached: OpenCached): Held {
  const here = `/proc/self/fd/${pin}`;
  return {
    real: readlinkSync(here),
    stats,
    way: (name) => (name === undefined ? here : `${here}/${name}`),
    lookNow: (name) => lookNow(openCached, pin, name),
    open: async (flags) => new OpenedFile(openSync(here, flags)),
    check: async () => {},
    close: async () => closeSync(pin),
  };
}

class OpenedFile implements ReadableFile {
  /** -1 once it is closed. */
  fd: number;

  constructor(fd: number) {
    this.fd = fd;
  }

  read(buffer: Buffer, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }> {
    return new Promise((resolve, reject) => {
      readLater(this.fd, buffer, offset, length, position, (error, bytesRead) => {
        if (error) reject(error);
        else resolve({ bytesRead });
      });
    });
  }

  async close(): Promise<void> {
    const { fd } = this;
    if (fd < 0) return;
    this.fd = -1;
    // The last to close what has no name any more waits until the disk has the space back.
    if (fstatSync(fd).nlink === 0) await promisify(close)(fd);
    else closeSync(fd);
  }
}

/** The file system that `root` is on, if no other machine is waited for there. */
async function findLocalDevice(root: string): Promise<bigint | undefined> {
  try {
    const { type } = await statfs(root);
    return isLocalType(type) ? (await stat(root, { bigint: true })).dev : undefined;
  } catch {
    return undefined;
  }
}
