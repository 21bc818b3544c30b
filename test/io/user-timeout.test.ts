import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import net from 'node:net';
import { test } from 'node:test';
import { loadSetUserTimeout } from '../../src/io/kernel/libc.ts';
import type { Leg } from '../../src/io/legs/leg.ts';
import { acceptLegs, dialLeg } from '../../src/io/legs/open-leg.ts';
import { makeLeg } from '../support/legs.ts';

const setUserTimeout = loadSetUserTimeout();
const skip = setUserTimeout ? false : 'only Linux has it, with koffi';

test('what either kind of leg has sent must be acknowledged within idleMs', { skip }, async (t) => {
  const { leg: accepted } = await makeLeg(t, { idleMs: 12_345, setUserTimeout });
  assert.equal(readUserTimeout(accepted), 12_345);

  const server = net.createServer((socket) => socket.on('error', () => {}));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const { port } = server.address() as net.AddressInfo;
  const dialled = await dialLeg('127.0.0.1', port, { idleMs: 54_321, maxBlockBytes: 1024, setUserTimeout });
  t.after(() => dialled.destroy());
  assert.equal(readUserTimeout(dialled), 54_321);
});

test('the next ones that are accepted have all that the first was given, and what has changed since', {
  skip,
}, async (t) => {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const { port } = server.address() as net.AddressInfo;
  let idleMs = 12_345;
  let take = (_leg: Leg) => {};
  const options = () => ({ idleMs, maxBlockBytes: 1024, setUserTimeout });
  acceptLegs(server, options, (leg) => take(leg));
  const accept = async () => {
    const accepted = new Promise<Leg>((resolve) => {
      take = resolve;
    });
    const peer = net.connect(port, '127.0.0.1');
    const leg = await accepted;
    t.after(() => [peer, leg].map((end) => end.destroy()));
    return [readOption(leg, 6, 1), readOption(leg, 1, 9), readOption(leg, 6, 4), readUserTimeout(leg)];
  };
  assert.deepEqual(await accept(), [1, 1, 15, 12_345]);
  assert.deepEqual(await accept(), [1, 1, 15, 12_345]);
  idleMs = 54_321;
  assert.deepEqual(await accept(), [1, 1, 15, 54_321]);
  assert.deepEqual(await accept(), [1, 1, 15, 54_321]);
});

test('a leg without a way to set it leaves the system’s own', { skip }, async (t) => {
  const { leg } = await makeLeg(t, { idleMs: 12_345 });
  assert.equal(readUserTimeout(leg), 0);
});

function readUserTimeout(leg: Leg): number | undefined {
  return readOption(leg, 6, 18);
}

function readOption({ descriptor }: Leg, level: number, name: number): number | undefined {
  const koffi = createRequire(import.meta.url)('koffi');
  const getsockopt = koffi.load(null).func('int getsockopt(int fd, int level, int name, void *value, void *length)');
  const value = Int32Array.of(-1);
  const result = getsockopt(descriptor, level, name, value, Int32Array.of(4));
  return result === 0 ? value[0] : undefined;
}
