/**
 * Small files that are written whole: under their names there is all of a text, or what was there before.
 *
 * Where the system has locks, one process at a time writes a file, and removes what another left that was killed. Does not know what
 * a text means.
 * Invariant: a link is followed and stays; what is no regular file is not replaced.
 */

import { randomBytes } from 'node:crypto';
import { type FileHandle, link, readlink, realpath, rename, stat, unlink } from 'node:fs/promises';
import path from 'node:path';
import { pause, systemClock } from '../../core/clock.ts';
import { HoplineError } from '../../core/errors.ts';
import { systemCode, writeError } from '../../core/system-errors.ts';
import { loadDiskCalls } from '../kernel/libc.ts';
import { makeDirectory, privateMode, syncDirectory } from './directories.ts';
import type { TargetCalls } from './durable.ts';
import { checkReplaceable } from './occupant.ts';
import { type LockOptions, openLocked } from './writing/part.ts';
import { exists, partName } from './writing/part-names.ts';

type TextCalls = Pick<TargetCalls, 'lock' | 'syncDirectory'>;

export interface TextEdit {
  /** Reads the file; empty where it is not there. */
  read(): Promise<string>;
  /** What is to be in it, of what is. It is called again where another program has changed the file meanwhile. */
  edit(text: string): string;
}

const newFileMode = 0o644;
const waitMs = 5000;
const lookMs = 10;

/** Makes a file, and the directories to it, where nothing has its name. Throws `DISK_EXISTS`, `DISK_BUSY`, `DISK_FULL`, `DISK_FAILED`. */
export async function makeText(
  file: string,
  text: Buffer,
  mode: number,
  calls: TextCalls = systemCalls(),
): Promise<void> {
  try {
    await makeDirectory(path.dirname(file), privateMode);
    await withPart(file, mode, calls, async (part) => {
      await fill(part.handle, text);
      // A link fails where something has the name, and a rename would not.
      await link(part.path, file).catch((error) => {
        throw systemCode(error) === 'EEXIST' ? exists(file) : error;
      });
      await calls.syncDirectory(path.dirname(file)).catch(async (error) => {
        await unlink(file).catch(() => {});
        throw error;
      });
    });
  } catch (error) {
    throw writeError(file, error);
  }
}

/**
 * Edits a file; one that is not there is made, with the directories to it. Throws what `read` and `edit` throw, `DISK_BUSY`,
 * `DISK_FULL`, `DISK_FAILED`.
 */
export async function editText(
  file: string,
  { read, edit }: TextEdit,
  calls: TextCalls = systemCalls(),
): Promise<void> {
  let place = file;
  try {
    const early = await read();
    if (edit(early) === early) return;
    await makeDirectory(path.dirname(file), privateMode);
    place = await behindLinks(file);
    await checkReplaceable(place);
    const found = await stat(place).catch(() => undefined);
    await withPart(place, newFileMode, calls, async (part) => {
      if (found) await part.handle.chmod(found.mode & 0o777);
      const deadline = systemClock.now() + waitMs;
      // An editor asks for no lock.
      for (let before = await read(), now = ''; ; before = now) {
        const after = edit(before);
        if (after === before) return;
        await fill(part.handle, Buffer.from(after));
        now = await read();
        if (now === before) break;
        if (systemClock.now() > deadline) throw new HoplineError('DISK_BUSY', `other programs keep changing ${place}`);
      }
      await rename(part.path, place);
      part.isNamed = true;
      await calls.syncDirectory(path.dirname(place));
    });
  } catch (error) {
    throw writeError(place, error);
  }
}

function systemCalls(): TextCalls {
  const { lock } = loadDiskCalls();
  return { syncDirectory, ...(lock && { lock }) };
}

/** The file that a name leads to, be it there or not. Throws what the system says. */
async function behindLinks(file: string): Promise<string> {
  try {
    return await realpath(file);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
    const next = await readlink(file).catch(() => undefined);
    if (next === undefined) return file;
    return behindLinks(path.resolve(await realpath(path.dirname(file)), next));
  }
}

interface Part {
  readonly path: string;
  readonly handle: FileHandle;
  /** Whether its name is gone with a rename, and may be that of another writer's. */
  isNamed: boolean;
}

/** Does `work` with the file beside `target` that is to get its name; without it, the file is gone then. */
async function withPart(
  target: string,
  mode: number,
  { lock }: Pick<TextCalls, 'lock'>,
  work: (part: Part) => Promise<void>,
): Promise<void> {
  // Without locks nobody could tell what is left from what is being written.
  const own = lock ? '' : `.${randomBytes(4).toString('hex')}`;
  const place = path.join(path.dirname(target), partName(`${path.basename(target)}${own}`));
  const handle = await openOnceFree(place, { target, lock, readOwner: async () => 0, mode });
  const part = { path: place, handle, isNamed: false };
  try {
    await work(part);
  } finally {
    // Before the lock goes: what has the name then may be another writer's.
    if (!part.isNamed) await unlink(place).catch(() => {});
    await handle.close().catch(() => {});
  }
}

/** Another writer needs it for milliseconds. What one has left may be open elsewhere, and is not written to. */
async function openOnceFree(file: string, options: LockOptions): Promise<FileHandle> {
  const deadline = systemClock.now() + waitMs;
  for (;;) {
    try {
      return await openLocked(file, options, () => false);
    } catch (error) {
      const isBusy = error instanceof HoplineError && error.code === 'DISK_BUSY';
      if (!isBusy || systemClock.now() > deadline) throw error;
    }
    await pause(systemClock, lookMs, new AbortController().signal);
  }
}

async function fill(handle: FileHandle, text: Buffer): Promise<void> {
  await handle.truncate(0);
  for (let at = 0; at < text.length; ) at += (await handle.write(text, at, text.length - at, at)).bytesWritten;
  await handle.sync();
}
