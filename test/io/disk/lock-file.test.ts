import assert from 'node:assert/strict';
import { type FileHandle, open } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { openLockFile } from '../../../src/io/disk/lock-file.ts';
import { loadDiskCalls } from '../../../src/io/kernel/libc.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const { lock } = loadDiskCalls();

test('a lock is had on a disk that is full, where the system has locks', {
  skip: !lock && 'no locks here',
}, async (t) => {
  const root = await makeTempRoot(t);
  const file = path.join(root.path, 'lock');
  const first = await openLockFile(file, root.path, lock);
  await first.close();
  const any = await open(file, 'r');
  t.mock.method(Object.getPrototypeOf(any) as FileHandle, 'write', async () => {
    throw Object.assign(new Error('ENOSPC: write'), { code: 'ENOSPC' });
  });
  await any.close();
  const held = await openLockFile(file, root.path, lock);
  await assert.rejects(openLockFile(file, root.path, lock), { code: 'DISK_BUSY' });
  await held.close();
  await assert.rejects(openLockFile(file, root.path, undefined), { code: 'ENOSPC' });
});
