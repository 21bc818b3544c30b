import assert from 'node:assert/strict';
import { once } from 'node:events';
import type http from 'node:http';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import type { Limits } from '../../src/core/limits.ts';
import { until } from '../support/chain.ts';
import { ask, startBackend, startTestGateway } from '../support/http.ts';
import { statusesIn } from '../support/http-peers.ts';

const get = 'GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n';

/** A gateway before a server that answers all but /slow at once, and /slow when it is let go. */
async function startBeforeSlow(t: TestContext, limits: Partial<Limits> = {}) {
  const held: http.ServerResponse[] = [];
  let isOpen = false;
  const backend = await startBackend(t, ({ url }, response) => {
    if (url === '/slow' && !isOpen) held.push(response);
    else response.end('ok');
  });
  const sockets = new Set<net.Socket>();
  let most = 0;
  backend.server.on('connection', (socket) => {
    sockets.add(socket);
    most = Math.max(most, sockets.size);
    socket.on('close', () => sockets.delete(socket));
  });
  const health = { intervalMs: 60_000 };
  const sites = [{ host: '*', backend: { members: [backend.address], health } }];
  const gateway = await startTestGateway(t, { sites, limits });
  const letGo = () => {
    isOpen = true;
    for (const response of held.splice(0)) response.end('ok');
  };
  const slow = () => backend.requests.filter(({ url }) => url === '/slow').length;
  return { backend, gateway, sockets, letGo, slow, most: () => most };
}

/** A client that collects what it gets. */
function connect(t: TestContext, port: number) {
  const socket = net.connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  let text = '';
  socket.setEncoding('latin1').on('data', (part: string) => {
    text += part;
  });
  socket.on('error', () => {});
  return { socket, text: () => text };
}

const answers = (text: string) => statusesIn(text).filter((status) => status !== 100);

test('of thousands of pipelined requests a few are worked on at once, and another client is served meanwhile', async (t) => {
  const { gateway, sockets, slow, most } = await startBeforeSlow(t, { httpHalfClosedMs: 50, httpKeepMs: 50 });
  const attacker = connect(t, gateway.port);
  attacker.socket.write(get.repeat(3000));
  await until(() => slow() >= 8);
  for (let index = 0; index < 20; index += 1) assert.equal((await ask(gateway.port)).status, 200);
  assert.equal(slow(), 8);
  assert.ok(most() <= 9, `${most()} connections to the server`);
  attacker.socket.destroy();
  await until(() => sockets.size <= 1);
  assert.equal(slow(), 8);
});

test('pipelined requests that had to wait are all answered in the end', async (t) => {
  const { gateway, letGo, slow, most } = await startBeforeSlow(t);
  const client = connect(t, gateway.port);
  client.socket.write(get.repeat(100));
  await until(() => slow() === 8);
  letGo();
  await until(() => answers(client.text()).length === 100);
  assert.deepEqual(new Set(answers(client.text())), new Set([200]));
  assert.ok(most() <= 8, `${most()} connections to the server`);
});

test('what a client that leaves had in work is given up at once, and what it had waiting never begins', async (t) => {
  const { gateway, sockets, slow } = await startBeforeSlow(t, { httpHalfClosedMs: 50 });
  const attackers = Array.from({ length: 10 }, () => connect(t, gateway.port));
  for (const { socket } of attackers) socket.write(get.repeat(100));
  await until(() => slow() === 80);
  for (const { socket } of attackers) socket.destroy();
  await until(() => sockets.size === 0);
  assert.equal(slow(), 80);
  assert.equal((await ask(gateway.port)).status, 200);
});

test('requests at the servers have a bound, first those that others wait for, and one without a place is 503', async (t) => {
  const limits = { maxHttpSiteRequests: 16, httpPlaceMs: 100 };
  const { gateway, slow, letGo, most } = await startBeforeSlow(t, limits);
  // Pipelined ones take the first half at most.
  const attackers = Array.from({ length: 4 }, () => connect(t, gateway.port));
  for (const { socket } of attackers) socket.write(get.repeat(100));
  await until(() => slow() >= 8);
  assert.equal((await ask(gateway.port)).status, 200);
  // One client has three quarters, the last place of which the next one does not get.
  const others = Array.from({ length: 12 }, () => connect(t, gateway.port));
  for (const { socket } of others) socket.write(get);
  await until(() => slow() === 12);
  const refused = await ask(gateway.port);
  assert.equal(refused.status, 503);
  assert.equal(refused.headers['retry-after'], '1');
  assert.match(refused.body, /as many requests as it may/);
  assert.ok(most() <= 12, `${most()} connections to the server`);
  letGo();
  await until(async () => (await ask(gateway.port)).status === 200);
});

