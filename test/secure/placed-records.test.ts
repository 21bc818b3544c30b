/** Large records that are opened into the memory of whoever reads them: when they are, and what happens where that goes wrong. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type net from 'node:net';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { HoplineError } from '../../src/core/errors.ts';
import { startKernelEngine } from '../../src/io/kernel/engine.ts';
import { loadLibc } from '../../src/io/kernel/libc.ts';
import type { LegOptions } from '../../src/io/legs/leg-options.ts';
import { nodeAead } from '../../src/secure/records/aead.ts';
import { maxClientContent, maxNodeContent, RecordOpener, RecordSealer } from '../../src/secure/records/record.ts';
import { SecureLeg } from '../../src/secure/secure-leg.ts';
import { checkLibc } from '../support/checked-libc.ts';
import { whyNoKernel } from '../support/kernel.ts';
import { makeLeg, readAll } from '../support/legs.ts';

const mib = 1024 * 1024;
const stop = new HoplineError('NODE_STOPPING', 'stop');

type Client = Awaited<ReturnType<typeof makeClient>>;

/** A client's end of a circuit, and what makes records of the node for it. */
async function makeClient(t: TestContext, options: Partial<LegOptions> = {}) {
  const { leg, peer } = await makeLeg(t, options);
  const direction = (key: number, maxContent: number) => ({ aead: nodeAead, key: Buffer.alloc(32, key), maxContent });
  const near = new SecureLeg(leg);
  near.begin({
    sealer: new RecordSealer(direction(1, maxClientContent)),
    opener: new RecordOpener(direction(2, maxNodeContent)),
  });
  peer.resume();
  const sealer = new RecordSealer(direction(2, maxNodeContent));
  const seal = (content: Buffer) => Buffer.from(sealer.seal(content.length > 0 ? [content] : []));
  return { near, peer, seal };
}

/** Sends the record of `content` but for its last bytes, and waits until what came of it is in `memory`, opened. */
async function sendMost(peer: net.Socket, record: Buffer, content: Buffer, memory: Buffer): Promise<Buffer> {
  const most = record.length - 1000;
  peer.write(record.subarray(0, most));
  while (!memory.subarray(0, most - 8).equals(content.subarray(0, most - 8))) await turn();
  return record.subarray(most);
}

testPlacedRecords('through blocks of the leg', false, () => ({}));
testPlacedRecords('straight from the socket', whyNoKernel(), (t) => {
  const kernel = startKernelEngine();
  t.after(() => kernel.close());
  return { openReader: (fd, name) => kernel.openReader(fd, name) };
});

