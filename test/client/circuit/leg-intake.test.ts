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
    const chunk = await intake.read(100);
    assert.equal(chunk?.bytes.toString(), 'x');
    chunk.release();
    clock.advance(100_000);
  }
  assert.equal(leg.failure, undefined);
  const waiting = intake.read(100);
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
  const parts: Buffer[] = [];
  for (let received = 0; received < content.length; ) {
    const read = intake.read(content.length - received);
    const isHeldBack = (await Promise.race([read, new Promise((resolve) => setImmediate(resolve))])) === undefined;
    if (isHeldBack) clock.advance(20);
    const chunk = await read;
    assert.ok(chunk);
    parts.push(Buffer.from(chunk.bytes));
    received += chunk.bytes.length;
    chunk.release();
    assert.ok(received <= rate.burstBytes + clock.now() * 102.4, `${received} after ${clock.now()} ms`);
  }
  assert.ok(parts.length > 2);
  assert.ok(Buffer.concat(parts).equals(content));
  assert.equal(await intake.read(1), null);
  assert.equal(leg.failure, undefined);
});

test('a client that is interrupted does not wait for its limit', async (t) => {
  const clock = new FakeClock();
  const rate = new RateLimit(1024, clock);
  const { intake, peer, stop, leg } = await startIntake(t, clock, { rate });
  rate.grant(1_000_000);
  peer.write('x'.repeat(5000));
  const waiting = intake.read(5000);
  while (clock.waiting < 1) await new Promise((resolve) => setImmediate(resolve));
  const reason = new Error('enough');
  stop.abort(reason);
  await assert.rejects(waiting, reason);
  leg.destroy();
  await leg.closed;
  assert.equal(clock.waiting, 0);
});
