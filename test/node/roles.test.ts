import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type NodeOptions, startNode } from '../../src/index.ts';
import { connectRaw } from '../support/chain.ts';
import { occupy, openCircuit } from '../support/circuits.ts';

const wall = 1_764_470_000_000;
const start = async (t: TestContext, options: Partial<NodeOptions> = {}) => {
  const node = await startNode({ listen: { host: '127.0.0.1', port: 0 }, ...options });
  t.after(() => node.close({ graceMs: 0 }));
  return node;
};

for (const [options, roles] of [
  [{}, ['relay', 'origin']],
  [{ server: { policy: 'PP_1' } }, ['relay', 'origin', 'server']],
] as const) {
  test(`a node with ${JSON.stringify(options)} answers PING with its roles, its load and its clock`, async (t) => {
    const node = await start(t, { ...options, limits: { maxConnections: 7 }, wallClock: () => wall });
    await connectRaw(t, node);
    const circuit = await openCircuit(t, [node], [{ type: 'ping' }]);
    const { software, kernel, time, ...said } = await circuit.receive('pong');
    assert.deepEqual(said, { type: 'pong', roles, features: ['probe'], load: { open: 2, max: 7 }, uptimeS: 0 });
    assert.equal(time, wall);
  });
}

test('a node that is full refuses in place of its load', async (t) => {
  const node = await start(t, { limits: { maxConnections: 1 } });
  await occupy(t, node);
  const circuit = await openCircuit(t, [node], [{ type: 'ping' }]);
  await assert.rejects(circuit.receive('pong'), { code: 'LIMIT_CONNECTIONS' });
});
