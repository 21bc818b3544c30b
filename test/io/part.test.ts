import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { renameSync, unlinkSync } from 'node:fs';
import { mkdir, readFile, symlink, unlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { openPart } from '../../src/io/disk/part.ts';
import { loadDiskCalls } from '../../src/io/kernel/libc.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const { lock } = loadDiskCalls();
const withoutLock = lock ? false : 'this system has no lock to call';
const nobody = async () => 0;
const portable = { hasLock: false };

async function makePart(t: TestContext) {
  const root = await makeTempRoot(t);
  const part = path.join(root.path, '.a.part');
  const take = async (readOwner = nobody, { hasLock = true } = {}) => {
    const handle = await openPart(part, 'a', hasLock ? lock : undefined, readOwner);
    t.after(() => handle.close().catch(() => {}));
    return handle;
  };
  return { ...root, part, take };
}

/** A process of its own that has the part file; it says so before this resolves. */
async function startHolder(t: TestContext, part: string) {
  const source = (file: string) => JSON.stringify(new URL(`../../src/io/${file}`, import.meta.url).href);
  const script = `
    const { openPart } = await import(${source('disk/part.ts')});
    const { loadDiskCalls } = await import(${source('kernel/libc.ts')});
    globalThis.held = await openPart(${JSON.stringify(part)}, 'a', loadDiskCalls().lock, async () => 0);
    console.log('held');
    setInterval(() => {}, 1000);
  `;
  const args = ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', script];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  t.after(() => child.kill('SIGKILL') && ended);
  await once(child.stdout, 'data');
  return { child, ended };
}

test('one writer at a time has the part file, also within one process', { skip: withoutLock }, async (t) => {
  const { take } = await makePart(t);
  const first = await take();
  await assert.rejects(take(), { code: 'DISK_BUSY' });
  await first.close();
  await (await take()).close();
});

test('the end of another process frees its part file, even by kill -9', { skip: withoutLock }, async (t) => {
  const { take, part } = await makePart(t);
  const { child, ended } = await startHolder(t, part);
  await assert.rejects(take(), { code: 'DISK_BUSY' });
  child.kill('SIGKILL');
  await ended;
  await (await take()).close();
});

test('what is there is kept, and what the writer before has named or removed is not taken', async (t) => {
  const { take, part, path: root } = await makePart(t);
  await writeFile(part, 'left');
  const handle = await take();
  assert.equal(await handle.readFile('utf8'), 'left');
  await handle.close();
  // The writer before names its file between our open and our lock, and then another removes the one that we made.
  const others = [() => renameSync(part, path.join(root, 'a')), () => unlinkSync(part)];
  const lockLate = () => {
    others.shift()?.();
    return true;
  };
  const late = await openPart(part, 'a', lockLate, nobody);
  await late.write('mine');
  await late.close();
  assert.equal(await readFile(part, 'utf8'), 'mine');
});

test('a link in the way is not followed, and nothing but a regular file is written to', {
  skip: process.platform === 'win32',
}, async (t) => {
  const { take, part, path: root } = await makePart(t);
  const victim = path.join(root, 'victim');
  await writeFile(victim, 'untouched');
  await symlink('victim', part);
  await assert.rejects(take(), { code: 'ELOOP' });
  await unlink(part);
  await promisify(execFile)('mkfifo', [part]);
  await assert.rejects(take(), { code: 'DISK_FAILED' });
  await unlink(part);
  await mkdir(part);
  await assert.rejects(take(), { code: 'EISDIR' });
  assert.equal(await readFile(victim, 'utf8'), 'untouched');
});

test('without a lock the process that wrote last decides, as long as it runs', async (t) => {
  const { take } = await makePart(t);
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  t.after(() => child.kill('SIGKILL') && ended);
  await once(child, 'spawn');
  const owner = async () => child.pid ?? 0;
  await assert.rejects(take(owner, portable), { code: 'DISK_BUSY' });
  for (const mine of [0, process.pid, Number.NaN, -1, 1.5]) await (await take(async () => mine, portable)).close();
  child.kill('SIGKILL');
  await ended;
  await (await take(owner, portable)).close();
});
