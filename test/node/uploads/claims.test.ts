import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultLimits } from '../../../src/core/limits.ts';
import { Uploads } from '../../../src/node/uploads/claims.ts';
import { FakeClock } from '../../support/legs.ts';

test('an older circuit that does not let go in time keeps its claim', async () => {
  const clock = new FakeClock();
  const uploads = new Uploads({}, defaultLimits, clock);
  let ended = 0;
  const end = () => {
    ended += 1;
  };
  const claim = await uploads.claim('/a', '1', { owner: 'peer', end });
  const pending = uploads.claim('/a', '1', { owner: 'peer', end: () => {} });
  clock.advance(defaultLimits.headMs);
  await assert.rejects(pending, { code: 'DISK_BUSY' });
  assert.equal(ended, 1);
  claim.release();
  const next = await uploads.claim('/a', '1', { owner: 'peer', end: () => {} });
  claim.release();
  await assert.rejects(
    uploads.claim('/a', '2', { owner: 'peer', end: () => {} }),
    { code: 'DISK_BUSY' },
    'a late release frees nobody else',
  );
  next.release();
  assert.equal(clock.waiting, 0);
});

test('of several that take over at once, one gets the claim and the others wait for it in turn', async () => {
  const uploads = new Uploads({}, defaultLimits, new FakeClock());
  const order: number[] = [];
  const takeOver = async (number: number) => {
    const claim = await uploads.claim('/a', '1', { owner: 'peer', end: () => setImmediate(() => claim.release()) });
    order.push(number);
    return claim;
  };
  const claims = await Promise.all([1, 2, 3].map(takeOver));
  assert.deepEqual(order.toSorted(), [1, 2, 3]);
  assert.equal(claims.length, 3);
});

test('what was finished is remembered for its number and file, the oldest forgotten first', async () => {
  const uploads = new Uploads({}, defaultLimits, new FakeClock());
  const finished = (replaced: boolean) => ({ replaced, size: 1, voucher: { version: 'v1' } });
  for (let number = 0; number < 257; number += 1) {
    const claim = await uploads.claim('/a', String(number), { owner: 'peer', end: () => {} });
    claim.finish(finished(number === 256));
    claim.release();
  }
  assert.equal(uploads.finished('/a', '0'), undefined);
  assert.deepEqual(uploads.finished('/a', '1'), finished(false));
  assert.deepEqual(uploads.finished('/a', '256'), finished(true));
  assert.equal(uploads.finished('/b', '256'), undefined);
});