/** Runs the suite; `makeOptions` is called for each circuit. */
function testPlacedRecords(way: string, skip: string | false, makeOptions: (t: TestContext) => Partial<LegOptions>) {
  const check = (name: string, body: (t: TestContext, make: () => Promise<Client>) => Promise<void>) =>
    test(`${way}: ${name}`, { skip }, (t) => body(t, () => makeClient(t, makeOptions(t))));

  check(
    'a large record comes into the memory of the reader that waits for it, and counts once it is whole',
    async (_t, make) => {
      const { near, peer, seal } = await make();
      const content = randomBytes(mib);
      const memory = Buffer.alloc(mib + 10);
      let isRead = false;
      const reading = near.readInto(memory).finally(() => {
        isRead = true;
      });
      const rest = await sendMost(peer, seal(content), content, memory);
      assert.equal(isRead, false);
      assert.equal(near.partialBytes, 8 + mib + 16 - 1000);
      peer.write(rest);
      assert.equal(await reading, mib);
      assert.ok(memory.equals(Buffer.concat([content, Buffer.alloc(10)])));
    },
  );

  check(
    'pieces in records of their own, and what stands between them, arrive as they were sent, however they are read',
    async (_t, make) => {
      for (const readBytes of [mib, 300_000, 128 * 1024, 1000]) {
        const { near, peer, seal } = await make();
        const pieces = [mib, 200_000, 128 * 1024, 1000, maxNodeContent, 64 * 1024].map((length) => randomBytes(length));
        for (const piece of pieces) peer.write(Buffer.concat([seal(Buffer.from('head')), seal(piece)]));
        peer.end(seal(Buffer.alloc(0)));
        for (const piece of pieces) {
          const head = await near.read(4);
          assert.equal(String(head?.bytes), 'head');
          head?.release();
          const memory = Buffer.alloc(piece.length);
          for (let at = 0; at < piece.length; ) at += await near.readInto(memory.subarray(at, at + readBytes));
          assert.ok(memory.equals(piece), `${piece.length} bytes, ${readBytes} at a time`);
        }
        assert.equal(await near.read(), null);
      }
    },
  );

  check('a large record that nobody reads into memory is read as any other', async (_t, make) => {
    const { near, peer, seal } = await make();
    const contents = [randomBytes(mib), randomBytes(200_000), randomBytes(maxNodeContent)];
    peer.end(Buffer.concat([...contents, Buffer.alloc(0)].map(seal)));
    assert.ok((await readAll(near)).equals(Buffer.concat(contents)));
  });

  check('a large record that was changed leaves nothing in the memory of its reader', async (_t, make) => {
    const { near, peer, seal } = await make();
    const content = randomBytes(mib);
    const record = seal(content);
    record[record.length - 1] = (record[record.length - 1] as number) ^ 1;
    const memory = Buffer.alloc(mib);
    const reading = near.readInto(memory);
    reading.catch(() => {});
    peer.write(await sendMost(peer, record, content, memory));
    await assert.rejects(reading, { code: 'SECURE_FAILED' });
    assert.ok(memory.every((byte) => byte === 0));
  });

  check(
    'a reader that leaves within a record has its memory to itself again, and the next one reads all of it',
    async (_t, make) => {
      const leaves: readonly ((near: SecureLeg, controller: AbortController) => unknown)[] = [
        (near) => near.interrupt(stop),
        (_near, controller) => controller.abort(stop),
      ];
      for (const leave of leaves) {
        const { near, peer, seal } = await make();
        const controller = new AbortController();
        const content = randomBytes(mib);
        const memory = Buffer.alloc(mib);
        const reading = near.readInto(memory, controller.signal);
        reading.catch(() => {});
        const rest = await sendMost(peer, seal(content), content, memory);
        leave(near, controller);
        await assert.rejects(reading, stop);
        assert.ok(memory.every((byte) => byte === 0));
        const other = Buffer.alloc(mib);
        const next = near.readInto(other);
        peer.write(rest);
        for (let at = await next; at < mib; ) at += await near.readInto(other.subarray(at));
        assert.ok(other.equals(content));
        assert.ok(memory.every((byte) => byte === 0));
      }
    },
  );

  check('a circuit that breaks within a record leaves nothing of it in the memory of its reader', async (_t, make) => {
    const breaks: readonly ((near: SecureLeg, peer: net.Socket) => unknown)[] = [
      (near) => near.destroy(stop),
      (near) => near.destroy(),
      (_near, peer) => peer.resetAndDestroy(),
      (_near, peer) => peer.end(),
    ];
    for (const break_ of breaks) {
      const { near, peer, seal } = await make();
      const content = randomBytes(mib);
      const memory = Buffer.alloc(mib);
      const reading = near.readInto(memory);
      reading.catch(() => {});
      await sendMost(peer, seal(content), content, memory);
      break_(near, peer);
      await assert.rejects(reading, HoplineError);
      assert.ok(memory.every((byte) => byte === 0));
    }
  });
}

test('records that come one behind the other are received many at a time', { skip: whyNoKernel() }, async (t) => {
  const libc = checkLibc(loadLibc());
  const kernel = startKernelEngine(libc);
  t.after(() => kernel.close());
  const { near, peer, seal } = await makeClient(t, { openReader: (fd, name) => kernel.openReader(fd, name) });
  const contents = Array.from({ length: 64 }, () => randomBytes(64 * 1024));
  peer.end(Buffer.concat([...contents, Buffer.alloc(0)].map(seal)));
  assert.ok((await readAll(near)).equals(Buffer.concat(contents)));
  // Segments of the loopback have 64 KiB, and some takes find nothing.
  const takes = libc.calls.get('receive') ?? 0;
  assert.ok(takes > 0 && takes < 4 * 64, `${takes} takes`);
});
