import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OwnerTurns, Turns } from '../../../src/core/work/turns.ts';

test('of those that wait for a turn, the one that has had least is next, and the first to come of equals', async () => {
  const turns = new Turns(1);
  const { signal } = new AbortController();
  const order: string[] = [];
  const end = await turns.take(0, signal);
  const wait = async (name: string, had: number) => {
    const done = await turns.take(had, signal);
    order.push(name);
    done();
  };
  const all = [wait('much', 9), wait('little', 1), wait('none', 0), wait('none either', 0)];
  end();
  await Promise.all(all);
  assert.deepEqual(order, ['none', 'none either', 'little', 'much']);
});

const { signal } = new AbortController();

/** Takes a place, and notes who had a turn; the function that is returned once it has one gives the place back. */
function taker(turns: OwnerTurns, had: string[]) {
  return async (owner: string) => {
    const giveBack = await turns.take(owner, signal);
    had.push(owner);
    return giveBack;
  };
}

test('gives out as many places as there are, and the next one when one is given back', async () => {
  const turns = new OwnerTurns(2);
  const had: string[] = [];
  const take = taker(turns, had);
  const first = await take('a');
  await take('b');
  const third = take('c');
  assert.deepEqual(had, ['a', 'b']);
  first();
  (await third)();
  await take('d');
  assert.deepEqual(had, ['a', 'b', 'c', 'd']);
});

test('one that asks a thousand times has the same turns as one that asks once', async () => {
  const turns = new OwnerTurns(1);
  const had: string[] = [];
  const take = taker(turns, had);
  const first = await take('many');
  const many = Array.from({ length: 1000 }, () => take('many').then((giveBack) => giveBack()));
  const one = take('one').then((giveBack) => giveBack());
  first();
  await one;
  assert.ok(had.indexOf('one') <= 2, String(had.indexOf('one')));
  await Promise.all(many);
});

test('whoever leaves has no turn, and keeps nobody else from theirs', async () => {
  const turns = new OwnerTurns(1);
  const first = await turns.take('a', signal);
  const leaving = new AbortController();
  const left = turns.take('a', leaving.signal);
  const next = turns.take('a', signal);
  leaving.abort(new Error('left'));
  first();
  await assert.rejects(left, /left/);
  (await next)();
  await assert.rejects(turns.take('a', leaving.signal), /left/);
  (await turns.take('b', signal))();
});

test('who no longer wants a turn leaves the queue at once, and keeps nobody waiting', async () => {
  const turns = new Turns(1);
  const { signal } = new AbortController();
  const gone = new AbortController();
  const end = await turns.take(0, signal);
  const left = turns.take(0, gone.signal);
  const stays = turns.take(9, signal);
  gone.abort(new Error('gone'));
  await assert.rejects(left, /gone/);
  end();
  (await stays)();
  await assert.rejects(turns.take(0, gone.signal), /gone/);
  (await turns.take(0, signal))();
});
