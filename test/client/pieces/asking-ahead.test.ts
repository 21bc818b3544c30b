import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestsAhead, piecesAhead, piecesAtFirst, readsOf } from '../../../src/client/pieces/asking-ahead.ts';
import { PieceWindow } from '../../../src/client/pieces/piece-window.ts';
import { defaultLimits } from '../../../src/core/limits.ts';

const limits = { ...defaultLimits, maxReadsAhead: 32 };

interface SimulatedWay {
  readonly isAlone: boolean;
  /** Milliseconds from a request to the first byte of its answer. */
  readonly roundTripMs: number;
  /** Of the file, one of which the way takes each millisecond. */
  readonly pieces: number;
}

/** Fetches over a way whose time is counted: what is due before anything comes and at most, and how long the origin had nothing to send. */
function simulate({ isAlone, roundTripMs, pieces }: SimulatedWay): { first: number; most: number; idleMs: number } {
  const window = new PieceWindow<number>(limits.maxReadsAhead, limits);
  const left = Array.from({ length: pieces }, (_, index) => index);
  for (let piece = 0; piece <= piecesAtFirst(isAlone, limits); piece += 1) window.add(left.shift() ?? 0);
  const first = window.due.length;
  let most = first;
  /** Asked for, and not sent; a request is at the origin at once, and an answer takes the whole of the round trip. */
  let waiting = first;
  const arrivals: number[] = [];
  for (let ms = 0, came = 0; came < pieces; ms += 1) {
    if (waiting > 0) arrivals.push(ms + roundTripMs);
    waiting = Math.max(0, waiting - 1);
    for (; arrivals[came] === ms; most = Math.max(most, window.due.length)) {
      window.shift();
      came += 1;
      const pace = { isAlone, came, speed: came / (ms + 1 - roundTripMs), answerMs: roundTripMs };
      waiting += window.askAhead(() => left.shift(), piecesAhead(pace, limits)).length;
    }
  }
  return { first, most, idleMs: (arrivals.at(-1) ?? 0) - roundTripMs + 1 - pieces };
}

test('a circuit that is alone is asked for 512 pieces at first, and keeps a long way busy from then on', () => {
  const { first, most, idleMs } = simulate({ isAlone: true, roundTripMs: 300, pieces: 10_000 });
  assert.deepEqual([first, most, idleMs], [512, 1024, 0]);
});

test('one of several circuits is asked for a piece at first, then for what it brings soon: after five round trips for enough', () => {
  const roundTripMs = 240;
  const { first, idleMs } = simulate({ isAlone: false, roundTripMs, pieces: 10_000 });
  assert.equal(first, 1);
  assert.ok(idleMs < 5 * roundTripMs, `the origin waited for ${idleMs} ms`);
  const ahead = (came: number, speed: number) => piecesAhead({ isAlone: false, came, speed, answerMs: 250 }, limits);
  assert.deepEqual(
    [ahead(1, 0), ahead(1, 1), ahead(500, 0.01), ahead(500, 0.1), ahead(5000, 5)],
    [2, 33, 10, 100, 1024],
  );
});

test('digests are asked for as many as have come, and as many as pieces at least', () => {
  assert.deepEqual([digestsAhead(0, limits), digestsAhead(100, limits), digestsAhead(5000, limits)], [32, 132, 1024]);
});

test('pieces in a row are one READ where the origin takes that, and one each where it does not', () => {
  const rangeOf = (index: number) => ({ offset: index * 10, length: 10 });
  const read = (offset: number) => ({ type: 'read', offset, length: 10, version: 'v' });
  const reads = (takesMore: boolean) => readsOf([7, 1, 2, 3, 5], { rangeOf, version: 'v', takesMore });
  assert.deepEqual(reads(true), [read(70), { ...read(10), more: 2 }, read(50)]);
  assert.deepEqual(reads(false), [70, 10, 20, 30, 50].map(read));
  assert.deepEqual(readsOf([], { rangeOf, version: 'v', takesMore: true }), []);
});
