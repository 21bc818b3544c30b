/** What reading into memory promises, whichever way the bytes take; run by read-into.test.ts. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as nextTimer, setImmediate as turn } from 'node:timers/promises';
import { systemClock } from '../../../src/core/clock.ts';
import { HoplineError } from '../../../src/core/errors.ts';
import type { Leg } from '../../../src/io/legs/leg.ts';
import type { LegOptions } from '../../../src/io/legs/leg-options.ts';
import { block, makeLeg, writeUntilStopped } from '../../support/legs.ts';

const mib = 1024 * 1024;

/** Runs the suite; `makeOptions` is called for each test. */
export function testReadInto(way: string, skip: string | false, makeOptions: (t: TestContext) => Partial<LegOptions>) {
  const check = (name: string, body: (t: TestContext, make: MakeLeg) => Promise<void>) =>
    test(`${way}: ${name}`, { skip }, (t) => body(t, (more = {}) => makeLeg(t, { ...makeOptions(t), ...more })));

  check('pieces and what stands between them arrive as they were sent, however they are cut', async (_t, make) => {
    const { leg, peer } = await make();
    const pieces = [mib, 1, 64 * 1024, mib - 1, 3 * mib, 100].map((length) => randomBytes(length));
    const sent = send(peer, Buffer.concat(pieces.flatMap((piece) => [Buffer.from('head'), piece])), [1, 7000, 200_000]);
    for (const piece of pieces) {
      assert.equal((await readExactly(leg, 4)).toString(), 'head');
      assert.ok((await fill(leg, piece.length)).equals(piece));
    }
    await sent;
    peer.end();
    assert.equal(await leg.readInto(Buffer.alloc(mib)), 0);
    assert.equal(await leg.read(), null);
    leg.end();
    peer.resume();
    await leg.closed;
    assert.equal(leg.failure, undefined);
  });

  check('few bytes are given to a reader that wants many, without waiting for more', async (_t, make) => {
    const { leg, peer } = await make();
    const memory = Buffer.alloc(mib);
    // As quick as they can come, and then slowly.
    const burst = randomBytes(8 * mib);
    peer.write(burst);
    assert.ok((await fill(leg, burst.length)).equals(burst));
    for (const text of ['a', 'few', 'bytes']) {
      const read = leg.readInto(memory);
      peer.write(text);
      const count = await read;
      const rest = count < text.length ? await fill(leg, text.length - count) : Buffer.alloc(0);
      assert.equal(memory.toString('latin1', 0, count) + rest, text);
    }
  });

  check('bytes that lie in the socket are in time, however long this process is busy', async (_t, make) => {
    const { leg, peer } = await engaged(make);
    // So few that nothing is withheld until more have come.
    const reading = leg.readInto(Buffer.alloc(4096));
    const cancel = systemClock.after(50, () => leg.interrupt(new HoplineError('TIMEOUT_HEAD', 'late')));
    peer.write('here');
    block(200);
    assert.equal(await reading, 4);
    cancel();
  });

  check('bytes go where a function says when they are here, and not where it said before', async (_t, make) => {
    const { leg, peer } = await engaged(make);
    const [before, after] = [Buffer.alloc(mib), Buffer.alloc(mib)];
    let place = before;
    const reading = leg.readInto(() => place);
    place = after;
    const sent = randomBytes(mib);
    peer.write(sent);
    const count = await reading;
    assert.ok(count > 0 && after.subarray(0, count).equals(sent.subarray(0, count)));
    assert.ok(before.every((byte) => byte === 0));
  });

  check('an end in the middle of a piece comes behind what was sent', async (_t, make) => {
    const { leg, peer } = await make();
    peer.end(Buffer.alloc(200_000, 1));
    assert.equal((await fill(leg, 200_000)).length, 200_000);
    for (let times = 0; times < 3; times += 1) assert.equal(await leg.readInto(Buffer.alloc(mib)), 0);
    await leg.write(Buffer.from('x'));
    leg.end();
    peer.resume();
    await leg.closed;
    assert.equal(leg.failure, undefined);
  });

  check('a peer that has ended, and to which nothing is said, is idle in the end', async (_t, make) => {
    const { leg, peer } = await engaged(make, { idleMs: 1000 });
    peer.on('error', () => {});
    peer.resume();
    peer.end();
    await leg.closed;
    assert.equal(leg.failure?.code, 'TIMEOUT_IDLE');
  });

  for (const when of ['before', 'during'] as const) {
    check(`a reset ${when} the read fails it, and every later one, and is no end`, async (_t, make) => {
      const { leg, peer } = await engaged(make);
      const early = when === 'during' ? leg.readInto(Buffer.alloc(mib)) : undefined;
      const isRejected = early && assert.rejects(early, { code: 'PEER_LOST', reason: 'ECONNRESET' });
      peer.resetAndDestroy();
      await once(peer, 'close');
      await isRejected;
      await assert.rejects(leg.readInto(Buffer.alloc(mib)), { code: 'PEER_LOST', reason: 'ECONNRESET' });
      await assert.rejects(leg.readInto(Buffer.alloc(mib)), { code: 'PEER_LOST' });
      await assert.rejects(leg.read(), { code: 'PEER_LOST' });
      await leg.closed;
      assert.equal(leg.failure?.code, 'PEER_LOST');
    });
  }

  check('destroying the leg ends a read with its reason', async (_t, make) => {
    const { leg, peer } = await engaged(make);
    const reason = new HoplineError('INTERRUPTED', 'enough');
    const broken = once(peer, 'error');
    const read = assert.rejects(leg.readInto(Buffer.alloc(mib)), reason);
    await turn();
    leg.destroy(reason);
    await read;
    await leg.closed;
    await broken;
    await assert.rejects(leg.readInto(Buffer.alloc(mib)), reason);
  });

  check('destroying the leg without a reason ends a read too, and the connection', async (_t, make) => {
    const { leg, peer } = await engaged(make);
    peer.resume();
    const ended = once(peer, 'close');
    const read = assert.rejects(leg.readInto(Buffer.alloc(mib)), { code: 'PEER_LOST' });
    leg.destroy();
    await read;
    await leg.closed;
    peer.end();
    await ended;
  });

  check('a signal and an interruption end a read, and the next one gets the bytes', async (_t, make) => {
    const { leg, peer } = await engaged(make);
    const stop = new AbortController();
    const reason = new Error('not now');
    for (const end of [() => assert.ok(leg.interrupt(reason)), () => stop.abort(reason)]) {
      const read = assert.rejects(leg.readInto(Buffer.alloc(mib), stop.signal), reason);
      await turn();
      end();
      await read;
    }
    await assert.rejects(leg.readInto(Buffer.alloc(mib), stop.signal), reason);
    assert.equal(leg.interrupt(reason), false);
    const content = randomBytes(300_000);
    peer.write(content);
    assert.ok((await fill(leg, content.length)).equals(content));
  });

  check('what was unread comes first', async (_t, make) => {
    const { leg, peer } = await engaged(make);
    peer.write('abcdef');
    const chunk = await leg.read(4);
    assert.ok(chunk);
    leg.unread({ bytes: Buffer.from(chunk.bytes.subarray(1)), release: () => {} });
    const rest = await fill(leg, 6 - 1);
    assert.equal(`${chunk.bytes.toString().slice(0, 1)}${rest}`, 'abcdef');
  });

  check('a peer that is silent for too long is given up', async (_t, make) => {
    const { leg, peer } = await make({ idleMs: 300 });
    peer.write(Buffer.alloc(2 * mib));
    const readOn = async () => {
      while ((await leg.readInto(Buffer.alloc(mib))) > 0);
    };
    await assert.rejects(readOn(), { code: 'TIMEOUT_IDLE' });
    await leg.closed;
  });

  check('a peer that brings a byte now and then is not silent', async (t, make) => {
    const { leg, peer } = await engaged(make, { idleMs: 2000 });
    const began = performance.now();
    const beat = setInterval(() => peer.write('x'), 100);
    t.after(() => clearInterval(beat));
    while (performance.now() - began < 3000) assert.ok((await leg.readInto(Buffer.alloc(mib))) > 0);
    assert.equal(leg.failure, undefined);
  });

  check('while nobody reads, the peer is held up and it is not its silence; nothing is lost', async (_t, make) => {
    const { leg, peer } = await engaged(make, { idleMs: 1500 });
    const sent = await writeUntilStopped(peer, 128 * mib);
    assert.ok(sent < 128 * mib, 'everything went to a reader that had stopped');
    assert.ok(leg.hasUnread);
    const began = performance.now();
    while (performance.now() - began < 3000) await nextTimer(20);
    assert.equal(leg.failure, undefined);
    peer.end();
    let received = 0;
    const memory = Buffer.alloc(mib);
    for (let count = await leg.readInto(memory); count > 0; count = await leg.readInto(memory)) received += count;
    assert.equal(received, sent);
  });

  check('it is quiet only where nothing has come, no byte and no end', async (_t, make) => {
    for (const event of ['byte', 'end'] as const) {
      const { leg, peer } = await engaged(make);
      assert.ok(leg.isQuiet);
      if (event === 'byte') peer.write('x');
      else peer.end();
      while (leg.isQuiet) await turn();
      if (event === 'byte') assert.equal((await fill(leg, 1)).toString(), 'x');
      else assert.equal(await leg.read(), null);
      assert.equal(leg.isQuiet, event === 'byte');
    }
  });

  check('writes go on beside it', async (_t, make) => {
    const { leg, peer } = await engaged(make);
    const read = fill(leg, 4 * mib);
    const heard = new Promise<string>((resolve) => peer.once('data', (bytes) => resolve(String(bytes))));
    await leg.write(Buffer.from('more, please'));
    assert.equal(await heard, 'more, please');
    peer.write(Buffer.alloc(4 * mib, 2));
    assert.ok((await read).every((byte) => byte === 2));
  });
}

