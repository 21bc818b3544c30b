/** When a stream is let gather, for how long what has come is withheld, and when that is over. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gathering } from '../../../src/io/kernel/splicing/gathering.ts';
import { FakeClock } from '../../support/legs.ts';

const fast = 100 * 1024;
const slow = 1024;

/** A stream that brings so many bytes a millisecond. */
function gather() {
  const clock = new FakeClock();
  const seen = { isOpen: true, mark: 1, turns: [] as number[], overs: 0 };
  const state = { speed: fast, moved: 0 };
  const socket = {
    get isOpen() {
      return seen.isOpen;
    },
    setMark: (bytes: number) => {
      seen.mark = bytes;
    },
  };
  const turn = () => {
    seen.turns.push(clock.now());
    return state.moved;
  };
  const onOver = () => {
    seen.overs += 1;
  };
  const gathering = new Gathering({ clock, socket, moved: 0, turn, onOver });
  const pass = (ms: number) => {
    for (let left = ms; left > 0; left -= 1) {
      state.moved += state.speed;
      clock.advance(1);
    }
  };
  return { clock, seen, state, gathering, pass };
}

test('nothing is withheld at first, and then never for longer than a 64th of the time that has passed, nor than 10 ms', () => {
  const { clock, seen, pass } = gather();
  pass(127);
  assert.equal(seen.mark, 1);
  assert.equal(seen.turns.length, 0);
  pass(3000);
  assert.ok(seen.mark > 1);
  const waits = seen.turns.slice(1).map((at, place) => ({ at, ms: at - (seen.turns[place] as number) }));
  for (const { at, ms } of waits) assert.ok(ms <= Math.min(10, at / 64), `${ms} ms at ${at}`);
  assert.equal(waits.at(-1)?.ms, 10);
  assert.equal(clock.waiting, 1);
});

test('a stream that is slow is never withheld', () => {
  const { clock, seen, state, pass } = gather();
  state.speed = slow;
  pass(200);
  assert.equal(seen.mark, 1);
  assert.equal(seen.overs, 1);
  assert.equal(clock.waiting, 0);
});

test('a pause does not end a stream, and where little has come for a while it is over', () => {
  const { clock, seen, state, pass } = gather();
  pass(1000);
  state.speed = 0;
  pass(50);
  state.speed = fast;
  pass(1000);
  assert.equal(seen.overs, 0);
  assert.ok(seen.mark > 1);
  state.speed = slow;
  pass(300);
  assert.equal(seen.mark, 1);
  assert.equal(seen.overs, 1);
  assert.equal(clock.waiting, 0);
});

test('once its circuit has ended, in a turn or before one, nothing is waited for', () => {
  const ended = gather();
  ended.pass(500);
  ended.seen.isOpen = false;
  ended.pass(500);
  assert.equal(ended.clock.waiting, 0);
  assert.equal(ended.seen.overs, 0);
  const closed = gather();
  closed.pass(500);
  closed.gathering.close();
  assert.equal(closed.clock.waiting, 0);
});
