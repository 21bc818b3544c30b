/** Pieces are given to the target in their order, several at once where they follow each other, and never too many. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GatheredWrites } from '../../../src/client/download/gathered-writes.ts';
import { UnwrittenBytes } from '../../../src/client/pieces/unwritten-bytes.ts';
import type { Piece } from '../../../src/io/disk/writing/target.ts';
import { FakeClock } from '../../support/legs.ts';

const pieceOf = (index: number): Piece => {
  const chunks = [{ bytes: Buffer.alloc(10), release: () => {} }];
  return { index, position: index * 10, chunks, vouched: undefined };
};

/** A target that takes `piecesAtOnce`, and writes once it is told to. */
function begin(piecesAtOnce?: number, unwritten = new UnwrittenBytes(1000)) {
  const clock = new FakeClock();
  const given: number[][] = [];
  const failures: unknown[] = [];
  const ends: { readonly resolve: () => void; readonly reject: (failure: unknown) => void }[] = [];
  const write = (...pieces: readonly Piece[]) => {
    given.push(pieces.map(({ index }) => index));
    return new Promise<void>((resolve, reject) => ends.push({ resolve, reject }));
  };
  const target = { write, ...(piecesAtOnce === undefined ? {} : { piecesAtOnce }) };
  const writes = new GatheredWrites({ target, clock, unwritten, onFailure: (failure) => failures.push(failure) });
  return { clock, given, failures, ends, writes };
}

/** Lets all that waits for nothing else go on. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Whether something has settled by now. */
async function isSettled(work: Promise<unknown>): Promise<boolean> {
  let settled = false;
  void work.then(() => {
    settled = true;
  });
  await turn();
  return settled;
}

test('as many as the target takes at once are written together', async () => {
  const { given, writes, clock } = begin(3);
  for (const index of [0, 1]) await writes.add(pieceOf(index), true);
  await turn();
  assert.deepEqual(given, []);
  await writes.add(pieceOf(2), true);
  await turn();
  assert.deepEqual(given, [[0, 1, 2]]);
  assert.equal(clock.waiting, 0);
});

test('a target that says nothing of it gets one piece at a time', async () => {
  const { given, writes, ends } = begin();
  await writes.add(pieceOf(0), true);
  const second = writes.add(pieceOf(1), true);
  await turn();
  assert.deepEqual(given, [[0]]);
  ends[0]?.resolve();
  await second;
  await turn();
  assert.deepEqual(given, [[0], [1]]);
});

test('behind a piece that is not followed, and before one that is not next, nothing is waited for', async () => {
  const { given, writes, ends } = begin(3);
  await writes.add(pieceOf(4), false);
  await writes.add(pieceOf(0), true);
  const other = writes.add(pieceOf(7), true);
  await turn();
  assert.deepEqual(given, [[4]]);
  ends[0]?.resolve();
  await other;
  await turn();
  assert.deepEqual(given, [[4], [0]]);
});

test('a piece whose follower does not come is written within 50 ms', async () => {
  const { given, writes, clock } = begin(3);
  await writes.add(pieceOf(0), true);
  clock.advance(49);
  await turn();
  assert.deepEqual(given, []);
  clock.advance(1);
  await turn();
  assert.deepEqual(given, [[0]]);
});

test('while a slow disk has as many as it takes, as many more are held and no further piece is taken', async () => {
  const { given, writes, ends } = begin(2);
  for (const index of [0, 1, 2]) await writes.add(pieceOf(index), true);
  const fourth = writes.add(pieceOf(3), true);
  assert.equal(await isSettled(fourth), false);
  assert.deepEqual(given, [[0, 1]]);
  ends[0]?.resolve();
  assert.equal(await isSettled(fourth), true);
  assert.deepEqual(given, [
    [0, 1],
    [2, 3],
  ]);
});

test('a slow disk holds up pieces that come slower than they are gathered, and has them together once it can', async () => {
  const { given, writes, ends, clock } = begin(3);
  for (const index of [0, 1, 2]) {
    await writes.add(pieceOf(index), true);
    clock.advance(50);
  }
  assert.equal(await isSettled(writes.add(pieceOf(3), true)), false);
  assert.deepEqual(given, [[0]]);
  ends[0]?.resolve();
  await turn();
  assert.deepEqual(given, [[0], [1, 2, 3]]);
});

test('it has settled once a piece is written that is not next, though it came while the one before was', async () => {
  const { given, writes, ends } = begin(3);
  await writes.add(pieceOf(0), false);
  await turn();
  await writes.add(pieceOf(1), true);
  const added = writes.add(pieceOf(7), true);
  const settled = writes.settle();
  ends[0]?.resolve();
  await turn();
  ends[1]?.resolve();
  assert.equal(await isSettled(settled), false);
  assert.deepEqual(given, [[0], [1], [7]]);
  ends[2]?.resolve();
  await settled;
  await added;
});

test('it has settled once what waits is written, be it in vain', async () => {
  const { given, failures, writes, ends, clock } = begin(3);
  await writes.add(pieceOf(0), true);
  const settled = writes.settle();
  assert.equal(await isSettled(settled), false);
  assert.deepEqual(given, [[0]]);
  ends[0]?.reject('a full disk');
  assert.equal(await isSettled(settled), true);
  assert.deepEqual(failures, ['a full disk']);
  assert.equal(clock.waiting, 0);
});

test('while all circuits hold too much, each has its own pieces written before it takes another, and waits for nobody else', async () => {
  const unwritten = new UnwrittenBytes(30);
  const [one, other] = [begin(4, unwritten), begin(4, unwritten)];
  for (const index of [0, 1]) await one.writes.add(pieceOf(index), true);
  await other.writes.add(pieceOf(10), true);
  assert.equal(unwritten.isOver, false);
  const over = other.writes.add(pieceOf(11), true);
  assert.equal(await isSettled(over), false);
  assert.deepEqual([one.given, other.given], [[], [[10, 11]]], 'what waited for others does so no longer');
  other.ends[0]?.resolve();
  assert.equal(await isSettled(over), true, 'though the first circuit still holds what it held');
  await one.writes.add(pieceOf(2), true);
  assert.deepEqual(one.given, [], 'below the limit pieces are gathered as ever');
});

test('what could not be written is not held any more', async () => {
  const unwritten = new UnwrittenBytes(5);
  const { writes, ends, failures } = begin(4, unwritten);
  const adding = writes.add(pieceOf(0), true);
  await turn();
  ends[0]?.reject(new Error('full'));
  await adding;
  assert.deepEqual([failures.length, unwritten.isOver], [1, false]);
});