type MakeLeg = (more?: Partial<LegOptions>) => ReturnType<typeof makeLeg>;

/** A leg over which something large has come. */
async function engaged(make: MakeLeg, more?: Partial<LegOptions>) {
  const pair = await make(more);
  pair.peer.write(Buffer.alloc(2 * mib));
  await fill(pair.leg, 2 * mib);
  return pair;
}

async function fill(leg: Leg, length: number): Promise<Buffer> {
  const memory = Buffer.alloc(length);
  for (let filled = 0; filled < length; ) {
    const count = await leg.readInto(memory.subarray(filled));
    assert.ok(count > 0, `the end came ${length - filled} bytes early`);
    filled += count;
  }
  return memory;
}

async function readExactly(leg: Leg, length: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let left = length; left > 0; ) {
    const chunk = await leg.read(left);
    assert.ok(chunk);
    parts.push(Buffer.from(chunk.bytes));
    left -= chunk.bytes.length;
    chunk.release();
  }
  return Buffer.concat(parts);
}

/** Sends `content` in parts of these lengths, over and over. */
async function send(peer: Socket, content: Buffer, lengths: readonly number[]): Promise<void> {
  for (let at = 0, part = 0; at < content.length; part += 1) {
    const length = lengths[part % lengths.length] ?? 1;
    if (!peer.write(content.subarray(at, at + length))) await once(peer, 'drain');
    at += length;
  }
}
