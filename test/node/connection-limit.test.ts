import assert from 'node:assert/strict';
import { test } from 'node:test';
import { download, type HoplineError, parseVia, startNode } from '../../src/index.ts';
import { addressOf, connectRaw, receiveAll, startChain, until } from '../support/chain.ts';
import { occupy, openCircuit } from '../support/circuits.ts';
import { makeTempRoot } from '../support/temp-root.ts';

test('a node that is full says so with its own place in the route, and to a classic client in its words', async (t) => {
  const root = await makeTempRoot(t);
  const { nodes } = await startChain(t, 1, root.path);
  const full = await startNode({
    listen: { host: '127.0.0.1', port: 0 },
    root: root.path,
    limits: { maxConnections: 1 },
  });
  t.after(() => full.close({ graceMs: 0 }));
  await occupy(t, full);
  const route = parseVia([...nodes, full].map(addressOf).join(','), 'a');
  await assert.rejects(download({ route, output: root.path }), (error: HoplineError) => {
    assert.equal(error.code, 'LIMIT_CONNECTIONS');
    assert.equal(error.hop, 2);
    return true;
  });
  const classic = await connectRaw(t, full);
  const answer = receiveAll(classic);
  classic.end('a\n127.0.0.1 7001');
  assert.equal((await answer).toString(), 'NA');
});

test('what was refused, or says nothing, keeps nobody out of a node that has a place', async (t) => {
  // Far longer than the test may take: whoever counted until it had gone would still count.
  const limits = { maxConnections: 2, headMs: 600_000, lingerMs: 600_000 };
  const [node] = (await startChain(t, 1, (await makeTempRoot(t)).path, { limits })).nodes;
  assert.ok(node);
  await occupy(t, node);
  for (let count = 0; count < 10; count += 1) {
    const refused = await connectRaw(t, node);
    refused.write('\u0001 nothing that a node speaks');
    await until(() => node.stats().failures.PEER_PROTOCOL === count + 1);
    await connectRaw(t, node);
  }
  const circuit = await openCircuit(t, [node], [{ type: 'ping' }]);
  const { load } = await circuit.receive('pong');
  assert.deepEqual(load, { open: 2, max: 2 });
});

test('a circuit that waits for requests gives way and is told so; one in the middle of a relay does not', async (t) => {
  const [node] = (await startChain(t, 1, (await makeTempRoot(t)).path, { limits: { maxConnections: 2 } })).nodes;
  assert.ok(node);
  await occupy(t, node);
  const idle = await openCircuit(t, [node], [{ type: 'ping' }]);
  await idle.receive('pong');
  const next = await openCircuit(t, [node], [{ type: 'ping' }]);
  await next.receive('pong');
  await assert.rejects(idle.receive('pong'), { code: 'LIMIT_CONNECTIONS' });
});
