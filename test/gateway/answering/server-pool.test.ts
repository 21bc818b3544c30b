import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import test from 'node:test';
import { until } from '../../support/chain.ts';
import { ask, hopAt, startBackend, startTestGateway } from '../../support/http.ts';
import { makeTempRoot } from '../../support/temp-root.ts';
import { makeCertificate } from '../../support/web-server.ts';

test('divides requests evenly, and no client notices a server that goes and comes back', async (t) => {
  const backends = await Promise.all(
    [1, 2, 3].map((id) => startBackend(t, (_request, response) => response.end(`${id}`))),
  );
  const members = backends.map(({ address }) => address);
  const health = { intervalMs: 50, ejectMs: 50 };
  const gateway = await startTestGateway(t, { sites: [{ host: '*', backend: { members, health } }] });
  const agent = new http.Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  const send = async (count: number) => {
    const counts: Record<string, number> = {};
    for (let sent = 0; sent < count; sent += 1) {
      const { status, body } = await ask(gateway.port, { agent });
      assert.equal(status, 200);
      counts[body] = (counts[body] ?? 0) + 1;
    }
    return counts;
  };
  assert.deepEqual(await send(300), { 1: 100, 2: 100, 3: 100 });
  await backends[1]?.stop();
  const without = await send(300);
  assert.deepEqual([without[1], without[3]], [150, 150]);
  const { port } = backends[1]?.address ?? hopAt(0);
  await startBackend(t, (_request, response) => response.end('2'), port);
  await until(async () => (await send(3))[2] === 1);
  assert.deepEqual(await send(300), { 1: 100, 2: 100, 3: 100 });
});

test('tells apart servers that are gone, that break off, and that are late', async (t) => {
  const gone = await startBackend(t);
  await gone.stop();
  const garbled = net
    .createServer((socket) => socket.on('error', () => {}).end('nonsense\r\n\r\n'))
    .listen(0, '127.0.0.1');
  await once(garbled, 'listening');
  t.after(() => garbled.close());
  const late = await startBackend(t, () => {});
  const site = (host: string, port: number) => ({
    host,
    backend: { members: [hopAt(port)], health: { fall: 1, intervalMs: 30 } },
  });
  const sites = [
    site('gone.test', gone.address.port),
    site('garbled.test', (garbled.address() as net.AddressInfo).port),
  ];
  const gateway = await startTestGateway(t, { sites });
  const hasty = await startTestGateway(t, {
    sites: [site('late.test', late.address.port)],
    limits: { httpAnswerMs: 100 },
  });
  const answer = (host: string, { port } = gateway) => ask(port, { headers: { host } });
  assert.equal((await answer('garbled.test')).status, 502);
  const tooLate = await answer('late.test', hasty);
  assert.deepEqual([tooLate.status, tooLate.headers['proxy-status']], [504, 'hopline; error=connection_read_timeout']);
  // Once a check has found the last server down.
  await until(async () => (await answer('gone.test')).status === 503);
  const none = await answer('gone.test');
  assert.deepEqual([none.headers['retry-after'], none.headers['cache-control']], ['1', 'no-store']);
  assert.doesNotMatch(none.body, /127\.0\.0\.1/, 'addresses behind the gateway are not told');
});

test('never sends a request twice that may have had an effect', async (t) => {
  let posts = 0;
  const breaking = await startBackend(t, (request) => {
    posts += 1;
    request.socket.destroy();
  });
  const other = await startBackend(t);
  const members = [breaking.address, other.address];
  const gateway = await startTestGateway(t, { sites: [{ host: '*', backend: { members } }] });
  const answer = await ask(gateway.port, { method: 'POST' }, 'order');
  assert.equal(answer.status, 502);
  assert.deepEqual([posts, other.requests.length], [1, 0]);
});

