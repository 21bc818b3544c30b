import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type NodeOptions, startNode } from '../../src/index.ts';
import { connectRaw } from '../support/chain.ts';
import { occupy, openCircuit } from '../support/circuits.ts';

const start = async (t: TestContext, options: Partial<NodeOptions> = {}) => {
  const node = await startNode({ listen: { host: '127.0.0.1', port: 0 }, ...options });
  t.after(() => node.close({ graceMs: 0 }));
  return node;
};

for (const [options, roles] of [
  [{}, ['relay', 'origin']],
  [{ server: { policy: 'PP_1' } }, ['relay', 'origin', 'server']],
] as const) {
  test(`a node with ${JSON.stringify(options)} answers PING with its roles and its load`, async (t) => {
    const node = await start(t, { ...options, limits: { maxConnections: 7 } });
    await connectRaw(t, node);
    const circuit = await openCircuit(t, [node], [{ type: 'ping' }]);
    const { software, ...said } = await circuit.receive('pong');
    assert.deepEqual(said, { type: 'pong', roles, load: { open: 2, max: 7 } });
  });
}

test('a node that is full refuses in place of its load', async (t) => {
  const node = await start(t, { limits: { maxConnections: 1 } });
  await occupy(t, node);
  const circuit = await openCircuit(t, [node], [{ type: 'ping' }]);
  await assert.rejects(circuit.receive('pong'), { code: 'LIMIT_CONNECTIONS' });
});
