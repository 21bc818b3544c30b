/** Disks that hang or fail: what the open files of this process hear from their system, for one test. */

import { type FileHandle, open } from 'node:fs/promises';
import type { TestContext } from 'node:test';

export type SyncCall = 'datasync' | 'sync';

/** Has `instead` answer for every such call from now on, until the test ends. */
export async function replaceSync(t: TestContext, call: SyncCall, instead: () => Promise<void>): Promise<void> {
  const any = await open(import.meta.filename, 'r');
  const shared = Object.getPrototypeOf(any) as FileHandle;
  await any.close();
  t.mock.method(shared, call, instead);
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
