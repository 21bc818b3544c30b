/**
 * Flushing a cache that another process has open: the request is a file, and so is the answer.
 *
 * The process that has the cache's directory looks at intervals for requests in `flush/`, carries them out and answers.
 * So the index has one owner at any time.
 * Invariant: a request is carried out at most once; a file that is no request of ours is removed unread.
 */

import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, unlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type Clock, pause } from '../../../core/clock.ts';
import { HoplineError } from '../../../core/errors.ts';
import type { Limits } from '../../../core/limits.ts';
import { writeError } from '../../../core/system-errors.ts';
import { makeDirectory, privateMode } from '../../../io/disk/directories.ts';
import { openRegular } from '../../../io/disk/own-file.ts';

const requestName = /^[0-9a-f]{32}\.request$/;
const maxRequestBytes = 16 * 1024;

export interface FlushRequests {
  close(): Promise<void>;
}

/** Carries out requests until it is closed. `flush` gets a host, a URL, or undefined for everything. */
export function serveFlushRequests(
  directory: string,
  flush: (target: string | undefined) => Promise<number>,
  { clock, limits }: { readonly clock: Clock; readonly limits: Limits },
): FlushRequests {
  const place = path.join(directory, 'flush');
  const stop = new AbortController();
  const work = async () => {
    // Not with those above it: a cache whose directory was taken away does not make it anew.
    await mkdir(place, privateMode).catch(() => {});
    while (!stop.signal.aborted) {
      for (const name of await readdir(place).catch(() => [])) {
        // One that cannot be read now is still there the next time.
        if (requestName.test(name)) await carryOut(path.join(place, name), flush).catch(() => {});
      }
      await pause(clock, limits.cachePollMs, stop.signal);
    }
  };
  const done = work().catch(() => {});
  return {
    close: async () => {
      stop.abort();
      await done;
    },
  };
}

/** Asks whoever has the directory, and waits for the answer: how many entries went. Throws `TIMEOUT_DEADLINE`, `DISK_FULL`, `DISK_FAILED`. */
export async function requestFlush(
  directory: string,
  target: string | undefined,
  { clock, limits }: { readonly clock: Clock; readonly limits: Limits },
): Promise<number> {
  const base = path.join(directory, 'flush', randomBytes(16).toString('hex'));
  const deadline = clock.now() + limits.answerMs;
  try {
    await makeDirectory(path.dirname(base), privateMode);
    // On a disk that is full there is room for an empty file, most of the time.
    await writeFile(`${base}.part`, target === undefined ? '' : JSON.stringify({ target }), { mode: 0o600 });
    await rename(`${base}.part`, `${base}.request`);
    while (clock.now() < deadline) {
      const answer = await openRegular(`${base}.done`);
      if (answer) return Number(await answer.readFile('utf8').finally(() => answer.close()));
      await pause(clock, limits.cachePollMs / 4, new AbortController().signal);
    }
  } catch (error) {
    throw writeError(path.dirname(base), error);
  } finally {
    for (const end of ['part', 'request', 'done']) await unlink(`${base}.${end}`).catch(() => {});
  }
  throw new HoplineError('TIMEOUT_DEADLINE', `whoever uses the cache in "${directory}" does not answer`);
}

async function carryOut(file: string, flush: (target: string | undefined) => Promise<number>): Promise<void> {
  const request = await readRequest(file);
  await unlink(file).catch(() => {});
  if (!request) return;
  const count = await flush(request.target);
  const base = file.slice(0, -'.request'.length);
  await writeFile(`${base}.part`, String(count), { mode: 0o600 }).catch(() => {});
  await rename(`${base}.part`, `${base}.done`).catch(() => {});
}

async function readRequest(file: string): Promise<{ readonly target: string | undefined } | undefined> {
  const handle = await openRegular(file);
  if (!handle) return undefined;
  try {
    if ((await handle.stat()).size > maxRequestBytes) return undefined;
    const text = await handle.readFile('utf8');
    if (text === '') return { target: undefined };
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return undefined;
    const target = 'target' in value ? value.target : undefined;
    return target === undefined || typeof target === 'string' ? { target } : undefined;
  } catch {
    return undefined;
  } finally {
    await handle.close();
  }
}
