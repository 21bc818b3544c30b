import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { open, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { DirectFile, directBlockBytes, dropBytes } from '../../../../src/io/disk/writing/direct-file.ts';
import { type AlignedMemory, loadAlignedMemory } from '../../../../src/io/kernel/aligned-memory.ts';
import { replaceWrites } from '../../../support/failing-disk.ts';
import { makeTempRoot } from '../../../support/temp-root.ts';

const bytes = randomBytes(3 * 1024 * 1024 + 5000);

async function openDirect(t: TestContext, memory: AlignedMemory | undefined = loadAlignedMemory()) {
  const root = await makeTempRoot(t);
  const file = path.join(root.path, 'a');
  await writeFile(file, Buffer.alloc(bytes.length));
  const handle = await open(file, 'r+');
  t.after(() => handle.close());
  const direct = await DirectFile.open(handle, memory);
  t.after(() => direct?.close());
  if (!direct) t.skip('no direct way into a file here');
  return { file, direct };
}

/** Writes until the rest is left to the caller; resolves to how many bytes were written. */
async function writeBlocks(
  direct: DirectFile | undefined,
  buffers: readonly Buffer[],
  position: number,
): Promise<number> {
  let written = 0;
  for (let count = -1; count !== 0; written += count) {
    count = (await direct?.write(dropBytes(buffers, written), position + written)) ?? 0;
  }
  return written;
}

/** Cuts `content` so that no cut is at a block, and one part is empty. */
function cut(content: Buffer): Buffer[] {
  const at = [0, 100, 300_001, 300_001, 1_500_000, content.length];
  return at.slice(1).map((end, index) => content.subarray(at[index], end));
}

test('whole blocks are written, whatever the buffers are cut like; the rest is left to the caller', async (t) => {
  const { file, direct } = await openDirect(t);
  const whole = bytes.length - (bytes.length % directBlockBytes);
  assert.equal(await writeBlocks(direct, cut(bytes), 0), direct ? whole : 0);
  if (direct) assert.deepEqual((await readFile(file)).subarray(0, whole), bytes.subarray(0, whole));
  if (direct) assert.deepEqual((await readFile(file)).subarray(whole), Buffer.alloc(bytes.length - whole));
});

test('memory that the disk can read from is written as it is, whatever is beside it in there', async (t) => {
  const memory = loadAlignedMemory();
  const { file, direct } = await openDirect(t, memory && { ...memory, allocate: () => assert.fail('it was copied') });
  const block = memory?.allocate(bytes.length, directBlockBytes);
  if (!direct || !block) return;
  bytes.copy(block);
  const whole = bytes.length - (bytes.length % directBlockBytes);
  assert.equal(await direct.write([block], 0), whole);
  assert.ok((await readFile(file)).subarray(0, whole).equals(bytes.subarray(0, whole)));
  assert.equal(await direct.write([block.subarray(directBlockBytes, 3 * directBlockBytes)], 0), 2 * directBlockBytes);
  assert.ok((await readFile(file)).subarray(0, 8192).equals(bytes.subarray(4096, 12_288)));
});

test('several blocks of such memory are written one behind the other, up to the last whole block', async (t) => {
  const memory = loadAlignedMemory();
  const { file, direct } = await openDirect(t, memory && { ...memory, allocate: () => assert.fail('it was copied') });
  const blocks = [3 * 4096, 4096, 5 * 4096 + 100].flatMap((length) => memory?.allocate(length, directBlockBytes) ?? []);
  if (!direct) return;
  const content = bytes.subarray(0, 9 * 4096 + 100);
  let at = 0;
  for (const block of blocks) at += content.copy(block, 0, at);
  assert.equal(await direct.write(blocks, 8192), 9 * 4096);
  const end = 8192 + 9 * 4096;
  assert.deepEqual((await readFile(file)).subarray(8192, end), content.subarray(0, 9 * 4096));
  assert.deepEqual((await readFile(file)).subarray(end), Buffer.alloc(bytes.length - end));
});

test('bytes go to their position, several writes at once', async (t) => {
  const { file, direct } = await openDirect(t);
  const writes = [2, 0, 1].map((index) => {
    const part = bytes.subarray(index * 1024 * 1024, (index + 1) * 1024 * 1024);
    return direct?.write([part], index * 1024 * 1024);
  });
  await Promise.all(writes);
  const end = 3 * 1024 * 1024;
  if (direct) assert.deepEqual((await readFile(file)).subarray(0, end), bytes.subarray(0, end));
});

test('what does not begin at a block, or is none, is left to the caller', async (t) => {
  const { file, direct } = await openDirect(t);
  assert.equal(await direct?.write([bytes], 100), direct && 0);
  assert.equal(await direct?.write([bytes.subarray(0, 4095)], 0), direct && 0);
  assert.equal(await direct?.write([], 0), direct && 0);
  assert.deepEqual(await readFile(file), Buffer.alloc(bytes.length));
});

test('memory that the disk cannot read from leaves no byte wrong', async (t) => {
  const { file, direct } = await openDirect(t, {
    allocate: (length) => Buffer.allocUnsafeSlow(length + 1).subarray(1),
    isAligned: () => true,
  });
  const written = await writeBlocks(direct, [bytes], 0);
  const content = await readFile(file);
  assert.deepEqual(content.subarray(0, written), bytes.subarray(0, written));
  assert.deepEqual(content.subarray(written), Buffer.alloc(bytes.length - written));
});

test('a file system that refuses in the middle is asked no more, and the rest is left to the caller', async (t) => {
  const { file, direct } = await openDirect(t);
  if (!direct) return;
  assert.equal(await direct.write([bytes.subarray(0, 8192)], 0), 8192);
  await replaceWrites(t, ['EINVAL']);
  for (const position of [8192, 0]) assert.equal(await direct.write([bytes.subarray(8192, 16_384)], position), 0);
  assert.deepEqual(await readFile(file), Buffer.concat([bytes.subarray(0, 8192), Buffer.alloc(bytes.length - 8192)]));
});

test('the file that is open is written, whatever has its name now', async (t) => {
  const root = await makeTempRoot(t);
  const at = (name: string) => path.join(root.path, name);
  const handle = await open(at('a'), 'w');
  t.after(() => handle.close());
  await rename(at('a'), at('b'));
  await writeFile(at('a'), 'theirs');
  const direct = await DirectFile.open(handle, loadAlignedMemory());
  t.after(() => direct?.close());
  if (!direct) return t.skip('no direct way into a file here');
  assert.equal(await direct.write([bytes.subarray(0, 8192)], 0), 8192);
  assert.equal(await readFile(at('a'), 'utf8'), 'theirs');
  assert.deepEqual(await readFile(at('b')), bytes.subarray(0, 8192));
});

test('without aligned memory there is no direct way', async (t) => {
  const { path: root } = await makeTempRoot(t);
  const handle = await open(path.join(root, 'a'), 'w');
  t.after(() => handle.close());
  assert.equal(await DirectFile.open(handle, undefined), undefined);
});
