import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { HoplineError } from '../../../src/core/errors.ts';
import { defaultLimits, type Limits } from '../../../src/index.ts';
import { UploadSlots } from '../../../src/node/uploads/upload-slots.ts';
import { FakeClock } from '../../support/legs.ts';

const { stallMs, yieldMs, minUploadRateBytes } = defaultLimits;

function makeSlots(limits: Partial<Limits> = {}) {
  const clock = new FakeClock();
  const slots = new UploadSlots({ ...defaultLimits, maxUploads: 2, maxPeerUploads: 2, ...limits }, clock);
  const ended = new Map<string, HoplineError>();
  const take = (name: string, owner = 'peer') => slots.take(owner, (reason) => ended.set(name, reason));
  /** Lets time pass in steps, so that who waits has its turns. */
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 100) {
      clock.advance(Math.min(100, left));
      await setImmediate();
    }
  };
  return { clock, slots, take, ended, pass };
}

test('an upload that brings nothing loses its place after the stall time, and is told so', async () => {
  const { take, ended, pass, clock } = makeSlots();
  await take('silent');
  const working = await take('working');
  await pass(stallMs - 100);
  working.moved(1);
  assert.equal(ended.size, 0);
  await pass(100);
  assert.deepEqual([...ended.keys()], ['silent']);
  assert.equal(ended.get('silent')?.code, 'TIMEOUT_IDLE');
  await pass(stallMs - 200);
  assert.equal(ended.size, 1);
  await pass(100);
  assert.equal(ended.size, 2);
  assert.equal(clock.waiting, 0);
});

test('the one that is farthest behind gives way to another upload, and the other who works stays', async () => {
  const { take, ended, pass } = makeSlots();
  await take('silent');
  const working = await take('working');
  await pass(yieldMs);
  working.moved(minUploadRateBytes);
  const slot = await take('new');
  assert.deepEqual([...ended.keys()], ['silent']);
  assert.equal(ended.get('silent')?.code, 'TIMEOUT_IDLE');
  slot.release();
});

test('drops of content do not keep a place that somebody waits for', async () => {
  const { take, ended, pass } = makeSlots({ maxUploads: 1 });
  const slow = await take('slow');
  for (let turn = 0; turn < 10; turn += 1) {
    await pass(100);
    slow.moved(minUploadRateBytes / 100);
  }
  await take('new');
  assert.deepEqual([...ended.keys()], ['slow']);
});

test('where all keep up, one more waits for twice the time to yield, and is refused by the name of the limit', async () => {
  const { take, ended, pass } = makeSlots();
  const holders = [await take('one'), await take('two')];
  const refused = assert.rejects(take('three'), { code: 'LIMIT_UPLOADS', reason: 'maxPeerUploads' });
  const other = assert.rejects(take('four', 'other'), { code: 'LIMIT_UPLOADS', reason: 'maxUploads' });
  for (let turn = 0; turn < 2 * yieldMs; turn += 100) {
    for (const holder of holders) holder.moved(minUploadRateBytes / 10);
    await pass(100);
  }
  await Promise.all([refused, other]);
  assert.equal(ended.size, 0);
  for (const holder of holders) holder.release();
});

test('a place that is given back goes to who waits, at once', async () => {
  const { take, clock } = makeSlots({ maxUploads: 1 });
  const first = await take('one');
  const waiting = take('two');
  first.release();
  first.release();
  (await waiting).release();
  assert.equal(clock.waiting, 0);
});

test('many may wait for a place, and Node warns of none of them', async (t) => {
  const warnings: Error[] = [];
  const note = (warning: Error) => void warnings.push(warning);
  process.on('warning', note);
  t.after(() => process.off('warning', note));
  const { take, pass, clock } = makeSlots({ maxUploads: 1 });
  const held = await take('held');
  const waiting = Array.from({ length: 50 }, (_, index) => take(`w${index}`));
  await setImmediate();
  held.release();
  for (const next of waiting) {
    const slot = await next;
    slot.release();
    await setImmediate();
  }
  await pass(yieldMs);
  assert.deepEqual(warnings, []);
  assert.equal(clock.waiting, 0);
});

test('a peer with its whole share takes the place of its own upload, and of no other', async () => {
  const { take, ended, pass } = makeSlots({ maxPeerUploads: 1 });
  await take('other', 'other');
  await pass(100);
  await take('one');
  await pass(yieldMs);
  await take('two');
  assert.deepEqual([...ended.keys()], ['one']);
});

test('what the node itself does for an upload is not held against it', async () => {
  const { take, ended, pass } = makeSlots({ maxUploads: 1 });
  const slot = await take('one');
  let done = () => {};
  const work = slot.during(
    new Promise<void>((resolve) => {
      done = resolve;
    }),
  );
  await pass(2 * stallMs);
  const refused = assert.rejects(take('two'), { code: 'LIMIT_UPLOADS' });
  await pass(2 * yieldMs);
  await refused;
  done();
  await work;
  assert.equal(ended.size, 0);
  await pass(stallMs);
  assert.deepEqual([...ended.keys()], ['one']);
});
