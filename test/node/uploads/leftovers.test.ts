import assert from 'node:assert/strict';
import { link, mkdir, open, readdir, realpath, rename, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { silentLogger } from '../../../src/core/log.ts';
import { defaultLimits, type Limits } from '../../../src/index.ts';
import { FileTarget } from '../../../src/io/disk/writing/file-target.ts';
import { loadDiskCalls } from '../../../src/io/kernel/libc.ts';
import { Leftovers } from '../../../src/node/uploads/leftovers.ts';
import { FakeClock } from '../../support/legs.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const pieceBytes = 64 * 1024;
const weekAgo = Date.now() / 1000 - 8 * 24 * 3600;

async function makeLeftovers(t: TestContext, limits: Partial<Limits> = {}) {
  const root = await realpath((await makeTempRoot(t)).path);
  const clock = new FakeClock();
  const claimed = new Set<string>();
  const options = { lock: loadDiskCalls().lock, isClaimed: (file: string) => claimed.has(file) };
  const leftovers = new Leftovers({ limits: { ...defaultLimits, ...limits }, log: silentLogger, clock }, options);
  t.after(() => leftovers.close());
  /** Leaves one piece of two, written so many seconds ago. */
  const leave = async (name: string, agoSeconds = 0) => {
    const file = path.join(root, name);
    await mkdir(path.dirname(file), { recursive: true });
    const target = new FileTarget(file, { force: false, replaces: false });
    await target.begin({ file: name, size: 2 * pieceBytes, pieceBytes, algorithm: 'sha256' });
    const chunk = { bytes: Buffer.alloc(pieceBytes, 1), release: () => {} };
    const vouched = { digest: 'ab'.repeat(32), version: 'v' };
    await target.write({ index: 0, position: 0, chunks: [chunk as never], vouched });
    await target.keep();
    const base = path.basename(name);
    const time = Date.now() / 1000 - agoSeconds;
    for (const end of ['part', 'part.journal']) {
      await utimes(path.join(path.dirname(file), `.${base}.${end}`), time, time);
    }
    return file;
  };
  const left = async () =>
    ((await readdir(root, { recursive: true })) as string[])
      .filter((name) => name.endsWith('.part'))
      .map((name) => path.basename(name).slice(1, -'.part'.length))
      .sort();
  return { root, clock, claimed, leftovers, leave, left };
}

test('more than a peer may leave goes, what was written to longest ago first, and nothing of another peer', async (t) => {
  const { leftovers, leave, left } = await makeLeftovers(t, { maxPeerLeftUploads: 2 });
  await leftovers.add(await leave('other', 900), 'other', []);
  for (const [name, ago] of Object.entries({ a: 300, b: 500, c: 100, d: 200 })) {
    await leftovers.add(await leave(name, ago), 'peer', []);
  }
  assert.deepEqual(await left(), ['c', 'd', 'other']);
});

test('more than all may leave together goes, by number and by bytes', async (t) => {
  const byNumber = await makeLeftovers(t, { maxLeftUploads: 2 });
  for (const [index, name] of ['a', 'b', 'c'].entries()) {
    await byNumber.leftovers.add(await byNumber.leave(name, 900 - index), name, []);
  }
  assert.deepEqual(await byNumber.left(), ['b', 'c']);
  const byBytes = await makeLeftovers(t, { maxLeftUploadBytes: 1 });
  await byBytes.leftovers.add(await byBytes.leave('a'), 'peer', []);
  assert.deepEqual(await byBytes.left(), []);
});

test('what a node that was killed left of a file that is whole goes at once', async (t) => {
  const { root, leftovers, leave, left } = await makeLeftovers(t);
  for (const name of ['linked', 'renamed', 'unfinished']) await leave(name);
  await link(path.join(root, '.linked.part'), path.join(root, 'linked'));
  await rename(path.join(root, '.renamed.part'), path.join(root, 'renamed'));
  await writeFile(path.join(root, 'unfinished'), 'what it is to replace');
  await leftovers.find(root);
  assert.deepEqual(await left(), ['unfinished']);
  assert.deepEqual((await readdir(root)).sort(), [
    '.unfinished.part',
    '.unfinished.part.journal',
    'linked',
    'renamed',
    'unfinished',
  ]);
});

test('what nobody has gone on with for a week goes, with the directories that were made for it', async (t) => {
  const { root, clock, leftovers, leave, left } = await makeLeftovers(t, { keepUploadMs: 3_600_000 });
  const made = [
    { directory: root, segment: 'made' },
    { directory: path.join(root, 'made'), segment: 'deep' },
  ];
  const file = await leave('made/deep/old', 3000);
  await leftovers.add(file, 'peer', made);
  assert.deepEqual(await left(), ['old']);
  assert.equal(clock.waiting, 1);
  for (const end of ['part', 'part.journal'])
    await utimes(path.join(path.dirname(file), `.old.${end}`), weekAgo, weekAgo);
  await leftovers.add(file, 'peer', made);
  assert.deepEqual(await readdir(root), []);
  assert.equal(clock.waiting, 0);
});

test('a file that an upload goes on with is not swept, and keeps its directories', async (t) => {
  const { root, claimed, leftovers, leave, left } = await makeLeftovers(t, { maxLeftUploads: 1 });
  const made = [{ directory: root, segment: 'made' }];
  const file = await leave('made/a', 900);
  await leftovers.add(file, 'peer', made);
  claimed.add(file);
  assert.deepEqual(leftovers.take(file), made);
  await leftovers.add(await leave('b'), 'peer', []);
  await leftovers.add(file, 'peer', made);
  assert.deepEqual(await left(), ['a', 'b']);
});

test('at its start a node finds what an earlier process left, and sweeps nothing else', async (t) => {
  const { root, leftovers, leave, left } = await makeLeftovers(t);
  await leave('deep/er/old', 8 * 24 * 3600);
  await leave('new', 3600);
  await writeFile(path.join(root, '.foreign.part'), 'x');
  await writeFile(path.join(root, '.foreign.part.journal'), 'x');
  await writeFile(path.join(root, '.alone.part'), 'x');
  for (const name of ['.foreign.part', '.foreign.part.journal', '.alone.part']) {
    await utimes(path.join(root, name), weekAgo, weekAgo);
  }
  await leftovers.find(root);
  assert.deepEqual(await left(), ['alone', 'foreign', 'new']);
  assert.deepEqual(await readdir(path.join(root, 'deep/er')), [], 'nobody knows who made a directory');
});

test('what another process is writing is not swept', {
  skip: !loadDiskCalls().lock && 'there are no locks',
}, async (t) => {
  const { root, leftovers, leave, left } = await makeLeftovers(t);
  await leave('busy', 8 * 24 * 3600);
  const writer = await open(path.join(root, '.busy.part'), 'r+');
  t.after(() => writer.close());
  assert.ok(loadDiskCalls().lock?.(writer.fd));
  await leftovers.find(root);
  assert.deepEqual(await left(), ['busy']);
});
