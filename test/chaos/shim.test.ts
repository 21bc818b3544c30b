import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { Shim } from '../../chaos/shim.ts';
import { receiveAll, startPeer, until } from '../support/chain.ts';

interface Line {
  readonly shim: Shim;
  /** The client's end. */
  readonly near: net.Socket;
  /** The node's end, once something has been sent. */
  readonly far: Promise<net.Socket>;
}

/** A client, a shim and a peer behind it, gone when the test ends. */
async function startLine(t: TestContext, bytesPerSecond = 0): Promise<Line> {
  const { settled: far, settle } = open<net.Socket>();
  const peer = await startPeer(t, settle);
  const target = { host: '127.0.0.1', port: peer.port };
  const shim = await Shim.start({ host: '127.0.0.1', target, bytesPerSecond });
  t.after(() => shim.close());
  return { shim, near: await connect(t, shim), far };
}

/** A promise, and what settles it. */
function open<T>(): { readonly settled: Promise<T>; readonly settle: (value: T) => void } {
  let settle: (value: T) => void = () => {};
  const settled = new Promise<T>((resolve) => {
    settle = resolve;
  });
  return { settled, settle };
}

async function connect(t: TestContext, shim: Shim): Promise<net.Socket> {
  const near = net.connect({ host: '127.0.0.1', port: shim.port, allowHalfOpen: true });
  near.on('error', () => {});
  t.after(() => near.destroy());
  await once(near, 'connect');
  return near;
}

function closed(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

/** The numbers from 0 as bytes, so that a place shows in what is there. */
function counted(bytes: number): Buffer {
  return Buffer.from(Array.from({ length: bytes }, (_, index) => index % 251));
}

test('without faults bytes pass both ways as they are, each direction ends by itself, and they are counted', async (t) => {
  const { shim, near, far } = await startLine(t);
  const content = counted(3_000_000);
  near.end('request');
  const peer = await far;
  assert.equal((await receiveAll(peer)).toString(), 'request');
  peer.end(content);
  assert.deepEqual(await receiveAll(near), content);
  assert.deepEqual([shim.passed('forward'), shim.passed('back')], [7, content.length]);
});

test('a rate and a delay hold bytes back, and change neither them nor their order', async (t) => {
  const { shim, near, far } = await startLine(t, 8 * 1024 * 1024);
  shim.delayMs = 5;
  const content = counted(1_000_000);
  (await far).end(content);
  assert.deepEqual(await receiveAll(near), content);
});

for (const [name, strike, expected] of [
  ['a flipped bit', (rest: Buffer) => Buffer.from([(rest[0] ?? 0) ^ 4, ...rest.subarray(1)]), [0, 1, 6, 3, 4, 5]],
  ['dropped bytes', (rest: Buffer) => rest.subarray(2), [0, 1, 4, 5]],
  ['repeated bytes', (rest: Buffer) => Buffer.concat([rest.subarray(0, 3), rest]), [0, 1, 2, 3, 4, 2, 3, 4, 5]],
] as const) {
  test(`${name} at the place that was armed, and nothing else changed`, async (t) => {
    const { shim, near, far } = await startLine(t);
    shim.arm('back', 2, strike);
    (await far).end(counted(6));
    assert.deepEqual([...(await receiveAll(near))], expected);
  });
}

test('strikes at several places each see the byte that they were armed for, whatever the chunks are', async (t) => {
  const { shim, near, far } = await startLine(t);
  const seen: number[] = [];
  for (const place of [200_000, 5, 0, 70_000]) {
    shim.arm('back', place, (rest) => {
      seen.push(rest[0] ?? -1);
      return rest;
    });
  }
  const content = counted(250_000);
  (await far).end(content);
  assert.deepEqual(await receiveAll(near), content);
  assert.deepEqual(
    seen,
    [0, 5, 70_000, 200_000].map((place) => place % 251),
  );
});

test('a byte waits until its strike is done', async (t) => {
  const { shim, near, far } = await startLine(t);
  const struck = open<void>();
  const done = open<void>();
  shim.arm('back', 3, async (rest) => {
    struck.settle();
    await done.settled;
    return rest;
  });
  let received = 0;
  near.on('data', (bytes) => {
    received += bytes.length;
  });
  (await far).end(counted(10));
  await struck.settled;
  await until(() => received === 3);
  done.settle();
  await until(() => received === 10);
});

test('a reset reaches both ends, with exactly the bytes before it', async (t) => {
  const { shim, near, far } = await startLine(t);
  const peer = await far;
  const errors = Promise.all([near, peer].map((socket) => once(socket, 'error')));
  shim.arm('back', 4, (rest, connection) => {
    connection.reset();
    return rest;
  });
  let received = 0;
  near.on('data', (bytes) => {
    received += bytes.length;
  });
  // Node takes a reset that comes together with bytes for an end.
  peer.resume().write(counted(4));
  await until(() => received === 4);
  peer.write(counted(6));
  const codes = (await errors).map(([error]) => (error as NodeJS.ErrnoException).code);
  assert.deepEqual(codes, ['ECONNRESET', 'ECONNRESET']);
  assert.equal(received, 4);
});

test('a reset by one end becomes one for the other', async (t) => {
  const { near, far } = await startLine(t);
  const peer = await far;
  peer.resume();
  near.resetAndDestroy();
  const [error] = (await once(peer, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNRESET');
});

test('a cut looks like an end, in the middle of the content', async (t) => {
  const { shim, near, far } = await startLine(t);
  shim.arm('back', 4, (rest, connection) => {
    connection.cut();
    return rest;
  });
  (await far).write(counted(10));
  assert.deepEqual([...(await receiveAll(near))], [0, 1, 2, 3]);
});

for (const how of ['swallow', 'stall'] as const) {
  test(`a leg that loses everything (${how}) takes connections and passes nothing until it is healed`, async (t) => {
    const { shim, near, far } = await startLine(t);
    const peer = await far;
    shim.lose(how);
    const later = await connect(t, shim);
    let received = 0;
    for (const socket of [near, later, peer]) {
      socket.on('data', (bytes) => {
        received += bytes.length;
      });
    }
    const lost = Promise.all([near, later, peer].map(closed));
    await until(() => shim.connections === 2);
    for (const socket of [near, later]) socket.write('request');
    peer.write('content');
    shim.heal();
    await lost;
    assert.equal(received, 0);
    assert.equal((await connect(t, shim)).readyState, 'open');
  });
}

test('a leg that refuses is one on which nobody listens, and it comes back on its port', async (t) => {
  const { shim } = await startLine(t);
  const { port } = shim;
  shim.refuse();
  const refused = net.connect({ host: '127.0.0.1', port });
  const [error] = (await once(refused, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNREFUSED');
  await shim.listen();
  assert.equal(shim.port, port);
  assert.equal((await connect(t, shim)).readyState, 'open');
});

test('what may not come by is told when it does, either way, and from when on it was watched for', async (t) => {
  const { shim, near, far } = await startLine(t);
  near.write('a secret');
  const peer = await far;
  await once(peer, 'data');
  assert.deepEqual(shim.exposed, []);
  shim.watchFor([Buffer.from('secret')]);
  near.write('another secret');
  await once(peer, 'data');
  peer.end('that secret');
  near.end('nothing');
  assert.equal(String(await receiveAll(near)), 'that secret');
  assert.deepEqual(shim.exposed, ['forward: secret', 'back: secret']);
});
