import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBreaks } from '../../../src/core/work/breaks.ts';

test('work that never waits lets the event loop have a turn now and then', async () => {
  const takeBreak = createBreaks();
  let hadTurn = false;
  setImmediate(() => {
    hadTurn = true;
  });
  let done = 0;
  for (; done < 1000 && !hadTurn; done += 1) await takeBreak();
  assert.equal(done, 32);
});
