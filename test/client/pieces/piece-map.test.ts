import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Fetcher, PieceMap } from '../../../src/client/pieces/piece-map.ts';

const of = (version: string, digest = 'aa') => ({ digest, version });

const prover = (map: PieceMap) => map.provenBy;

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

test('who looks himself whether a piece comes too early is handed out any', () => {
  const map = new PieceMap(10, new Map(), 3);
  assert.deepEqual(
    [map.take(5), map.take(5), map.take(5), map.take(5), map.take(5), map.take(5)],
    [0, 1, 2, 3, 4, undefined],
  );
  assert.deepEqual([map.isTooEarly(2), map.isTooEarly(3)], [false, true]);
  map.settle(0, of('a'));
  assert.deepEqual([map.isTooEarly(3), map.isTooEarly(4)], [false, true]);
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
  const map = new PieceMap(3, new Map());
  map.settle(0, of('a'));
  map.settle(1, of('b'));
  map.settle(2, of('b'));
  assert.equal(map.isComplete, true);
  assert.equal(prover(map), undefined);
  assert.deepEqual(map.unproven({ version: 'b' }), [0]);
  assert.deepEqual(map.unproven({ version: 'a' }), [1, 2]);
  assert.deepEqual(map.unproven({ version: 'c' }), [0, 1, 2]);
  map.vouch(0, { version: 'b' });
  assert.equal(prover(map)?.version, 'b');
  assert.deepEqual(map.unproven({ version: 'b' }), []);
});

test('one version by two keys, or by none, is the word of several, and none of them vouches for the file', () => {
  const keys = ['k1', 'k2', undefined];
  const map = new PieceMap(3, new Map());
  for (const [index, key] of keys.entries()) map.settle(index, { ...of('v'), key });
  assert.equal(prover(map), undefined);
  assert.deepEqual(map.unproven({ version: 'v', key: 'k2' }), [0, 2]);
  for (const index of [0, 2]) map.vouch(index, { version: 'v', key: 'k2' });
  assert.deepEqual(prover(map), { version: 'v', key: 'k2' });
});

test('what an earlier run left has arrived, and no version vouches for it before it has shown the digest', () => {
  const map = new PieceMap(
    3,
    new Map([
      [0, of('a')],
      [1, of('a')],
      [2, of('a')],
    ]),
  );
  assert.deepEqual([map.isComplete, prover(map), map.unproven({ version: 'a' })], [true, undefined, [0, 1, 2]]);
  for (const index of [0, 1, 2]) map.vouch(index, { version: 'a' });
  assert.equal(prover(map)?.version, 'a');
});

test('the first digest of a piece stays', () => {
  const map = new PieceMap(1, new Map());
  map.settle(0, of('a', 'aa'));
  map.settle(0, of('b', 'bb'));
  assert.deepEqual(map.digests, ['aa']);
  assert.equal(map.arrived, 1);
});

test('an empty file is complete at once, on the word of whoever is heard first', () => {
  const map = new PieceMap(0, new Map());
  assert.deepEqual([map.isComplete, map.take()], [true, undefined]);
  assert.deepEqual(map.unproven({ version: 'a', key: 'k' }), []);
  assert.deepEqual(prover(map), { version: 'a', key: 'k' });
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

/** Someone who takes, races for, brings and gives back pieces, and checks what it is given. */
class Fetching {
  readonly map: PieceMap;
  readonly out: number[] = [];

  constructor(count: number) {
    this.map = new PieceMap(count, new Map());
  }

  take(): void {
    const index = this.map.take();
    if (index === undefined) return;
    assert.equal(this.out.includes(index) || this.map.hasArrived(index), false);
    this.out.push(index);
  }

  race(): void {
    const index = this.map.takeSlowest([{ asked: this.out, speed: 1 }]);
    if (index === undefined) return;
    assert.equal(this.out.filter((other) => other === index).length, 1);
    this.out.push(index);
  }

  end(pick: number, hasCome: boolean): void {
    const [index] = this.out.splice(pick % Math.max(1, this.out.length), 1);
    if (index === undefined) return;
    if (hasCome) this.map.settle(index, of('a'));
    else this.map.giveBack(index);
  }
}

test('whatever happens to the pieces, all arrive in the end and none is out twice unless raced for', () => {
  const step = fc.record({ act: fc.constantFrom('take', 'race', 'come', 'back'), pick: fc.nat() });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.array(step, { maxLength: 200 }), (count, steps) => {
      const fetching = new Fetching(count);
      for (const { act, pick } of steps) {
        if (act === 'take') fetching.take();
        else if (act === 'race') fetching.race();
        else fetching.end(pick, act === 'come');
      }
      while (fetching.out.length > 0) fetching.end(0, false);
      for (const index of takeAll(fetching.map)) fetching.map.settle(index, of('a'));
      assert.equal(fetching.map.isComplete, true);
    }),
  );
});
