import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../src/core/clock.ts';
import { HoplineError } from '../../../src/core/errors.ts';
import { type ReachOptions, reachHop } from '../../../src/io/names/resolve.ts';
import { createSystemResolver } from '../../../src/io/names/system-resolver.ts';
import type { Port } from '../../../src/wire/address.ts';
import { startPeer } from '../../support/chain.ts';
import { FakeClock } from '../../support/legs.ts';

const base: ReachOptions = {
  clock: systemClock,
  resolve: createSystemResolver(),
  connectMs: 5000,
  idleMs: 5000,
  maxBlockBytes: 65536,
};
const hop = (port: number) => ({ host: 'some.name', port: port as Port });

test('a name is looked up once, and the first address that is allowed and answers is dialled', async (t) => {
  const { port } = await startPeer(t, () => {});
  const asked: string[] = [];
  const checked: string[] = [];
  const leg = await reachHop(hop(port), {
    ...base,
    resolve: async (host) => {
      asked.push(host);
      return ['127.0.0.9', '127.0.0.8', '127.0.0.1'];
    },
    check: (address) => {
      checked.push(address);
      if (address === '127.0.0.8') throw new HoplineError('POLICY_DENIED', 'no');
    },
  });
  t.after(() => leg.destroy());
  assert.deepEqual(asked, ['some.name']);
  assert.deepEqual(checked, ['127.0.0.9', '127.0.0.8', '127.0.0.1']);
  assert.equal(leg.peer, `127.0.0.1:${port}`);
});

test('an address that is denied is not dialled, and the denial is what is thrown', async (t) => {
  const { port } = await startPeer(t, () => assert.fail('a denied address was dialled'));
  const denied = new HoplineError('POLICY_DENIED', 'no');
  const check = () => {
    throw denied;
  };
  await assert.rejects(reachHop(hop(port), { ...base, resolve: async () => ['127.0.0.1'], check }), denied);
});

test('a name without an address, and one whose lookup fails, are unresolved', async () => {
  const failing = async () => {
    throw Object.assign(new Error('x'), { code: 'ENOTFOUND' });
  };
  const unresolved = { code: 'PEER_UNRESOLVED' };
  await assert.rejects(reachHop(hop(1), { ...base, resolve: async () => [] }), unresolved);
  await assert.rejects(reachHop(hop(1), { ...base, resolve: failing }), { ...unresolved, reason: 'ENOTFOUND' });
});

test('a lookup that takes too long is a deadline, and no timer is left', async () => {
  const clock = new FakeClock();
  const reached = reachHop(hop(1), { ...base, clock, resolve: () => new Promise(() => {}) });
  clock.advance(5000);
  await assert.rejects(reached, { code: 'TIMEOUT_CONNECT', message: 'no connection to some.name:1 within 5 s' });
  assert.equal(clock.waiting, 0);
});

test('an abort ends a lookup with its reason', async () => {
  const controller = new AbortController();
  const resolve = () => new Promise<never>(() => {});
  const reached = reachHop(hop(1), { ...base, resolve, signal: controller.signal });
  controller.abort(new Error('stopping'));
  await assert.rejects(reached, /stopping/);
});

test('what is an address already is not looked up', async () => {
  const resolve = () => assert.fail('an address was looked up');
  await assert.rejects(reachHop({ host: '::1', port: 1 as Port }, { ...base, resolve }), { code: 'PEER_UNREACHABLE' });
});
