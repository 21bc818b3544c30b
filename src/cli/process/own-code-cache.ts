/**
 * The user's own cache of compiled code, for a Node that those of the build do not fit: the first run writes it when it ends, the
 * next ones take it.
 *
 * What is in there is run, so what somebody else wrote, or may write to, is not taken; and nothing is made in a directory
 * of another user, as root finds it where `sudo` has kept his HOME.
 * Invariant: nothing depends on it. What cannot be read is not there, and what cannot be written is left.
 */

import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { cachedDataVersionTag } from 'node:v8';
import { isOwn, ownFileFlags } from '../../io/disk/own-file.ts';
import { userCaches } from '../cache-place.ts';

export interface OwnCodeCache {
  read(): Buffer | undefined;
  /** `make` is called only if it can be written. */
  write(make: () => Buffer): void;
}

/** Undefined where there is no place for it, or the user has turned off caches of this kind. */
export function ownCodeCache(script: string): OwnCodeCache | undefined {
  if (process.env.NODE_DISABLE_COMPILE_CACHE) return undefined;
  try {
    const directory = path.join(userCaches(), 'hopline-code');
    // Each Node has its own, and so has each set of flags for V8.
    const file = path.join(directory, `${script}-${cachedDataVersionTag()}.cache`);
    return { read: () => read(file), write: (make) => write(file, make) };
  } catch {
    // There is no home.
    return undefined;
  }
}

function read(file: string): Buffer | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(file, ownFileFlags);
    return isOwn(fstatSync(fd, { bigint: true })) ? readFileSync(fd) : undefined;
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function write(file: string, make: () => Buffer): void {
  const unfinished = `${file}.${process.pid}`;
  let fd: number | undefined;
  try {
    if (!makeOwn(path.dirname(file))) return;
    fd = openSync(unfinished, 'wx', 0o600);
    writeFileSync(fd, make());
    renameSync(unfinished, file);
  } catch {
    if (fd !== undefined) rmSync(unfinished, { force: true });
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Makes a directory and those above it, where what is there of its path is this user's; false where it is not. */
function makeOwn(directory: string): boolean {
  const found = statSync(directory, { throwIfNoEntry: false });
  if (found) return process.geteuid === undefined || found.uid === process.geteuid();
  if (!makeOwn(path.dirname(directory))) return false;
  // One by one: below /proc, Node tries for ever to make them all.
  mkdirSync(directory, { mode: 0o700 });
  return true;
}
