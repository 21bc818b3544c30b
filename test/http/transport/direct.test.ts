import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { defaultLimits } from '../../../src/core/limits.ts';
import type { HttpRequest } from '../../../src/http/exchange.ts';
import { createDirectExchange } from '../../../src/http/transport/direct.ts';
import { until } from '../../support/chain.ts';
import { FakeClock } from '../../support/legs.ts';

function requestFor(signal: AbortSignal): HttpRequest {
  const fixed = { method: 'GET', scheme: 'http', authority: 'a.example', target: '/x?y' } as const;
  return { ...fixed, fields: ['X-One', '1'], body: undefined, client: 'test', signal, notes: {} };
}

/** A connection that gets `answer` as soon as something is written to it; `confirm` says when the write is done. */
function answering(answer: string | undefined, confirm: (done: () => void) => void = (done) => done()) {
  const written: string[] = [];
  const connection = new Duplex({
    read: () => {},
    write: (chunk: Buffer, _encoding, done) => {
      written.push(chunk.toString());
      if (answer !== undefined) connection.push(answer);
      confirm(done);
    },
  });
  return { connection, written };
}

function exchangeOver(connection: Duplex, clock: FakeClock) {
  return createDirectExchange({ ...defaultLimits, clock, dial: async () => connection });
}

test('the request is rebuilt from its parts, and the connection closed behind the answer', async () => {
  const clock = new FakeClock();
  const { connection, written } = answering('HTTP/1.1 200 Fine\r\nContent-Length: 2\r\nX-Two: 2\r\n\r\nok');
  const answer = await exchangeOver(connection, clock)(requestFor(new AbortController().signal));
  assert.equal(written.join(''), 'GET /x?y HTTP/1.1\r\nHost: a.example\r\nX-One: 1\r\nConnection: close\r\n\r\n');
  assert.deepEqual([answer.status, answer.reason], [200, 'Fine']);
  assert.deepEqual(answer.fields, ['Content-Length', '2', 'X-Two', '2']);
  assert.ok(answer.body && 'destroy' in answer.body);
  assert.equal(await text(answer.body), 'ok');
  await until(() => connection.destroyed);
});

test('an answer that comes before the request has left leaves no timer behind', async () => {
  const clock = new FakeClock();
  let confirm = () => {};
  const { connection } = answering('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', (done) => {
    confirm = done;
  });
  const answer = await exchangeOver(connection, clock)(requestFor(new AbortController().signal));
  confirm();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(clock.waiting, 0);
  assert.ok(answer.body && 'destroy' in answer.body);
  answer.body.destroy();
});

test('a server that does not answer is given up in time, and when nobody waits any more', async () => {
  const clock = new FakeClock();
  const silent = answering(undefined);
  const late = exchangeOver(silent.connection, clock)(requestFor(new AbortController().signal));
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
  clock.advance(defaultLimits.openMs);
  await assert.rejects(late, { code: 'TIMEOUT_HEAD', message: 'a.example:80 did not answer within 30 s' });
  assert.ok(silent.connection.destroyed);
  const left = answering(undefined);
  const stop = new AbortController();
  const aborted = exchangeOver(left.connection, clock)(requestFor(stop.signal));
  await new Promise((resolve) => setImmediate(resolve));
  stop.abort(new Error('gone'));
  await assert.rejects(aborted);
  assert.ok(left.connection.destroyed);
  assert.equal(clock.waiting, 0);
});

test('a server that sends nothing but 1xx is given up', async () => {
  const { connection } = answering('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(10_000));
  const informed: number[] = [];
  const request = { ...requestFor(new AbortController().signal), inform: (status: number) => informed.push(status) };
  const asked = exchangeOver(connection, new FakeClock())(request);
  await assert.rejects(asked, { code: 'PEER_PROTOCOL', message: /^a\.example:80 sent more than \d+ bytes of 1xx/ });
  assert.ok(informed.length > 0 && informed.length < 5000, String(informed.length));
  assert.ok(connection.destroyed);
});
