import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { PassThrough, Readable } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { HoplineError } from '../../../src/core/errors.ts';
import { type CacheSetup, makeCache, type Scripted } from '../../support/caches.ts';

const fresh = { 'Cache-Control': 'max-age=60' };

/** An origin that answers once it is told to. */
function holdBack(setup: CacheSetup): (scripted: Scripted) => void {
  let answer: (scripted: Scripted) => void = () => {};
  const held = new Promise<Scripted>((resolve) => {
    answer = resolve;
  });
  setup.script = () => held;
  return answer;
}

test('fetches once what many wait for', async (t) => {
  const setup = await makeCache(t);
  const answer = holdBack(setup);
  const content = randomBytes(300_000);
  const waiting = Array.from({ length: 100 }, () => setup.ask());
  await turn();
  answer({ fields: fresh, body: content });
  const seen = await Promise.all(waiting);
  for (const { body } of seen) assert.ok(body.equals(content));
  assert.equal(seen.filter(({ verdict }) => verdict?.includes('collapsed')).length, 99);
  assert.equal(setup.reached.length, 1);
});

test('sends what has arrived to all who wait, while the rest is under way', async (t) => {
  const setup = await makeCache(t, { limits: { maxCacheSmallBytes: 4 } });
  const body = new PassThrough();
  setup.script = () => ({ fields: fresh, body });
  const first = await setup.start();
  body.write('beginning');
  const second = await setup.start();
  const readers = [first, second].map((answer) => {
    assert.ok(answer.body instanceof Readable);
    return answer.body[Symbol.asyncIterator]();
  });
  for (const reader of readers) assert.equal(String((await reader.next()).value), 'beginning');
  body.end();
  for (const reader of readers) assert.equal((await reader.next()).done, true);
});

test('does not let a reader who does not read hold up the others', async (t) => {
  const setup = await makeCache(t);
  const content = randomBytes(4 * 1024 * 1024);
  setup.script = () => ({ fields: fresh, body: content });
  const lazy = await setup.start();
  assert.ok((await setup.ask()).body.equals(content));
  assert.ok(lazy.body instanceof Readable);
  const parts: Buffer[] = [];
  for await (const part of lazy.body) parts.push(part as Buffer);
  assert.ok(Buffer.concat(parts).equals(content));
  assert.equal(setup.reached.length, 1);
});

test('goes on fetching for those who wait when the first one leaves', async (t) => {
  const setup = await makeCache(t);
  const answer = holdBack(setup);
  const leaving = new AbortController();
  const first = setup.ask({ signal: leaving.signal });
  const second = setup.ask();
  await turn();
  leaving.abort(new HoplineError('INTERRUPTED', 'left'));
  await assert.rejects(first, { code: 'INTERRUPTED' });
  answer({ fields: fresh });
  assert.equal((await second).text, 'content');
  assert.equal(setup.reached[0]?.signal.aborted, false);
});

test('stops fetching when the last one who waits leaves', async (t) => {
  const setup = await makeCache(t);
  holdBack(setup);
  const leaving = new AbortController();
  const only = setup.ask({ signal: leaving.signal });
  await turn();
  leaving.abort(new HoplineError('INTERRUPTED', 'left'));
  await assert.rejects(only, { code: 'INTERRUPTED' });
  assert.equal(setup.reached[0]?.signal.aborted, true);
});

test('stops reading content that nobody waits for, unless little is left of it', async (t) => {
  const setup = await makeCache(t, { limits: { maxCacheAbandonedBytes: 1000 } });
  for (const [left, isStopped] of [
    [1001, true],
    [1000, false],
  ] as const) {
    const body = new PassThrough();
    setup.script = () => ({ fields: { ...fresh, 'Content-Length': '5000' }, body });
    const answer = await setup.start({ target: `/${left}` });
    body.write(Buffer.alloc(5000 - left));
    assert.ok(answer.body instanceof Readable);
    await answer.body[Symbol.asyncIterator]().next();
    answer.body.destroy();
    await turn();
    assert.equal(body.destroyed, isStopped, String(left));
    body.end(Buffer.alloc(left));
  }
  await setup.restart();
  assert.deepEqual(
    setup.cache.list().map(({ url }) => url),
    ['http://example.org/1000'],
  );
});

test('lets each go its own way, all at once, when the answer is for one alone, and the next ones from the start', async (t) => {
  const setup = await makeCache(t);
  let count = 0;
  let together = 0;
  setup.script = async () => {
    count += 1;
    together = Math.max(together, count);
    await turn();
    await turn();
    count -= 1;
    return { fields: { 'Cache-Control': 'private' }, body: 'mine' };
  };
  const seen = await Promise.all(Array.from({ length: 10 }, () => setup.ask()));
  assert.ok(seen.every(({ text }) => text === 'mine'));
  assert.equal(setup.reached.length, 10);
  assert.equal(together, 9);
  together = 0;
  await Promise.all(Array.from({ length: 10 }, () => setup.ask()));
  assert.equal(together, 10);
});

test('does not hand an answer to somebody whose request Vary tells apart', async (t) => {
  const setup = await makeCache(t);
  setup.script = async ({ fields }) => {
    await turn();
    return { fields: { ...fresh, Vary: 'Accept-Language' }, body: String(fields[1]) };
  };
  const ask = (language: string) => setup.ask({ fields: { 'Accept-Language': language } });
  const seen = await Promise.all([ask('de'), ask('fr'), ask('de')]);
  assert.deepEqual(
    seen.map(({ text }) => text),
    ['de', 'fr', 'de'],
  );
  assert.equal(setup.reached.length, 2);
});

test('tells all who wait that the origin failed, and stores no half of an answer', async (t) => {
  const setup = await makeCache(t);
  const body = new PassThrough();
  setup.script = () => ({ fields: { ...fresh, 'Content-Length': '10' }, body });
  const first = setup.ask();
  const second = setup.ask();
  await turn();
  body.end('half');
  await assert.rejects(first, { code: 'PEER_LOST' });
  await assert.rejects(second, { code: 'PEER_LOST' });
  await setup.restart();
  assert.equal(setup.cache.stat().entries, 0);
  setup.script = () => {
    throw new HoplineError('PEER_UNREACHABLE', 'nobody there');
  };
  const failed = await Promise.allSettled([setup.ask(), setup.ask()]);
  assert.ok(failed.every(({ status }) => status === 'rejected'));
  assert.equal(setup.reached.length, 2);
});

test('asks once whether a stale answer still holds, however many want it', async (t) => {
  const setup = await makeCache(t);
  setup.script = () => ({ fields: { ...fresh, ETag: '"one"' } });
  await setup.ask();
  await setup.restart();
  setup.advance(61);
  setup.script = async () => {
    await turn();
    return { status: 304, fields: { ...fresh, ETag: '"one"' } };
  };
  const seen = await Promise.all(Array.from({ length: 5 }, () => setup.ask()));
  assert.ok(seen.every(({ text }) => text === 'content'));
  assert.equal(setup.reached.length, 2);
});

test('serves a range out of content that is still arriving', async (t) => {
  const setup = await makeCache(t);
  const body = new PassThrough();
  setup.script = () => ({ fields: { ...fresh, 'Content-Length': '10' }, body });
  const whole = setup.ask();
  await turn();
  const part = setup.ask({ fields: { Range: 'bytes=2-4' } });
  body.end('0123456789');
  assert.equal((await part).text, '234');
  assert.equal((await part).status, 206);
  assert.equal((await whole).text, '0123456789');
  assert.equal(setup.reached.length, 1);
});
