import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Fetcher, PieceMap } from '../../src/client/piece-map.ts';

const of = (version: string, digest = 'aa') => ({ digest, version });

function takeAll(map: PieceMap): number[] {
  const taken: number[] = [];
  for (let index = map.take(); index !== undefined; index = map.take()) taken.push(index);
  return taken;
}

test('hands out each missing piece once, in order, and none that is there already', () => {
  const map = new PieceMap(
    5,
    new Map([
      [1, of('a')],
      [3, of('a')],
    ]),
  );
  assert.equal(map.arrived, 2);
  assert.deepEqual(takeAll(map), [0, 2, 4]);
});

test('a piece that was given back is handed out first', () => {
  const map = new PieceMap(4, new Map());
  assert.deepEqual([map.take(), map.take()], [0, 1]);
  map.giveBack(0);
  assert.deepEqual(takeAll(map), [0, 2, 3]);
  map.settle(1, of('a'));
  map.giveBack(1);
  assert.equal(map.take(), undefined);
});

test('with a cap, no piece is handed out too far beyond the first missing one', () => {
  const map = new PieceMap(10, new Map(), 3);
  assert.deepEqual(takeAll(map), [0, 1, 2]);
  map.settle(1, of('a'));
  assert.equal(map.take(), undefined);
  map.settle(0, of('a'));
  assert.deepEqual(takeAll(map), [3, 4]);
});

test('the slowest piece of all is raced for, once', () => {
  const map = new PieceMap(6, new Map());
  takeAll(map);
  const fast: Fetcher = { asked: [0, 2, 4], speed: 10 };
  const slow: Fetcher = { asked: [1, 3, 5], speed: 1 };
  assert.equal(map.takeSlowest([fast, slow]), 5);
  assert.equal(map.takeSlowest([fast, slow]), 3);
  map.settle(1, of('a'));
  assert.equal(map.takeSlowest([fast, slow]), 4);
  assert.equal(map.takeSlowest([{ asked: [], speed: 0 }]), undefined);
});

test('a file is whole when one version vouches for all of it', () => {
  const map = new PieceMap(3, new Map([[0, of('a')]]));
  map.settle(1, of('b'));
  map.settle(2, of('b'));
  assert.equal(map.isComplete, true);
  assert.equal(map.isProven, false);
  assert.deepEqual(map.unproven('b'), [0]);
  assert.deepEqual(map.unproven('a'), [1, 2]);
  assert.deepEqual(map.unproven('c'), [0, 1, 2]);
  map.vouch(0, 'b');
  assert.equal(map.isProven, true);
  assert.deepEqual(map.unproven('b'), []);
});

test('the first digest of a piece stays', () => {
  const map = new PieceMap(1, new Map());
  map.settle(0, of('a', 'aa'));
  map.settle(0, of('b', 'bb'));
  assert.deepEqual(map.digests, ['aa']);
  assert.equal(map.arrived, 1);
});

test('an empty file is complete and proven at once', () => {
  const map = new PieceMap(0, new Map());
  assert.deepEqual([map.isComplete, map.isProven, map.take()], [true, true, undefined]);
});

test('whoever waits for a change hears of pieces that came or were given back', async () => {
  const map = new PieceMap(2, new Map());
  takeAll(map);
  const settled = map.changed();
  map.settle(0, of('a'));
  await settled;
  const returned = map.changed();
  map.giveBack(1);
  await returned;
});

test('whatever happens to the pieces, all arrive in the end and none is out twice unless raced for', () => {
  const step = fc.record({ act: fc.constantFrom('take', 'back', 'settle', 'race'), pick: fc.nat() });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.array(step, { maxLength: 200 }), (count, steps) => {
      const map = new PieceMap(count, new Map());
      const out: number[] = [];
      for (const { act, pick } of steps) {
        if (act === 'take') {
          const index = map.take();
          if (index === undefined) continue;
          assert.equal(out.includes(index), false);
          assert.equal(map.hasArrived(index), false);
          out.push(index);
        } else if (act === 'race') {
          const index = map.takeSlowest([{ asked: out, speed: 1 }]);
          if (index === undefined) continue;
          assert.equal(out.filter((other) => other === index).length, 1);
          out.push(index);
        } else if (out.length > 0) {
          const [index = 0] = out.splice(pick % out.length, 1);
          if (act === 'back') map.giveBack(index);
          else map.settle(index, of('a'));
        }
      }
      for (const index of out) map.giveBack(index);
      for (const index of takeAll(map)) map.settle(index, of('a'));
      assert.equal(map.isComplete, true);
    }),
  );
});
