import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Turns } from '../../src/core/turns.ts';

test('of those that wait for a turn, the one that has had least is next, and the first to come of equals', async () => {
  const turns = new Turns(1);
  const order: string[] = [];
  const end = await turns.take(0);
  const wait = async (name: string, had: number) => {
    const done = await turns.take(had);
    order.push(name);
    done();
  };
  const all = [wait('much', 9), wait('little', 1), wait('none', 0), wait('none either', 0)];
  end();
  await Promise.all(all);
  assert.deepEqual(order, ['none', 'none either', 'little', 'much']);
});
