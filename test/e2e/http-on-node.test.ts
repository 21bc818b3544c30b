/** HTTP on the port of a node, beside everything else that is spoken there. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { download } from '../../src/client/download/download.ts';
import { startGateway } from '../../src/gateway/server/start.ts';
import { startNode } from '../../src/node/listen.ts';
import type { NodeOptions } from '../../src/node/options.ts';
import { ask, exchangeBytes, hopAt, startBackend } from '../support/http.ts';
import { makeTempRoot } from '../support/temp-root.ts';

async function startBoth(t: TestContext, answer?: http.RequestListener, limits: NodeOptions['limits'] = {}) {
  const backend = await startBackend(t, answer);
  const clients: string[] = [];
  const gateway = await startGateway({
    sites: [{ host: '*', backend: { members: [backend.address] } }],
    onEnded: ({ client }) => clients.push(client),
  });
  const root = await makeTempRoot(t);
  const node = await startNode({
    listen: { host: '127.0.0.1', port: 0 },
    root: root.path,
    limits,
    http: { dialect: 'http', accept: (connection) => gateway.accept(connection) },
  });
  t.after(async () => {
    await gateway.close({ graceMs: 0 });
    await node.close({ graceMs: 0 });
    assert.equal(node.stats().open, 0);
  });
  return { backend, node, root, clients, port: node.address.port };
}

test('a node serves HTTP and files on one port, at the same time', async (t) => {
  const { port, root, node, clients } = await startBoth(t, (request, response) => request.pipe(response));
  const content = await root.writeRandom('file.bin', 3_000_000);
  const output = path.join(root.path, 'copy.bin');
  const route = { file: 'file.bin', routes: [[[hopAt(port)]]] };
  const body = 'x'.repeat(500_000);
  const agent = new http.Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  const [file, ...answers] = await Promise.all([
    download({ route, output }),
    ask(port, { method: 'POST', agent }, body),
    ask(port, { method: 'POST', agent }, body),
  ]);
  assert.equal(file.size, content.length);
  for (const { status, body: echoed } of answers) assert.deepEqual([status, echoed], [200, body]);
  assert.equal((await ask(port, { method: 'POST', agent }, 'again')).body, 'again');
  assert.equal(node.stats().http, 2, 'a connection is kept for the next request');
  assert.deepEqual([...new Set(clients)], ['127.0.0.1']);
});

test('a request is read whole however its bytes come, and whatever is behind it', async (t) => {
  const { port } = await startBoth(t, (request, response) => response.end(`answer ${request.url}`));
  const socket = net.connect(port, '127.0.0.1').setEncoding('latin1');
  let seen = '';
  socket.on('data', (text) => {
    seen += text;
  });
  for (const byte of 'GET /slow HTTP/1.1\r\nHost: a\r\n\r\n') {
    socket.write(byte);
    await new Promise((resolve) => setImmediate(resolve));
  }
  while (!seen.endsWith('answer /slow')) await once(socket, 'data');
  socket.write('GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  await once(socket, 'close');
  assert.deepEqual(seen.match(/answer \/(slow|\d)/g), ['answer /slow', 'answer /1', 'answer /2']);
});

test('what begins like HTTP goes to the gateway: long URLs, the absolute form, other methods', async (t) => {
  const { port } = await startBoth(t, (request, response) => response.end(request.url?.slice(0, 3)));
  const head = 'Host: a.test\r\nConnection: close\r\n\r\n';
  assert.match(
    await exchangeBytes(port, `GET /${'l'.repeat(5000)} HTTP/1.1\r\n${head}`),
    /^HTTP\/1\.1 200 [\s\S]*\/ll$/,
  );
  assert.match(await exchangeBytes(port, `GET http://a.test/abc HTTP/1.1\r\n${head}`), /^HTTP\/1\.1 200 [\s\S]*\/ab$/);
  assert.match(await exchangeBytes(port, `OPTIONS * HTTP/1.1\r\n${head}`), /^HTTP\/1\.1 200 /);
  assert.match(await exchangeBytes(port, 'GET / HTTP/1.0\r\n\r\n'), /^HTTP\/1\.1 200 /);
  assert.match(await exchangeBytes(port, 'BREW / HTTP/1.1\r\n\r\n'), /^HTTP\/1\.1 501 /);
});

test('a node whose gateway speaks TLS leaves plain HTTP alone, and one without a gateway refuses it', async (t) => {
  const root = await makeTempRoot(t);
  const start = async (more: Partial<NodeOptions>) => {
    const node = await startNode({ listen: { host: '127.0.0.1', port: 0 }, root: root.path, ...more });
    t.after(() => node.close({ graceMs: 0 }));
    return node.address.port;
  };
  const accept = () => assert.fail('nothing is for this gateway');
  const request = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
  assert.match(
    await exchangeBytes(await start({}), request),
    /^HTTP\/1\.1 501 [\s\S]*no site is served over plain HTTP here: run `/,
  );
  assert.match(await exchangeBytes(await start({ http: { dialect: 'tls', accept } }), request), /^HTTP\/1\.1 501 /);
});

test('a slow answer is waited for longer than a silent leg would be', async (t) => {
  const { port } = await startBoth(t, (_request, response) => setTimeout(() => response.end('late'), 1500), {
    idleMs: 500,
  });
  assert.equal((await ask(port)).body, 'late');
});
