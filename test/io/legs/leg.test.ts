import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { HoplineError } from '../../../src/core/errors.ts';
import { dialLeg } from '../../../src/io/legs/open-leg.ts';
import { receiveAll, startPeer } from '../../support/chain.ts';
import { block, makeLeg, readAll, writeUntilStopped } from '../../support/legs.ts';

const options = { idleMs: 10_000, maxBlockBytes: 64 * 1024 };

test('bytes pass both ways, and each end can end alone', async (t) => {
  const { leg, peer } = await makeLeg(t);
  peer.end('question');
  assert.equal((await readAll(leg)).toString(), 'question');
  const received = receiveAll(peer);
  await leg.write(Buffer.from('answer'));
  leg.end();
  assert.equal((await received).toString(), 'answer');
  await leg.closed;
});

test('an end that was sent first leaves the other direction open', async (t) => {
  const { leg, peer } = await makeLeg(t);
  leg.end();
  peer.resume();
  await once(peer, 'end');
  peer.end('late answer');
  assert.equal((await readAll(leg)).toString(), 'late answer');
  assert.equal(await leg.read(), null);
});

test('a read takes at most what it asks for, and what was unread comes first', async (t) => {
  const { leg, peer } = await makeLeg(t);
  peer.end('abcdef');
  const chunk = await leg.read(4);
  assert.equal(chunk?.bytes.toString(), 'abcd');
  leg.unread({ bytes: chunk?.bytes.subarray(2) ?? Buffer.alloc(0), release: () => chunk?.release() });
  assert.equal((await readAll(leg)).toString(), 'cdef');
});

test('a reader that stops makes the peer stop, and no byte is lost when it goes on', async (t) => {
  const { leg, peer } = await makeLeg(t);
  const total = 128 * 1024 * 1024;
  const before = process.memoryUsage().arrayBuffers;
  const sent = await writeUntilStopped(peer, total);
  // The kernel's buffers take a few megabytes; the leg itself takes two blocks.
  assert.ok(sent < total, 'everything went to a reader that had stopped');
  assert.ok(process.memoryUsage().arrayBuffers - before < 2 * 1024 * 1024);
  peer.end();
  assert.equal((await readAll(leg)).length, sent);
});

test('a reset fails the waiting read, and every later one', async (t) => {
  const { leg, peer } = await makeLeg(t);
  const read = leg.read();
  peer.resetAndDestroy();
  await assert.rejects(read, { code: 'PEER_LOST', reason: 'ECONNRESET' });
  await assert.rejects(leg.read(), { code: 'PEER_LOST' });
  await leg.closed;
  await assert.rejects(leg.write(Buffer.from('x')), { code: 'PEER_LOST' });
});

test('what had arrived before a failure is still read', async (t) => {
  const { leg, peer } = await makeLeg(t);
  peer.write('abc');
  const chunk = await leg.read(1);
  leg.destroy(new HoplineError('INTERRUPTED', 'enough'));
  assert.equal(chunk?.bytes.toString(), 'a');
  assert.equal((await leg.read())?.bytes.toString(), 'bc');
  await assert.rejects(leg.read(), { code: 'INTERRUPTED' });
});

test('a leg on which no byte moves is given up, and its peer sees a reset', async (t) => {
  const { leg, peer } = await makeLeg(t, { idleMs: 20 });
  const reset = once(peer, 'error').catch((error) => [error]);
  peer.resume();
  await assert.rejects(leg.read(), { code: 'TIMEOUT_IDLE', message: /no byte moved .* for 0\.02 s/ });
  assert.equal(((await reset)[0] as NodeJS.ErrnoException).code, 'ECONNRESET');
  await leg.closed;
});

test('a leg that holds bytes which nobody reads is not taken for a silent one', async (t) => {
  const idleMs = 100;
  const { leg, peer } = await makeLeg(t, { idleMs });
  peer.write('waiting');
  const first = await leg.read(1);
  // Legs that began later, and of which nothing is heard, are given up in the meantime.
  for (let times = 0; times < 3; times += 1) {
    const { leg: silent } = await makeLeg(t, { idleMs });
    await assert.rejects(silent.read(), { code: 'TIMEOUT_IDLE' });
  }
  assert.equal(leg.failure, undefined);
  assert.equal(`${first?.bytes}${(await leg.read())?.bytes}`, 'waiting');
  await assert.rejects(leg.read(), { code: 'TIMEOUT_IDLE' });
});

