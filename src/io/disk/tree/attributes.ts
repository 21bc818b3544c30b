/**
 * What a file has beside its content: permissions and the time of its last change, set on what is open, and compared.
 *
 * Invariant: times are nanoseconds as far as system and file system know them, and nobody takes more for granted.
 */

import { randomBytes } from 'node:crypto';
import { type FileHandle, lstat, open, unlink } from 'node:fs/promises';
import path from 'node:path';
import type { DiskCalls } from '../../kernel/libc.ts';
import { withoutOthers } from '../own-file.ts';

/** What a file needs so that whoever made it can go on writing it. */
export const ownerMode = 0o600;

export interface Attributes {
  /** Permission bits, at most 0o777. */
  readonly mode: number;
  /** Of the last change, in nanoseconds since 1970. */
  readonly mtimeNs: bigint;
}

/** What one file system tells apart. */
export interface Distinctions {
  readonly letterCase: boolean;
  /** Whether the two ways to write a letter with an accent are two names. */
  readonly unicodeForm: boolean;
  /** Nanoseconds; times that are less apart may be the same. */
  readonly timeStepNs: bigint;
}

/** The coarsest step of all. */
const maxTimeStepNs = 2_000_000_000n;
/** Twice what file systems count in, since a time that goes through a floating-point number may end up one step off. */
const timeStepsNs = [1n, 200n, 2_000n, 2_000_000n, 20_000_000n, maxTimeStepNs];
/** Odd in every digit, so that each step leaves its mark. */
const oddTimeNs = 1_234_567_891_123_456_789n;

/** Sets both on an open file or directory, behind which nothing is written any more. Throws what the system says. */
export async function setAttributes(
  handle: FileHandle,
  { mode, mtimeNs }: Attributes,
  calls: DiskCalls,
): Promise<void> {
  if (calls.setModifiedNs?.(handle.fd, mtimeNs) !== true) await handle.utimes(new Date(), asTime(mtimeNs));
  await handle.chmod(mode);
}

/** As `utimes` takes it: seconds, but those before 1970 it takes from a date alone. */
function asTime(timeNs: bigint): number | Date {
  return timeNs < 0n ? new Date(Number(timeNs / 1_000_000n)) : Number(timeNs) / 1e9;
}

/** Whether the permissions are those. Windows knows one bit of them. */
export function isSameMode(mode: number, wanted: number, platform = process.platform): boolean {
  const known = platform === 'win32' ? 0o200 : 0o777;
  return (mode & known) === (wanted & known);
}

/** Whether the time on disk is what became of `wanted`; asks for the step of the file system only if it matters. */
export async function isSameTime(onDisk: bigint, wanted: bigint, stepNs: () => Promise<bigint>): Promise<boolean> {
  const apart = onDisk > wanted ? onDisk - wanted : wanted - onDisk;
  return apart === 0n || (apart < maxTimeStepNs && apart < (await stepNs()));
}

/**
 * Gives a written file the attributes that it is to have, by default those of any new file, as far as its owner can still open it
 * then; resolves to its mode in the end. Throws what the system says.
 */
export async function finishAttributes(
  handle: FileHandle,
  attributes: Attributes | undefined,
  calls: DiskCalls & { readonly newFileMode: () => number },
): Promise<number> {
  if (attributes) {
    // A part file that its owner could not open would be in the way of a later run.
    await setAttributes(handle, { ...attributes, mode: attributes.mode | ownerMode }, calls);
    return attributes.mode;
  }
  const mode = calls.newFileMode();
  if (mode !== withoutOthers(mode)) await handle.chmod(mode);
  return ownerMode;
}

/** Finds out with a file of its own in `directory`, which is removed again. Throws what the system says. */
export async function probeDistinctions(directory: string, calls: DiskCalls): Promise<Distinctions> {
  const name = `.hopline-é-${randomBytes(6).toString('hex')}.probe`.normalize('NFC');
  const probe = path.join(directory, name);
  const isThere = (other: string) =>
    lstat(path.join(directory, other)).then(
      () => true,
      () => false,
    );
  const handle = await open(probe, 'wx', 0o600);
  try {
    await setAttributes(handle, { mode: 0o600, mtimeNs: oddTimeNs }, calls);
    const { mtimeNs } = await handle.stat({ bigint: true });
    const lost = mtimeNs > oddTimeNs ? mtimeNs - oddTimeNs : oddTimeNs - mtimeNs;
    return {
      letterCase: !(await isThere(name.replace('hopline', 'HOPLINE'))),
      unicodeForm: !(await isThere(name.normalize('NFD'))),
      timeStepNs: timeStepsNs.find((step) => lost < step) ?? maxTimeStepNs,
    };
  } finally {
    await handle.close();
    await unlink(probe);
  }
}
