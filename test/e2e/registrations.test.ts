/** A front at which somebody registers thousands of servers that are not there, beside one that is. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createMessage, type NodeOptions, openSender, type RunningNode, startNode } from '../../src/index.ts';
import type { Port } from '../../src/wire/address.ts';
import { connectRaw, until } from '../support/chain.ts';

const host = '127.0.0.1';

async function start(t: TestContext, options: Partial<NodeOptions> = {}): Promise<RunningNode> {
  const node = await startNode({ listen: { host, port: 0 }, ...options });
  t.after(() => node.close({ graceMs: 0 }));
  return node;
}

/** Registers ports that nobody listens at, all in one go; how many of them have been answered. */
async function flood(t: TestContext, front: RunningNode, count: number, policyOf: (index: number) => string) {
  const socket = await connectRaw(t, front);
  let answered = 0;
  socket.on('data', (bytes) => {
    answered += bytes.toString('latin1').split('{').length - 1;
  });
  const setups = Array.from({ length: count }, (_, index) => {
    return JSON.stringify({ type: 1, id: String(index), privPoliId: policyOf(index), listenport: 1 + (index % 900) });
  });
  socket.write(setups.join(''));
  return () => answered;
}

async function send(front: RunningNode, policy: string): Promise<string | undefined> {
  const sender = await openSender({ to: { host, port: front.address.port as Port } });
  try {
    return (await sender.send(createMessage('5', policy, 'x'))).server;
  } finally {
    await sender.close();
  }
}

test('messages are answered while ten thousand servers register that are not there, for the same policy too', async (t) => {
  const front = await start(t);
  const register = [{ host, port: front.address.port as Port }];
  await start(t, { server: { policy: 'PP', id: 'me', register } });
  await until(async () => (await send(front, 'PP').catch(() => '')) === 'me');
  const answered = await flood(t, front, 10_000, (index) => (index % 2 === 0 ? 'PP' : `PP_${index % 400}`));
  await until(() => answered() > 0);
  for (let count = 0; count < 5; count += 1) assert.equal(await send(front, 'PP'), 'me');
  assert.ok(answered() < 10_000, 'the messages had to wait for all registrations');
  assert.equal(front.stats().failures.POOL_EMPTY ?? 0, 0);
});

test('an address registers no more than its share, and has it back when nobody was there', async (t) => {
  // None may be forgotten before the last of them was refused.
  const limits = { maxPeerRegistered: 20, forgetNewMs: 3000 };
  const front = await start(t, { limits });
  const answered = await flood(t, front, 60, (index) => `PP_${index % 3}`);
  await until(() => answered() === 60);
  assert.equal(front.stats().failures.LIMIT_MEMBERS, 40);
  // Their policies are forgotten with them.
  for (const policy of ['PP_0', 'PP_1', 'PP_2']) {
    await until(async () => {
      const code = await send(front, policy).catch((error) => error.code);
      return code === 'POLICY_UNKNOWN';
    });
  }
  const again = await flood(t, front, 20, () => 'PP_9');
  await until(() => again() === 20);
  assert.equal(front.stats().failures.LIMIT_MEMBERS, 40);
});
