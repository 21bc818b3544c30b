import assert from 'node:assert/strict';
import { lstat, mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { constants as os } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { createFileTarget, type FileTargetOptions } from '../../src/client/file-target.ts';
import type { Target } from '../../src/client/target.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const text = Buffer.from('the new content');

async function makeTarget(t: TestContext, options: Partial<FileTargetOptions> = {}) {
  const root = await makeTempRoot(t);
  const at = (name: string) => path.join(root.path, name);
  const create = (output = at('a')) => createFileTarget(output, 'name', { force: false, ...options });
  return { ...root, at, create };
}

/** Reserves and writes `text` in two halves, the second first. */
async function fill(target: Target): Promise<void> {
  const release = () => {};
  assert.notEqual(await target.reserve(text.length), 'none');
  await target.write({ bytes: text.subarray(7), release }, 0, 7);
  await target.write({ bytes: text.subarray(0, 7), release }, 0, 0);
  await target.accept(0);
}

test('nothing is at the target until commit, and nothing else after it', async (t) => {
  const { create, list, at } = await makeTarget(t);
  const target = await create();
  assert.deepEqual([target.path, target.replaces], [at('a'), false]);
  await fill(target);
  const [temporary, ...others] = await list();
  assert.match(temporary ?? '', /^\.a\.[0-9a-f]{8}\.part$/);
  assert.deepEqual(others, []);
  await target.commit();
  assert.deepEqual(await list(), ['a']);
  assert.deepEqual(await readFile(at('a')), text);
});

test('chunks are released, each once, when they have been written', async (t) => {
  const { create } = await makeTarget(t);
  const target = await create();
  let released = 0;
  await target.reserve(100);
  for (let index = 0; index < 10; index += 1) {
    const release = () => {
      released += 1;
    };
    await target.write({ bytes: Buffer.alloc(10, index), release }, 0, index * 10);
  }
  await target.commit();
  assert.equal(released, 10);
});

test('discard leaves nothing, at any point and more than once', async (t) => {
  const { create, list } = await makeTarget(t);
  const unused = await create();
  await unused.discard();
  const filled = await create();
  await fill(filled);
  await filled.discard();
  await filled.discard();
  assert.deepEqual(await list(), []);
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

test('a directory is never replaced', async (t) => {
  const { create, at, path: root } = await makeTarget(t, { force: true });
  await mkdir(at('name'));
  await assert.rejects(create(root), { code: 'DISK_EXISTS' });
});

test('a target that someone creates meanwhile is not overwritten', async (t) => {
  const { create, at, list } = await makeTarget(t);
  const target = await create();
  await fill(target);
  await writeFile(at('a'), 'theirs');
  await assert.rejects(target.commit(), { code: 'DISK_EXISTS' });
  await target.discard();
  assert.equal(await readFile(at('a'), 'utf8'), 'theirs');
  assert.deepEqual(await list(), ['a']);
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
  for (const fallocate of [undefined, async () => os.errno.EOPNOTSUPP]) {
    const { create, at, list } = await makeTarget(t, { fallocate });
    const target = await create();
    assert.equal(await target.reserve(100_000), 'sparse');
    const [temporary] = await list();
    assert.equal((await stat(at(temporary ?? ''))).size, 100_000);
    await target.discard();
  }
});

test('with fallocate the space is set aside; an empty file needs none', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const { create, at, list } = await makeTarget(t);
  const target = await create();
  assert.equal(await target.reserve(1_000_000), 'allocated');
  const [temporary] = await list();
  assert.ok((await stat(at(temporary ?? ''))).blocks * 512 >= 1_000_000);
  await target.discard();
  const empty = await create();
  assert.equal(await empty.reserve(0), 'none');
  await empty.commit();
  assert.equal((await stat(at('a'))).size, 0);
});

for (const errno of ['ENOSPC', 'EDQUOT'] as const) {
  test(`fallocate failing with ${errno} is a full disk, and nothing is left`, async (t) => {
    const { create, list } = await makeTarget(t, { fallocate: async () => os.errno[errno] });
    const target = await create();
    await assert.rejects(target.reserve(1000), { code: 'DISK_FULL' });
    await target.discard();
    assert.deepEqual(await list(), []);
  });
}

test('a file larger than the disk is refused before fallocate is tried', async (t) => {
  const fallocate = () => assert.fail('fallocate was called');
  const { create, list } = await makeTarget(t, { fallocate });
  const target = await create();
  await assert.rejects(target.reserve(Number.MAX_SAFE_INTEGER), { code: 'DISK_FULL', reason: 'ENOSPC' });
  assert.deepEqual(await list(), []);
});

test('a folder that is not there, or that is a file, fails as the disk', async (t) => {
  const { create, at } = await makeTarget(t);
  await assert.rejects((await create(at('no/a'))).reserve(1), { code: 'DISK_FAILED', reason: 'ENOENT' });
  await writeFile(at('file'), '');
  await assert.rejects((await create(at('file/a'))).reserve(1), { code: 'DISK_FAILED', reason: 'ENOTDIR' });
});

test('the longest name that a file system takes still has room for its temporary name', async (t) => {
  const { create, at, list } = await makeTarget(t);
  const name = 'ü'.repeat(127);
  const target = await create(at(name));
  await fill(target);
  await target.commit();
  assert.deepEqual(await list(), [name]);
});
