/** A gateway whose sites lie behind nodes: files at the end of a route, and servers behind its last node. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { truncate } from 'node:fs/promises';
import http from 'node:http';
import type net from 'node:net';
import { type TestContext, test } from 'node:test';
import { openBackend, parseSite } from '../../src/index.ts';
import { addressOf, startChain, until } from '../support/chain.ts';
import { ask, startBackend, startTestGateway } from '../support/http.ts';
import { makeTempRoot } from '../support/temp-root.ts';

async function startSites(t: TestContext, texts: readonly string[]) {
  const opened = await Promise.all(
    texts.map(async (text) => {
      const { host, backend } = parseSite(text);
      return { host, ...(await openBackend(backend)) };
    }),
  );
  t.after(() => Promise.all(opened.map((site) => site.close())));
  return startTestGateway(t, { sites: opened.map(({ host, backend }) => ({ host, backend })) });
}

async function fetchBytes(port: number, options: http.RequestOptions): Promise<[status: number, body: Buffer]> {
  const request = http.get({ host: '127.0.0.1', port, agent: false, ...options });
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part as Buffer);
  return [response.statusCode ?? 0, Buffer.concat(parts)];
}

test('a file comes through three hops, whole and in sixteen ranges at once', async (t) => {
  const root = await makeTempRoot(t);
  const content = await root.writeRandom('dir/a.bin', 16_000_001);
  const chain = await startChain(t, 3, root.path);
  const gateway = await startSites(t, [`*=route:${chain.nodes.map(addressOf).join(',')}`]);
  const path = '/dir/a.bin';
  const [status, whole] = await fetchBytes(gateway.port, { path });
  assert.equal(status, 200);
  assert.ok(whole.equals(content));
  const ranges = Array.from({ length: 16 }, (_, index) => [index * 1_000_000, index * 1_000_000 + 1_000_000] as const);
  const parts = await Promise.all(
    ranges.map(([first, last]) => fetchBytes(gateway.port, { path, headers: { range: `bytes=${first}-${last}` } })),
  );
  for (const [index, [first, last]] of ranges.entries()) {
    assert.equal(parts[index]?.[0], 206);
    assert.ok(parts[index]?.[1].equals(content.subarray(first, last + 1)));
  }
  const head = await ask(gateway.port, { method: 'HEAD', path });
  assert.deepEqual([head.status, head.headers['content-length']], [200, String(content.length)]);
  assert.equal((await ask(gateway.port, { path, headers: { 'if-none-match': head.headers.etag } })).status, 304);
  assert.equal((await ask(gateway.port, { path: '/none' })).status, 404);
  assert.equal((await ask(gateway.port, { path: '/..%2f' })).status, 400);
  assert.equal((await ask(gateway.port, { path, method: 'POST' }, 'x')).status, 405);
});

test('a client that leaves in the middle ends its circuit', async (t) => {
  const root = await makeTempRoot(t);
  await root.writeRandom('a.bin', 64_000_000);
  const chain = await startChain(t, 2, root.path);
  const gateway = await startSites(t, [`*=route:${chain.nodes.map(addressOf).join(',')}`]);
  const request = http.get({ host: '127.0.0.1', port: gateway.port, path: '/a.bin', agent: false });
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  await once(response, 'readable');
  response.on('error', () => {}).destroy();
  await until(() => chain.nodes.every((node) => node.stats().open === 0));
});

test('an origin that is not there any more breaks an answer off, and is 502 from then on', async (t) => {
  const root = await makeTempRoot(t);
  await root.writeRandom('a.bin', 64_000_000);
  const chain = await startChain(t, 1, root.path);
  const { host, backend } = parseSite(`*=route:${chain.nodes.map(addressOf).join(',')}`);
  const limits = { retryMinMs: 5, retryMaxMs: 10 };
  const opened = await openBackend(backend, { limits });
  t.after(() => opened.close());
  const gateway = await startTestGateway(t, { sites: [{ host, backend: opened.backend }] });
  const request = http.get({ host: '127.0.0.1', port: gateway.port, path: '/a.bin', agent: false });
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  await once(response, 'readable');
  await chain.nodes[0]?.close({ graceMs: 0 });
  const failed = once(response, 'error');
  response.resume();
  assert.equal((await failed)[0].code, 'ECONNRESET');
  const next = await ask(gateway.port, { path: '/a.bin' });
  assert.equal(next.status, 502);
  assert.doesNotMatch(next.body, /127\.0\.0\.1/);
});

test('a file of this machine that is cut while it is sent breaks its answer off', async (t) => {
  const root = await makeTempRoot(t);
  await root.writeRandom('a.bin', 64_000_000);
  const gateway = await startSites(t, [`*=root:${root.path}`]);
  const agent = new http.Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  const request = http.get({ host: '127.0.0.1', port: gateway.port, path: '/a.bin', agent });
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  await once(response, 'readable');
  await truncate(`${root.path}/a.bin`, 1);
  const failed = once(response, 'error');
  response.resume();
  assert.equal((await failed)[0].code, 'ECONNRESET');
});

test('requests travel through three hops to servers there, evenly, over connections that are kept', async (t) => {
  const root = await makeTempRoot(t);
  const chain = await startChain(t, 3, root.path);
  const backends = await Promise.all(
    [1, 2].map((id) => startBackend(t, (request, response) => request.on('end', () => response.end(`${id}`)).resume())),
  );
  const servers = backends.map(({ address }) => `127.0.0.1:${address.port}`).join(',');
  const gateway = await startSites(t, [`*=${servers} via ${chain.nodes.map(addressOf).join(',')}`]);
  const counts: Record<string, number> = {};
  for (let index = 0; index < 100; index += 1) {
    const { status, body } = await ask(gateway.port, { method: 'POST' }, 'x'.repeat(100_000));
    assert.equal(status, 200);
    counts[body] = (counts[body] ?? 0) + 1;
  }
  assert.deepEqual(counts, { 1: 50, 2: 50 });
  assert.ok((chain.nodes[2]?.stats().relayed ?? 100) < 20, 'a connection is kept for the next request');
});

test('a server that the last node may not reach is 502, and the client learns no address', async (t) => {
  const root = await makeTempRoot(t);
  const chain = await startChain(t, 2, root.path);
  const gateway = await startSites(t, [`*=192.0.2.1 via ${chain.nodes.map(addressOf).join(',')}`]);
  const { status, body } = await ask(gateway.port, {});
  assert.ok(status === 502 || status === 503, `${status}`);
  assert.doesNotMatch(body, /192\.0\.2|127\.0\.0/);
});

test('a WebSocket goes through a tunnel', async (t) => {
  const root = await makeTempRoot(t);
  const chain = await startChain(t, 2, root.path);
  const backend = await startBackend(t);
  backend.server.on('upgrade', (_request, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
    socket.pipe(socket);
  });
  const gateway = await startSites(t, [
    `*=127.0.0.1:${backend.address.port} via ${chain.nodes.map(addressOf).join(',')}`,
  ]);
  const request = http.get({
    host: '127.0.0.1',
    port: gateway.port,
    agent: false,
    headers: { connection: 'Upgrade', upgrade: 'websocket' },
  });
  const [, socket] = (await once(request, 'upgrade')) as [http.IncomingMessage, net.Socket];
  socket.write('hello');
  assert.equal(String((await once(socket, 'data'))[0]), 'hello');
  socket.destroy();
  await until(() => chain.nodes.every((node) => node.stats().open <= 1));
});
