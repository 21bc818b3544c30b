/** A temporary directory for one test, removed when the test ends, whatever its outcome. */

import { randomBytes } from 'node:crypto';
import { closeSync, constants, openSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

/** FAT counts the seconds of its files in twos. */
const coarsestStepMs = 2000;

export interface TempRoot {
  readonly path: string;
  /** Writes a file of random bytes and returns them. */
  writeRandom(name: string, bytes: number): Promise<Buffer>;
  /** The names in the directory, sorted. */
  list(): Promise<string[]>;
  /** Settles once a file has not changed for longer than any file system's step of time: from then on a node keeps its digests. */
  atRest(name: string): Promise<void>;
}

export async function makeTempRoot(t: TestContext): Promise<TempRoot> {
  const root = await mkdtemp(path.join(tmpdir(), 'hopline-test-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  return {
    path: root,
    writeRandom: async (name, bytes) => {
      const content = randomBytes(bytes);
      await mkdir(path.dirname(path.join(root, name)), { recursive: true });
      await writeFile(path.join(root, name), content);
      return content;
    },
    list: async () => (await readdir(root)).sort(),
    atRest: async (name) => {
      const { ctimeMs } = await stat(path.join(root, name));
      while (Date.now() - ctimeMs <= coarsestStepMs) await pause(50);
    },
  };
}

/** Whether the disk takes files without a name there; an older overlayfs does not. */
export function hasNamelessFiles(directory: string): boolean {
  if (process.platform !== 'linux') return false;
  try {
    closeSync(openSync(directory, constants.O_WRONLY | constants.O_DIRECTORY | 0o20000000, 0o600));
    return true;
  } catch {
    return false;
  }
}
