/** A client that ends its direction waits for its answer, or has left: which is not seen before something is sent to it. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { defaultLimits } from '../../src/core/limits.ts';
import { silentLogger } from '../../src/core/log.ts';
import { serveFiles } from '../../src/gateway/answering/files.ts';
import { openRootSource } from '../../src/gateway/answering/root-source.ts';
import { createHttpCache } from '../../src/gateway/cache/cache.ts';
import { startNode } from '../../src/index.ts';
import { makeCertificate, noCertificates } from '../support/certificate.ts';
import { receiveAll, until } from '../support/chain.ts';
import { startBackend, startTestGateway } from '../support/http.ts';
import { sendBytes, startBeforeRaw, statusesIn } from '../support/http-peers.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const get = 'GET /file HTTP/1.1\r\nHost: a.test\r\n\r\n';

/** A gateway whose site has one server, with a cache before it, and a node that hands HTTP over to it. */
async function startAll(t: TestContext) {
  const backend = await startBackend(t, (request, response) => {
    response.setHeader('Cache-Control', 'max-age=60');
    request.pipe(response);
  });
  const root = await makeTempRoot(t);
  const cache = await createHttpCache({ directory: `${root.path}/cache`, limits: defaultLimits, log: silentLogger });
  t.after(() => cache.close());
  const file = await root.writeRandom('file', 1024 * 1024);
  const sites = [
    { host: 'server.test', backend: { members: [backend.address] } },
    { host: 'cache.test', backend: { members: [backend.address] }, wrap: cache.wrap.bind(cache) },
    { host: 'files.test', backend: serveFiles(await openRootSource(root.path)) },
  ];
  const gateway = await startTestGateway(t, { sites });
  const node = await startNode({
    listen: { host: '127.0.0.1', port: 0 },
    root: root.path,
    http: { dialect: 'http', accept: (connection) => gateway.accept(connection) },
  });
  t.after(() => node.close({ graceMs: 0 }));
  return { ports: [gateway.port, node.address.port], file };
}

test('a client that ends its direction behind its request gets its answer, whoever gives it', async (t) => {
  const { ports, file } = await startAll(t);
  for (const port of ports) {
    for (const host of ['server.test', 'cache.test', 'cache.test', 'files.test']) {
      for (const version of ['1.1', '1.0']) {
        const text = await sendBytes(port, `GET /file HTTP/${version}\r\nHost: ${host}\r\n\r\n`, { end: true });
        assert.deepEqual(statusesIn(text), [200], `${host} ${version}`);
        if (host === 'files.test') assert.ok(Buffer.from(text, 'latin1').includes(file));
      }
    }
    const content = '~'.repeat(300_000);
    const head = `POST / HTTP/1.1\r\nHost: server.test\r\nContent-Length: ${content.length}\r\n\r\n`;
    const echo = await sendBytes(port, head + content, { end: true });
    assert.deepEqual([statusesIn(echo), echo.replaceAll(/[^~]/g, '')], [[200], content]);
    const two = get.replace('a.test', 'server.test').repeat(2);
    assert.deepEqual(statusesIn(await sendBytes(port, two, { end: true })), [200, 200]);
  }
});

test('the same over TLS', { skip: noCertificates }, async (t) => {
  const root = await makeTempRoot(t);
  const { cert, key } = await makeCertificate(root.path, 'a.test');
  const backend = await startBackend(t);
  const sites = [{ host: '*', backend: { members: [backend.address] } }];
  const gateway = await startTestGateway(t, { sites, tls: { cert, key } });
  const client = tls.connect({ port: gateway.port, host: '127.0.0.1', rejectUnauthorized: false });
  t.after(() => client.destroy());
  await once(client, 'secureConnect');
  client.end(get);
  assert.deepEqual(statusesIn(String(await receiveAll(client))), [200]);
});

test('a client that waits with its direction ended gets an answer that takes long, and one that left is noticed', async (t) => {
  let answer = () => {};
  let isGone = false;
  const backend = await startBackend(t, (_request, response) => {
    answer = () => response.end('late');
    response.once('close', () => {
      isGone = !response.writableFinished;
    });
  });
  const sites = [{ host: '*', backend: { members: [backend.address] } }];
  const gateway = await startTestGateway(t, { sites, limits: { httpHalfClosedMs: 20 } });
  const ask = async () => {
    const asked = backend.requests.length;
    const client = net.connect({ port: gateway.port, host: '127.0.0.1', allowHalfOpen: true });
    t.after(() => client.destroy());
    client.on('error', () => {}).end(get);
    await until(() => backend.requests.length > asked);
    return client;
  };
  const waiting = await ask();
  const all = receiveAll(waiting);
  await once(waiting, 'data');
  answer();
  assert.match(String(await all), /^(HTTP\/1\.1 100 Continue\r\n\r\n)+HTTP\/1\.1 200 OK\r\n[\s\S]*late/);
  assert.equal(isGone, false);
  (await ask()).destroy();
  await until(() => isGone);
});

test('a request that ends before it is whole is broken off', async (t) => {
  const { backend, gateway } = await startBeforeRaw(t, undefined, { maxHttpBodyAheadBytes: 3 });
  const head = 'POST / HTTP/1.1\r\nHost: a.test\r\n';
  for (const rest of ['Content-Length: 10\r\n\r\nabc', 'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n']) {
    const text = await sendBytes(gateway.port, head + rest, { end: true });
    assert.doesNotMatch(text, / 200 /);
  }
  assert.doesNotMatch(backend.received(), /\r\n0\r\n\r\n$/);
});
