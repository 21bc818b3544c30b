import assert from 'node:assert/strict';
import { open, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { isSameMode, isSameTime, probeDistinctions, setAttributes } from '../../../../src/io/disk/tree/attributes.ts';
import { loadDiskCalls } from '../../../../src/io/kernel/libc.ts';
import { makeTempRoot } from '../../../support/temp-root.ts';

const calls = loadDiskCalls();
const isWindows = process.platform === 'win32';

for (const [means, offered] of [
  ['the system’s own call', calls],
  ['what Node offers', {}],
] as const) {
  test(`permissions and time are set through ${means}, as exactly as the file system keeps them`, async (t) => {
    const root = await makeTempRoot(t);
    const file = path.join(root.path, 'a');
    const { timeStepNs } = await probeDistinctions(root.path, offered);
    const handle = await open(file, 'w');
    try {
      for (const mtimeNs of [1_700_000_000_123_456_789n, 0n, -1_500_000_000n]) {
        await setAttributes(handle, { mode: 0o640, mtimeNs }, offered);
        const found = await stat(file, { bigint: true });
        assert.ok(await isSameTime(found.mtimeNs, mtimeNs, async () => timeStepNs), `${found.mtimeNs}`);
        assert.ok(isSameMode(Number(found.mode), 0o640));
      }
    } finally {
      await handle.close();
    }
    assert.deepEqual(await readdir(root.path), ['a'], 'the probe left something behind');
  });
}

test('nanoseconds survive where there is a call for them', { skip: !calls.setModifiedNs }, async (t) => {
  const root = await makeTempRoot(t);
  const handle = await open(path.join(root.path, 'a'), 'w');
  try {
    for (const mtimeNs of [1_700_000_000_123_456_789n, 1n, -1n, -1_500_000_001n]) {
      await setAttributes(handle, { mode: 0o600, mtimeNs }, calls);
      const { mtimeNs: found, atimeMs } = await handle.stat({ bigint: true });
      assert.equal(found, mtimeNs);
      assert.ok(atimeMs > 1_600_000_000_000n, 'the time of the last access was changed');
    }
  } finally {
    await handle.close();
  }
});

test('times are the same within the step of the file system, which is asked for only when it matters', async () => {
  const never = () => Promise.reject(new Error('asked'));
  const at = 1_700_000_000_000_000_000n;
  assert.equal(await isSameTime(at, at, never), true);
  assert.equal(await isSameTime(at, at + 2_000_000_000n, never), false);
  assert.equal(await isSameTime(at, at - 86_400_000_000_000n, never), false);
  for (const [apart, stepNs, same] of [
    [1n, 1n, false],
    [999n, 2_000n, true],
    [-999n, 2_000n, true],
    [2_000n, 2_000n, false],
    [1_999_999_999n, 2_000_000_000n, true],
  ] as const) {
    assert.equal(await isSameTime(at, at + apart, async () => stepNs), same, `${apart} apart in steps of ${stepNs}`);
  }
});

test('Windows knows of permissions whether a file may be written', () => {
  assert.equal(isSameMode(0o100666, 0o644, 'win32'), true);
  assert.equal(isSameMode(0o100444, 0o644, 'win32'), false);
  assert.equal(isSameMode(0o100666, 0o644, 'linux'), false);
  assert.equal(isSameMode(0o104644, 0o644, 'linux'), true);
});

test('a file system with and without letter case is told apart', { skip: isWindows }, async (t) => {
  const root = await makeTempRoot(t);
  const { letterCase, unicodeForm } = await probeDistinctions(root.path, calls);
  const expected = process.platform !== 'darwin';
  assert.deepEqual({ letterCase, unicodeForm }, { letterCase: expected, unicodeForm: expected });
});
