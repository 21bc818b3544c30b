import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { LoopShare } from '../../../src/core/work/loop-share.ts';

const { signal } = new AbortController();

/** A loop whose turns are made by hand: in each, others work for so many milliseconds first. */
function makeLoop() {
  let now = 1000;
  let turn: (() => void) | undefined;
  const done: string[] = [];
  const share = new LoopShare({
    now: () => now,
    nextTurn: (callback) => {
      assert.equal(turn, undefined);
      turn = callback;
    },
  });
  const ask = (owner: string, by = signal) =>
    share.run(owner, by, () => {
      now += 1;
      done.push(owner);
      return owner;
    });
  const goRound = (othersMs: number) => {
    now += othersMs;
    const due = turn;
    turn = undefined;
    due?.();
    return done.splice(0).join('');
  };
  return { ask, goRound, share };
}

test('a loop with nothing else to do has a lump in every turn', async () => {
  const { ask, goRound } = makeLoop();
  const asked = ['a', 'a', 'a'].map((owner) => ask(owner));
  assert.deepEqual([goRound(0), goRound(0), goRound(0), goRound(0)], ['a', 'a', 'a', '']);
  assert.deepEqual(await Promise.all(asked), ['a', 'a', 'a']);
});

test('others have eight times as long before the next lump, in however many turns', () => {
  const { ask, goRound } = makeLoop();
  for (const owner of ['a', 'a', 'a']) void ask(owner);
  assert.equal(goRound(5), 'a');
  assert.deepEqual([goRound(3), goRound(3), goRound(1), goRound(1)], ['', '', '', 'a']);
  assert.equal(goRound(1), '');
  // Nothing else was there to be done.
  assert.equal(goRound(0), 'a');
});

test('owners have lumps in turn, however many each asks for', () => {
  const { ask, goRound } = makeLoop();
  for (const owner of ['a', 'a', 'a', 'a', 'b', 'c', 'c']) void ask(owner);
  const order = Array.from({ length: 7 }, () => goRound(0)).join('');
  assert.equal(order, 'abcacaa');
});

test('a lump whose signal is aborted is not done, and says why', async () => {
  const { ask, goRound } = makeLoop();
  const gone = new AbortController();
  const waits = ask('a', gone.signal);
  void ask('b');
  gone.abort(new Error('gone'));
  await assert.rejects(waits, /gone/);
  await assert.rejects(ask('a', gone.signal), /gone/);
  assert.deepEqual([goRound(0), goRound(0)], ['b', '']);
});

test('what a lump throws is for whoever asked for it, and the next is done', async () => {
  const { ask, goRound, share } = makeLoop();
  const failing = share.run('a', signal, () => {
    throw new Error('broken');
  });
  const next = ask('b');
  goRound(0);
  goRound(0);
  await assert.rejects(failing, /broken/);
  assert.equal(await next, 'b');
});

test('between two lumps the event loop of this process has a turn', async () => {
  const share = new LoopShare();
  let turns = 0;
  const count = async () => {
    for (; turns < 3; turns += 1) await nextTurn();
  };
  const seen: number[] = [];
  const asked = [0, 1, 2].map(() => share.run('a', signal, () => seen.push(turns)));
  await Promise.all([count(), ...asked]);
  assert.equal(new Set(seen).size, 3);
});
