/**
 * A place on disk that is held: looked at once, and then reached again wherever its path leads by now.
 *
 * On Linux by a descriptor that only names the place (`O_PATH`): nothing is opened for it, not even a device, and
 * `/proc/self/fd/N` is the path for calls of the system that Node does not offer. Elsewhere by its real path, which is
 * checked again after each use; SECURITY.md says what remains possible there.
 * Knows nothing about roots. Invariant: `real` is the path at which the system found what `stats` describes.
 */

import { type BigIntStats, constants, fstatSync, readlinkSync } from 'node:fs';
import { lstat, open, realpath } from 'node:fs/promises';
import path from 'node:path';
import { HoplineError } from '../../core/errors.ts';
import type { ReadableFile } from './reading/read-blocks.ts';

export interface Held {
  /** Its real path. */
  readonly real: string;
  readonly stats: BigIntStats;
  /** The path by which the system comes to it, and to `name` in it. */
  way(name?: string): string;
  /** What `lstat` says of `name` in it, where the system knows that from memory; undefined otherwise, also where there is none. */
  lookNow?(name: string): BigIntStats | undefined;
  /** Opens what is held, with `O_` flags. Throws what the system says, `FILE_DENIED`. */
  open(flags: number): Promise<ReadableFile>;
  /** Throws `FILE_DENIED` if what was reached by `way` may have been something else. */
  check(): Promise<void>;
  close(): Promise<void>;
}

/** Holds what is at `wanted`, links followed. Throws what the system says. */
export type Hold = (wanted: string) => Promise<Held>;

/** Names a place and opens nothing. The same number on all machines that Node runs on. */
export const O_PATH = 0o10000000;
const descriptors = '/proc/self/fd';

/** By whatever the system has. */
export const hold: Hold = hasDescriptorPaths() ? holdByDescriptor : holdByPath;

async function holdByDescriptor(wanted: string): Promise<Held> {
  const pin = await open(wanted, O_PATH);
  try {
    const here = `${descriptors}/${pin.fd}`;
    // The kernel answers from memory: through the thread pool it would take ten times as long.
    const real = readlinkSync(here);
    const stats = fstatSync(pin.fd, { bigint: true });
    return {
      real,
      stats,
      way: (name) => (name === undefined ? here : `${here}/${name}`),
      open: (flags) => open(here, flags),
      check: async () => {},
      close: () => pin.close(),
    };
  } catch (error) {
    await pin.close();
    throw error;
  }
}

/** For systems without such paths. */
export async function holdByPath(wanted: string): Promise<Held> {
  const real = await realpath(wanted);
  const stats = await lstat(real, { bigint: true });
  const check = async () => {
    const now = await lstat(real, { bigint: true });
    if (!isSame(now, stats) || (await realpath(real)) !== real) throw moved();
  };
  return {
    real,
    stats,
    way: (name) => (name === undefined ? real : path.join(real, name)),
    open: async (flags) => {
      const handle = await open(real, flags | (constants.O_NOFOLLOW ?? 0));
      try {
        if (!isSame(await handle.stat({ bigint: true }), stats)) throw moved();
        await check();
        return handle;
      } catch (error) {
        await handle.close();
        throw error;
      }
    },
    check,
    close: async () => {},
  };
}

function isSame(one: BigIntStats, other: BigIntStats): boolean {
  return one.ino === other.ino && one.dev === other.dev;
}

function moved(): HoplineError {
  return new HoplineError('FILE_DENIED', 'the name leads elsewhere by now');
}

function hasDescriptorPaths(): boolean {
  if (process.platform !== 'linux') return false;
  try {
    return readlinkSync(`${descriptors}/0`) !== '';
  } catch {
    return false;
  }
}
