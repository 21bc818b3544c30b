import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Distinctions } from '../../../../src/io/disk/tree/attributes.ts';
import { checkTreeNames } from '../../../../src/io/disk/tree/tree-names.ts';

function disk(fields: Partial<Distinctions>): () => Promise<Distinctions> {
  return async () => ({ letterCase: true, unicodeForm: true, timeStepNs: 1n, ...fields });
}

const never = () => Promise.reject(new Error('asked'));
const composed = 'caf\u00e9';
const decomposed = 'cafe\u0301';

test('two names that differ by case clash where the disk does not tell them apart, and both are named', async () => {
  const paths = ['src', 'src/Main.ts', 'src/main.ts'];
  await checkTreeNames(paths, disk({ letterCase: true }), 'linux');
  await assert.rejects(checkTreeNames(paths, disk({ letterCase: false }), 'linux'), {
    code: 'DISK_FAILED',
    message: '"src/Main.ts" and "src/main.ts" are the same name on this disk',
  });
  const directories = ['SRC', 'SRC/a', 'src', 'src/b'];
  await assert.rejects(checkTreeNames(directories, disk({ letterCase: false }), 'linux'), /"SRC" and "src"/);
});

test('two ways to write a letter clash where the disk does not tell them apart', async () => {
  await checkTreeNames([composed, decomposed], disk({ letterCase: false }), 'linux');
  await assert.rejects(checkTreeNames([composed, decomposed], disk({ unicodeForm: false }), 'linux'), /same name/);
  const three = [composed.toUpperCase(), composed, decomposed];
  await assert.rejects(checkTreeNames(three, disk({ unicodeForm: false }), 'linux'), {
    message: `"${composed}" and "${decomposed}" are the same name on this disk`,
  });
});

test('a disk is not asked when no names are alike', async () => {
  await checkTreeNames(['a', 'b', 'a/b', 'A B', composed], never, 'linux');
});

for (const name of [
  'a\\b',
  'a:b',
  'a?',
  'CON',
  'nul.txt',
  'Com1',
  'lpt9.tar.gz',
  'a.',
  'a ',
  'dir./b',
  'dir /b',
  'COM²',
]) {
  test(`${JSON.stringify(name)} cannot be written on Windows, and can elsewhere`, async () => {
    await assert.rejects(checkTreeNames([name], never, 'win32'), { code: 'DISK_FAILED', message: /Windows/ });
    await checkTreeNames([name], never, 'linux');
  });
}

test('names that look like those Windows keeps for itself can be written there', async () => {
  await checkTreeNames(['console', 'a.con', 'com', 'com10', '.a', 'a.b', ' a'], never, 'win32');
});
