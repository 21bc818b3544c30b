/** What joining two legs promises, whichever way the bytes take; run by join-portable.test.ts and join-kernel.test.ts. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../../src/core/clock.ts';
import { HoplineError } from '../../../src/core/errors.ts';
import type { Chunk } from '../../../src/io/legs/blocks.ts';
import { type JoinOptions, type JoinResult, joinLegs } from '../../../src/io/legs/join.ts';
import type { Leg } from '../../../src/io/legs/leg.ts';
import { acceptLegs, dialFarEnd } from '../../../src/io/legs/open-leg.ts';
import { RateLimit, type Rates } from '../../../src/io/rates/rate.ts';
import { until } from '../../support/chain.ts';
import { advanceUntil, FakeClock } from '../../support/legs.ts';

const mib = 1024 * 1024;
const streamBytes = 8 * mib;

/** With `dialsItself`, what moves the bytes opens the far end too. */
export type MakeJoin = (t: TestContext) => Pick<JoinOptions, 'kernel'> & { readonly dialsItself?: boolean };

interface Joined {
  /** How the legs call their peers. */
  readonly addresses: { readonly near: string; readonly far: string };
  /** The sockets of the two peers that the tunnel is between. */
  readonly near: net.Socket;
  readonly far: net.Socket;
  readonly nearLeg: Leg;
  readonly result: Promise<JoinResult>;
}

interface JoinSettings {
  readonly idleMs?: number;
  /** What `near` sends, and its leg has read, before the legs are joined. */
  readonly early?: Buffer;
  readonly rates?: Rates;
  readonly lead?: Buffer;
  readonly clock?: FakeClock;
}

