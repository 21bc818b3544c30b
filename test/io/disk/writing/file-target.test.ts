import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { fstatSync } from 'node:fs';
import { link, lstat, mkdir, readFile, rename, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { constants as os, tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Target, TargetContent } from '../../../../src/io/disk/writing/target.ts';
import { createFileTarget, type PlaceOptions } from '../../../../src/io/disk/writing/target-place.ts';
import { failOpening } from '../../../support/failing-disk.ts';
import { contentOf, pieceOf } from '../../../support/targets.ts';
import { makeTempRoot } from '../../../support/temp-root.ts';

const text = Buffer.from('the new content');
const whole = contentOf(text, 1024);

async function makeTarget(t: TestContext, options: Partial<PlaceOptions> = {}) {
  const root = await makeTempRoot(t);
  const at = (name: string) => path.join(root.path, name);
  const create = (output = at('a')) => createFileTarget(output, 'name', { force: false, ...options });
  return { ...root, at, create };
}

/** Reserves and writes `text`, a file of one piece. */
async function fill(target: Target): Promise<void> {
  assert.notEqual((await target.begin(whole)).reservation, 'none');
  await target.write(pieceOf(text, 0, whole));
}

async function writePieces(
  target: Target,
  bytes: Buffer,
  content: TargetContent,
  indexes: readonly number[],
  version = 'v1',
) {
  for (const index of indexes) await target.write(pieceOf(bytes, index, content, { version }));
}

/** Does what a `kill -9` does: books and part file stay as they are, and the lock goes. */
async function abandon(target: Target): Promise<void> {
  await target.keep();
}

test('nothing is at the target until commit, and nothing else after it', async (t) => {
  const { create, list, at } = await makeTarget(t);
  const target = await create();
  assert.deepEqual([target.path, target.replaces], [at('a'), false]);
  await fill(target);
  assert.deepEqual(await list(), ['.a.part']);
  await target.commit();
  assert.deepEqual(await list(), ['a']);
  assert.deepEqual(await readFile(at('a')), text);
});

test('what gets the name while a file is written is replaced with force, which is told, unless it is a directory', async (t) => {
  const { create, list, at } = await makeTarget(t, { force: true });
  const target = await create();
  await fill(target);
  await writeFile(at('a'), 'meanwhile');
  assert.equal(target.replaces, false);
  await target.commit();
  assert.equal(target.replaces, true);
  assert.deepEqual(await readFile(at('a')), text);
  const refused = await create(at('b'));
  await fill(refused);
  await mkdir(at('b'));
  await assert.rejects(refused.commit(), { code: 'DISK_EXISTS', message: /b is a directory$/ });
  await refused.discard();
  assert.deepEqual(await list(), ['a', 'b']);
});

test('a file of several pieces has a journal while it is unfinished, and none afterwards', async (t) => {
  const { create, list, at } = await makeTarget(t);
  const bytes = randomBytes(5000);
  const content = contentOf(bytes, 1024);
  const target = await create();
  assert.deepEqual((await target.begin(content)).left, new Map());
  await writePieces(target, bytes, content, [4, 0, 2, 1, 3]);
  assert.deepEqual(await list(), ['.a.part', '.a.part.journal']);
  await target.commit();
  assert.deepEqual(await list(), ['a']);
  assert.deepEqual(await readFile(at('a')), bytes);
});

test('chunks are released, each once, when they have been written, also when they cannot be', async (t) => {
  const { create } = await makeTarget(t);
  const target = await create();
  let released = 0;
  const onRelease = () => {
    released += 1;
  };
  await assert.rejects(target.write(pieceOf(text, 0, whole, { onRelease })), { code: 'INTERNAL' });
  assert.equal(released, 1);
  await target.begin(whole);
  await target.write(pieceOf(text, 0, whole, { onRelease }));
  assert.equal(released, 2);
  await target.commit();
});

test('discard and keep leave nothing where there is nothing to keep, at any point and more than once', async (t) => {
  const { create, list } = await makeTarget(t);
  const unused = await create();
  await unused.discard();
  assert.equal(await unused.keep(), 0);
  const filled = await create();
  await fill(filled);
  assert.equal(await filled.keep(), 0, 'a file of one piece has no journal');
  await filled.discard();
  const bytes = randomBytes(3000);
  const content = contentOf(bytes, 1024);
  const begun = await create();
  await begun.begin(content);
  assert.equal(await begun.keep(), 0);
  const discarded = await create();
  await discarded.begin(content);
  await writePieces(discarded, bytes, content, [0, 1]);
  await discarded.discard();
  await discarded.discard();
  assert.deepEqual(await list(), []);
});

for (const end of ['keep', 'discard'] as const) {
  test(`${end} waits for a reservation that is under way, since the system has the number of the open file`, async (t) => {
    let reserve = () => {};
    const reserving = new Promise<void>((resolve) => {
      reserve = resolve;
    });
    let isReserved = false;
    const { create, list } = await makeTarget(t, {
      calls: {
        fallocate: async (fd) => {
          const before = fstatSync(fd).ino;
          reserve();
          // Longer than whatever else goes through the thread pool.
          for (let times = 0; times < 50; times += 1) await lstat(tmpdir());
          assert.equal(fstatSync(fd).ino, before, 'the number was open all the time');
          isReserved = true;
          return 0;
        },
      },
    });
    const target = await create();
    const begun = target.begin(whole);
    await reserving;
    await target[end]();
    assert.ok(isReserved);
    await begun;
    assert.deepEqual(await list(), []);
  });
}

test('what was kept is there for the next run, and only what is missing is asked for', async (t) => {
  const { create, list, at } = await makeTarget(t);
  const bytes = randomBytes(10_000);
  const content = contentOf(bytes, 1024);
  const first = await create();
  assert.equal(first.mayResume, false);
  await first.begin(content);
  await writePieces(first, bytes, content, [0, 9, 3]);
  assert.equal(await first.keep(), 3 * 1024);
  assert.deepEqual(await list(), ['.a.part', '.a.part.journal']);
  const second = await create();
  assert.equal(second.mayResume, true);
  const { left } = await second.begin(content);
  assert.deepEqual([...left.keys()].sort(), [0, 3, 9]);
  assert.deepEqual(left.get(9), pieceOf(bytes, 9, content).vouched);
  await writePieces(second, bytes, content, [1, 2, 4, 5, 6, 7, 8], 'v2');
  await second.commit();
  assert.deepEqual(await readFile(at('a')), bytes);
  assert.deepEqual(await list(), ['a']);
});

test('with another digest what was left counts, by that digest', async (t) => {
  const { create } = await makeTarget(t);
  const bytes = randomBytes(10_000);
  const content = contentOf(bytes, 1024);
  const first = await create();
  await first.begin(content);
  await writePieces(first, bytes, content, [0, 1]);
  await first.keep();
  const second = await create();
  const { left } = await second.begin({ ...content, algorithm: 'sha256' });
  const digest = createHash('sha256').update(bytes.subarray(0, 1024)).digest('hex');
  assert.deepEqual([left.size, left.get(0)?.digest], [2, digest]);
  await second.discard();
});

for (const [what, other] of [
  ['another name', { file: 'b' }],
  ['another size', { size: 9999 }],
  ['other pieces', { pieceBytes: 2048 }],
] as const) {
  test(`with ${what} the transfer starts over`, async (t) => {
    const { create, list } = await makeTarget(t);
    const bytes = randomBytes(10_000);
    const content = contentOf(bytes, 1024);
    const first = await create();
    await first.begin({ ...content, algorithm: 'blake3' });
    await writePieces(first, bytes, content, [0, 1]);
    await first.keep();
    const second = await create();
    assert.equal((await second.begin({ ...content, algorithm: 'blake3', ...other })).left.size, 0);
    await second.keep();
    assert.deepEqual(await list(), []);
  });
}

test('without resume nothing of an earlier run counts, and nothing is left for a later one', async (t) => {
  const { create, list, at } = await makeTarget(t);
  const bytes = randomBytes(10_000);
  const content = contentOf(bytes, 1024);
  const first = await create();
  await first.begin(content);
  await writePieces(first, bytes, content, [0, 1]);
  await first.keep();
  const second = await createFileTarget(at('a'), 'name', { force: false, resume: false });
  assert.equal((await second.begin(content)).left.size, 0);
  assert.deepEqual(await list(), ['.a.part']);
  await writePieces(second, bytes, content, [0, 1]);
  assert.equal(await second.keep(), 0);
  assert.deepEqual(await list(), []);
});

test('a content that is begun anew has lost its pieces, and its first version is not taken for the second', async (t) => {
  const { create, at } = await makeTarget(t);
  const old = randomBytes(4096);
  const bytes = randomBytes(4096);
  const content = contentOf(bytes, 1024);
  const target = await create();
  await target.begin(content);
  await writePieces(target, old, content, [0, 1, 2], 'v1');
  assert.equal((await target.begin(content, true)).left.size, 0);
  await writePieces(target, bytes, content, [1], 'v2');
  await abandon(target);
  const next = await create();
  assert.deepEqual([...(await next.begin(content)).left.keys()], [1]);
  await writePieces(next, bytes, content, [0, 2, 3], 'v2');
  await next.commit();
  assert.deepEqual(await readFile(at('a')), bytes);
});

test('a run that ends while it begins anew leaves no books that vouch for bytes that are gone', {
  skip: process.platform !== 'linux' && 'space cannot be reserved',
}, async (t) => {
  let ended = false;
  let journals: string[] = [];
  const { create, list } = await makeTarget(t, {
    calls: {
      fallocate: async () => {
        // As if the process were killed here.
        if (ended) journals = (await list()).filter((name) => name.endsWith('.journal'));
        return 0;
      },
    },
  });
  const bytes = randomBytes(4096);
  const content = contentOf(bytes, 1024);
  const target = await create();
  await target.begin(content);
  await writePieces(target, bytes, content, [0, 1, 2]);
  ended = true;
  await target.begin(content, true);
  assert.deepEqual(journals, []);
  await target.discard();
});

test('a disk that is too full to go on costs nothing of what an earlier run left', async (t) => {
  const { create, list, at } = await makeTarget(t);
  const bytes = randomBytes(10_000);
  const content = contentOf(bytes, 1024);
  const first = await create();
  await first.begin(content);
  await writePieces(first, bytes, content, [0, 1]);
  await first.keep();
  const calls = { fallocate: async () => os.errno.ENOSPC };
  const second = await createFileTarget(at('a'), 'name', { force: false, calls });
  await assert.rejects(second.begin(content), { code: 'DISK_FULL' });
  assert.equal(await second.keep(), 2048);
  assert.deepEqual(await list(), ['.a.part', '.a.part.journal']);
  const third = await create();
  assert.equal((await third.begin(content)).left.size, 2);
  await third.discard();
});

test('a part file that is a file already, since its writer died right after naming it, is let go unchanged', async (t) => {
  const { create, list, at } = await makeTarget(t, { force: true });
  const bytes = randomBytes(4096);
  const content = contentOf(bytes, 1024);
  const first = await create();
  await first.begin(content);
  await writePieces(first, bytes, content, [0, 1, 2, 3]);
  await link(at('.a.part'), at('a'));
  await abandon(first);
  await rename(at('a'), at('precious'));
  const second = await create();
  assert.equal((await second.begin(content)).left.size, 0);
  await writePieces(second, randomBytes(4096), content, [0, 1, 2, 3]);
  await second.commit();
  assert.deepEqual(await readFile(at('precious')), bytes);
  assert.deepEqual(await list(), ['a', 'precious']);
});

test('after a commit that failed late nothing is said to be kept', async (t) => {
  const { create, list } = await makeTarget(t);
  const bytes = randomBytes(4096);
  const content = contentOf(bytes, 1024);
  const target = await create();
  await target.begin(content);
  await writePieces(target, bytes, content, [0, 1, 2, 3]);
  await target.commit();
  assert.equal(await target.keep(), 0);
  assert.deepEqual(await list(), ['a']);
});

test('an output that is a directory gets a file of the origin’s name', async (t) => {
  const { create, path: root, list } = await makeTarget(t);
  const target = await create(root);
  assert.equal(target.path, path.join(root, 'name'));
  await fill(target);
  await target.commit();
  assert.deepEqual(await list(), ['name']);
});

test('an existing file is refused without force, and replaced with it', async (t) => {
  const { create, at, list } = await makeTarget(t);
  await writeFile(at('a'), 'old');
  await assert.rejects(create(), { code: 'DISK_EXISTS' });
  const target = await createFileTarget(at('a'), 'name', { force: true });
  assert.equal(target.replaces, true);
  await fill(target);
  assert.equal(await readFile(at('a'), 'utf8'), 'old');
  await target.commit();
  assert.deepEqual(await readFile(at('a')), text);
  assert.deepEqual(await list(), ['a']);
});

test('a directory is never replaced; what may be one itself is told so once there is content for its name', async (t) => {
  const { create, at, list, path: root } = await makeTarget(t, { force: true });
  await mkdir(at('name'));
  await assert.rejects(create(root), { code: 'DISK_EXISTS', message: /is a directory$/ });
  const target = await createFileTarget(root, 'name', { force: true, mayBeDirectory: true });
  await assert.rejects(target.begin(contentOf(randomBytes(10), 1024)), {
    code: 'DISK_EXISTS',
    message: /is a directory$/,
  });
  assert.equal(await target.keep(), 0);
  assert.deepEqual(await list(), ['name']);
});

test('a target that someone creates meanwhile is not overwritten, and what was fetched is kept', async (t) => {
  const { create, at, list } = await makeTarget(t);
  const bytes = randomBytes(4096);
  const content = contentOf(bytes, 1024);
  const target = await create();
  await target.begin(content);
  await writePieces(target, bytes, content, [0, 1, 2, 3]);
  await writeFile(at('a'), 'theirs');
  await assert.rejects(target.commit(), { code: 'DISK_EXISTS' });
  assert.equal(await target.keep(), 4096);
  assert.equal(await readFile(at('a'), 'utf8'), 'theirs');
  assert.deepEqual(await list(), ['.a.part', '.a.part.journal', 'a']);
  const forced = await createFileTarget(at('a'), 'name', { force: true });
  assert.equal((await forced.begin(content)).left.size, 4);
  await forced.commit();
  assert.deepEqual(await readFile(at('a')), bytes);
});

test('a link at the target is refused without force, even one to nowhere; with it, replaced and not followed', async (t) => {
  const { create, at, list } = await makeTarget(t);
  await writeFile(at('victim'), 'untouched');
  await symlink('victim', at('a'));
  await symlink('nowhere', at('dangling'));
  await assert.rejects(create(), { code: 'DISK_EXISTS' });
  await assert.rejects(create(at('dangling')), { code: 'DISK_EXISTS' });
  for (const name of ['a', 'dangling']) {
    const target = await createFileTarget(at(name), 'name', { force: true });
    await fill(target);
    await target.commit();
    assert.ok((await lstat(at(name))).isFile());
  }
  assert.equal(await readFile(at('victim'), 'utf8'), 'untouched');
  assert.deepEqual(await list(), ['a', 'dangling', 'victim']);
});

test('without fallocate the file is sparse, and of its full length', async (t) => {
  for (const calls of [{}, { fallocate: async () => os.errno.EOPNOTSUPP }]) {
    const { create, at } = await makeTarget(t, { calls });
    const target = await create();
    assert.equal((await target.begin({ ...whole, size: 100_000 })).reservation, 'sparse');
    assert.equal((await stat(at('.a.part'))).size, 100_000);
    await target.discard();
  }
});

test('with fallocate the space is set aside; an empty file needs none', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const { create, at } = await makeTarget(t);
  const target = await create();
  assert.equal((await target.begin({ ...whole, size: 1_000_000 })).reservation, 'allocated');
  assert.ok((await stat(at('.a.part'))).blocks * 512 >= 1_000_000);
  await target.discard();
  const empty = await create();
  assert.equal((await empty.begin({ ...whole, size: 0 })).reservation, 'none');
  await empty.commit();
  assert.equal((await stat(at('a'))).size, 0);
});

