import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Algorithm, algorithms, type Candidate, createBalancer } from '../../src/pool/balance.ts';

interface Known extends Candidate {
  inFlight: number;
}

function makeCandidates(weights: readonly number[]): [Known, ...Known[]] {
  const made = weights.map((weight, ordinal) => ({ name: `10.0.0.${ordinal + 1}:80`, ordinal, weight, inFlight: 0 }));
  return made as unknown as [Known, ...Known[]];
}

/** A generator of numbers that are the same in every run. */
function seeded(): () => number {
  let state = 12345;
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state / 2 ** 32;
  };
}

const balancer = (algorithm: Algorithm) => createBalancer(algorithm, seeded());

/** How often each ordinal is picked in `turns`; `key` makes the key of each turn. */
function count(
  algorithm: Algorithm,
  candidates: [Known, ...Known[]],
  turns: number,
  key?: (turn: number) => string,
): number[] {
  const balance = balancer(algorithm);
  const counts = candidates.map(() => 0);
  for (let turn = 0; turn < turns; turn += 1) {
    const { ordinal } = balance(candidates, key?.(turn));
    counts[ordinal] = (counts[ordinal] ?? 0) + 1;
  }
  return counts;
}

/** Without `gone`. */
function without(candidates: readonly Known[], gone: number): [Known, ...Known[]] {
  return candidates.filter(({ ordinal }) => ordinal !== gone) as [Known, ...Known[]];
}

test('round robin goes in the order of joining, exactly even', () => {
  const candidates = makeCandidates([1, 1, 1]);
  const balance = balancer('round-robin');
  const order = Array.from({ length: 7 }, () => balance(candidates).ordinal);
  assert.deepEqual(order, [0, 1, 2, 0, 1, 2, 0]);
  assert.deepEqual(count('round-robin', candidates, 9999), [3333, 3333, 3333]);
});

test('in round robin nobody loses a turn when another leaves, comes back or joins', () => {
  const candidates = makeCandidates([1, 1, 1, 1]);
  const balance = balancer('round-robin');
  const turns = [candidates, candidates, without(candidates, 2), candidates, without(candidates, 0), candidates];
  assert.deepEqual(
    turns.map((list) => balance(list).ordinal),
    [0, 1, 3, 0, 1, 2],
  );
  const more = makeCandidates([1, 1, 1, 1, 1]);
  assert.deepEqual(
    [0, 1, 2].map(() => balance(more).ordinal),
    [3, 4, 0],
  );
});

test('weighted round robin is exact over the sum of the weights, and smooth', () => {
  const candidates = makeCandidates([5, 1, 1]);
  const balance = balancer('weighted-round-robin');
  const order = Array.from({ length: 14 }, () => balance(candidates).ordinal);
  assert.deepEqual(order, [0, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0, 2, 0, 0]);
  assert.deepEqual(count('weighted-round-robin', makeCandidates([3, 2, 1]), 6000), [3000, 2000, 1000]);
});

test('weighted round robin keeps the shares of those that stay while others come and go', () => {
  const candidates = makeCandidates([4, 2, 1]);
  const balance = balancer('weighted-round-robin');
  const counts = [0, 0, 0];
  for (let turn = 0; turn < 6000; turn += 1) {
    const { ordinal } = balance(Math.floor(turn / 40) % 2 === 0 ? without(candidates, 2) : candidates);
    counts[ordinal] = (counts[ordinal] ?? 0) + 1;
  }
  const [first = 0, second = 0] = counts;
  assert.ok(Math.abs(first / second - 2) < 0.02, counts.join());
});

test('least in flight picks the least busy for its weight, and takes turns among equals', () => {
  const candidates = makeCandidates([1, 1, 2]);
  assert.deepEqual(count('least-in-flight', candidates, 300), [100, 100, 100]);
  const balance = balancer('least-in-flight');
  for (const [index, inFlight] of [2, 1, 3].entries()) (candidates[index] as Known).inFlight = inFlight;
  assert.equal(balance(candidates).ordinal, 1);
  (candidates[1] as Known).inFlight = 2;
  assert.equal(balance(candidates).ordinal, 2);
});

test('least in flight keeps a slow member from piling up', () => {
  const candidates = makeCandidates([1, 1]);
  const balance = balancer('least-in-flight');
  for (let turn = 0; turn < 1000; turn += 1) {
    balance(candidates).inFlight += 1;
    candidates[0].inFlight = Math.max(0, candidates[0].inFlight - 1);
  }
  assert.ok((candidates[1] as Known).inFlight <= 2);
});

test('power of two spreads evenly where all are alike, and avoids the busy', () => {
  const counts = count('power-of-two', makeCandidates([1, 1, 1, 1]), 10_000);
  for (const picked of counts) assert.ok(Math.abs(picked - 2500) < 250, counts.join());
  const candidates = makeCandidates([1, 1, 1]);
  candidates[0].inFlight = 100;
  assert.equal(count('power-of-two', candidates, 1000)[0], 0);
});

test('power of two keeps the busiest close to the others', () => {
  const candidates = makeCandidates([1, 1, 1, 1, 1]);
  const balance = balancer('power-of-two');
  for (let turn = 0; turn < 5000; turn += 1) balance(candidates).inFlight += 1;
  const loads = candidates.map(({ inFlight }) => inFlight);
  assert.ok(Math.max(...loads) - Math.min(...loads) < 10, loads.join());
});

test('a consistent hash gives a key the same member, and spreads keys by weight', () => {
  const candidates = makeCandidates([1, 1, 2]);
  const balance = balancer('consistent-hash');
  assert.equal(balance(candidates, 'report.pdf'), balance(candidates, 'report.pdf'));
  const counts = count('consistent-hash', candidates, 20_000, (turn) => `key ${turn}`);
  for (const [index, due] of [5000, 5000, 10_000].entries()) {
    assert.ok(Math.abs((counts[index] ?? 0) - due) < due * 0.06, counts.join());
  }
});

test('when a member leaves, a consistent hash moves its keys alone, and to all the others', () => {
  const candidates = makeCandidates([1, 1, 1, 1]);
  const balance = balancer('consistent-hash');
  const moved = [0, 0, 0, 0];
  for (let turn = 0; turn < 8000; turn += 1) {
    const before = balance(candidates, `key ${turn}`).ordinal;
    const after = balance(without(candidates, 1), `key ${turn}`).ordinal;
    if (before !== 1) assert.equal(after, before);
    else moved[after] = (moved[after] ?? 0) + 1;
  }
  for (const index of [0, 2, 3]) assert.ok((moved[index] ?? 0) > 500, moved.join());
});

for (const algorithm of algorithms) {
  test(`${algorithm} picks the only candidate there is, with and without a key`, () => {
    const alone = makeCandidates([3]);
    assert.deepEqual(count(algorithm, alone, 5), [5]);
    assert.deepEqual(count(algorithm, alone, 5, String), [5]);
  });
}