/** Runs the suite; each test joins legs with what `make` returns. */
export function testJoin(make: MakeJoin): void {
  const connect = (t: TestContext, settings: JoinSettings = {}) => connectJoined(t, make(t), settings);

  for (const bytes of [0, 1, mib + 1, 64 * mib]) {
    test(`${bytes} bytes each way arrive as they were sent, and are counted`, async (t) => {
      const { near, far, result } = await connect(t);
      const forward = randomBytes(bytes);
      const back = randomBytes(bytes);
      const arrived = Promise.all([receive(far), receive(near)]);
      near.end(forward);
      far.end(back);
      const [atFar, atNear] = await arrived;
      assert.ok(atFar.equals(forward), 'forward');
      assert.ok(atNear.equals(back), 'back');
      assert.deepEqual(bytesOf(await result), { bytesForward: bytes, bytesBack: bytes });
    });
  }

  for (const first of ['near', 'far'] as const) {
    test(`after the ${first} side has ended, the other direction goes on`, async (t) => {
      const joined = await connect(t);
      const [ending, lasting] = first === 'near' ? [joined.near, joined.far] : [joined.far, joined.near];
      const received = receive(ending);
      const heard = receive(lasting);
      ending.end('the question');
      assert.equal((await heard).toString(), 'the question');
      for (const part of ['an ', 'answer ', 'in parts']) {
        lasting.write(part);
        await new Promise((resolve) => setImmediate(resolve));
      }
      lasting.end();
      assert.equal((await received).toString(), 'an answer in parts');
      const { failure, ...counts } = await joined.result;
      assert.equal(failure, undefined);
      const [asked, answered] = first === 'near' ? ['bytesForward', 'bytesBack'] : ['bytesBack', 'bytesForward'];
      assert.deepEqual(bytesOf(counts), { [asked as string]: 12, [answered as string]: 18 });
    });
  }

  test('what was read before the join comes first', async (t) => {
    const early = randomBytes(30_000);
    const { near, far, result } = await connect(t, { early });
    const received = receive(far);
    const late = randomBytes(100_000);
    near.end(late);
    far.end();
    assert.ok((await received).equals(Buffer.concat([early, late])));
    assert.deepEqual(bytesOf(await result), { bytesForward: 130_000, bytesBack: 0 });
  });

  for (const [how, bytesPerSecond] of [
    ['as fast as it goes', undefined],
    ['slowly', 200_000],
  ] as const) {
    test(`what leads goes to the far end before all else and is not counted, ${how}`, async (t) => {
      const lead = randomBytes(3000);
      const early = randomBytes(30_000);
      const rates = bytesPerSecond ? { forward: new RateLimit(bytesPerSecond, systemClock) } : undefined;
      const { near, far, result } = await connect(t, { early, lead, ...(rates ? { rates } : {}) });
      const received = receive(far);
      near.end('and more');
      far.end();
      near.resume();
      assert.ok((await received).equals(Buffer.concat([lead, early, Buffer.from('and more')])));
      assert.deepEqual(bytesOf(await result), { bytesForward: 30_008, bytesBack: 0 });
    });
  }

  test('an end that came before the join is passed on behind the early bytes', async (t) => {
    const { near, far, nearLeg, start } = await connectLegs(t, make(t), {});
    near.end('early');
    const chunk = await nearLeg.read();
    assert.ok(chunk);
    assert.equal(await nearLeg.read(), null);
    nearLeg.unread(chunk);
    const result = start();
    assert.equal((await receive(far)).toString(), 'early');
    far.end();
    near.resume();
    assert.deepEqual(bytesOf(await result), { bytesForward: 5, bytesBack: 0 });
  });

  test('a reader that stops makes the writer stop, and no byte is lost once it reads on', async (t) => {
    const { near, far, result } = await connect(t);
    far.pause();
    const block = randomBytes(mib);
    let sent = 0;
    const write = () => {
      sent += 1;
      return near.write(block);
    };
    while (write());
    // Buffers of the system grow, so the writer is stuck once a block has not left in a while.
    for (let isStuck = false; !isStuck; ) {
      isStuck = await Promise.race([once(near, 'drain').then(() => false), pause(400).then(() => true)]);
      if (!isStuck) while (write());
      assert.ok(sent < 200, 'the writer was never stopped');
    }
    near.end();
    let received = 0;
    far.on('data', (bytes) => {
      received += bytes.length;
    });
    far.resume();
    await once(far, 'end');
    far.end();
    near.resume();
    assert.equal(received, sent * mib);
    assert.equal((await result).bytesForward, sent * mib);
  });

  for (const broken of ['near', 'far'] as const) {
    test(`a reset by the ${broken} side resets the other at once and says who was lost`, async (t) => {
      const joined = await connect(t);
      const [loser, other] = broken === 'near' ? [joined.near, joined.far] : [joined.far, joined.near];
      const reset = once(other, 'error');
      joined.near.write('x');
      await once(joined.far, 'data');
      other.resume();
      loser.resetAndDestroy();
      const [error] = (await reset) as [NodeJS.ErrnoException];
      assert.equal(error.code, 'ECONNRESET');
      const { failure, bytesForward, broken: lost } = await joined.result;
      assert.equal(failure?.code, 'PEER_LOST');
      assert.equal(lost, broken);
      assert.equal(failure.reason, 'ECONNRESET');
      assert.ok(failure.message.includes(` ${joined.addresses[broken]} `), failure.message);
      assert.equal(bytesForward, 1);
    });
  }

  test('a tunnel in which nothing moves is given up, though one that is slow is not', async (t) => {
    const { near, far, result } = await connect(t, { idleMs: 1500 });
    far.resume();
    const resets = Promise.all([once(near, 'error'), once(far, 'error')]);
    for (let times = 0; times < 5; times += 1) {
      near.write('x');
      await pause(400);
    }
    const { failure, bytesForward } = await result;
    assert.equal(failure?.code, 'TIMEOUT_IDLE');
    assert.match(failure.message, /no byte moved between here and 127\.0\.0\.1:\d+ for 1\.5 s/);
    assert.equal(bytesForward, 5);
    for (const [error] of await resets) assert.equal(error.code, 'ECONNRESET');
  });

  test('a leg that is destroyed ends the tunnel with that failure, and both sides see a reset', async (t) => {
    const { near, far, nearLeg, result } = await connect(t);
    const resets = Promise.all([once(near, 'error'), once(far, 'error')]);
    near.write('x');
    await once(far, 'data');
    const stop = new HoplineError('NODE_STOPPING', 'the node is stopping');
    nearLeg.destroy(stop);
    assert.equal((await result).failure, stop);
    await nearLeg.closed;
    assert.equal(nearLeg.failure, stop);
    for (const [error] of await resets) assert.equal(error.code, 'ECONNRESET');
  });

  for (const end of ['its end', 'a reset'] as const) {
    test(`behind a long stream ${end} is passed on at once, with what was before it`, async (t) => {
      const clock = new FakeClock();
      const { near, far, result } = await connect(t, { clock });
      const received = collect(far);
      await stream(near, received, clock);
      if (end === 'its end') {
        near.resume().end('the rest');
        await once(far, 'end');
        assert.equal(Buffer.concat(received.parts).subarray(streamBytes).toString(), 'the rest');
        far.end();
        assert.deepEqual(bytesOf(await result), { bytesForward: streamBytes + 8, bytesBack: 0 });
      } else {
        near.resetAndDestroy();
        assert.equal((await result).failure?.code, 'PEER_LOST');
      }
      assert.equal(clock.waiting, 0);
    });
  }

  test('behind a long stream, two that wait for each other byte by byte go on', async (t) => {
    const clock = new FakeClock();
    const { near, far, result } = await connect(t, { clock });
    const received = collect(far);
    await stream(near, received, clock);
    far.on('data', (bytes) => far.write(bytes));
    const answers = collect(near);
    const exchange = async () => {
      for (let times = 1; times <= 20; times += 1) {
        near.write('x');
        await until(() => answers.bytes === times);
      }
    };
    await advanceUntil(clock, exchange());
    near.end();
    far.end();
    assert.deepEqual(bytesOf(await result), { bytesForward: streamBytes + 20, bytesBack: 20 });
    assert.equal(clock.waiting, 0);
  });

  test('a long stream whose reader stops goes on when it reads again, to the last byte', async (t) => {
    const clock = new FakeClock();
    const { near, far, result } = await connect(t, { clock });
    const received = collect(far);
    await stream(near, received, clock);
    far.pause();
    const more = randomBytes(24 * mib);
    near.write(more);
    // It is stuck now, and time goes on meanwhile.
    for (let times = 0; times < 50; times += 1) {
      clock.advance(10);
      await turns(2);
    }
    far.resume();
    await advanceUntil(
      clock,
      until(() => received.bytes === streamBytes + more.length),
    );
    assert.ok(Buffer.concat(received.parts).subarray(streamBytes).equals(more));
    near.resume().end();
    far.end();
    assert.equal((await result).bytesForward, streamBytes + more.length);
    assert.equal(clock.waiting, 0);
  });

  test('a leg that broke before the join is a failure, not a wait', async (t) => {
    const { near, far, nearLeg, start } = await connectLegs(t, make(t), {});
    far.resume();
    near.resetAndDestroy();
    await nearLeg.closed;
    const { failure } = await start();
    assert.equal(failure?.code, 'PEER_LOST');
  });

  test('a hundred tunnels at once keep their bytes apart, and a slow one ends while fast ones run', async (t) => {
    const settings = make(t);
    const slow = await connectJoined(t, settings, {});
    const tunnels = await Promise.all(Array.from({ length: 100 }, () => connectJoined(t, settings, {})));
    let areFastRunning = true;
    const block = Buffer.alloc(256 * 1024);
    const fast = tunnels.slice(0, 4).map(async ({ near, far, result }) => {
      far.resume().on('end', () => far.end());
      near.resume();
      while (areFastRunning) if (!near.write(block)) await once(near, 'drain');
      near.end();
      return result;
    });
    const small = tunnels.slice(4).map(async ({ near, far, result }) => {
      const bytes = randomBytes(100_000);
      const received = receive(far);
      near.resume();
      near.end(bytes);
      far.end();
      assert.ok((await received).equals(bytes));
      return result;
    });
    slow.far.on('data', (bytes) => slow.far.write(bytes));
    for (let times = 0; times < 20; times += 1) {
      slow.near.write('x');
      await once(slow.near, 'data');
    }
    slow.near.end();
    slow.far.end();
    assert.deepEqual(bytesOf(await slow.result), { bytesForward: 20, bytesBack: 20 });
    for (const result of await Promise.all(small))
      assert.deepEqual(bytesOf(result), { bytesForward: 100_000, bytesBack: 0 });
    areFastRunning = false;
    for (const { failure, bytesForward } of await Promise.all(fast)) {
      assert.equal(failure, undefined);
      assert.ok(bytesForward > 0);
    }
  });

  for (const limited of ['forward', 'back'] as const) {
    test(`${limited}, a limit lets its burst pass and then what time brings, and the other way is free`, async (t) => {
      const clock = new FakeClock();
      const rate = new RateLimit(100 * 1024, clock);
      const { near, far, result } = await connect(t, { rates: { [limited]: rate } });
      const [from, to] = limited === 'forward' ? [near, far] : [far, near];
      const bytes = randomBytes(200 * 1024);
      const received = collect(to);
      const unlimited = receive(from);
      to.write(randomBytes(mib));
      from.end(bytes);
      for (let ms = 0; received.bytes < bytes.length; ms += 50, clock.advance(50)) {
        const due = Math.min(bytes.length, rate.burstBytes + ms * 102.4);
        // What is less than a segment waits for more.
        await until(() => received.bytes > due - 1460);
        await turns(5);
        assert.ok(received.bytes <= due, `${received.bytes} of ${due}`);
      }
      assert.ok(clock.now() > 1700 && clock.now() < 2000, `${clock.now()} ms`);
      to.end();
      assert.equal((await unlimited).length, mib);
      assert.ok(Buffer.concat(received.parts).equals(bytes));
      const { failure, bytesForward, bytesBack } = await result;
      assert.equal(failure, undefined);
      assert.deepEqual(
        [bytesForward, bytesBack].sort((a, b) => a - b),
        [bytes.length, mib],
      );
      assert.equal(clock.waiting, 0);
    });
  }

  test('a limit holds what was read before the join as well', async (t) => {
    const clock = new FakeClock();
    const rate = new RateLimit(100 * 1024, clock);
    const early = randomBytes(40 * 1024);
    const { near, far, result } = await connect(t, { early, rates: { forward: rate } });
    const received = collect(far);
    near.resume().end();
    far.end();
    await until(() => received.bytes === rate.burstBytes);
    await turns(20);
    assert.equal(received.bytes, rate.burstBytes);
    for (let passed = 0; received.bytes < early.length; passed += 1) {
      assert.ok(passed < 1000);
      clock.advance(10);
      await turns(5);
    }
    assert.ok(Buffer.concat(received.parts).equals(early));
    // An end has no bytes, but inside the kernel it is asked for like some.
    clock.advance(100);
    assert.deepEqual(bytesOf(await result), { bytesForward: early.length, bytesBack: 0 });
  });

  test('tunnels that share a limit keep to it together, and the busiest leaves the others their part', async (t) => {
    const clock = new FakeClock();
    const forward = new RateLimit(mib, clock);
    const settings = make(t);
    const tunnels = await Promise.all(
      Array.from({ length: 5 }, () => connectJoined(t, settings, { rates: { forward } })),
    );
    const received = tunnels.map(({ far }) => collect(far));
    for (const { near } of tunnels) near.write(randomBytes(mib));
    const total = () => received.reduce((sum, { bytes }) => sum + bytes, 0);
    for (let ms = 0; ms <= 1000; ms += 10, clock.advance(10)) {
      const due = forward.burstBytes + 1 + (ms / 1000) * mib;
      // One whose bytes had not come yet when it was its turn takes part in the next.
      await until(() => total() > due - (2 * mib) / 100 - 1460);
      assert.ok(total() <= due, `${total()} of ${due}`);
    }
    for (const { bytes } of received) assert.ok(bytes > (mib / 5) * 0.8, `${bytes}`);
    for (const { near, far } of tunnels) for (const socket of [near, far]) socket.resetAndDestroy();
    await Promise.all(tunnels.map(({ result }) => result));
    assert.equal(clock.waiting, 0);
  });

  test('a tunnel that its limit holds back ends at once when it is told to, and waits for nothing any more', async (t) => {
    const clock = new FakeClock();
    const rate = new RateLimit(1024, clock);
    const { near, far, nearLeg, result } = await connect(t, { rates: { forward: rate } });
    const received = collect(far);
    near.write(randomBytes(mib));
    await until(() => received.bytes === rate.burstBytes && clock.waiting === 1);
    const stop = new HoplineError('NODE_STOPPING', 'the node is stopping');
    nearLeg.destroy(stop);
    assert.equal((await result).failure, stop);
    assert.equal(clock.waiting, 0);
  });

  test('no descriptor is left behind, whatever the end', {
    skip: process.platform !== 'linux' && 'only Linux lists them',
  }, async (t) => {
    const settings = make(t);
    const round = async () => {
      const ended = await connectJoined(t, settings, {});
      const gone = await connectJoined(t, settings, {});
      const stuck = await connectJoined(t, settings, {});
      ended.near.resume().end('x');
      ended.far.resume().end('y');
      gone.far.resetAndDestroy();
      stuck.far.pause();
      while (stuck.near.write(randomBytes(mib)));
      await until(() => stuck.near.bytesWritten > 0);
      stuck.near.resetAndDestroy();
      stuck.far.resetAndDestroy();
      await Promise.all([ended.result, gone.result, stuck.result]);
      await Promise.all([ended, gone, stuck].map(closeBoth));
    };
    await round();
    const before = await openDescriptors();
    for (let times = 0; times < 5; times += 1) await round();
    await until(async () => (await openDescriptors()) <= before);
  });
}

