/**
 * What the operating system says of a failure, as an error of ours: its code in words, and what to do where that is known.
 *
 * The only table of the system's codes; a code that is not in it is shown as it is. Knows nothing of who asked.
 */

import { existsSync } from 'node:fs';
import path from 'node:path';
import { type ErrorCode, HoplineError } from './errors.ts';

const words: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'a part of the name is a file there',
  EISDIR: 'it is a directory',
  EEXIST: 'something else is there',
  EBUSY: 'the system is using it',
  ESTALE: 'the disk of the network has lost it',
  ENOMEM: 'not enough memory',
  EACCES: 'no permission',
  EPERM: 'no permission',
  EROFS: 'the disk is read-only',
  EIO: 'disk error',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota is used up',
  EFBIG: 'larger than it allows',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'its links lead in a circle',
  ENXIO: 'it is not a regular file',
  EMFILE: 'too many files are open; raise ulimit -n',
  ENFILE: 'this machine has too many files open',
  EPIPE: 'the other end was closed',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ETIMEDOUT: 'no answer',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  EADDRINUSE: 'the port is in use',
  EADDRNOTAVAIL: 'this machine does not have the address',
  ENOTFOUND: 'name not found',
  EAI_AGAIN: 'no answer from the name server',
};

/** The operating system's code of a native error (`ENOENT`), or undefined. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Whether the machine lacks what a call needs, at this moment: then it says nothing about the file that the call was for. */
export function isShortage(error: unknown): boolean {
  return ['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN'].includes(systemCode(error) ?? '');
}

/** A code of the system in words, or as it is where there are none for it. */
export function inWords(code: string): string {
  return words[code] ?? code;
}

/** Why the system failed, in words. */
export function systemReason(error: unknown): string {
  return inWords(systemCode(error) ?? 'unknown');
}

/** `what: why`, with the system's code as `reason`; an error of ours as it is. */
export function systemError(code: ErrorCode, what: string, cause: unknown): HoplineError {
  return failed(code, what, systemReason(cause), cause);
}

/** `cannot write FILE: why`, as `DISK_FULL` where there is no room, else `DISK_FAILED`; an error of ours as it is. */
export function writeError(file: string, cause: unknown): HoplineError {
  const isFull = ['ENOSPC', 'EDQUOT'].includes(systemCode(cause) ?? '');
  const why = isAboutDirectory(cause) ? whyNotIn(path.dirname(file)) : systemReason(cause);
  return failed(isFull ? 'DISK_FULL' : 'DISK_FAILED', `cannot write ${file}`, why, cause);
}

/** A directory that is there and yet lacks what is made in it is one of the system's own, such as `/proc`. */
function whyNotIn(directory: string): string {
  if (existsSync(directory)) return `no file can be made in ${directory}; name another place`;
  return `the directory ${directory} does not exist; make it, or name another place`;
}

/** Calls that find a file missing look for its directory, where what they are to make cannot be there yet. */
function isAboutDirectory(cause: unknown): boolean {
  if (systemCode(cause) !== 'ENOENT' || !(cause instanceof Error) || !('syscall' in cause)) return false;
  return cause.syscall === 'open' || cause.syscall === 'access' || cause.syscall === 'mkdir';
}

function failed(code: ErrorCode, what: string, why: string, cause: unknown): HoplineError {
  if (cause instanceof HoplineError) return cause;
  return new HoplineError(code, `${what}: ${why}`, { cause, reason: systemCode(cause) ?? 'unknown' });
}
