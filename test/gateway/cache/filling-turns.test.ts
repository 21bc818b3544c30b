import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { Turns } from '../../../src/core/work/turns.ts';
import type { EntryWriter } from '../../../src/gateway/cache/disk/entry-file.ts';
import { Filling } from '../../../src/gateway/cache/flow/arriving-content.ts';
import { until } from '../../support/chain.ts';

interface Write {
  readonly name: string;
  readonly end: () => void;
}

/** Answers of five parts each on their way to a disk that writes when it is told to. */
function startDisk() {
  const turns = new Turns(2);
  const writes: Write[] = [];
  const begun: string[] = [];
  const settled: Promise<void>[] = [];
  const arrive = (name: string) => {
    const write = () =>
      new Promise<void>((end) => {
        begun.push(name);
        writes.push({ name, end });
      });
    const writer = { write, discard: async () => {}, close: async () => {} } as unknown as EntryWriter;
    const filling = new Filling({
      source: Readable.from(Array.from({ length: 5 }, () => Buffer.alloc(10))),
      length: 50,
      smallBytes: 0,
      maxBytes: 1000,
      maxAbandonedBytes: 1000,
      turns,
      create: async () => writer,
      publish: async () => {},
      put: () => {},
      keep: () => false,
      onUnstored: (error) => assert.fail(String(error)),
    });
    settled.push(filling.settled);
  };
  return { writes, begun, arrive, settled };
}

test('of many answers that arrive at once a few are written at once, and all in the end', async () => {
  const { writes, begun, arrive, settled } = startDisk();
  for (let index = 0; index < 10; index += 1) arrive(String(index));
  for (let count = 0; count < 50; count += 1) {
    await until(() => begun.length >= Math.min(count + 2, 50));
    assert.ok(writes.length <= 2, `${writes.length} at once`);
    writes.shift()?.end();
  }
  await Promise.all(settled);
  assert.equal(begun.length, 50);
});

test('an answer that is new is written before the rest of those that have had more of the disk', async () => {
  const { writes, begun, arrive, settled } = startDisk();
  for (let index = 0; index < 10; index += 1) arrive('old');
  for (let count = 0; count < 20; count += 1) {
    await until(() => writes.length === 2);
    writes.shift()?.end();
  }
  await until(() => writes.length === 2);
  arrive('new');
  // Whoever asks for its turn does so before the next one ends.
  await new Promise((resolve) => setImmediate(resolve));
  const before = begun.length;
  writes.shift()?.end();
  await until(() => begun.length > before);
  assert.equal(begun[before], 'new');
  while (begun.length < 55 || writes.length > 0) {
    await until(() => writes.length > 0);
    writes.shift()?.end();
  }
  await Promise.all(settled);
});