async function connectJoined(t: TestContext, options: ReturnType<MakeJoin>, settings: JoinSettings): Promise<Joined> {
  const { start, ...rest } = await connectLegs(t, options, settings);
  return { ...rest, result: start() };
}

/** Two peers, each connected to a leg here, as a relay has them: the near one accepted, the far one dialled. */
async function connectLegs(t: TestContext, { kernel, dialsItself }: ReturnType<MakeJoin>, settings: JoinSettings) {
  const { idleMs = 20_000, early, rates, lead, clock } = settings;
  const legOptions = { idleMs, maxBlockBytes: 256 * 1024 };
  const here = await listenOnce<Leg>((server, take) => acceptLegs(server, () => legOptions, take));
  const near = net.connect({ port: here.port, host: '127.0.0.1', allowHalfOpen: true });
  const nearLeg = await here.accepted;
  const there = await listenOnce<net.Socket>((server, take) => server.once('connection', take));
  const farLeg = await dialFarEnd('127.0.0.1', there.port, dialsItself ? kernel : undefined, legOptions);
  const far = await there.accepted;
  for (const socket of [near, far]) {
    socket.on('error', () => {});
    t.after(() => socket.destroy());
  }
  t.after(() => {
    nearLeg.destroy();
    farLeg.destroy();
  });
  if (early) {
    const chunks: Chunk[] = [];
    near.write(early);
    for (let left = early.length; left > 0; ) {
      const chunk = await nearLeg.read();
      assert.ok(chunk);
      left -= chunk.bytes.length;
      chunks.push(chunk);
    }
    for (const chunk of chunks.splice(0).reverse()) nearLeg.unread(chunk);
  }
  const fallbacks: string[] = [];
  const start = () => {
    const onFallback = (reason: string) => fallbacks.push(reason);
    const result = joinLegs(nearLeg, farLeg, { kernel, idleMs, rates, lead, clock, onFallback });
    return result.finally(() => assert.deepEqual(fallbacks, []));
  };
  return { near, far, nearLeg, addresses: { near: nearLeg.peer, far: farLeg.peer }, start };
}

