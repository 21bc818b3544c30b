import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { defaultLimits } from '../../../src/core/limits.ts';
import { RequestContent } from '../../../src/gateway/server/request-content.ts';
import { FakeClock } from '../../support/legs.ts';

const limits = { ...defaultLimits, httpBodyMs: 1000, minHttpBodyRate: 10, maxHttpBodyAheadBytes: 8 };

/** Content as a client sends it, and what became of its connection. */
function open({ maxBytes = 1000, isHeldBack = false } = {}) {
  const clock = new FakeClock();
  const socket = Object.assign(new PassThrough(), { isOpen: true });
  socket.on('close', () => {
    socket.isOpen = false;
  });
  const request = Object.assign(new PassThrough(), { socket });
  const failures: string[] = [];
  const content = new RequestContent(request as unknown as IncomingMessage, {
    limits,
    maxBytes,
    isHeldBack,
    clock,
    onFailed: ({ code }) => failures.push(code),
  });
  return { clock, socket, request, content, failures };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('a client that is silent is given up, and one that goes on is not', async () => {
  const { clock, request, content, failures } = open();
  for (let sent = 0; sent < 3; sent += 1) {
    clock.advance(600);
    request.write('abcdefghijklmnopqrst');
    content.read();
    await turn();
  }
  assert.deepEqual(failures, []);
  content.read();
  clock.advance(1000);
  assert.deepEqual(failures, ['TIMEOUT_IDLE']);
  await assert.rejects(content.ready(), { code: 'TIMEOUT_IDLE' });
});

test('a client that sends a byte now and then is given up for its rate', async () => {
  const { clock, request, content, failures } = open();
  for (let sent = 0; sent < 10 && failures.length === 0; sent += 1) {
    request.write('a');
    content.read();
    await turn();
    clock.advance(300);
  }
  assert.deepEqual(failures, ['TIMEOUT_SLOW']);
});

test('time in which nobody takes the content does not count, nor does any before the client is told to send', async () => {
  const { clock, request, content, failures } = open({ isHeldBack: true });
  clock.advance(100_000);
  content.expect();
  request.write('abcdefgh');
  await turn();
  await content.ready();
  clock.advance(100_000);
  assert.deepEqual([failures, clock.waiting], [[], 0]);
  assert.equal(String(content.read()), 'abcdefgh');
  request.end();
  await turn();
  assert.deepEqual([failures, clock.waiting], [[], 0]);
});

test('what is dropped is broken off where it went, read on, and still must come in time', async () => {
  const { clock, request, content, failures, socket } = open();
  request.write('abcdefghijkl');
  await content.ready();
  content.forget();
  assert.ok(content.destroyed);
  request.write('more');
  await turn();
  assert.deepEqual([request.readableLength, failures], [0, []]);
  clock.advance(1000);
  await turn();
  assert.deepEqual([failures, socket.isOpen], [['TIMEOUT_IDLE'], false]);
});

test('content that breaks off never ends', async () => {
  const { clock, request, content, failures } = open();
  let hasEnded = false;
  content.on('end', () => {
    hasEnded = true;
  });
  request.write('abc');
  content.resume();
  await turn();
  request.destroy();
  await turn();
  assert.deepEqual([failures, hasEnded, content.destroyed], [['PEER_LOST'], false, true]);
  clock.advance(limits.lingerMs);
  assert.equal(clock.waiting, 0);
});

test('content above its bound is LIMIT_BODY at the byte that is too many', async () => {
  const { request, content, failures } = open({ maxBytes: 4 });
  request.write('abcd');
  await turn();
  assert.deepEqual(failures, []);
  content.read();
  request.write('e');
  await turn();
  assert.deepEqual(failures, ['LIMIT_BODY']);
});
