import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { LegIntake, type LegIntakeOptions } from '../../../src/client/circuit/leg-intake.ts';
import { defaultLimits } from '../../../src/core/limits.ts';
import { RateLimit } from '../../../src/io/rates/rate.ts';
import { FakeClock, makeLeg } from '../../support/legs.ts';

async function startIntake(t: TestContext, clock: FakeClock, options: Partial<LegIntakeOptions>) {
  const { leg, peer } = await makeLeg(t);
  const stop = new AbortController();
  const intake = new LegIntake(leg, 'hop 1', { limits: defaultLimits, clock, signal: stop.signal, ...options });
  return { leg, peer, stop, intake };
}

test('what the client itself waits for is not held against the peer', async (t) => {
  const clock = new FakeClock();
  const { intake, peer, leg } = await startIntake(t, clock, { minRate: 1024 });
  for (let times = 0; times < 5; times += 1) {
    peer.write('x');
    const memory = Buffer.alloc(1);
    assert.equal(await intake.fill(memory, () => {}), 1);
    assert.equal(memory.toString(), 'x');
    clock.advance(100_000);
  }
  assert.equal(leg.failure, undefined);
  const waiting = intake.fill(Buffer.alloc(100), () => {});
  clock.advance(10_000);
  await assert.rejects(waiting, { code: 'TIMEOUT_SLOW' });
  await leg.closed;
  assert.equal(clock.waiting, 0);
});

test('content comes in the parts that the limit allows, all of it and in order', async (t) => {
  const clock = new FakeClock();
  const rate = new RateLimit(100 * 1024, clock);
  const { intake, peer, leg } = await startIntake(t, clock, { rate });
  const content = Buffer.from(Array.from({ length: 30_000 }, (_, place) => place % 251));
  peer.end(content);
  const memory = Buffer.alloc(content.length + 1);
  const parts: number[] = [];
  let isDone = false;
  let received = 0;
  const filling = intake.fill(memory, (count) => {
    parts.push(count);
    received += count;
    assert.ok(received <= rate.burstBytes + clock.now() * 102.4, `${received} after ${clock.now()} ms`);
  });
  const done = filling.finally(() => {
    isDone = true;
  });
  while (!isDone) {
    await new Promise((resolve) => setImmediate(resolve));
    // Only while nothing but the limit holds it back, or more would be allowed than is checked.
    if (clock.waiting > 0) clock.advance(20);
  }
  assert.equal(await done, content.length, 'the end comes early for memory that is larger');
  assert.ok(parts.length > 2);
  assert.ok(memory.subarray(0, content.length).equals(content));
  assert.equal(leg.failure, undefined);
});

test('a client that is interrupted does not wait for its limit', async (t) => {
  const clock = new FakeClock();
  const rate = new RateLimit(1024, clock);
  const { intake, peer, stop, leg } = await startIntake(t, clock, { rate });
  rate.grant(1_000_000);
  peer.write('x'.repeat(5000));
  const waiting = intake.fill(Buffer.alloc(5000), () => {});
  while (clock.waiting < 1) await new Promise((resolve) => setImmediate(resolve));
  const reason = new Error('enough');
  stop.abort(reason);
  await assert.rejects(waiting, reason);
  leg.destroy();
  await leg.closed;
  assert.equal(clock.waiting, 0);
});
