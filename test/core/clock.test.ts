import assert from 'node:assert/strict';
import { test } from 'node:test';
import { elapsedSince, systemClock } from '../../src/core/clock.ts';

test('the time that passed is told to the microsecond', () => {
  const clock = { now: () => 1000.123456789 };
  assert.equal(elapsedSince(clock, 0.1), 1000.023);
  assert.equal(elapsedSince(clock, clock.now()), 0);
});

test('a timer that was cancelled does nothing, also between its time and its turn', async () => {
  let calls = 0;
  const count = () => {
    calls += 1;
  };
  const cancels = [systemClock.after(1, count), systemClock.after(1, count)];
  cancels[0]?.();
  // In the turn of the loop in which the other one is due.
  await new Promise<void>((resolve) => {
    setTimeout(() => {
      cancels[1]?.();
      resolve();
    }, 1);
  });
  await new Promise<void>((resolve) => void systemClock.after(1, resolve));
  assert.equal(calls, 0);
});
