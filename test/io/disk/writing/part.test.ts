import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { renameSync, unlinkSync } from 'node:fs';
import { chmod, chown, link, lstat, mkdir, open, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { openLocked, openPart } from '../../../../src/io/disk/writing/part.ts';
import { loadDiskCalls } from '../../../../src/io/kernel/libc.ts';
import { repository } from '../../../support/repository.ts';
import { makeTempRoot } from '../../../support/temp-root.ts';

const { lock } = loadDiskCalls();
const withoutLock = lock ? false : 'this system has no lock to call';
const nobody = async () => 0;
const portable = { hasLock: false };

async function makePart(t: TestContext) {
  const root = await makeTempRoot(t);
  const part = path.join(root.path, '.a.part');
  const take = async (readOwner = nobody, { hasLock = true } = {}) => {
    const handle = await openPart(part, { target: 'a', lock: hasLock ? lock : undefined, readOwner, mode: 0o600 });
    t.after(() => handle.close().catch(() => {}));
    return handle;
  };
  return { ...root, part, take };
}

/** A process of its own that has the part file; it says so before this resolves. */
async function startHolder(t: TestContext, part: string) {
  const source = (file: string) => JSON.stringify(new URL(`dist/io/${file}`, repository).href);
  const script = `
    const { openPart } = await import(${source('disk/writing/part.js')});
    const { loadDiskCalls } = await import(${source('kernel/libc.js')});
    const { lock } = loadDiskCalls();
    globalThis.held = await openPart(${JSON.stringify(part)}, { target: 'a', lock, readOwner: async () => 0, mode: 0o600 });
    console.log('held');
    setInterval(() => {}, 1000);
  `;
  const args = ['--input-type=module', '-e', script];
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
  const late = await openPart(part, { target: 'a', lock: lockLate, readOwner: nobody, mode: 0o600 });
  await late.write('mine');
  await late.close();
  assert.equal(await readFile(part, 'utf8'), 'mine');
});

const asRoot = process.geteuid?.() !== 0 && 'only root makes files of others';
/** What somebody else may have put in the place of a part file. */
const planted: readonly {
  readonly what: string;
  readonly skip?: string | false;
  readonly plant: (part: string, victim: string) => Promise<unknown>;
}[] = [
  { what: 'a link', plant: (part) => symlink('victim', part) },
  { what: 'a link to nowhere', plant: (part) => symlink('nowhere', part) },
  { what: 'a second name of a file', plant: (part, victim) => link(victim, part) },
  { what: 'a FIFO', plant: (part) => promisify(execFile)('mkfifo', [part]) },
  {
    what: 'a file that all may write to',
    plant: async (part) => {
      await writeFile(part, 'planted');
      await chmod(part, 0o666);
    },
  },
  {
    what: 'a file that the group may write to',
    plant: async (part) => {
      await writeFile(part, 'planted');
      await chmod(part, 0o660);
    },
  },
  {
    what: 'a file of another user',
    skip: asRoot,
    plant: async (part) => {
      await writeFile(part, 'planted', { mode: 0o600 });
      await chown(part, 12_345, 12_345);
    },
  },
];

for (const { what, skip = false, plant } of planted) {
  test(`${what} in the place of a part file is removed and not written to`, {
    skip: process.platform === 'win32' ? 'there is no such thing' : skip,
  }, async (t) => {
    const { take, part, list, path: root } = await makePart(t);
    const victim = path.join(root, 'victim');
    await writeFile(victim, 'untouched');
    await plant(part, victim);
    const handle = await take();
    await handle.write('mine');
    const made = await lstat(part);
    assert.deepEqual([made.isFile(), made.nlink, made.uid, made.mode & 0o777], [true, 1, process.geteuid?.(), 0o600]);
    assert.equal(await readFile(part, 'utf8'), 'mine');
    assert.equal(await readFile(victim, 'utf8'), 'untouched');
    assert.deepEqual(await list(), ['.a.part', 'victim']);
  });
}

test('a planted file that somebody has locked is busy, and stays', { skip: withoutLock }, async (t) => {
  const { take, part } = await makePart(t);
  await writeFile(part, 'planted');
  await chmod(part, 0o666);
  const planter = await open(part, 'r+');
  t.after(() => planter.close());
  assert.equal(lock?.(planter.fd), true);
  await assert.rejects(take(), { code: 'DISK_BUSY' });
  assert.equal(await readFile(part, 'utf8'), 'planted');
});

test('a directory in the place of a part file is in the way', async (t) => {
  const { take, part } = await makePart(t);
  await mkdir(part);
  await assert.rejects(take(), {
    code: 'DISK_FAILED',
    message: '.a.part is in the way of a: it is not a regular file',
  });
});

test('a lock that is no part file is taken as it is, whoever may write to it', { skip: withoutLock }, async (t) => {
  const { part } = await makePart(t);
  await writeFile(part, 'kept');
  await chmod(part, 0o666);
  const handle = await openLocked(part, { target: 'a', lock, readOwner: nobody, mode: 0o600 });
  t.after(() => handle.close());
  assert.equal(await handle.readFile('utf8'), 'kept');
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
