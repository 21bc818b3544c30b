import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { HoplineError } from '../../../src/core/errors.ts';
import { OwnSignal } from '../../../src/core/signal.ts';
import { type KernelEngine, startKernelEngine } from '../../../src/io/kernel/engine.ts';
import { loadLibc, loadSetUserTimeout } from '../../../src/io/kernel/libc.ts';
import { Leg } from '../../../src/io/legs/leg.ts';
import { dialFarEnd, type FarEnd } from '../../../src/io/legs/open-leg.ts';
import { type CheckedLibc, checkLibc } from '../../support/checked-libc.ts';
import { whyNoKernel } from '../../support/kernel.ts';

const options = { idleMs: 54_321, maxBlockBytes: 4096, setUserTimeout: loadSetUserTimeout() };
/** SOL_SOCKET and IPPROTO_TCP, with the numbers of the options that a leg has. */
const legOptions = { nodelay: [6, 1], keepAlive: [1, 9], idle: [6, 4], interval: [6, 5], count: [6, 6], user: [6, 18] };

const skip = whyNoKernel();

/** On loopback a connection mostly is there at once: the last one waits all the same. */
for (const by of ['Node', 'the engine', 'the engine, after a while,'] as const) {
  const isLate = by === 'the engine, after a while,';

  test(`a far end that ${by} dials comes to be, and can become a leg`, { skip }, async (t) => {
    for (const host of ['127.0.0.1', '::1']) {
      const { port, accepted } = await listenOnce(t, host);
      const { engine } = makeEngine(t, isLate);
      const end = await dialFarEnd(host, port, by === 'Node' ? undefined : engine, options);
      assert.equal(end.peer, host === '::1' ? `[::1]:${port}` : `127.0.0.1:${port}`);
      const leg = end instanceof Leg ? end : end.toLeg();
      t.after(() => leg.destroy());
      const peer = await accepted;
      assert.equal(leg.address?.port, port);
      await leg.write(Buffer.from('to'));
      peer.end('fro');
      assert.equal(String(await once(peer, 'data')), 'to');
      assert.equal(String((await leg.read())?.bytes), 'fro');
      assert.equal(await leg.read(), null);
      leg.end();
      await leg.closed;
    }
  });

  test(`a connection that ${by} is refused is told with the system's reason, and leaves nothing`, {
    skip,
  }, async (t) => {
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as net.AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const { engine, libc } = makeEngine(t, isLate);
    await assert.rejects(dialFarEnd('127.0.0.1', port, by === 'Node' ? undefined : engine, options), (error) => {
      assert.ok(error instanceof HoplineError);
      assert.equal(error.code, 'PEER_UNREACHABLE');
      assert.equal(error.reason, 'ECONNREFUSED');
      assert.equal(error.message, `no connection to 127.0.0.1:${port}: connection refused`);
      return true;
    });
    assertClean(libc);
  });

  test(`${by} gives up dialling when the signal aborts, before or after it began`, { skip }, async (t) => {
    const { port } = await listenOnce(t, '127.0.0.1');
    for (const isEarly of [true, false]) {
      const { engine, libc } = makeEngine(t, isLate);
      const signal = new OwnSignal();
      const reason = new HoplineError('NODE_STOPPING', 'enough');
      if (isEarly) signal.abort(reason);
      const dialling = dialFarEnd('127.0.0.1', port, by === 'Node' ? undefined : engine, { ...options, signal });
      signal.abort(reason);
      await assert.rejects(dialling, (error) => error === reason);
      assertClean(libc);
    }
  });
}

test('either way, a connection has the same options', { skip }, async (t) => {
  const { engine } = makeEngine(t);
  const found = [];
  for (const by of [undefined, engine]) {
    const { port } = await listenOnce(t, '127.0.0.1');
    const end = await dialFarEnd('127.0.0.1', port, by, options);
    t.after(() => end.destroy());
    found.push(readOptions((end as Leg).descriptor ?? (end as FarEnd).socket.fd));
  }
  const expected = { nodelay: 1, keepAlive: 1, idle: 15, interval: 1, count: 10, user: 54_321 };
  assert.deepEqual(found, [expected, expected]);
});

test('an address with a zone is left to Node, and one that is none is refused', { skip }, async (t) => {
  const { engine, libc } = makeEngine(t);
  const { port } = await listenOnce(t, '::1');
  const end = await dialFarEnd('::1%lo', port, engine, options);
  t.after(() => end.destroy());
  await assert.rejects(dialFarEnd('256.0.0.1', port, engine, options), { code: 'PEER_UNREACHABLE' });
  assert.equal(libc.calls.get('connect'), 1);
  assertClean(libc);
});

function makeEngine(t: TestContext, isLate = false): { engine: KernelEngine; libc: CheckedLibc } {
  const libc = checkLibc(isLate ? { ...loadLibc(), isConnected: () => false } : loadLibc());
  const engine = startKernelEngine(libc);
  t.after(() => engine.close());
  return { engine, libc };
}

function assertClean(libc: CheckedLibc): void {
  assert.deepEqual([libc.open, libc.violations], [0, []]);
}

async function listenOnce(t: TestContext, host: string): Promise<{ port: number; accepted: Promise<net.Socket> }> {
  const server = net.createServer({ allowHalfOpen: true });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const accepted = once(server, 'connection').then(([socket]) => socket as net.Socket);
  void accepted.then((socket) => {
    socket.on('error', () => {});
    t.after(() => socket.destroy());
  });
  t.after(() => server.close());
  return { port: (server.address() as net.AddressInfo).port, accepted };
}

function readOptions(fd: number): Record<string, number | undefined> {
  const koffi = createRequire(import.meta.url)('koffi');
  const getsockopt = koffi.load(null).func('int getsockopt(int fd, int level, int name, void *value, void *length)');
  const value = Int32Array.of(-1);
  const read = ([level, name]: number[]) => {
    getsockopt(fd, level, name, value, Int32Array.of(4));
    return value[0];
  };
  return Object.fromEntries(Object.entries(legOptions).map(([what, where]) => [what, read(where)]));
}
