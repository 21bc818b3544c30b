/** Ranges that follow one another: they leave in their order, each behind its head, and what ends them leaves the sender of use. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { HoplineError } from '../../../src/core/errors.ts';
import { startKernelEngine } from '../../../src/io/kernel/engine.ts';
import { loadLibc } from '../../../src/io/kernel/libc.ts';
import { checkLibc } from '../../support/checked-libc.ts';
import { whyNoKernel } from '../../support/kernel.ts';
import { makeLeg } from '../../support/legs.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const skip = whyNoKernel();

/** A sender to a peer that reads once it is told to, and a file. */
async function start(t: TestContext, bytes: number) {
  const { leg, peer } = await makeLeg(t);
  const root = await makeTempRoot(t);
  const content = await root.writeRandom('file', bytes);
  const libc = checkLibc(loadLibc());
  const engine = startKernelEngine(libc);
  t.after(() => engine.close());
  const socket = engine.duplicate(leg.descriptor);
  assert.ok(socket);
  const sender = engine.openSender(socket, 'the client');
  const file = await open(path.join(root.path, 'file'));
  t.after(() => file.close());
  /** All that comes, once `sent` says that nothing more will. */
  const receive = async (sent?: Promise<unknown>) => {
    const received: Buffer[] = [];
    peer.on('data', (part: Buffer) => received.push(part));
    await sent;
    leg.end();
    await once(peer, 'end');
    return Buffer.concat(received);
  };
  return { content, libc, sender, file, receive };
}

test('small ranges that follow one another leave in one turn of the event loop', { skip }, async (t) => {
  const { content, libc, sender, file, receive } = await start(t, 40_000);
  const heads = [randomBytes(70), randomBytes(90), randomBytes(80)] as const;
  const following = [
    { offset: 20_000, length: 10_000, head: heads[1] },
    { offset: 5000, length: 1000, head: heads[2] },
  ];
  const turns: boolean[] = [];
  let bytes = 0;
  const sent = sender.send(
    { file, offset: 0, length: 20_000, head: heads[0] },
    (slice) => {
      bytes += slice;
    },
    (isNewTurn) => {
      turns.push(isNewTurn);
      return following.shift();
    },
  );
  assert.deepEqual(turns, [true, false, false], 'all of it has left before anybody waited');
  assert.deepEqual([await sent, bytes], [1000, 31_000]);
  assert.deepEqual([libc.calls.get('send'), libc.calls.get('sendFile')], [3, 3]);
  const parts = [content.subarray(0, 20_000), content.subarray(20_000, 30_000), content.subarray(5000, 6000)];
  const expected = heads.flatMap((head, index) => [head, parts[index] as Buffer]);
  assert.ok((await receive()).equals(Buffer.concat(expected)));
});

test('ranges that follow one another come whole, however little the peer takes at a time', { skip }, async (t) => {
  const length = 1024 * 1024;
  const ranges = 24;
  const { content, libc, sender, file, receive } = await start(t, ranges * length);
  const heads = Array.from({ length: ranges }, () => randomBytes(100));
  let place = 0;
  let newTurns = 0;
  const next = (isNewTurn: boolean) => {
    newTurns += isNewTurn ? 1 : 0;
    place += 1;
    return place === ranges ? undefined : { offset: place * length, length, head: heads[place] };
  };
  const sent = sender.send({ file, offset: 0, length, head: heads[0] }, () => {}, next);
  // More than the system takes for a peer that does not read.
  assert.ok(place < ranges);
  const received = await receive(sent);
  assert.equal(await sent, length);
  assert.ok(newTurns > 1 && newTurns <= ranges);
  const expected = heads.flatMap((head, index) => [head, content.subarray(index * length, (index + 1) * length)]);
  assert.ok(received.equals(Buffer.concat(expected)));
  assert.deepEqual(libc.violations, []);
});

test('what is thrown in place of a range that follows is what sending throws, and others can be sent', {
  skip,
}, async (t) => {
  const { content, sender, file, receive } = await start(t, 10_000);
  const stop = new HoplineError('FILE_CHANGED', 'the file changed');
  const sending = sender.send(
    { file, offset: 0, length: 4000 },
    () => {},
    () => {
      throw stop;
    },
  );
  await assert.rejects(sending, (error) => error === stop);
  assert.equal(await sender.send({ file, offset: 4000, length: 6000 }, () => {}), 6000);
  assert.ok((await receive()).equals(content));
});
