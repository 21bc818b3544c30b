import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { test } from 'node:test';
import { defaultLimits } from '../../../src/core/limits.ts';
import { Connections } from '../../../src/gateway/clients/connections.ts';

test('an answer whose client has gone is closed once, whether it is its turn or not', async (t) => {
  const clients = new Connections(defaultLimits);
  const closed: (string | undefined)[] = [];
  const server = http.createServer();
  let due = 0;
  server.on('connection', (socket) => {
    const connection = clients.add(socket);
    server.on('request', (request, response) => {
      connection.add(request, response);
      response.on('close', () => closed.push(request.url));
      due += 1;
      if (due === 2) client.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  t.after(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const client = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  client.write('GET /first HTTP/1.1\r\nHost: a\r\n\r\nGET /second HTTP/1.1\r\nHost: a\r\n\r\n');
  await new Promise((resolve) => server.once('connection', (socket) => socket.once('close', resolve)));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(closed, ['/first', '/second']);
});
