import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Patience } from '../../../src/client/circuit/patience.ts';
import type { HoplineError } from '../../../src/core/errors.ts';
import { FakeClock } from '../../support/legs.ts';

function startPace(minRate?: number) {
  const clock = new FakeClock();
  const failures: HoplineError[] = [];
  const giveUp = (error: HoplineError) => failures.push(error);
  const partial = { bytes: 0 };
  const partialBytes = () => partial.bytes;
  const pace = new Patience({
    clock,
    peer: 'hop 1',
    stallMs: 15_000,
    minRate,
    minRateMs: 10_000,
    partialBytes,
    giveUp,
  });
  /** Waits for content that comes after `ms`. */
  const receive = (ms: number, bytes: number) => {
    pace.begin(true);
    for (let left = ms; left > 0; left -= 100) clock.advance(Math.min(left, 100));
    pace.end(bytes);
  };
  const codes = () => failures.map(({ code }) => code);
  return { clock, pace, partial, failures, receive, codes };
}

test('a wait in which nothing comes is given up, once, and no sooner', () => {
  const { clock, pace, failures, codes } = startPace();
  pace.begin(false);
  clock.advance(14_999);
  assert.deepEqual(codes(), []);
  clock.advance(1);
  assert.deepEqual(codes(), ['TIMEOUT_IDLE']);
  assert.match(failures[0]?.message ?? '', /^hop 1 brought nothing for 15 s$/);
  clock.advance(60_000);
  pace.begin(true);
  assert.equal(failures.length, 1);
  assert.equal(clock.waiting, 0);
});

test('a wait begins anew with every byte that comes', () => {
  const { receive, codes } = startPace();
  for (let times = 0; times < 20; times += 1) receive(14_000, 1);
  assert.deepEqual(codes(), []);
  receive(15_000, 1);
  assert.deepEqual(codes(), ['TIMEOUT_IDLE']);
});

test('time in which nobody waits counts for nothing', () => {
  const { clock, receive, codes } = startPace(1000);
  for (let times = 0; times < 20; times += 1) {
    receive(1000, 1500);
    clock.advance(100_000);
  }
  assert.deepEqual(codes(), []);
});

test('a circuit that brings less than the least rate on average is given up', () => {
  const { receive, failures, codes } = startPace(1000);
  for (let times = 0; times < 1000; times += 1) receive(100, 105);
  assert.deepEqual(codes(), []);
  for (let times = 0; times < 99; times += 1) receive(100, 95);
  assert.deepEqual(codes(), []);
  receive(100, 95);
  assert.deepEqual(codes(), ['TIMEOUT_SLOW']);
  assert.match(
    failures[0]?.message ?? '',
    /^hop 1 brought 941 bytes a second over 10 s, less than the 1000 asked for$/,
  );
});

test('a circuit that stops is slow as soon as its average is, even before it has stalled', () => {
  const { clock, pace, receive, codes } = startPace(1000);
  receive(2000, 4000);
  pace.begin(true);
  clock.advance(7999);
  assert.deepEqual(codes(), []);
  clock.advance(1);
  assert.deepEqual(codes(), ['TIMEOUT_SLOW']);
});

test('what came fast before makes up for a pause', () => {
  const { clock, pace, receive, codes } = startPace(1000);
  receive(1000, 13_000);
  pace.begin(true);
  clock.advance(11_999);
  assert.deepEqual(codes(), []);
  pace.end(1);
  assert.deepEqual(codes(), []);
});

test('waiting for a lookup is not waiting for content', () => {
  const { clock, pace, codes } = startPace(1000);
  for (let times = 0; times < 5; times += 1) {
    pace.begin(false);
    clock.advance(14_000);
    pace.end(0);
  }
  assert.deepEqual(codes(), []);
});

/** Waits for something whole that comes in steps, `bytes` in each second. */
function receiveSlowly({ clock, pace, partial }: ReturnType<typeof startPace>, seconds: number, bytes: number): void {
  partial.bytes = 4000;
  pace.begin(true);
  for (let second = 0; second < seconds; second += 1) {
    partial.bytes += bytes;
    clock.advance(1000);
  }
  pace.end(seconds * bytes);
  partial.bytes = 0;
}

test('what is not whole yet counts as it comes, and not twice', () => {
  const slow = startPace();
  receiveSlowly(slow, 100, 10_000);
  assert.deepEqual(slow.codes(), []);
  const fast = startPace(1000);
  receiveSlowly(fast, 100, 1100);
  receiveSlowly(fast, 100, 1100);
  assert.deepEqual(fast.codes(), []);
  const tooSlow = startPace(1000);
  receiveSlowly(tooSlow, 60, 900);
  assert.deepEqual(tooSlow.codes(), ['TIMEOUT_SLOW']);
});

test('something that stops before it is whole is given up, however much of it came', () => {
  const { clock, pace, partial, codes } = startPace();
  pace.begin(true);
  partial.bytes = 500_000;
  clock.advance(15_000);
  assert.deepEqual(codes(), []);
  clock.advance(15_000);
  assert.deepEqual(codes(), ['TIMEOUT_IDLE']);
  assert.equal(clock.waiting, 0);
});

test('once closed it judges nobody and leaves no timer', () => {
  const { clock, pace, codes } = startPace(1000);
  pace.begin(true);
  pace.close();
  assert.equal(clock.waiting, 0);
  pace.begin(true);
  clock.advance(100_000);
  assert.deepEqual(codes(), []);
  assert.equal(clock.waiting, 0);
});