test('a leg whose bytes lie in the socket is not silent, however long this process is busy', async (t) => {
  const idleMs = 50;
  const { leg, peer } = await makeLeg(t, { idleMs });
  if (peer.connecting) await once(peer, 'connect');
  const read = leg.read();
  peer.write('here');
  block(4 * idleMs);
  assert.equal(`${(await read)?.bytes}`, 'here');
  await assert.rejects(leg.read(), { code: 'TIMEOUT_IDLE' });
});

test('an aborted read leaves the leg readable', async (t) => {
  const { leg, peer } = await makeLeg(t);
  const controller = new AbortController();
  const read = leg.read(undefined, controller.signal);
  controller.abort(new Error('not now'));
  await assert.rejects(read, /not now/);
  await assert.rejects(leg.read(undefined, controller.signal), /not now/);
  peer.end('abc');
  assert.equal((await readAll(leg)).toString(), 'abc');
});

test('an interrupted read throws what it is told, and none that comes later does', async (t) => {
  const { leg, peer } = await makeLeg(t);
  const why = new HoplineError('TIMEOUT_HEAD', 'enough');
  leg.interrupt(why);
  const waiting = leg.read();
  leg.interrupt(why);
  await assert.rejects(waiting, (error) => error === why);
  peer.end('abc');
  assert.equal((await readAll(leg)).toString(), 'abc');
});

test('a lingering leg ends, reads what comes and closes with its peer', async (t) => {
  const { leg, peer } = await makeLeg(t);
  const received = receiveAll(peer);
  leg.post(Buffer.from('last words'));
  const lingered = leg.linger(10_000);
  peer.end('unread bytes');
  assert.equal((await received).toString(), 'last words');
  await lingered;
  await leg.closed;
});

test('a lingering leg does not wait longer than it was told', async (t) => {
  const { leg } = await makeLeg(t);
  await leg.linger(10);
  await leg.closed;
});

test('a dialled leg speaks with its peer and knows its address', async (t) => {
  const { port, address } = await startPeer(t, (socket) => socket.pipe(socket));
  const leg = await dialLeg('127.0.0.1', port, options);
  assert.equal(leg.peer, address);
  await leg.write(Buffer.from('echo'));
  leg.end();
  assert.equal((await readAll(leg)).toString(), 'echo');
  await leg.closed;
});

test('nobody listening is PEER_UNREACHABLE with the system’s reason', async (t) => {
  const { leg, peer } = await makeLeg(t);
  // The server behind this port has closed; only its one connection lives.
  const port = (peer as Socket).remotePort ?? 0;
  await assert.rejects(dialLeg('127.0.0.1', port, options), { code: 'PEER_UNREACHABLE', reason: 'ECONNREFUSED' });
  leg.destroy();
});

test('a dial that is aborted rejects with the signal’s reason', async (t) => {
  const { port } = await startPeer(t, () => {});
  const controller = new AbortController();
  const reason = new Error('stopping');
  const dialled = dialLeg('127.0.0.1', port, { ...options, signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(dialled, reason);
  await assert.rejects(dialLeg('127.0.0.1', port, { ...options, signal: controller.signal }), reason);
});

test('what is held of one leg stays as it came, whatever it and other legs read meanwhile', async (t) => {
  const pairs = [await makeLeg(t), await makeLeg(t)];
  const held: { readonly text: string; readonly bytes: Buffer }[] = [];
  // Small ones, then some that fill a block, and small ones again.
  for (const size of [10, 20, 5000, 5000, 30]) {
    for (const [index, { leg, peer }] of pairs.entries()) {
      const text = `${index}${String(size)}`.repeat(size).slice(0, size);
      peer.write(text);
      for (let came = 0; came < size; ) {
        const chunk = await leg.read();
        assert.ok(chunk);
        held.push({ text: text.slice(came, came + chunk.bytes.length), bytes: chunk.bytes });
        came += chunk.bytes.length;
      }
    }
  }
  for (const { text, bytes } of held) assert.equal(String(bytes), text);
});
