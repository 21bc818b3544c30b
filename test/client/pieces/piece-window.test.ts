import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PieceWindow } from '../../../src/client/pieces/piece-window.ts';

/** Gives 0, 1, 2 and so on, `count` of them. */
function counting(count: number): () => number | undefined {
  const numbers = Array.from({ length: count }, (_, index) => index).values();
  return () => numbers.next().value;
}

test('more is asked for once no more than half of the most is due, and then as much as fits', () => {
  const window = new PieceWindow<number>(4, { maxPieceRetries: 2 });
  const next = counting(9);
  assert.deepEqual(window.askAhead(next), [0, 1, 2, 3]);
  assert.equal(window.isFull, true);
  window.shift();
  assert.deepEqual(window.askAhead(next), [], 'each request on its own wakes every node');
  window.shift();
  assert.deepEqual(window.askAhead(next), [4, 5]);
  assert.deepEqual(window.due, [2, 3, 4, 5]);
  for (let come = 0; come < 3; come += 1) window.shift();
  assert.deepEqual(window.askAhead(next, 3), [6, 7], 'the most may be less than it was');
});

test('nothing is asked for when there is nothing left', () => {
  const window = new PieceWindow<number>(4, { maxPieceRetries: 2 });
  const next = counting(1);
  assert.deepEqual(window.askAhead(next), [0]);
  assert.deepEqual(window.askAhead(next), []);
  window.shift();
  assert.deepEqual(window.askAhead(next), []);
  assert.deepEqual(window.due, []);
});

test('what a circuit owes when it breaks is given back in its order, and due no longer', () => {
  const window = new PieceWindow<number>(4, { maxPieceRetries: 2 });
  window.askAhead(counting(3));
  window.shift();
  window.add(7);
  assert.deepEqual(window.giveBack(), [1, 2, 7]);
  assert.deepEqual(window.giveBack(), []);
  assert.equal(window.isFull, false);
});

test('what came damaged may be asked for so often in a row, each by itself', () => {
  const window = new PieceWindow<number>(4, { maxPieceRetries: 2 });
  assert.deepEqual([window.damaged(1), window.damaged(2), window.damaged(1)], [1, 1, 2]);
  assert.equal(window.damaged(1), undefined);
  window.arrived(2);
  assert.equal(window.damaged(2), 1, 'not in a row');
});
