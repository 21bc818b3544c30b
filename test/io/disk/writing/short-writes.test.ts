/** Pieces that are written at once come to the disk whole, or as far as it goes, whatever it takes at a time. */

import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { createFileTarget } from '../../../../src/io/disk/writing/target-place.ts';
import { loadAlignedMemory } from '../../../../src/io/kernel/aligned-memory.ts';
import { replaceWrites } from '../../../support/failing-disk.ts';
import { contentOf, pieceOf } from '../../../support/targets.ts';
import { makeTempRoot } from '../../../support/temp-root.ts';

const mib = 1024 * 1024;
const size = 9 * mib + 777;
const contents = {
  'memory that the disk can read from': loadAlignedMemory()?.allocate(size, 4096) ?? Buffer.alloc(size),
  'other memory': Buffer.alloc(size + 1).subarray(1),
};
for (const bytes of Object.values(contents)) randomFillSync(bytes);

async function makeTarget(t: TestContext, bytes: Buffer, pieceBytes: number) {
  const root = await makeTempRoot(t);
  const place = path.join(root.path, 'a');
  const content = contentOf(bytes, pieceBytes);
  const released: number[] = [];
  const create = () => createFileTarget(place, 'a', { force: false });
  const pieces = (...indexes: readonly number[]) =>
    indexes.map((index) => pieceOf(bytes, index, content, { onRelease: () => released.push(index) }));
  return { ...root, place, content, released, create, pieces };
}

for (const [memory, bytes] of Object.entries(contents)) {
  for (const pieceBytes of [mib, 1_000_001]) {
    test(`a disk that takes little at a time gets all of a file in pieces of ${pieceBytes} bytes, from ${memory}`, async (t) => {
      const { place, content, released, create, pieces } = await makeTarget(t, bytes, pieceBytes);
      const target = await create();
      await target.begin(content);
      await replaceWrites(t, [5000, 1, 4096, 4095, mib + 1, 8191, 3 * mib - 1]);
      await target.write(...pieces(0, 1, 2, 3));
      await replaceWrites(t, [2 * mib + 5]);
      await target.write(...pieces(4, 5, 6, 7));
      await target.write(...pieces(8, 9));
      await target.commit();
      assert.deepEqual(released, [...Array(10).keys()]);
      assert.ok((await readFile(place)).equals(bytes));
    });
  }

  test(`where a disk fails within pieces that are written at once, those before count, from ${memory}`, async (t) => {
    const { content, released, create, pieces } = await makeTarget(t, bytes, mib);
    const target = await create();
    await target.begin(content);
    // The first of them comes to the disk, and a part of the second, however much is copied at a time.
    await replaceWrites(t, [mib, mib / 2, 'ENOSPC']);
    await assert.rejects(target.write(...pieces(0, 1, 2, 3)), { code: 'DISK_FULL' });
    assert.deepEqual(released, [0, 1, 2, 3]);
    assert.equal(await target.keep(), mib);
    const next = await create();
    const { left } = await next.begin(content);
    assert.deepEqual([...left.keys()], [0]);
    await next.discard();
  });
}