/** A server for one connection, which `accept` hands on. */
async function listenOnce<Connection>(accept: (server: net.Server, take: (connection: Connection) => void) => void) {
  const server = net.createServer({ allowHalfOpen: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const accepted = new Promise<Connection>((resolve) => {
    accept(server, (connection) => {
      server.close();
      resolve(connection);
    });
  });
  return { port: (server.address() as net.AddressInfo).port, accepted };
}

function receive(socket: net.Socket): Promise<Buffer> {
  const parts: Buffer[] = [];
  socket.on('data', (part: Buffer) => parts.push(part));
  return once(socket, 'end').then(() => Buffer.concat(parts));
}

function collect(socket: net.Socket): { readonly parts: Buffer[]; bytes: number } {
  const received = { parts: [] as Buffer[], bytes: 0 };
  socket.on('data', (part: Buffer) => {
    received.parts.push(part);
    received.bytes += part.length;
  });
  return received;
}

/** Moves so much, and lets so much time pass, that it counts as a long stream where that makes a difference. */
async function stream(from: net.Socket, received: { readonly bytes: number }, clock: FakeClock): Promise<void> {
  from.write(randomBytes(streamBytes));
  await until(() => received.bytes === streamBytes);
  clock.advance(200);
}

/** Lets the event loop come round, so that what could pass by mistake has the time to. */
async function turns(count: number): Promise<void> {
  for (let left = count; left > 0; left -= 1) await new Promise((resolve) => setImmediate(resolve));
}

async function closeBoth({ near, far }: Joined): Promise<void> {
  for (const socket of [near, far]) {
    socket.destroy();
    if (!socket.closed) await once(socket, 'close');
  }
}

async function openDescriptors(): Promise<number> {
  return (await readdir('/proc/self/fd')).length;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** By which way they went is no part of the contract. */
function bytesOf({ bytesForward, bytesBack }: { readonly bytesForward: number; readonly bytesBack: number }) {
  return { bytesForward, bytesBack };
}
