import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import { test } from 'node:test';
import { Turns } from '../../../src/core/work/turns.ts';

test('of those that wait for a turn, the one that has had least is next, and the first to come of equals', async () => {
  const turns = new Turns(1);
  const { signal } = new AbortController();
  const order: string[] = [];
  const end = await turns.take({ signal });
  const wait = async (name: string, had: number) => {
    const done = await turns.take({ had, signal });
    order.push(name);
    done();
  };
  const all = [wait('much', 9), wait('little', 1), wait('none', 0), wait('none either', 0)];
  end();
  await Promise.all(all);
  assert.deepEqual(order, ['none', 'none either', 'little', 'much']);
});

const { signal } = new AbortController();
setMaxListeners(0, signal);

/** Takes a place, and notes who had a turn; the function that is returned once it has one gives the place back. */
function taker(turns: Turns, had: string[]) {
  return async (owner: string) => {
    const giveBack = await turns.take({ owner, signal });
    had.push(owner);
    return giveBack;
  };
}

test('gives out as many places as there are, and the next one when one is given back', async () => {
  const turns = new Turns(2);
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
  const turns = new Turns(1);
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
  const turns = new Turns(1);
  const first = await turns.take({ owner: 'a', signal });
  const leaving = new AbortController();
  const left = turns.take({ owner: 'a', signal: leaving.signal });
  const next = turns.take({ owner: 'a', signal });
  leaving.abort(new Error('left'));
  first();
  await assert.rejects(left, /left/);
  (await next)();
  await assert.rejects(turns.take({ owner: 'a', signal: leaving.signal }), /left/);
  (await turns.take({ owner: 'b', signal }))();
});

test('who no longer wants a turn leaves the queue at once, and keeps nobody waiting', async () => {
  const turns = new Turns(1);
  const { signal } = new AbortController();
  const gone = new AbortController();
  const end = await turns.take({ signal });
  const left = turns.take({ had: 0, signal: gone.signal });
  const stays = turns.take({ had: 9, signal });
  gone.abort(new Error('gone'));
  await assert.rejects(left, /gone/);
  end();
  (await stays)();
  await assert.rejects(turns.take({ had: 0, signal: gone.signal }), /gone/);
  (await turns.take({ signal }))();
});

test('within an owner whoever has had least is next, and no owner is kept waiting by how little others have had', async () => {
  const turns = new Turns(1);
  const order: string[] = [];
  const first = await turns.take({ owner: 'many' });
  const wait = async (name: string, owner: string, had: number) => {
    const end = await turns.take({ owner, had });
    order.push(name);
    end();
  };
  const all = [wait('second', 'many', 8), wait('one', 'one', 1000), wait('first', 'many', 7), wait('third', 'many', 9)];
  first();
  await Promise.all(all);
  assert.deepEqual(order, ['first', 'one', 'second', 'third']);
});
