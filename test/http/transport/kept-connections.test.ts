import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { KeptConnections } from '../../../src/http/transport/kept-connections.ts';
import type { Address } from '../../../src/wire/address.ts';
import { until } from '../../support/chain.ts';
import { hopAt } from '../../support/http.ts';
import { FakeClock } from '../../support/legs.ts';

const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

test('uses a connection for one request after the other', async (t) => {
  const { kept, server, address } = await startKept(t);
  for (let asked = 0; asked < 3; asked += 1) assert.equal(await ask(kept, address), 'ok');
  assert.equal(server.length, 1);
});

test('does not use a connection again on which something came that was not asked for', async (t) => {
  const { kept, server, opened, address } = await startKept(t);
  await ask(kept, address);
  server[0]?.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged');
  await until(() => (opened[0]?.bytesRead ?? 0) > answer.length);
  assert.equal(await ask(kept, address), 'ok');
  assert.equal(server.length, 2);
});

test('closes a connection that has been idle for too long, and no other', async (t) => {
  const { kept, server, clock, address } = await startKept(t);
  await Promise.all([ask(kept, address), ask(kept, address)]);
  clock.advance(600);
  assert.equal(await ask(kept, address), 'ok');
  clock.advance(500);
  await until(() => server.filter((socket) => socket.destroyed).length === 1);
  assert.equal(await ask(kept, address), 'ok');
  assert.equal(server.length, 2);
  clock.advance(1100);
  await until(() => server.every((socket) => socket.destroyed));
  assert.equal(clock.waiting, 0);
});

test('closes what is idle when it is closed itself, and keeps nothing from then on', async (t) => {
  const { kept, server, clock, address } = await startKept(t);
  await ask(kept, address);
  kept.destroy();
  await until(() => server[0]?.destroyed === true);
  assert.equal(await ask(kept, address), 'ok');
  await until(() => server[1]?.destroyed === true);
  assert.equal(clock.waiting, 0);
});

test('fails a request with what kept its connection from being opened', async () => {
  const failure = new Error('no way');
  const open = () => Promise.reject(failure);
  const kept = new KeptConnections({ open, keepMs: 1000, maxOpen: 8, firstByteMs: 1000, clock: new FakeClock() });
  await assert.rejects(ask(kept, hopAt(1)), failure);
});

/** Connections to a server that answers `ok` to whatever comes, and both ends of them. */
async function startKept(t: TestContext) {
  const server: net.Socket[] = [];
  const listening = net.createServer((socket) => {
    server.push(socket);
    socket.on('data', () => socket.write(answer)).on('error', () => {});
  });
  listening.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  const address = hopAt((listening.address() as net.AddressInfo).port);
  const clock = new FakeClock();
  const opened: net.Socket[] = [];
  const open = async () => {
    const socket = net.connect({ ...address });
    opened.push(socket);
    await once(socket, 'connect');
    return socket;
  };
  const kept = new KeptConnections({ open, keepMs: 1000, maxOpen: 8, firstByteMs: 60_000, clock });
  t.after(() => {
    kept.destroy();
    for (const socket of server) socket.destroy();
    listening.close();
  });
  return { kept, server, opened, clock, address };
}

async function ask(agent: KeptConnections, { host, port }: Address): Promise<string> {
  const request = http.request({ host, port, agent });
  request.end();
  const closed = new Promise((resolve) => request.once('close', resolve));
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  let text = '';
  for await (const part of response.setEncoding('utf8')) text += part;
  await closed;
  return text;
}
