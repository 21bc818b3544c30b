/** The calls whose order decides what a loss of power leaves: handed in, so that a test can watch them and make them fail. */

import { type FileHandle, link, rename } from 'node:fs/promises';
import type { DiskCalls } from '../kernel/libc.ts';
import { syncDirectory } from './directories.ts';
import { newFileMode } from './umask.ts';

export interface DurableCalls {
  /** Makes the content last, and what is needed to find it. */
  readonly datasync: (handle: FileHandle) => Promise<void>;
  /** The same for all of an open file, its attributes too. */
  readonly sync: (handle: FileHandle) => Promise<void>;
  /** The same for the names in a directory. */
  readonly syncDirectory: (directory: string) => Promise<void>;
  readonly link: (existing: string, name: string) => Promise<void>;
  readonly rename: (from: string, to: string) => Promise<void>;
  /** The permissions of a new file, whatever is known of them already. */
  readonly newFileMode: () => number;
}

/** What a target needs of the system. */
export type TargetCalls = DiskCalls & DurableCalls;

export const nodeCalls: DurableCalls = {
  datasync: (handle) => handle.datasync(),
  sync: (handle) => handle.sync(),
  syncDirectory,
  link,
  rename,
  newFileMode,
};
