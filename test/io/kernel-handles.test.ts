/** Descriptors and watches: opened, used, broken off and closed in every order, nothing is used once it is closed, and nothing stays. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { open, writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { HoplineError } from '../../src/core/errors.ts';
import { type KernelEngine, startKernelEngine } from '../../src/io/kernel/engine.ts';
import { loadLibc } from '../../src/io/kernel/libc.ts';
import { KernelSocket } from '../../src/io/kernel/socket.ts';
import { joinLegs } from '../../src/io/legs/join.ts';
import { RateLimit } from '../../src/io/rates/rate.ts';
import { type CheckedLibc, checkLibc } from '../support/checked-libc.ts';
import { whyNoKernel } from '../support/kernel.ts';
import { FakeClock, makeLeg } from '../support/legs.ts';
import { makeTempRoot } from '../support/temp-root.ts';

/** More than the system takes for a peer that does not read. */
const large = 32 * 1024 * 1024;
const frames = Buffer.alloc(100);
const stop = new HoplineError('NODE_STOPPING', 'the node is stopping');
const writable = { readable: false, writable: true };
const skip = whyNoKernel();

/** Does something to what is under test; must not throw in any order. */
type Act = () => unknown;

test('a socket that is closed is neither watched nor closed again, whatever is done to it', { skip }, async (t) => {
  const { leg } = await makeLeg(t);
  for (const turns of [0, 1]) {
    for (const order of orders(['await', 'rest', 'close', 'close again', 'await again'])) {
      const libc = checkLibc(loadLibc());
      const socket = KernelSocket.duplicate(libc, leg.descriptor ?? -1);
      assert.ok(socket);
      const wake = () => assert.ok(socket.isOpen, 'it was woken after its end');
      const acts: Record<string, Act> = {
        await: () => socket.await(writable, wake),
        'await again': () => socket.await({ readable: true, writable: true }, wake),
        rest: () => socket.rest(),
        close: () => socket.close(),
        'close again': () => socket.close(),
      };
      await perform(order, acts, turns);
      assertClean(libc, order);
      assert.equal(socket.fd, -1);
    }
  }
});

test('what memory has of a file is read at once, into the memory that was given and no other', { skip }, async (t) => {
  const libc = checkLibc(loadLibc());
  const engine = startKernelEngine(libc);
  t.after(() => engine.close());
  const root = await makeTempRoot(t);
  await writeFile(path.join(root.path, 'f'), '0123456789');
  const file = await open(path.join(root.path, 'f'));
  t.after(() => file.close());
  const memory = Buffer.alloc(20, '.');
  const read = libc.readCached(file.fd, memory.subarray(5, 10), 2);
  // Some file systems, as those in memory, have no such way.
  assert.ok(read === 5 || read === -constants.errno.EOPNOTSUPP, String(read));
  assert.equal(String(memory), read === 5 ? '.....23456..........' : '.'.repeat(20));
  assert.equal(engine.readCached(file.fd, memory.subarray(5, 10), 2), Math.max(0, read));
  assert.equal(engine.readCached(file.fd, memory, 8), read === 5 ? 2 : 0);
  assert.equal(engine.readCached(file.fd, memory, 10), 0);
  assert.equal(engine.readCached(file.fd, memory.subarray(0, 0), 0), 0);
  assert.deepEqual(libc.violations, []);
});

test('what wakes a socket and throws is heard of, and the watch goes on', { skip }, async (t) => {
  const { leg } = await makeLeg(t);
  const socket = KernelSocket.duplicate(loadLibc(), leg.descriptor ?? -1);
  t.after(() => socket?.close());
  const heard = new Promise((resolve) => process.setUncaughtExceptionCaptureCallback(resolve));
  t.after(() => process.setUncaughtExceptionCaptureCallback(null));
  const woken = new Promise<void>((resolve) => {
    let times = 0;
    socket?.await(writable, () => {
      times += 1;
      if (times === 1) throw stop;
      socket.rest();
      resolve();
    });
  });
  assert.equal(await heard, stop);
  await woken;
});

