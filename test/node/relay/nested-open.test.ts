/** Routes that begin inside a tunnel: they are a part of the circuit that the tunnel is. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { defaultLimits, type Limits, type RunningNode } from '../../../src/index.ts';
import { type Answer, decodeAnswer, encodeMessage } from '../../../src/wire/native/messages.ts';
import { addressOf, connectRaw, startChain, startPeer, until } from '../../support/chain.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const deadlineMs = 10_000;

async function startNodes(
  t: TestContext,
  count: number,
  limits: Partial<Limits> = {},
): Promise<readonly RunningNode[]> {
  return (await startChain(t, count, (await makeTempRoot(t)).path, { limits })).nodes;
}

function openTo(addresses: readonly string[], trace: string, tunnel = false): Buffer {
  return encodeMessage({ type: 'open', hops: [...addresses], hop: 1, trace: trace.repeat(32), deadlineMs, tunnel });
}

/** Reads answers one after the other. */
function answersOf(socket: Socket): () => Promise<Answer> {
  let held = Buffer.alloc(0);
  return async () => {
    for (;;) {
      const decoded = decodeAnswer(held, defaultLimits.maxHeaderBytes);
      if (decoded.kind === 'bad') throw decoded.error;
      if (decoded.kind === 'ok') {
        held = held.subarray(decoded.used);
        return decoded.value;
      }
      const [part] = (await once(socket, 'data')) as [Buffer];
      held = Buffer.concat([held, part]);
    }
  };
}

/** A tunnel through the first node to the second. */
async function openTunnel(t: TestContext, first: RunningNode, address: string) {
  const socket = await connectRaw(t, first);
  const next = answersOf(socket);
  socket.write(openTo([addressOf(first), address], 'a', true));
  assert.equal((await next()).type, 'connected');
  return { socket, next };
}

test('a route through a tunnel works, also when its OPEN comes a byte at a time', async (t) => {
  const [first, second, third] = await startNodes(t, 3);
  assert.ok(first && second && third);
  const { socket, next } = await openTunnel(t, first, addressOf(second));
  const bytes = Buffer.concat([openTo([second, third].map(addressOf), 'b'), encodeMessage({ type: 'ping' })]);
  for (const byte of bytes) await new Promise((sent) => socket.write(Buffer.of(byte), sent));
  assert.equal((await next()).type, 'pong');
});

test('a route through a tunnel that comes back to a node before it is a loop', async (t) => {
  const [first, second] = await startNodes(t, 2);
  assert.ok(first && second);
  const { socket, next } = await openTunnel(t, first, addressOf(second));
  socket.write(Buffer.concat([openTo([second, first].map(addressOf), 'b'), encodeMessage({ type: 'ping' })]));
  assert.deepEqual(await next(), { type: 'refused', code: 'ROUTE_LOOP', hop: 2 });
});

test('a tunnel in a tunnel that comes back is a loop, too', async (t) => {
  const [first, second, third] = await startNodes(t, 3);
  assert.ok(first && second && third);
  const { socket, next } = await openTunnel(t, first, addressOf(second));
  socket.write(openTo([second, third].map(addressOf), 'b', true));
  assert.equal((await next()).type, 'connected');
  socket.write(openTo([third, first].map(addressOf), 'c', true));
  assert.equal((await next()).type, 'connected');
  socket.write(openTo([addressOf(first)], 'd'));
  assert.deepEqual(await next(), { type: 'refused', code: 'ROUTE_LOOP', hop: 1 });
});

test('the hops of a tunnel and those of the routes in it count together', async (t) => {
  const [first, second, third, fourth] = await startNodes(t, 4, { maxHops: 3 });
  assert.ok(first && second && third && fourth);
  const fits = await openTunnel(t, first, addressOf(second));
  fits.socket.write(Buffer.concat([openTo([second, third].map(addressOf), 'b'), encodeMessage({ type: 'ping' })]));
  assert.equal((await fits.next()).type, 'pong');
  fits.socket.destroy();
  await until(() => first.stats().open === 0);
  const tooLong = await openTunnel(t, first, addressOf(second));
  tooLong.socket.write(openTo([second, third, fourth].map(addressOf), 'b'));
  assert.deepEqual(await tooLong.next(), { type: 'refused', code: 'LIMIT_HOPS', hop: 1 });
});

test('what speaks first behind a tunnel is heard before the client has said anything', async (t) => {
  const [first] = await startNodes(t, 1);
  assert.ok(first);
  const peer = await startPeer(t, (socket) => socket.write('220 ready\r\n'));
  const socket = await connectRaw(t, first);
  let heard = '';
  socket.on('data', (part: Buffer) => {
    heard += part.toString('latin1');
  });
  socket.write(openTo([addressOf(first), peer.address], 'a', true));
  await until(() => heard.endsWith('220 ready\r\n'));
});
