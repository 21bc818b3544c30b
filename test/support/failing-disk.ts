/** Disks that hang or fail: what this process and its open files hear from their system, for one test. */

import fs, { type FileHandle, open } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import type { TestContext } from 'node:test';

export type SyncCall = 'datasync' | 'sync';

/** Has `instead` answer for every such call from now on, until the test ends. */
export async function replaceSync(t: TestContext, call: SyncCall, instead: () => Promise<void>): Promise<void> {
  t.mock.method(await sharedByHandles(), call, instead);
}

/**
 * The next writes of several buffers take as many bytes as `takes` says, or fail with the code that it says; those behind them are
 * written as they are.
 */
export async function replaceWrites(t: TestContext, takes: readonly (number | string)[]): Promise<void> {
  const shared = await sharedByHandles();
  const really = shared.writev;
  const next = [...takes];
  t.mock.method(shared, 'writev', async function (this: FileHandle, buffers: readonly Buffer[], position: number) {
    const take = next.shift();
    if (typeof take === 'string') throw Object.assign(new Error(`${take}: writev`), { code: take, syscall: 'writev' });
    const written = await really.call(this, buffers, position);
    return { ...written, bytesWritten: Math.min(written.bytesWritten, take ?? Number.POSITIVE_INFINITY) };
  });
}

async function sharedByHandles(): Promise<FileHandle> {
  const any = await open(import.meta.filename, 'r');
  const shared = Object.getPrototypeOf(any) as FileHandle;
  await any.close();
  return shared;
}

/** Opening what `isMeant` fails as the system does with `code`, until the function returned is called, or the test ends. */
export function failOpening(t: TestContext, isMeant: (file: string) => boolean, code: string): () => void {
  return failCall(t, 'open', (file) => isMeant(String(file)), code);
}

/** The same for writing files whose whole content `isMeant`. */
export function failWriting(t: TestContext, isMeant: (content: string) => boolean, code: string): () => void {
  return failCall(t, 'writeFile', (_file, content) => isMeant(String(content)), code);
}

function failCall(
  t: TestContext,
  call: 'open' | 'writeFile',
  isMeant: (...parameters: readonly unknown[]) => boolean,
  code: string,
): () => void {
  const really = fs[call] as (...parameters: readonly unknown[]) => Promise<unknown>;
  const { mock } = t.mock.method(fs, call, async (...parameters: readonly unknown[]) => {
    if (isMeant(...parameters)) throw Object.assign(new Error(`${code}: ${call}`), { code, syscall: call });
    return really(...parameters);
  });
  const restore = () => {
    mock.restore();
    syncBuiltinESMExports();
  };
  t.after(restore);
  syncBuiltinESMExports();
  return restore;
}

/** The next such call fails as that of a disk which lost what it had taken, and all behind it find everything well. */
export async function failNextSync(t: TestContext, call: SyncCall): Promise<void> {
  let hasFailed = false;
  await replaceSync(t, call, async () => {
    if (hasFailed) return;
    hasFailed = true;
    throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
  });
}
