import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../../src/core/clock.ts';
import { Arrivals } from '../../../src/io/legs/arrivals.ts';
import { readExactly, readHead, readHeadNow, readUntilQuiet } from '../../../src/io/legs/head.ts';
import type { LegLike } from '../../../src/io/legs/leg-like.ts';
import { decodeClassicRequest } from '../../../src/wire/classic/classic-text.ts';
import { type Decoded, more, ok } from '../../../src/wire/decoded.ts';
import { decodeFrame, encodeFrame } from '../../../src/wire/native/frame.ts';
import { block, FakeClock, makeLeg, readAll } from '../../support/legs.ts';

const decode = (bytes: Buffer) => decodeFrame(bytes, 1024);
const classic = (bytes: Buffer) => decodeClassicRequest(bytes, 1024);

async function setUp(t: TestContext) {
  const clock = new FakeClock();
  return { ...(await makeLeg(t)), clock, options: { clock, ms: 1000 } };
}

/** Wraps a decoder so that a test can await its having seen `length` bytes. */
function watch<T>(decoder: (bytes: Buffer) => Decoded<T>, length: number) {
  let seen = () => {};
  const reached = new Promise<void>((resolve) => {
    seen = resolve;
  });
  const watched = (bytes: Buffer) => {
    if (bytes.length >= length) setImmediate(seen);
    return decoder(bytes);
  };
  return { watched, reached };
}

test('a head that comes a byte at a time is read, and its deadline is gone', async (t) => {
  const { leg, peer, clock, options } = await setUp(t);
  const read = readHead(leg, decode, options);
  for (const byte of encodeFrame({ type: 'ping' }))
    await new Promise((resolve) => peer.write(Buffer.of(byte), resolve));
  assert.deepEqual(await read, { type: 'ping' });
  assert.equal(clock.waiting, 0);
});

test('a head that lies in the socket is in time, however long this process is busy', async (t) => {
  const { leg, peer } = await makeLeg(t);
  if (peer.connecting) await once(peer, 'connect');
  for (const ms of [20, 50]) {
    const read = readHead(leg, decode, { clock: systemClock, ms });
    peer.write(encodeFrame({ type: 'ping' }));
    block(4 * ms);
    assert.deepEqual(await read, { type: 'ping' });
  }
  await assert.rejects(readHead(leg, decode, { clock: systemClock, ms: 20 }), { code: 'TIMEOUT_HEAD' });
});

test('what was read past a head is read next, also by the next head', async (t) => {
  const { leg, peer, options } = await setUp(t);
  peer.end(Buffer.concat([encodeFrame({ a: 1 }), encodeFrame({ b: 2 }), Buffer.from('content')]));
  assert.deepEqual(await readHead(leg, decode, options), { a: 1 });
  assert.deepEqual(await readHead(leg, decode, options), { b: 2 });
  assert.equal((await readAll(leg)).toString(), 'content');
});

test('a block may hold as many heads as it has bytes, and is given back once', () => {
  const arrivals = new Arrivals(1024);
  const leg = {
    readNow: () => arrivals.nextNow(),
    unread: (chunk) => arrivals.putBack(chunk),
  } satisfies Partial<LegLike> as unknown as LegLike;
  let releases = 0;
  const release = () => {
    releases += 1;
  };
  const bytes = Buffer.alloc(100_000, 7);
  arrivals.take({ bytes, release });
  const heads = bytes.map(() => readHeadNow(leg, (seen) => ok(seen[0], 1)) ?? 0);
  assert.deepEqual(Buffer.from(heads), bytes);
  assert.deepEqual([releases, leg.readNow()], [1, undefined]);
});

test('a head cut by a segment border leaves the content behind it whole', async (t) => {
  const { leg, peer, options } = await setUp(t);
  const frame = encodeFrame({ a: 1 });
  const { watched, reached } = watch(decode, 5);
  const read = readHead(leg, watched, options);
  peer.write(frame.subarray(0, 5));
  await reached;
  peer.end(Buffer.concat([frame.subarray(5), Buffer.from('content')]));
  assert.deepEqual(await read, { a: 1 });
  assert.equal((await readAll(leg)).toString(), 'content');
});

