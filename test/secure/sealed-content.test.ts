/** Content that a secure leg seals in its place: what arrives, what waits meanwhile, and what happens where it breaks. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { HoplineError } from '../../src/core/errors.ts';
import { type KernelEngine, startKernelEngine } from '../../src/io/kernel/engine.ts';
import { loadLibc } from '../../src/io/kernel/libc.ts';
import { type Aead, nodeAead } from '../../src/secure/records/aead.ts';
import { chooseAead } from '../../src/secure/records/openssl.ts';
import { maxClientContent, maxNodeContent, RecordOpener, RecordSealer } from '../../src/secure/records/record.ts';
import { SecureLeg } from '../../src/secure/secure-leg.ts';
import { type CheckedLibc, checkLibc } from '../support/checked-libc.ts';
import { whyNoKernel } from '../support/kernel.ts';
import { makeLeg } from '../support/legs.ts';

const mib = 1024 * 1024;
const skip = whyNoKernel();
const aeads = chooseAead() === nodeAead ? [nodeAead] : [nodeAead, chooseAead()];

/** A node's end of a circuit; `records` is what of its direction has come to the peer, opened. */
async function makeNode(
  t: TestContext,
  { aead = nodeAead, isConfirmed = true }: { aead?: Aead; isConfirmed?: boolean } = {},
) {
  const { leg, peer } = await makeLeg(t);
  const secure = new SecureLeg(leg);
  const libc = checkLibc(loadLibc());
  const kernel = startKernelEngine(libc);
  t.after(() => kernel.close());
  const direction = (key: number, maxContent: number, by = aead) => ({
    aead: by,
    key: Buffer.alloc(32, key),
    maxContent,
  });
  const forward = new RecordSealer(direction(1, maxClientContent));
  secure.begin({
    sealer: new RecordSealer(direction(2, maxNodeContent)),
    opener: new RecordOpener(direction(1, maxClientContent)),
    unconfirmed: { early: Buffer.alloc(0), isEarly: true, maxBytes: mib },
  });
  if (isConfirmed) {
    peer.write(forward.seal([]));
    await secure.confirmed;
  }
  const opener = new RecordOpener(direction(2, maxNodeContent, nodeAead));
  const contents: Buffer[] = [];
  const receive = () =>
    peer.on('data', (bytes: Buffer) => {
      for (let at = 0; at < bytes.length; ) {
        const { used, content } = opener.take(bytes.subarray(at));
        at += used;
        if (content) contents.push(Buffer.from(content.bytes));
        content?.release();
      }
    });
  return { leg, secure, peer, kernel, libc, contents, receive };
}

/** Gives what `content` has, block by block. */
function filler(content: Buffer): (block: Buffer) => Promise<void> {
  let at = 0;
  return async (block) => {
    at += content.copy(block, 0, at, at + block.length);
  };
}

for (const aead of aeads) {
  test(`content sealed in its place by ${aead.name} arrives whole, in records of its own, between what is written`, {
    skip,
  }, async (t) => {
    const { secure, peer, kernel, contents, receive, libc } = await makeNode(t, { aead });
    receive();
    const [first, second] = [randomBytes(3 * mib), randomBytes(mib)];
    await secure.write(Buffer.from('before'));
    const sending = open(secure, kernel).send(Buffer.from('head'), first.length, filler(first));
    assert.equal(secure.openContent(kernel, mib), undefined, 'one at a time');
    const between = secure.write(Buffer.from('between'));
    await sending;
    await between;
    await open(secure, kernel).send(undefined, second.length, filler(second));
    secure.end();
    await once(peer, 'end');
    const whole = Buffer.concat([Buffer.from('beforehead'), first, Buffer.from('between'), second]);
    assert.ok(Buffer.concat(contents).equals(whole));
    assert.equal(String(contents[1]), 'head');
    // As a piece is received into memory of its size, one that begins with a record and ends with it needs no copy.
    assert.ok(
      contents.some((content) => content.equals(second)),
      contents.map(({ length }) => length).join(),
    );
    assert.deepEqual(libc.violations, []);
  });
}

test('no more content is sent than a client may have before it has shown that it is there, and none while a record is on its way', {
  skip,
}, async (t) => {
  const early = await makeNode(t, { isConfirmed: false });
  assert.equal(early.secure.openContent(early.kernel, mib + 1), undefined);
  early.receive();
  await open(early.secure, early.kernel).send(undefined, mib - 1, filler(randomBytes(mib - 1)));
  assert.equal(early.secure.openContent(early.kernel, 2), undefined);
  early.secure.allowUnconfirmed(1);
  assert.ok(early.secure.openContent(early.kernel, 2));
  const { secure, kernel } = await makeNode(t);
  const written = secure.write(randomBytes(mib));
  assert.equal(secure.openContent(kernel, mib), undefined);
  secure.destroy();
  await assert.rejects(written, HoplineError);
  assert.equal(secure.openContent(kernel, mib), undefined);
});

for (const [how, act] of [
  ['its client resets', ({ peer }: { peer: { resetAndDestroy(): unknown } }) => peer.resetAndDestroy()],
  ['it is destroyed', ({ secure }: { secure: SecureLeg }) => secure.destroy()],
  ['the engine closes', ({ kernel }: { kernel: KernelEngine }) => kernel.close()],
] as const) {
  test(`content on its way when ${how} fails with what is written behind it, and nothing stays`, {
    skip,
  }, async (t) => {
    const node = await makeNode(t);
    const { secure, kernel, libc, peer } = node;
    const large = 64 * mib;
    let left = large;
    const sending = open(secure, kernel).send(undefined, large, async (block) => {
      left -= block.length;
    });
    const behind = secure.write(Buffer.from('behind'));
    behind.catch(() => {});
    // The peer does not read: it stops somewhere.
    for (let before = -1; before !== left; await new Promise(setImmediate)) before = left;
    act(node as never);
    await assert.rejects(sending, HoplineError);
    await assert.rejects(behind, HoplineError);
    await secure.closed;
    peer.destroy();
    assertClean(libc);
  });
}

test('content that cannot be had breaks the circuit within its record, and nothing of it counts', {
  skip,
}, async (t) => {
  const { secure, kernel, contents, receive, peer } = await makeNode(t);
  receive();
  const failure = new HoplineError('FILE_UNREADABLE', 'no');
  let blocks = 0;
  const sending = open(secure, kernel).send(undefined, 60_000, async () => {
    blocks += 1;
    throw failure;
  });
  const closed = new Promise((resolve) => peer.on('close', resolve));
  await assert.rejects(sending, failure);
  await closed;
  assert.deepEqual([blocks, contents], [1, []]);
});

function open(secure: SecureLeg, kernel: KernelEngine) {
  const content = secure.openContent(kernel, mib);
  assert.ok(content);
  return content;
}

function assertClean(libc: CheckedLibc): void {
  assert.deepEqual(libc.violations, []);
  assert.equal(libc.open, 0);
}
