import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { loadSetUserTimeout } from '../../src/io/kernel/libc.ts';
import type { Leg } from '../../src/io/legs/leg.ts';
import type { LegOptions } from '../../src/io/legs/leg-options.ts';
import { acceptLegs, dialLeg } from '../../src/io/legs/open-leg.ts';
import { makeLeg } from '../support/legs.ts';

const setUserTimeout = loadSetUserTimeout();
const skip = setUserTimeout ? false : 'only Linux has it, with koffi';
/** SOL_SOCKET and IPPROTO_TCP, with the numbers of the options that a leg has. */
const legOptions = { nodelay: [6, 1], keepAlive: [1, 9], idle: [6, 4], interval: [6, 5], count: [6, 6], user: [6, 18] };

test('what either kind of leg has sent must be acknowledged within idleMs', { skip }, async (t) => {
  const { leg: accepted } = await makeLeg(t, { idleMs: 12_345, setUserTimeout });
  assert.equal(readOptions(accepted).user, 12_345);

  const server = net.createServer((socket) => socket.on('error', () => {}));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const { port } = server.address() as net.AddressInfo;
  const dialled = await dialLeg('127.0.0.1', port, { idleMs: 54_321, maxBlockBytes: 1024, setUserTimeout });
  t.after(() => dialled.destroy());
  assert.equal(readOptions(dialled).user, 54_321);
});

test('a leg without a way to set it leaves the system’s own', { skip }, async (t) => {
  const { leg } = await makeLeg(t, { idleMs: 12_345 });
  assert.equal(readOptions(leg).user, 0);
});

test('all that a listener accepts has the same options, set for each or inherited, by the settings of now', {
  skip,
}, async (t) => {
  let idleMs = 12_345;
  let set = 0;
  const { connect } = await listen(t, () => ({
    idleMs,
    maxBlockBytes: 1024,
    setUserTimeout: (fd, ms) => {
      set += 1;
      setUserTimeout?.(fd, ms);
    },
  }));
  for (const [ms, timesSet] of [
    [12_345, 1],
    [12_345, 1],
    [12_345, 1],
    [54_321, 2],
    [54_321, 2],
    [12_345, 3],
  ] as const) {
    idleMs = ms;
    const found = readOptions(await connect());
    assert.deepEqual(found, { nodelay: 1, keepAlive: 1, idle: 15, interval: 1, count: 10, user: ms });
    assert.equal(set, timesSet);
  }
});

async function listen(t: TestContext, options: () => LegOptions): Promise<{ connect: () => Promise<Leg> }> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  let accepted = (_leg: Leg) => {};
  acceptLegs(server, options, (leg) => accepted(leg));
  const { port } = server.address() as net.AddressInfo;
  const connect = async () => {
    const next = new Promise<Leg>((resolve) => {
      accepted = resolve;
    });
    const peer = net.connect({ host: '127.0.0.1', port });
    const leg = await next;
    t.after(async () => {
      peer.destroy();
      leg.destroy();
      await leg.closed;
    });
    return leg;
  };
  return { connect };
}

function readOptions({ descriptor }: Leg): Record<string, number | undefined> {
  const koffi = createRequire(import.meta.url)('koffi');
  const getsockopt = koffi.load(null).func('int getsockopt(int fd, int level, int name, void *value, void *length)');
  const value = Int32Array.of(-1);
  const read = ([level, name]: number[]) => {
    getsockopt(descriptor, level, name, value, Int32Array.of(4));
    return value[0];
  };
  return Object.fromEntries(Object.entries(legOptions).map(([what, where]) => [what, read(where)]));
}
