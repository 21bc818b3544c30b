/** The user's own cache of compiled code: what is taken of it, and where it is made. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, readdir, rename, stat, symlink } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { ownCodeCache } from '../../../src/cli/process/own-code-cache.ts';
import { mainFile } from '../../support/program.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const windows = process.platform === 'win32' && 'Windows has neither owners nor modes to go by';
const notRoot = process.geteuid?.() !== 0 && 'only root can give a file away';
const code = Buffer.from('what V8 made');

/** Caches are in `root` until the test ends; what a path below it is, is up to the test. */
async function start(t: TestContext, below = '') {
  const root = await makeTempRoot(t);
  const directory = path.join(root.path, below);
  const before = process.env;
  process.env = { ...before, XDG_CACHE_HOME: directory, NODE_DISABLE_COMPILE_CACHE: '' };
  t.after(() => {
    process.env = before;
  });
  const open = () => ownCodeCache('script');
  const write = () => open()?.write(() => code);
  const place = path.join(directory, 'hopline-code');
  const onlyFile = async () => path.join(place, (await readdir(place)).join());
  return { root, place, open, write, onlyFile };
}

test('what was written is read, and is for the user alone', async (t) => {
  const { place, open, write, onlyFile } = await start(t, 'not/there');
  assert.equal(open()?.read(), undefined);
  write();
  write();
  assert.deepEqual(open()?.read(), code);
  if (windows) return;
  assert.equal((await stat(place)).mode & 0o777, 0o700);
  assert.equal((await stat(await onlyFile())).mode & 0o777, 0o600);
});

test('a file that others may write to, or a link in its place, is not read', { skip: windows }, async (t) => {
  const { root, open, write, onlyFile } = await start(t);
  write();
  const file = await onlyFile();
  for (const mode of [0o620, 0o602]) {
    await chmod(file, mode);
    assert.equal(open()?.read(), undefined);
  }
  await chmod(file, 0o600);
  const elsewhere = path.join(root.path, 'elsewhere');
  await rename(file, elsewhere);
  await symlink(elsewhere, file);
  assert.equal(open()?.read(), undefined);
});

test('a file of another user is not read', { skip: notRoot }, async (t) => {
  const { open, write, onlyFile } = await start(t);
  write();
  await chown(await onlyFile(), 12_345, 12_345);
  assert.equal(open()?.read(), undefined);
});

test('nothing is made below the directory of another user', { skip: notRoot }, async (t) => {
  const { root, write } = await start(t, 'home/.cache');
  const home = path.join(root.path, 'home');
  await mkdir(home);
  await chown(home, 12_345, 12_345);
  write();
  assert.deepEqual(await readdir(home), []);
});

test('where nothing can be made, nothing is compiled for it', { skip: process.platform !== 'linux' }, async (t) => {
  await start(t);
  // Node makes directories below this one for ever, if all are to be made at once.
  process.env.XDG_CACHE_HOME = '/proc/none/below';
  ownCodeCache('script')?.write(() => assert.fail('it was made'));
});

test('a user can turn it off', async (t) => {
  const { open } = await start(t);
  process.env.NODE_DISABLE_COMPILE_CACHE = '1';
  assert.equal(open(), undefined);
});

test('a Node that the cache of the build does not fit writes its own at the first run, and takes it then', async (t) => {
  const { place, onlyFile } = await start(t);
  // To V8 a cache that was made with other flags is that of another V8.
  const runWith = (...args: string[]) =>
    promisify(execFile)(process.execPath, [...args, mainFile, 'routes', '--help'], { env: process.env });
  const run = () => runWith('--stack-size=983');
  await run();
  const written = await stat(await onlyFile());
  assert.ok(written.size > 10_000);
  await run();
  const again = await stat(await onlyFile());
  assert.deepEqual([again.ino, again.mtimeMs], [written.ino, written.mtimeMs]);
  const fitting = await runWith();
  assert.equal(fitting.stderr, '');
  assert.equal((await readdir(place)).length, 1, 'one that fits is not written once more');
});
