import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HoplineError } from '../../src/index.ts';
import type { Leg } from '../../src/io/legs/leg.ts';
import { dialLeg } from '../../src/io/legs/open-leg.ts';
import { startPeer } from '../support/chain.ts';

const error = new HoplineError('NODE_STOPPING', 'the node is stopping');

test('a leg that is broken off and then closed, in any order with its end, is closed', async (t) => {
  const peer = await startPeer(t, (socket) => socket.resume());
  const endings: readonly ((leg: Leg) => void)[] = [
    (leg) => leg.destroy(error),
    (leg) => leg.end(),
    (leg) => leg.destroy(),
    (leg) => void leg.linger(100),
  ];
  for (const first of endings) {
    for (const second of endings) {
      const leg = await dialLeg('127.0.0.1', peer.port, { idleMs: 60_000, maxBlockBytes: 65_536 });
      first(leg);
      await Promise.resolve();
      second(leg);
      await new Promise((resolve) => process.nextTick(resolve));
      leg.destroy();
      await leg.closed;
    }
  }
});

test('a write that is cut off by breaking the leg off fails with the reason', async (t) => {
  const peer = await startPeer(t, () => {});
  const leg = await dialLeg('127.0.0.1', peer.port, { idleMs: 60_000, maxBlockBytes: 65_536 });
  const stuck = leg.write(Buffer.alloc(64 * 1_048_576));
  leg.destroy(error);
  await assert.rejects(stuck, error);
  await leg.closed;
  await assert.rejects(leg.read(), error);
});
