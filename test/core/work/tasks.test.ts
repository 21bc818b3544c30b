import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Tasks } from '../../../src/core/work/tasks.ts';

/** Work that ends when it is told to. */
function work() {
  let end = () => {};
  let fail: (cause: Error) => void = () => {};
  const done = new Promise<void>((resolve, reject) => {
    end = resolve;
    fail = reject;
  });
  return { done, end, fail };
}

test('all is over once nothing runs, not even what was added meanwhile', async () => {
  const tasks = new Tasks();
  await tasks.over();
  const [first, second] = [work(), work()];
  let isOver = false;
  tasks.add(first.done);
  const over = tasks.over().then(() => {
    isOver = true;
  });
  tasks.add(second.done);
  first.end();
  await turn();
  assert.equal(isOver, false);
  second.end();
  await over;
});

test('work that fails is over, too, and only whoever asked hears of it', async () => {
  const tasks = new Tasks();
  const heard: unknown[] = [];
  const cause = new Error('the disk is full');
  const [told, untold] = [work(), work()];
  tasks.add(told.done, (failure) => heard.push(failure));
  tasks.add(untold.done);
  told.fail(cause);
  untold.fail(cause);
  await tasks.over();
  assert.deepEqual(heard, [cause]);
});

test('no more is begun at once than may be', async () => {
  const tasks = new Tasks(2);
  const works = [work(), work(), work()];
  const begun: number[] = [];
  const starts = works.map(({ done }, index) =>
    tasks.start(() => {
      begun.push(index);
      return done;
    }),
  );
  await turn();
  assert.deepEqual(begun, [0, 1]);
  works[1]?.end();
  await Promise.all(starts);
  assert.deepEqual(begun, [0, 1, 2]);
  for (const { end } of works) end();
  await tasks.over();
});

test('a wait with a bound ends without what hangs', async () => {
  const tasks = new Tasks();
  const hanging = work();
  tasks.add(hanging.done);
  await tasks.overWithin(1);
  hanging.end();
  await tasks.overWithin(60_000);
});
