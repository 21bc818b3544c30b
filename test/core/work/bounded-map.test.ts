import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BoundedMap } from '../../../src/core/work/bounded-map.ts';

test('a map of a bounded count gives up what was set or used longest ago', () => {
  const map = new BoundedMap<string, number>({ maxCount: 2 });
  assert.deepEqual(map.set('a', 1), []);
  assert.deepEqual(map.set('b', 2), []);
  map.use('a');
  map.use('never set');
  assert.deepEqual(map.set('c', 3), [2]);
  assert.deepEqual([...map.values()], [1, 3]);
  map.set('a', 4);
  assert.deepEqual(map.set('d', 5), [3], 'what is set anew is the youngest');
  assert.equal(map.get('a'), 4);
  assert.equal(map.get('c'), undefined);
  assert.equal(map.size, 2);
});

test('a map of a bounded weight gives up as many as it must, and what is too heavy by itself at once', () => {
  const map = new BoundedMap<string, string>({ maxWeight: 10 });
  map.set('a', 'a', 4);
  map.set('b', 'b', 4);
  assert.deepEqual(map.set('c', 'c', 9), ['a', 'b']);
  assert.equal(map.weight, 9);
  assert.deepEqual(map.set('d', 'd', 11), ['c', 'd']);
  assert.deepEqual([map.size, map.weight], [0, 0]);
  map.set('e', 'e', 3);
  map.set('e', 'e', 5);
  assert.equal(map.weight, 5, 'of one key, the last weight counts');
  assert.equal(map.delete('e'), true);
  assert.equal(map.delete('e'), false);
  assert.equal(map.weight, 0);
});

test('bounds are read each time, so that a reload can change them', () => {
  const bounds = { maxCount: 3 };
  const map = new BoundedMap<number, number>(bounds);
  for (const each of [1, 2, 3]) map.set(each, each);
  bounds.maxCount = 1;
  assert.deepEqual(map.set(4, 4), [1, 2, 3]);
});
