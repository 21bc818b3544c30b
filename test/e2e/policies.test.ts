/** Three policies at one front, many messages: how even they are, also while a server is killed and comes back. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createMessage, openSender, type RunningNode, startNode } from '../../src/index.ts';
import type { Port } from '../../src/wire/address.ts';
import { until } from '../support/chain.ts';

const host = '127.0.0.1';
const clients = 8;
const health = { intervalMs: 100, ejectMs: 100 };

interface Site {
  readonly front: RunningNode;
  /** By policy and id. */
  readonly servers: Map<string, RunningNode>;
  start(policy: string, id: string, port?: number): Promise<void>;
  /** Sends so many messages of a policy, several at once; how many each server answered. */
  send(policy: string, count: number): Promise<Record<string, number>>;
}

async function startSite(t: TestContext, policies: Readonly<Record<string, number>>): Promise<Site> {
  const configured = Object.keys(policies).map((name) => ({ name, health, check: 'packet' as const }));
  const front = await startNode({ listen: { host, port: 0 }, pools: configured });
  const servers = new Map<string, RunningNode>();
  t.after(() => Promise.all([front, ...servers.values()].map((node) => node.close({ graceMs: 0 }))));
  const hop = { host, port: front.address.port as Port };
  const send = async (policy: string, count: number) => {
    const counts: Record<string, number> = {};
    let left = count;
    const work = async () => {
      const sender = await openSender({ to: hop });
      for (; left > 0; ) {
        left -= 1;
        const { server = '' } = await sender.send(createMessage('5', policy, `message ${left}`));
        counts[server] = (counts[server] ?? 0) + 1;
      }
      await sender.close();
    };
    await Promise.all(Array.from({ length: clients }, work));
    return counts;
  };
  const start = async (policy: string, id: string, port = 0) => {
    const server = { policy, id, register: [hop] };
    servers.set(`${policy} ${id}`, await startNode({ listen: { host, port }, server, limits: { registerMs: 100 } }));
  };
  for (const [policy, count] of Object.entries(policies)) {
    for (let id = 1; id <= count; id += 1) await start(policy, String(id));
    await until(async () => Object.keys(await send(policy, count).catch(() => ({}))).length === count);
  }
  return { front, servers, start, send };
}

const policies = { two: 2, three: 3, other: 3 };

test('2,000 messages of three policies are exactly even over the servers of each', async (t) => {
  const { send } = await startSite(t, policies);
  const [two, three, other] = await Promise.all([send('two', 800), send('three', 600), send('other', 600)]);
  assert.deepEqual(two, { 1: 400, 2: 400 });
  assert.deepEqual(three, { 1: 200, 2: 200, 3: 200 });
  assert.deepEqual(other, { 1: 200, 2: 200, 3: 200 });
});

test('a server that is killed in the middle and comes back costs no client an error, and evenness returns', async (t) => {
  const { front, servers, start, send } = await startSite(t, policies);
  const victim = servers.get('three 2') as RunningNode;
  const { messages: before } = front.stats();
  const all = Promise.all([send('two', 800), send('three', 600), send('other', 600)]);
  await until(() => front.stats().messages - before > 300);
  await victim.close({ graceMs: 0 });
  const counts = await all;
  const [two, three, other] = counts;
  assert.deepEqual(
    [two, other],
    [
      { 1: 400, 2: 400 },
      { 1: 200, 2: 200, 3: 200 },
    ],
  );
  assert.equal(
    Object.values(three).reduce((sum, count) => sum + count),
    600,
  );
  assert.ok((three[2] ?? 0) < 200, JSON.stringify(three));
  assert.ok(Math.abs((three[1] ?? 0) - (three[3] ?? 0)) <= clients, JSON.stringify(three));
  const without = await send('three', 200);
  assert.deepEqual(without, { 1: 100, 3: 100 });
  await start('three', '2', victim.address.port);
  await until(async () => 2 in (await send('three', 3)));
  assert.deepEqual(await send('three', 600), { 1: 200, 2: 200, 3: 200 });
});