for (const errno of ['ENOSPC', 'EDQUOT'] as const) {
  test(`fallocate failing with ${errno} is a full disk, and nothing is left`, async (t) => {
    const { create, list } = await makeTarget(t, { calls: { fallocate: async () => os.errno[errno] } });
    const target = await create();
    await assert.rejects(target.begin(contentOf(randomBytes(3000), 1024)), { code: 'DISK_FULL' });
    assert.equal(await target.keep(), 0);
    assert.deepEqual(await list(), []);
  });
}

test('a file larger than the disk is refused before fallocate is tried', async (t) => {
  const fallocate = () => assert.fail('fallocate was called');
  const { create, list } = await makeTarget(t, { calls: { fallocate } });
  const target = await create();
  const huge = { ...whole, size: Number.MAX_SAFE_INTEGER };
  await assert.rejects(target.begin(huge), { code: 'DISK_FULL', reason: 'ENOSPC' });
  await target.keep();
  assert.deepEqual(await list(), []);
});

test('a folder that is not there, or that is a file, fails as the disk before anything has begun', async (t) => {
  const { create, at } = await makeTarget(t);
  await assert.rejects(create(at('no/a')), { code: 'DISK_FAILED', reason: 'ENOENT' });
  await writeFile(at('file'), '');
  await assert.rejects(create(at('file/a')), { code: 'DISK_FAILED', reason: 'ENOTDIR' });
});

