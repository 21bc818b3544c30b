/** Memory for pieces: blocks that share a huge page share no byte, and each is of the size and at the place that was asked for. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadAlignedMemory } from '../../../src/io/kernel/aligned-memory.ts';
import { PieceBlocks } from '../../../src/io/kernel/piece-blocks.ts';

const mib = 1024 * 1024;

for (const bytes of [1000, 64 * 1024, mib, mib + 5, 2 * mib, 3 * mib + 1]) {
  test(`blocks of ${bytes} bytes are apart, on whole pages, and used again`, () => {
    const blocks = new PieceBlocks();
    const taken = [1, 2, 3, 4, 5].map((mark) => {
      const chunk = blocks.take(bytes);
      chunk.bytes.fill(mark);
      return chunk;
    });
    for (const [index, chunk] of taken.entries()) {
      assert.equal(chunk.bytes.length, bytes);
      assert.ok(chunk.bytes.every((byte) => byte === index + 1));
      if (bytes >= 64 * 1024) assert.notEqual(loadAlignedMemory()?.isAligned(chunk.bytes, 4096), false);
    }
    const [first] = taken;
    first?.release();
    const again = blocks.take(bytes);
    if (bytes >= 64 * 1024) assert.equal(again.bytes, first?.bytes);
  });
}

test('a smaller piece at the end of a file has the beginning of a block', () => {
  const blocks = new PieceBlocks();
  const whole = blocks.take(mib);
  whole.release();
  const last = blocks.take(100_000);
  assert.deepEqual([last.bytes.length, last.bytes.buffer], [100_000, whole.bytes.buffer]);
});

for (const maxFree of [undefined, 20, Number.POSITIVE_INFINITY]) {
  test(`of 40 blocks that were released at once as many are kept as were said: ${maxFree}`, () => {
    const blocks = new PieceBlocks(maxFree);
    const taken = Array.from({ length: 40 }, () => blocks.take(64 * 1024));
    for (const { release } of taken) release();
    const before = new Set(taken.map(({ bytes }) => bytes));
    const again = Array.from({ length: 40 }, () => blocks.take(64 * 1024));
    assert.equal(again.filter(({ bytes }) => before.has(bytes)).length, Math.min(40, maxFree ?? 8));
  });
}
