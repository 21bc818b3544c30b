import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { Leg } from '../../../src/io/legs/leg.ts';
import { nodeAead } from '../../../src/secure/records/aead.ts';
import { maxClientContent, maxNodeContent, RecordOpener, RecordSealer } from '../../../src/secure/records/record.ts';
import { SealedWrites } from '../../../src/secure/records/sealed-writes.ts';

const kib = 1024;
const mib = 1024 * kib;

/** Writes to a leg that takes everything, and opens what it took. */
function startWrites(maxContent: number) {
  const taken: Buffer[] = [];
  const leg = {
    peer: 'node',
    write: async (bytes: Buffer) => void taken.push(Buffer.from(bytes)),
    end: () => {},
  } as unknown as Leg;
  const direction = () => ({ aead: nodeAead, key: Buffer.alloc(32, 1), maxContent });
  const writes = new SealedWrites(leg, (error) => assert.fail(error));
  writes.begin(new RecordSealer(direction()), Number.POSITIVE_INFINITY);
  const opened = () => {
    const opener = new RecordOpener(direction());
    const bytes = Buffer.concat(taken);
    const contents: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      const { used, content } = opener.take(bytes.subarray(at));
      at += used;
      if (content) contents.push(Buffer.from(content.bytes));
    }
    return contents;
  };
  return { writes, taken, opened };
}

test('the small records of a client leave several at a time, and say what was written', async () => {
  const { writes, taken, opened } = startWrites(maxClientContent);
  const content = randomBytes(mib + 1);
  await writes.write(content);
  assert.deepEqual(
    taken.map(({ length }) => length),
    [...Array(2).fill(8 * (64 * kib + 24)), 1 + 24],
  );
  writes.end();
  await writes.ended;
  const contents = opened();
  assert.ok(Buffer.concat(contents).equals(content));
  assert.deepEqual([contents.length, contents.at(-1)?.length], [18, 0]);
});

test('the records of a node grow, and the large ones leave by themselves', async () => {
  const { writes, taken, opened } = startWrites(maxNodeContent);
  const content = randomBytes(3 * mib);
  const some = [writes.write(Buffer.from('a')), writes.write(Buffer.from('b')), writes.write(content)];
  await Promise.all(some);
  assert.ok(Buffer.concat(opened()).equals(Buffer.concat([Buffer.from('ab'), content])));
  const lengths = opened().map(({ length }) => length);
  assert.deepEqual(lengths.slice(1, 6), [128 * kib, 256 * kib, 512 * kib, mib, maxNodeContent]);
  assert.deepEqual([lengths[0], taken.at(-2)?.length], [1, maxNodeContent + 24]);
});