test('a request gets the place of one that is over, and none if its client has left meanwhile', async (t) => {
  const { gateway, slow, letGo } = await startBeforeSlow(t, { maxHttpSiteRequests: 1, httpPlaceMs: 60_000 });
  const first = connect(t, gateway.port);
  first.socket.write(get);
  await until(() => slow() === 1);
  const left = connect(t, gateway.port);
  left.socket.write(get);
  const waiting = ask(gateway.port);
  left.socket.end();
  left.socket.destroy();
  letGo();
  assert.equal((await waiting).status, 200);
});

test('requests sent ahead have a bound over all connections: 503 behind the answers, and the connection ends', async (t) => {
  const { gateway, slow, letGo } = await startBeforeSlow(t, { maxHttpAhead: 8 });
  const attacker = connect(t, gateway.port);
  attacker.socket.write(get.repeat(100));
  await until(() => slow() === 7);
  assert.equal((await ask(gateway.port)).status, 200);
  const closed = once(attacker.socket, 'close');
  letGo();
  await closed;
  assert.deepEqual(answers(attacker.text()), [...Array(7).fill(200), 503]);
});

test('many requests behind one that is refused end their connection at once, however slow the answers before are', async (t) => {
  const { gateway, slow, letGo } = await startBeforeSlow(t, { maxHttpAhead: 8 });
  const first = connect(t, gateway.port);
  first.socket.write(get.repeat(100));
  await until(() => slow() === 7);
  for (const bytes of [get.repeat(100), `${get}GET / HTTP/1.1\r\n\r\n${get.repeat(100)}`]) {
    const another = connect(t, gateway.port);
    const closed = once(another.socket, 'close');
    another.socket.write(bytes);
    await closed;
    assert.deepEqual(answers(another.text()), []);
  }
  letGo();
  await until(() => answers(first.text()).length === 8);
});

test('clients that send nothing, or a part of a head, give way to one with a request', async (t) => {
  const { gateway } = await startBeforeSlow(t, { maxHttpConnections: 8 });
  const idle = Array.from({ length: 40 }, () => connect(t, gateway.port));
  let closed = 0;
  for (const { socket } of idle) {
    socket.on('close', () => {
      closed += 1;
    });
    socket.write('GET / HTTP/1.1\r\nHost: a');
  }
  await until(() => closed >= 34);
  for (let index = 0; index < 10; index += 1) assert.equal((await ask(gateway.port)).status, 200);
});

test('a client at work keeps its place, and one more of a peer that has its share is closed', async (t) => {
  const { gateway, slow, letGo } = await startBeforeSlow(t, { maxHttpConnections: 8 });
  const busy = Array.from({ length: 6 }, () => connect(t, gateway.port));
  for (const { socket } of busy) socket.write(get);
  await until(() => slow() === 6);
  await assert.rejects(ask(gateway.port), { code: 'ECONNRESET' });
  letGo();
  await until(() => busy.every(({ text }) => answers(text()).length === 1));
  assert.equal((await ask(gateway.port)).status, 200);
});

test('slow content behind Expect, or longer than what is held, takes no more than its share of the servers', async (t) => {
  const limits = { maxHttpSiteRequests: 16, httpPlaceMs: 100, maxHttpBodyAheadBytes: 4 };
  const { gateway, backend, most } = await startBeforeSlow(t, limits);
  backend.server.on('checkContinue', (request, response) => {
    backend.requests.push(request);
    response.writeContinue();
  });
  const slow = Array.from({ length: 40 }, () => connect(t, gateway.port));
  const post = 'POST /slow HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000\r\n';
  for (const [index, { socket }] of slow.entries())
    socket.write(index % 2 === 0 ? `${post}Expect: 100-continue\r\n\r\n` : `${post}\r\nabcdef`);
  await until(() => slow.filter(({ text }) => answers(text()).includes(503)).length === 28);
  assert.ok(most() <= 12, `${most()} connections to the server`);
  for (const { socket } of slow) socket.destroy();
  await until(async () => (await ask(gateway.port)).status === 200);
});