test('the longest name that a file system takes still has room for the names of its part and journal', async (t) => {
  const { create, at, list } = await makeTarget(t);
  const name = 'ü'.repeat(127);
  const bytes = randomBytes(3000);
  const content = contentOf(bytes, 1024);
  const target = await create(at(name));
  await target.begin(content);
  await writePieces(target, bytes, content, [0, 1, 2]);
  await target.commit();
  assert.deepEqual(await list(), [name]);
});

test('a large file arrives whole, whatever size its pieces have and though one is written twice', async (t) => {
  for (const pieceBytes of [1024 * 1024, 1_000_000]) {
    const { create, at } = await makeTarget(t);
    const bytes = randomBytes(9 * 1024 * 1024 + 777);
    const content = contentOf(bytes, pieceBytes);
    const target = await create();
    await target.begin(content);
    await writePieces(target, randomBytes(bytes.length), content, [1]);
    const last = Math.ceil(bytes.length / pieceBytes) - 1;
    await writePieces(target, bytes, content, [last, ...Array.from({ length: last }, (_, index) => index)]);
    await target.commit();
    assert.ok(bytes.equals(await readFile(at('a'))));
  }
});

test('what an earlier run left stays where the journal cannot be opened, since too many files are open', async (t) => {
  const { create, list } = await makeTarget(t);
  const bytes = randomBytes(5000);
  const content = contentOf(bytes, 1024);
  const first = await create();
  await first.begin(content);
  await writePieces(first, bytes, content, [0, 1, 2]);
  await abandon(first);
  const restore = failOpening(t, (file) => file.endsWith('.journal'), 'EMFILE');
  const hindered = await create();
  await assert.rejects(hindered.begin(content), { code: 'DISK_FAILED', message: /journal: too many files are open/ });
  await hindered.keep();
  assert.deepEqual(await list(), ['.a.part', '.a.part.journal']);
  restore();
  const next = await create();
  assert.deepEqual([...(await next.begin(content)).left.keys()], [0, 1, 2]);
  await next.discard();
});

