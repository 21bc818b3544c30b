import assert from 'node:assert/strict';
import { test } from 'node:test';
import { download, type HoplineError, parseVia, startNode } from '../../src/index.ts';
import { addressOf, connectRaw, receiveAll, startChain } from '../support/chain.ts';
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
  await connectRaw(t, full);
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
