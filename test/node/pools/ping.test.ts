import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { systemClock } from '../../../src/core/clock.ts';
import { HoplineError } from '../../../src/core/errors.ts';
import { defaultLimits } from '../../../src/core/limits.ts';
import { createSystemResolver } from '../../../src/io/names/system-resolver.ts';
import { pingNode } from '../../../src/node/pools/ping.ts';
import type { Port } from '../../../src/wire/address.ts';
import { encodeMessage, refusal } from '../../../src/wire/native/messages.ts';
import { startChain, startPeer } from '../../support/chain.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const base = { ...defaultLimits, clock: systemClock, resolve: createSystemResolver(), connectMs: 500 };
const ping = (port: number) => pingNode({ host: '127.0.0.1', port: port as Port }, base);

test('a node answers with what it runs', async (t) => {
  const [node] = (await startChain(t, 1, (await makeTempRoot(t)).path)).nodes;
  const { type, software } = await ping(node?.address.port ?? 0);
  assert.equal(type, 'pong');
  assert.match(software, /^hopline\//);
});

const peers: [what: string, serve: (socket: Socket) => void, code: string][] = [
  ['keeps silent', (socket) => socket.resume(), 'TIMEOUT_HEAD'],
  ['ends', (socket) => socket.resume().end(), 'PEER_LOST'],
  ['says something else', (socket) => socket.resume().write('HTTP/1.1 200 OK\r\n\r\n'), 'PEER_PROTOCOL'],
  [
    'answers another question',
    (socket) => socket.resume().write(encodeMessage({ type: 'stored', index: 1 })),
    'PEER_PROTOCOL',
  ],
  [
    'refuses',
    (socket) => socket.resume().end(encodeMessage(refusal(new HoplineError('LIMIT_CONNECTIONS', 'full'), 1))),
    'LIMIT_CONNECTIONS',
  ],
];
for (const [what, serve, code] of peers) {
  test(`a peer that ${what} is no node that serves`, async (t) => {
    const peer = await startPeer(t, serve);
    await assert.rejects(ping(peer.port), { code });
  });
}
