/** Those who look, and whom they hold up: nobody. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type net from 'node:net';
import { type TestContext, test } from 'node:test';
import { ask, connectSilent, openAdminOf } from '../support/admin.ts';
import { until } from '../support/chain.ts';

const nothing = { addresses: [] };

test('a connection that asks for nothing gives way to a newer one, and one at work does not', async (t) => {
  const { port } = await openAdminOf(t, nothing, { limits: { maxAdminConnections: 4, maxPeerPercent: 100 } });
  const silent = await connectSilent(t, port);
  const half = await connectSilent(t, port);
  half.write('GET / HTTP/1.1\r\nHost: local');
  const held: net.Socket[] = [];
  for (let index = 0; index < 2; index += 1) held.push(await follow(t, port));
  for (const socket of [silent, half]) {
    const closed = once(socket.resume(), 'close');
    held.push(await follow(t, port));
    await closed;
  }
  await assert.rejects(ask({ port }, '/healthz'));
  held[0]?.destroy();
  await until(async () => (await ask({ port }, '/healthz').catch(() => undefined))?.status === 200);
});

test('a request ahead of the answer to the one before ends the connection', async (t) => {
  const { port } = await openAdminOf(t, nothing);
  const socket = await connectSilent(t, port);
  let text = '';
  socket.on('data', (part) => {
    text += part;
  });
  socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(100));
  await once(socket, 'close');
  assert.equal(text, '');
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const ports = new Set<number | undefined>();
  for (let index = 0; index < 3; index += 1) {
    const request = http.get({ port, host: '127.0.0.1', path: '/metrics', agent });
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    ports.add(response.socket.localPort);
    await once(response.resume(), 'end');
  }
  assert.equal(ports.size, 1, 'one after the other, they go over one connection');
});

test('answers are made one in a turn of the event loop', async (t) => {
  let turn = 0;
  const count = () => {
    turn += 1;
    counting = setImmediate(count);
  };
  let counting = setImmediate(count);
  t.after(() => clearImmediate(counting));
  const turns: number[] = [];
  const render = () => {
    turns.push(turn);
    return '';
  };
  const { port } = await openAdminOf(t, nothing, { page: { type: 'text/html', render, part: () => undefined } });
  const sockets = await Promise.all(Array.from({ length: 20 }, () => connectSilent(t, port)));
  // What the system has connected may not be accepted yet; that comes one in a turn anyway.
  for (const path of ['/healthz', '/']) {
    for (const socket of sockets) socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    await Promise.all(sockets.map((socket) => once(socket, 'data')));
  }
  assert.equal(new Set(turns).size, 20);
});

test('a client that says nothing, or half a head, is closed in time', async (t) => {
  const { port } = await openAdminOf(t, nothing, { limits: { adminMs: 300 } });
  const silent = await connectSilent(t, port);
  const half = await connectSilent(t, port);
  half.write('GET / HTTP/1.1\r\nHost: local');
  const closed = [silent, half].map((socket) => once(socket.resume(), 'close'));
  await Promise.all(closed);
});

/** Somebody who follows what happens, and has heard the first of it. */
async function follow(t: TestContext, port: number): Promise<net.Socket> {
  const socket = await connectSilent(t, port);
  socket.write('GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await once(socket, 'data');
  return socket;
}