for (const limited of [false, true]) {
  const how = limited ? ' at a limited rate' : '';
  test(`a sender${how} lets go of all it holds, in whatever order it, its file, its client and its engine end`, {
    skip,
  }, async (t) => {
    const root = await makeTempRoot(t);
    await root.writeRandom('file', large);
    for (const turns of [0, 1]) {
      for (const order of orders(['send', 'client goes', 'file closes', 'sender closes', 'engine closes'])) {
        const { leg, peer } = await makeLeg(t);
        const libc = checkLibc(loadLibc());
        const engine = startKernelEngine(libc);
        const clock = new FakeClock();
        const socket = engine.duplicate(leg.descriptor);
        assert.ok(socket);
        const sender = engine.openSender(socket, 'the client', limited ? new RateLimit(1024 * 1024, clock) : undefined);
        const file = await open(path.join(root.path, 'file'));
        let sent: Promise<number> | undefined;
        const acts: Record<string, Act> = {
          send: () => {
            sent = sender.send({ file, offset: 0, length: large, head: limited ? undefined : frames }, () => {});
            sent.catch(() => {});
          },
          'client goes': () => (turns === 0 ? peer.resetAndDestroy() : peer.end()),
          'file closes': () => file.close(),
          'sender closes': () => sender.close(),
          'engine closes': () => engine.close(),
        };
        await perform(order, acts, turns);
        sender.close();
        engine.close();
        await assert.rejects(sent ?? Promise.resolve(), HoplineError, order.join(', '));
        assertClean(libc, order);
        assert.equal(clock.waiting, 0);
        assert.equal(engine.duplicate(leg.descriptor), undefined, 'a closed engine takes nothing');
        leg.destroy();
        peer.destroy();
      }
    }
  });
}

test('a range that is begun before the end of another is refused, and the other goes on', { skip }, async (t) => {
  const root = await makeTempRoot(t);
  const content = await root.writeRandom('file', large);
  const { leg, peer } = await makeLeg(t);
  const engine = startKernelEngine();
  t.after(() => engine.close());
  const socket = engine.duplicate(leg.descriptor);
  assert.ok(socket);
  const sender = engine.openSender(socket, 'the client');
  const file = await open(path.join(root.path, 'file'));
  t.after(() => file.close());
  const first = sender.send({ file, offset: 0, length: large }, () => {});
  await assert.rejects(
    sender.send({ file, offset: 0, length: 1 }, () => {}),
    { code: 'INTERNAL' },
  );
  peer.resume();
  assert.equal(await first, content.length);
});

test('what goes ahead of a range is sent first and whole, however little of it is taken at a time', {
  skip,
}, async (t) => {
  const { leg, peer } = await makeLeg(t);
  const root = await makeTempRoot(t);
  const content = await root.writeRandom('file', 100_000);
  const engine = startKernelEngine(checkLibc(loadLibc()));
  t.after(() => engine.close());
  const socket = engine.duplicate(leg.descriptor);
  assert.ok(socket);
  const sender = engine.openSender(socket, 'the client');
  const file = await open(path.join(root.path, 'file'));
  t.after(() => file.close());
  const head = randomBytes(large);
  const received: Buffer[] = [];
  let slices = 0;
  const sent = sender.send({ file, offset: 10, length: 50_000, head }, (bytes) => {
    slices += bytes;
  });
  peer.on('data', (bytes: Buffer) => received.push(bytes));
  // A head is not counted: it is no content.
  assert.deepEqual([await sent, slices], [50_000, 50_000]);
  leg.end();
  await once(peer, 'end');
  assert.ok(Buffer.concat(received).equals(Buffer.concat([head, content.subarray(10, 50_010)])));
});

test('bytes of this process go past a stream whole and in their order, and wait where the peer does not read', {
  skip,
}, async (t) => {
  const { leg, peer } = await makeLeg(t);
  const libc = checkLibc(loadLibc());
  const engine = startKernelEngine(libc);
  t.after(() => engine.close());
  const socket = engine.duplicate(leg.descriptor);
  assert.ok(socket);
  const sender = engine.openSender(socket, 'the client');
  const [small, much] = [randomBytes(1000), randomBytes(large)];
  assert.equal(sender.sendBytes(small, true), undefined, 'what is taken at once is not waited for');
  const leaving = sender.sendBytes(much, false);
  assert.ok(leaving);
  await assert.rejects(async () => sender.sendBytes(small, false), { code: 'INTERNAL' });
  const received: Buffer[] = [];
  peer.on('data', (bytes: Buffer) => received.push(bytes));
  await leaving;
  leg.end();
  await once(peer, 'end');
  assert.ok(Buffer.concat(received).equals(Buffer.concat([small, much])));
  sender.close();
  await assert.rejects(async () => sender.sendBytes(small, false), { code: 'PEER_LOST' });
  assertClean(libc, []);
});

