import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../src/core/clock.ts';
import { dialDirect } from '../../../src/http/transport/dial.ts';
import type { Port } from '../../../src/wire/address.ts';
import { startPeer } from '../../support/chain.ts';

test('a connection to a server is opened to the first of its addresses that answers', async (t) => {
  const { port } = await startPeer(t, () => {});
  const options = { clock: systemClock, connectMs: 5000, resolve: async () => ['127.0.0.9', '::1', '127.0.0.1'] };
  const socket = await dialDirect({ host: 'www.example', port: port as Port }, options);
  t.after(() => socket.destroy());
  assert.equal(socket.remoteAddress, '127.0.0.1');
});

test('a name without an address, and addresses where nobody listens, are told apart', async () => {
  const to = { host: 'www.example', port: 1 as Port };
  const options = { clock: systemClock, connectMs: 5000 };
  await assert.rejects(dialDirect(to, { ...options, resolve: async () => [] }), { code: 'PEER_UNRESOLVED' });
  const refused = { code: 'PEER_UNREACHABLE', reason: 'ECONNREFUSED' };
  await assert.rejects(dialDirect(to, { ...options, resolve: async () => ['127.0.0.8', '127.0.0.9'] }), refused);
});
