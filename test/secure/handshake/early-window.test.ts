import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { EarlyWindow } from '../../../src/secure/handshake/early-window.ts';
import { FakeClock } from '../../support/legs.ts';

const start = Date.UTC(2026, 10, 29);
const earlyMs = 10_000;

/** A window, time that moves by hand, and a wall clock that can be set. */
function makeWindow(maxEarly = 1000) {
  const clock = new FakeClock();
  let ahead = start;
  const wall = () => clock.now() + ahead;
  const open = () => new EarlyWindow({ clock, wallClock: wall, earlyMs, maxEarly });
  const set = (ms: number) => {
    ahead += ms;
  };
  return { clock, wall, set, open, window: open() };
}

test('a message is early once, and each time it is sent again it is not', () => {
  for (const later of [0, 1, 9_000, 11_000, 19_000, 21_000, 39_000, 41_000]) {
    const { clock, wall, window } = makeWindow();
    clock.advance(60_000);
    const [key, time] = [randomBytes(32), wall()];
    assert.equal(window.admit(key, time), true);
    clock.advance(later);
    assert.equal(window.admit(key, time), false, `after ${later} ms`);
  }
});

test('a clock of the client that is wrong by up to the allowance is right enough, and its messages are early once', () => {
  for (const wrong of [-9_999, 9_999, 10_000]) {
    const { clock, wall, window } = makeWindow();
    clock.advance(60_000);
    const [key, time] = [randomBytes(32), wall() + wrong];
    assert.equal(window.admit(key, time), true, `${wrong} ms`);
    for (let waited = 0; waited < 60_000; waited += 500) {
      clock.advance(500);
      assert.equal(window.admit(key, time), false, `${wrong} ms, again after ${waited} ms`);
    }
  }
  const { clock, wall, window } = makeWindow();
  clock.advance(60_000);
  for (const wrong of [-10_001, 10_001, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.equal(window.admit(randomBytes(32), wall() + wrong), false);
  }
});

test('a clock of the node that is set back makes no message early again, however long ago it was', () => {
  for (const pause of [1_000, 30_000, 3_600_000]) {
    const { clock, wall, set, window } = makeWindow();
    clock.advance(60_000);
    const [key, time] = [randomBytes(32), wall()];
    assert.equal(window.admit(key, time), true);
    clock.advance(pause);
    set(-pause);
    assert.equal(window.admit(key, time), false, `after ${pause} ms`);
    clock.advance(5_000);
    assert.equal(window.admit(key, time), false);
  }
});

test('a clock of the node that is set forward does not forget what came', () => {
  const { clock, wall, set, window } = makeWindow();
  clock.advance(60_000);
  const [key, time] = [randomBytes(32), wall() + 9_000];
  assert.equal(window.admit(key, time), true);
  set(9_000);
  assert.equal(window.admit(key, time), false);
  clock.advance(9_500);
  assert.equal(window.admit(key, time), false);
});

test('a message from before the start is not early: the run before may have answered it', () => {
  const { clock, wall, open } = makeWindow();
  const [key, time] = [randomBytes(32), wall()];
  clock.advance(3_000);
  const restarted = open();
  clock.advance(1_000);
  assert.equal(restarted.admit(key, time), false);
  assert.equal(restarted.admit(randomBytes(32), wall()), true);
});

test('a full window admits nobody until it has forgotten some', () => {
  const { clock, wall, window } = makeWindow(3);
  clock.advance(60_000);
  for (let count = 0; count < 3; count += 1) assert.equal(window.admit(randomBytes(32), wall()), true);
  assert.equal(window.admit(randomBytes(32), wall()), false);
  clock.advance(41_000);
  assert.equal(window.admit(randomBytes(32), wall()), true);
});