for (const event of ['peer resets', 'peer ends', 'more comes']) {
  test(`a reader lets go of all it holds, in whatever order it is used, its leg and its engine end, and ${event}`, {
    skip,
  }, async (t) => {
    for (const turns of [0, 1]) {
      for (const order of orders(['read', event, 'leg is ended', 'engine closes'])) {
        const libc = checkLibc(loadLibc());
        const engine = startKernelEngine(libc);
        const { leg, peer } = await makeLeg(t, { openReader: (fd, name) => engine.openReader(fd, name) });
        peer.write(Buffer.alloc(100_000));
        const memory = Buffer.alloc(1024 * 1024);
        for (let filled = 0; filled < 100_000; ) filled += await leg.readInto(memory);
        let read: Promise<number> | undefined;
        const acts: Record<string, Act> = {
          read: () => {
            read = leg.readInto(memory);
            read.catch(() => {});
          },
          'peer resets': () => peer.resetAndDestroy(),
          'peer ends': () => peer.end(),
          'more comes': () => peer.write('x'),
          'leg is ended': () => leg.destroy(stop),
          'engine closes': () => engine.close(),
        };
        await perform(order, acts, turns);
        await leg.closed;
        await read?.catch((error) => assert.ok(error instanceof HoplineError, order.join(', ')));
        engine.close();
        assertClean(libc, order);
        peer.destroy();
      }
    }
  });
}

for (const kernel of [true, false]) {
  const how = kernel ? 'inside the kernel' : 'through the process';
  test(`a tunnel ${how} lets go of all it holds, in whatever order its sides and its engine end`, {
    skip: kernel && skip,
  }, async (t) => {
    for (const turns of [0, 1]) {
      for (const order of orders(['near resets', 'far ends', 'leg is ended', 'engine closes'])) {
        await endTunnel(t, kernel, order, turns);
      }
    }
  });
}

async function endTunnel(t: TestContext, isInKernel: boolean, order: readonly string[], turns: number): Promise<void> {
  const [near, far] = [await makeLeg(t), await makeLeg(t)];
  const libc = isInKernel ? checkLibc(loadLibc()) : undefined;
  const engine: KernelEngine | undefined = libc && startKernelEngine(libc);
  // The far peer does not read, so that a pipe is in use when the end comes.
  near.peer.write(Buffer.alloc(4 * 1024 * 1024));
  const joined = joinLegs(near.leg, far.leg, { kernel: engine, idleMs: 20_000 });
  await turn();
  const acts: Record<string, Act> = {
    'near resets': () => near.peer.resetAndDestroy(),
    'far ends': () => far.peer.end(),
    'leg is ended': () => {
      near.leg.destroy(stop);
      far.leg.destroy();
    },
    'engine closes': () => engine?.close(),
  };
  await perform(order, acts, turns);
  await joined;
  engine?.close();
  await Promise.all([near.leg.closed, far.leg.closed]);
  if (libc) assertClean(libc, order);
}

async function perform(order: readonly string[], acts: Readonly<Record<string, Act>>, turns: number): Promise<void> {
  for (const name of order) {
    await acts[name]?.();
    for (let times = 0; times < turns; times += 1) await turn();
  }
}

function assertClean(libc: CheckedLibc, order: readonly string[]): void {
  assert.deepEqual(libc.violations, [], order.join(', '));
  assert.equal(libc.open, 0, order.join(', '));
}

/** All orders of the acts. */
function orders(acts: readonly string[]): string[][] {
  if (acts.length === 0) return [[]];
  return acts.flatMap((first) => orders(acts.filter((act) => act !== first)).map((rest) => [first, ...rest]));
}