test('a head that is not whole in time fails, however its bytes drip', async (t) => {
  const { leg, peer, clock, options } = await setUp(t);
  const { watched, reached } = watch(decode, 1);
  const read = readHead(leg, watched, options);
  peer.write(Buffer.of(0xff));
  await reached;
  clock.advance(999);
  assert.equal(clock.waiting, 1);
  clock.advance(1);
  await assert.rejects(read, { code: 'TIMEOUT_HEAD', message: `${leg.peer} sent no complete header within 1 s` });
  assert.equal(clock.waiting, 0);
});

test('an end before the first byte is null, and in the middle an error', async (t) => {
  const empty = await setUp(t);
  empty.peer.end();
  assert.equal(await readHead(empty.leg, decode, empty.options), null);
  const cut = await setUp(t);
  cut.peer.end(Buffer.of(0xff, 0x48));
  await assert.rejects(readHead(cut.leg, decode, cut.options), { code: 'PEER_PROTOCOL' });
});

test('garbage fails at its first byte, with the connection still open', async (t) => {
  const { leg, peer, clock, options } = await setUp(t);
  peer.write('G');
  await assert.rejects(readHead(leg, decode, options), { code: 'PEER_PROTOCOL' });
  assert.equal(clock.waiting, 0);
});

test('an abort ends the wait with the signal’s reason', async (t) => {
  const { leg, clock, options } = await setUp(t);
  const reason = new Error('stopping');
  const controller = new AbortController();
  const read = readHead(leg, decode, { ...options, signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(read, reason);
  await assert.rejects(readHead(leg, decode, { ...options, signal: controller.signal }), reason);
  assert.equal(clock.waiting, 0);
});

test('a classic request counts as whole after a quiet moment, and may grow until then', async (t) => {
  const { leg, peer, clock, options } = await setUp(t);
  const first = watch(classic, 6);
  const second = watch(first.watched, 8);
  const read = readUntilQuiet(leg, second.watched, 250, options);
  peer.write('a\nh 99');
  await first.reached;
  clock.advance(249);
  peer.write('00');
  await second.reached;
  clock.advance(249);
  assert.equal(clock.waiting, 1);
  clock.advance(1);
  assert.equal((await read)?.hops[0]?.port, 9900);
  assert.equal(clock.waiting, 0);
});

test('a classic request that is never whole fails at the deadline, not after a quiet moment', async (t) => {
  const { leg, peer, clock, options } = await setUp(t);
  const { watched, reached } = watch(classic, 4);
  const read = readUntilQuiet(leg, watched, 250, options);
  peer.write('a\nh ');
  await reached;
  clock.advance(999);
  assert.equal(clock.waiting, 1);
  clock.advance(1);
  await assert.rejects(read, { code: 'TIMEOUT_HEAD' });
});

test('an end counts as quiet, for a whole request and for none', async (t) => {
  const whole = await setUp(t);
  whole.peer.end('a\nh 1');
  assert.equal((await readUntilQuiet(whole.leg, classic, 250, whole.options))?.name, 'a');
  const cut = await setUp(t);
  cut.peer.end('a\n');
  await assert.rejects(readUntilQuiet(cut.leg, classic, 250, cut.options), { code: 'PEER_PROTOCOL' });
  const none = await setUp(t);
  none.peer.end();
  assert.equal(await readUntilQuiet(none.leg, classic, 250, none.options), null);
});

test('exactly so many bytes are read, and the rest stays', async (t) => {
  const { leg, peer, options } = await setUp(t);
  peer.end('ack_to_send');
  assert.equal(String(await readExactly(leg, 4, options)), 'ack_');
  assert.equal((await readAll(leg)).toString(), 'to_send');
  assert.equal(await readExactly(leg, 4, options), null);
});

test('a decoder that always wants more sees all bytes and then the end', async (t) => {
  const { leg, peer, options } = await setUp(t);
  peer.end(Buffer.alloc(100_000));
  const lengths: number[] = [];
  const hungry = (bytes: Buffer) => {
    lengths.push(bytes.length);
    return more;
  };
  await assert.rejects(readHead(leg, hungry, options), { code: 'PEER_PROTOCOL' });
  assert.equal(lengths.at(-1), 100_000);
});