for (const left of [['.a.part', '.a.part.journal'], ['.a.part'], ['.a.part.journal']]) {
  test(`a run that finds the file complete removes what a killed writer left of it: ${left.join(', ')}`, async (t) => {
    const { create, list, at } = await makeTarget(t, { compares: true });
    await writeFile(at('a'), text);
    for (const name of left) await (name.endsWith('.part') ? link(at('a'), at(name)) : writeFile(at(name), ''));
    const target = await create();
    await target.begin(whole);
    await target.commit();
    assert.deepEqual(await list(), ['a']);
    assert.deepEqual(await readFile(at('a')), text);
  });
}

test('an unfinished file that is another than the one with the name stays', async (t) => {
  const { create, list, at } = await makeTarget(t, { compares: true });
  for (const name of ['a', '.a.part', '.a.part.journal']) await writeFile(at(name), text);
  const target = await create();
  await target.begin(whole);
  await target.commit();
  assert.deepEqual(await list(), ['.a.part', '.a.part.journal', 'a']);
});

test('what another run leaves after it was asked for is too late: the first piece has been asked for', async (t) => {
  const { create, list } = await makeTarget(t);
  const bytes = randomBytes(5000);
  const content = contentOf(bytes, 1024);
  const [late, other] = [await create(), await create()];
  assert.equal(late.mayResume, false);
  await other.begin(content);
  await writePieces(other, bytes, content, [0, 1, 2]);
  await other.keep();
  assert.equal((await late.begin(content)).left.size, 0);
  await writePieces(late, bytes, content, [0, 1, 2, 3, 4]);
  await late.commit();
  assert.deepEqual(await list(), ['a']);
});

test('a part file that is cut in the middle is not made whole by what is written behind the cut', async (t) => {
  const { create, list, at } = await makeTarget(t);
  const bytes = randomBytes(5000);
  const content = contentOf(bytes, 1024);
  const target = await create();
  await target.begin(content);
  await writePieces(target, bytes, content, [0, 1]);
  await truncate(at('.a.part'), 100);
  await assert.rejects(writePieces(target, bytes, content, [2, 3, 4]), {
    code: 'DISK_FAILED',
    message: /has 100 bytes in place of 5000: another program changed it/,
  });
  await target.keep();
  const next = await create();
  assert.equal((await next.begin(content)).left.size, 0);
  await writePieces(next, bytes, content, [0, 1, 2, 3, 4]);
  await next.commit();
  assert.deepEqual(await list(), ['a']);
  assert.deepEqual(await readFile(at('a')), bytes);
});
