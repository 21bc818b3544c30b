/** Small files that are written whole: what several programs, links, and disks that fail do to them. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, lstat, mkdir, readdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { HoplineError } from '../../../src/core/errors.ts';
import { syncDirectory } from '../../../src/io/disk/directories.ts';
import { editText, makeText } from '../../../src/io/disk/whole-text.ts';
import { loadDiskCalls } from '../../../src/io/kernel/libc.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const { lock } = loadDiskCalls();
const hasFifos = process.platform !== 'win32';

/** Adds a line, whatever is there. */
function adding(file: string, line: string): Parameters<typeof editText>[1] {
  return { read: () => readFile(file, 'utf8').catch(() => ''), edit: (text) => `${text}${line}\n` };
}

function coded(code: string): (error: unknown) => boolean {
  return (error) => error instanceof HoplineError && error.code === code;
}

test('what many add to a file at once is all in it', { skip: !lock && 'no locks here' }, async (t) => {
  const root = await makeTempRoot(t);
  const file = path.join(root.path, 'below', 'list');
  const lines = Array.from({ length: 12 }, (_, index) => `line ${index}`);
  await Promise.all(lines.map((line) => editText(file, adding(file, line))));
  assert.deepEqual((await readFile(file, 'utf8')).trimEnd().split('\n').sort(), lines.sort());
  assert.deepEqual(await readdir(path.dirname(file)), ['list']);
});

test('what another program writes meanwhile, without a lock, stays', async (t) => {
  const root = await makeTempRoot(t);
  const file = path.join(root.path, 'list');
  let reads = 0;
  const { edit } = adding(file, 'ours');
  const read = async () => {
    reads += 1;
    // Behind the first reading under the lock.
    if (reads === 3) await writeFile(file, 'theirs\n');
    return readFile(file, 'utf8').catch(() => '');
  };
  for (const calls of [{ syncDirectory }, { syncDirectory, ...(lock && { lock }) }]) {
    reads = 0;
    await writeFile(file, '');
    await editText(file, { read, edit }, calls);
    assert.equal(await readFile(file, 'utf8'), 'theirs\nours\n');
  }
  assert.deepEqual(await root.list(), ['list']);
});

test('a link stays, and what it leads to is edited, with its permissions, be it there yet or not', async (t) => {
  const root = await makeTempRoot(t);
  const at = (name: string) => path.join(root.path, name);
  await mkdir(at('dotfiles'));
  await mkdir(at('config'));
  await writeFile(at('dotfiles/list'), 'old\n');
  await chmod(at('dotfiles/list'), 0o600);
  for (const name of ['list', 'new']) {
    const link = at(`config/${name}`);
    await symlink(path.join('..', 'dotfiles', name), link);
    await editText(link, adding(link, 'ours'));
    assert.equal(await readlink(link), path.join('..', 'dotfiles', name));
  }
  assert.equal(await readFile(at('dotfiles/list'), 'utf8'), 'old\nours\n');
  if (process.platform !== 'win32') assert.equal((await stat(at('dotfiles/list'))).mode & 0o777, 0o600);
  assert.equal(await readFile(at('dotfiles/new'), 'utf8'), 'ours\n');
  assert.deepEqual([await readdir(at('dotfiles')), await readdir(at('config'))].flat(), ['list', 'new', 'list', 'new']);
});

test('what is no regular file is not replaced, behind a link neither', { skip: !hasFifos }, async (t) => {
  const root = await makeTempRoot(t);
  const at = (name: string) => path.join(root.path, name);
  execFileSync('mkfifo', [at('fifo')]);
  await symlink('fifo', at('link'));
  for (const name of ['fifo', 'link']) {
    await assert.rejects(editText(at(name), { read: async () => '', edit: () => 'x' }), coded('DISK_FAILED'));
  }
  await assert.rejects(makeText(at('link'), Buffer.from('x'), 0o600), coded('DISK_EXISTS'));
  assert.ok((await lstat(at('fifo'))).isFIFO());
  assert.deepEqual(await root.list(), ['fifo', 'link']);
});

test('what a killed program left goes, and nothing is written into it', {
  skip: !lock && 'no locks here',
}, async (t) => {
  const root = await makeTempRoot(t);
  const at = (name: string) => path.join(root.path, name);
  for (const name of ['made', 'edited']) await writeFile(at(`.${name}.part`), 'left', { mode: 0o644 });
  await makeText(at('made'), Buffer.from('secret'), 0o600);
  await editText(at('edited'), adding(at('edited'), 'ours'));
  assert.deepEqual(await root.list(), ['edited', 'made']);
  assert.equal((await stat(at('made'))).mode & 0o777, 0o600);
});

test('a file whose name could not be made to last is not there, and can be made anew', async (t) => {
  const root = await makeTempRoot(t);
  const file = path.join(root.path, 'made');
  const failing = async () => {
    throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
  };
  const text = Buffer.from('secret');
  await assert.rejects(makeText(file, text, 0o600, { syncDirectory: failing }), coded('DISK_FAILED'));
  assert.deepEqual(await root.list(), []);
  await makeText(file, text, 0o600);
  assert.deepEqual(await root.list(), ['made']);
});
