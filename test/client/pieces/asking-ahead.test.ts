import assert from 'node:assert/strict';
import { test } from 'node:test';
import { piecesAhead, piecesAtFirst, readsOf } from '../../../src/client/pieces/asking-ahead.ts';
import { defaultLimits } from '../../../src/core/limits.ts';

const limits = { ...defaultLimits, maxReadsAhead: 32 };

test('a circuit that is alone is asked for what it brings while two answers are on their way, within bounds', () => {
  const ahead = (speed: number, answerMs: number) => piecesAhead({ isAlone: true, speed, answerMs }, limits);
  assert.deepEqual([ahead(0, 500), ahead(0.01, 500), ahead(0.1, 500), ahead(1, 500)], [32, 32, 100, 512]);
  assert.equal(piecesAtFirst(true, limits), 63);
});

test('one of several circuits is asked for no more than it brings soon, and at first for one piece', () => {
  const ahead = (speed: number) => piecesAhead({ isAlone: false, speed, answerMs: 1000 }, limits);
  assert.deepEqual([ahead(0), ahead(0.01), ahead(1)], [2, 5, 32]);
  assert.equal(piecesAtFirst(false, limits), 0);
});

test('pieces in a row are one READ where the origin takes that, and one each where it does not', () => {
  const rangeOf = (index: number) => ({ offset: index * 10, length: 10 });
  const read = (offset: number) => ({ type: 'read', offset, length: 10, version: 'v' });
  const reads = (takesMore: boolean) => readsOf([7, 1, 2, 3, 5], { rangeOf, version: 'v', takesMore });
  assert.deepEqual(reads(true), [read(70), { ...read(10), more: 2 }, read(50)]);
  assert.deepEqual(reads(false), [70, 10, 20, 30, 50].map(read));
  assert.deepEqual(readsOf([], { rangeOf, version: 'v', takesMore: true }), []);
});