test('sends a POST elsewhere if its server could not even be connected to', async (t) => {
  const gone = await startBackend(t);
  await gone.stop();
  const there = await startBackend(t, (request, response) => request.pipe(response));
  const gateway = await startTestGateway(t, {
    sites: [{ host: '*', backend: { members: [gone.address, there.address] } }],
  });
  const answer = await ask(gateway.port, { method: 'POST' }, 'order');
  assert.deepEqual([answer.status, answer.body], [200, 'order']);
});

test('keeps a client at its server by a cookie, for as long as that is up', async (t) => {
  const backends = await Promise.all(
    [1, 2, 3].map((id) => startBackend(t, (_request, response) => response.end(`${id}`))),
  );
  const members = backends.map(({ address }) => address);
  const gateway = await startTestGateway(t, { sites: [{ host: '*', backend: { members, sticky: true } }] });
  const first = await ask(gateway.port);
  const [cookie = ''] = first.headers['set-cookie'] ?? [];
  assert.match(cookie, /^hopline-server=[0-9a-f]{16}; Path=\/; HttpOnly; SameSite=Lax$/);
  const headers = { Cookie: `a=b; ${cookie.split(';')[0]}` };
  for (let sent = 0; sent < 5; sent += 1) {
    const again = await ask(gateway.port, { headers });
    assert.deepEqual([again.body, again.headers['set-cookie']], [first.body, undefined]);
  }
  await backends[Number(first.body) - 1]?.stop();
  const moved = await ask(gateway.port, { headers });
  assert.notEqual(moved.body, first.body);
  assert.equal(moved.headers['set-cookie']?.length, 1);
});

test('keeps the cookie of a client that came over TLS off connections without it', async (t) => {
  const { path: directory } = await makeTempRoot(t);
  const tls = makeCertificate(directory, 'localhost');
  if (!tls) return t.skip('there is no openssl command');
  const { address } = await startBackend(t);
  const sites = [{ host: '*', backend: { members: [address], sticky: true } }];
  const { port } = await startTestGateway(t, { sites, tls });
  const request = https.get({ host: '127.0.0.1', port, ca: tls.cert, servername: 'localhost', agent: false });
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  response.resume();
  assert.match(response.headers['set-cookie']?.[0] ?? '', /; SameSite=Lax; Secure$/);
});

test('asks for a path to find out who is well', async (t) => {
  let isWell = true;
  let failed = 0;
  const sick = await startBackend(t, (request, response) => {
    const fails = request.url === '/health' && !isWell;
    if (fails) failed += 1;
    response.statusCode = fails ? 500 : 200;
    response.end('sick');
  });
  const well = await startBackend(t, (_request, response) => response.end('well'));
  const members = [sick.address, well.address];
  const backend = { members, check: { path: '/health', status: 200 }, health: { intervalMs: 20 } };
  const gateway = await startTestGateway(t, { sites: [{ host: '*', backend }] });
  isWell = false;
  const bodies = async () => [(await ask(gateway.port)).body, (await ask(gateway.port)).body].sort().join();
  // Each answer counts as a check that passed, so the server has to be left alone for some checks.
  await until(() => failed > 5);
  assert.equal(await bodies(), 'well,well');
});

test('asks again over a new connection when the kept one was closed meanwhile', async (t) => {
  let connections = 0;
  const server = net
    .createServer((socket) => {
      connections += 1;
      const isFirst = connections === 1;
      let requests = 0;
      socket.on('error', () => {});
      socket.on('data', () => {
        requests += 1;
        // The second request on the first connection meets a server that is just closing it.
        if (isFirst && requests === 2) socket.destroy();
        else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      });
    })
    .listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const members = [hopAt((server.address() as net.AddressInfo).port)];
  const health = { intervalMs: 60_000 };
  const gateway = await startTestGateway(t, { sites: [{ host: '*', backend: { members, health } }] });
  for (let sent = 0; sent < 2; sent += 1) assert.equal((await ask(gateway.port)).status, 200);
  assert.equal(connections, 2);
});
