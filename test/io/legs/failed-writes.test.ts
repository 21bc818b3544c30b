import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { readPastFailedWrites } from '../../../src/io/legs/failed-writes.ts';

test('a socket whose write failed gives what came before it breaks, and no end', async () => {
  const server = net.createServer((peer) => peer.end('answer')).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as net.AddressInfo;
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket._write = (_chunk, _encoding, done) => done(new Error('cut'));
  readPastFailedWrites(socket);
  const told: string[] = [];
  socket.on('data', (bytes) => told.push(String(bytes)));
  socket.on('end', () => told.push('end'));
  socket.on('error', ({ message }) => told.push(message));
  socket.once('connect', () => socket.write('request'));
  await new Promise((resolve) => socket.once('close', resolve));
  await new Promise((resolve) => server.close(resolve));
  assert.deepEqual(told, ['answer', 'cut']);
});
