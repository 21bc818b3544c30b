/** A relay that is asked for names whose name server says nothing, and for names that lead to several addresses. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { download, type NodeOptions, parseVia, type RunningNode } from '../../src/index.ts';
import { createSystemResolver } from '../../src/io/names/system-resolver.ts';
import { decodeAnswer, encodeMessage } from '../../src/wire/native/messages.ts';
import { addressOf, connectRaw, receiveAll, startChain, until } from '../support/chain.ts';
import { startNameServer } from '../support/name-server.ts';
import { makeTempRoot } from '../support/temp-root.ts';

/** An origin called `good.example`, and a relay that asks a name server which knows that name alone. */
async function start(t: TestContext, options: Partial<NodeOptions> = {}) {
  const root = await makeTempRoot(t);
  await root.writeRandom('data.bin', 1000);
  const server = await startNameServer(t, (name, family) => {
    if (name !== 'good.example') return undefined;
    return family === 4 ? ['127.0.0.1'] : [];
  });
  const hosts = { find: async () => [] };
  const resolve = createSystemResolver({ hosts, servers: [server.address], ask: async () => [] });
  const { nodes } = await startChain(t, 2, root.path, { resolve, ...options });
  const [relay, origin] = nodes as [RunningNode, RunningNode];
  const route = parseVia(`${addressOf(relay)},good.example:${origin.address.port}`, 'data.bin');
  return { relay, route, asked: server.asked };
}

async function openTo(t: TestContext, relay: RunningNode, hop: string) {
  const socket = await connectRaw(t, relay);
  const trace = Buffer.from(hop.padEnd(16)).toString('hex').slice(0, 32);
  socket.write(encodeMessage({ type: 'open', hops: [addressOf(relay), hop], hop: 1, trace, deadlineMs: 30_000 }));
  return socket;
}

test('names whose name server is silent stop no lookup of a good one, of the same client either', async (t) => {
  const { relay, route, asked } = await start(t, { limits: { maxPeerLookups: 16 } });
  for (let index = 0; index < 40; index += 1) await openTo(t, relay, `s${index}.example:7001`);
  await until(() => new Set(asked).size === 40);
  const out = await makeTempRoot(t);
  const { size } = await download({ route, output: out.path });
  assert.equal(size, 1000);
  assert.equal(relay.stats().failures.TIMEOUT_CONNECT ?? 0, 0, 'the silent names were waited for');
});

test('a name that no rule can allow is refused without a question', async (t) => {
  const { relay, route, asked } = await start(t, { next: ['good.example', '127.0.0.1:7001'] });
  const answer = await receiveAll(await openTo(t, relay, 'other.example:7001'));
  const decoded = decodeAnswer(answer, 65_536);
  assert.ok(decoded.kind === 'ok' && decoded.value.type === 'refused' && decoded.value.code === 'POLICY_DENIED');
  assert.deepEqual(asked, []);
  const out = await makeTempRoot(t);
  await download({ route, output: out.path });
  assert.ok(asked.length > 0);
});
