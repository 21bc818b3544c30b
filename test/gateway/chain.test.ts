import assert from 'node:assert/strict';
import { once } from 'node:events';
import https from 'node:https';
import type net from 'node:net';
import { test } from 'node:test';
import { makeCertificate, noCertificates } from '../support/certificate.ts';
import { until } from '../support/chain.ts';
import { ask, hopAt, startBackend, startTestGateway } from '../support/http.ts';
import { sendBytes, startBeforeRaw, statusesIn } from '../support/http-peers.ts';
import { makeTempRoot } from '../support/temp-root.ts';

test('gateways stand behind one another, and each says so', async (t) => {
  const backend = await startBackend(t);
  const inner = await startTestGateway(t, { name: 'inner', sites: [siteAt(backend.address.port)] });
  const outer = await startTestGateway(t, {
    name: 'outer',
    sites: [siteAt(inner.port)],
  });
  const answer = await ask(outer.port);
  assert.equal(answer.status, 200);
  assert.equal(backend.requests[0]?.headers.via, '1.1 outer, 1.1 inner');
  assert.equal(answer.headers.via, '1.1 inner, 1.1 outer');
});

test('a gateway that is its own backend says so, and asks once', async (t) => {
  const answers: number[] = [];
  const gateway = await startTestGateway(t, {
    sites: [{ host: '*', backend: async () => ({ status: 500, reason: '', fields: [], body: undefined }) }],
    onEnded: ({ answer }) => answers.push(answer.status),
  });
  gateway.setSites([siteAt(gateway.port)]);
  assert.equal((await ask(gateway.port)).status, 508);
  assert.deepEqual(answers, [508, 508]);
});

test('a server that goes on with a protocol unasked is 502', async (t) => {
  const switched = 'HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nEVIL';
  const { gateway } = await startBeforeRaw(t, switched);
  const text = await sendBytes(gateway.port, 'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n');
  assert.deepEqual(statusesIn(text), [502]);
  assert.doesNotMatch(text, /EVIL/);
});

test('a trailer cannot bring fields that others route by or trust', async (t) => {
  const { backend, gateway } = await startBeforeRaw(t);
  const trailer = 'X-Sum: 1\r\nHost: evil.test\r\nX-Forwarded-For: 6.6.6.6\r\nAuthorization: x\r\nCookie: a=b\r\n';
  const head = 'POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n';
  await sendBytes(gateway.port, `${head}1\r\na\r\n0\r\n${trailer}\r\n`);
  assert.match(backend.received(), /\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n$/);
});

test('a client of HTTP/1.0 gets no 1xx answers, no chunks, and the end of its connection', async (t) => {
  const backend = await startBackend(t, (_request, response) => {
    response.writeEarlyHints({ link: '</a.css>; rel=preload' });
    response.write('a');
    response.end('b');
  });
  const gateway = await startTestGateway(t, { sites: [siteAt(backend.address.port)] });
  const text = await sendBytes(gateway.port, 'GET / HTTP/1.0\r\nHost: a.test\r\n\r\n');
  assert.deepEqual(statusesIn(text), [200]);
  assert.doesNotMatch(text, /transfer-encoding/i);
  assert.match(text, /\r\n\r\nab$/);
});

test('a POST without content has a length, not chunks', async (t) => {
  const { backend, gateway } = await startBeforeRaw(t);
  await sendBytes(gateway.port, 'POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n');
  assert.match(backend.received(), /^content-length: 0\r$/im);
  assert.doesNotMatch(backend.received(), /transfer-encoding/i);
});

test('Max-Forwards that is no number goes on as it is', async (t) => {
  const { backend, gateway } = await startBeforeRaw(t);
  const fields = 'Host: a.test\r\nMax-Forwards: many\r\nConnection: close\r\n';
  await sendBytes(gateway.port, `OPTIONS / HTTP/1.1\r\n${fields}\r\n`);
  assert.match(backend.received(), /^max-forwards: many\r$/im);
});

test('a client that leaves ends all its requests, also those that waited for their turn', async (t) => {
  const ended: string[] = [];
  const backend = await startBackend(t, () => {});
  const gateway = await startTestGateway(t, {
    sites: [siteAt(backend.address.port)],
    onEnded: ({ request, failure }) => ended.push(`${request.url} ${failure?.code}`),
  });
  const bytes = ['/a', '/b'].map((path) => `GET ${path} HTTP/1.1\r\nHost: a.test\r\n\r\n`).join('');
  const gone = sendBytes(gateway.port, bytes, { end: true }).catch(() => {});
  while (backend.requests.length < 2) await new Promise((resolve) => setImmediate(resolve));
  await gone;
  await until(() => ended.length === 2);
  assert.deepEqual(ended.sort(), ['/a PEER_LOST', '/b PEER_LOST']);
});

test('TLS to servers is verified, unless a site says otherwise', { skip: noCertificates }, async (t) => {
  const root = await makeTempRoot(t);
  const { cert, key } = await makeCertificate(root.path, 'inner.test');
  const server = https.createServer({ cert, key }, (request, response) => response.end(String(request.headers.host)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const members = [hopAt((server.address() as net.AddressInfo).port)];
  const gateway = await startTestGateway(t, {
    sites: [
      { host: 'unknown.test', backend: { members, tls: {} } },
      { host: 'wrong.test', backend: { members, tls: { ca: cert, serverName: 'other.test' } } },
      { host: 'right.test', backend: { members, tls: { ca: cert, serverName: 'inner.test' } } },
      { host: 'any.test', backend: { members, tls: { insecure: true } } },
    ],
  });
  const asked = async (host: string) => (await ask(gateway.port, { headers: { Host: host } })).status;
  assert.deepEqual(await Promise.all(['unknown.test', 'wrong.test'].map(asked)), [502, 502]);
  assert.deepEqual(await Promise.all(['right.test', 'any.test'].map(asked)), [200, 200]);
});

function siteAt(port: number) {
  return { host: '*', backend: { members: [hopAt(port)], health: { intervalMs: 60_000 } } };
}
