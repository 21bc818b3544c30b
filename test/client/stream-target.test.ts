import assert from 'node:assert/strict';
import { PassThrough, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { StreamTarget } from '../../src/client/stream-target.ts';

const never = new AbortController().signal;

/** Gives `target` one chunk, and says whether it was released. */
async function give(target: StreamTarget, text: string, offset: number): Promise<boolean> {
  let released = false;
  const release = () => {
    released = true;
  };
  await target.write({ bytes: Buffer.from(text), release }, offset);
  return released;
}

test('pieces that arrive out of order leave in order, each only once it is verified', async () => {
  const out = new PassThrough();
  const target = new StreamTarget(out, never);
  assert.equal(await target.reserve(), 'none');
  assert.equal(await give(target, 'ghi', 6), true);
  await give(target, 'abc', 0);
  await give(target, 'de', 3);
  await give(target, 'f', 3);
  assert.equal(out.readableLength, 0);
  await target.accept(6);
  await target.accept(3);
  assert.equal(out.readableLength, 0);
  await target.accept(0);
  await target.commit();
  out.end();
  assert.equal(await text(out), 'abcdefghi');
});

test('a piece that was rejected leaves as it was written the second time', async () => {
  const out = new PassThrough();
  const target = new StreamTarget(out, never);
  await give(target, 'wrong', 0);
  target.reject(0);
  await target.accept(0);
  await give(target, 'right', 0);
  await target.accept(0);
  assert.equal(String(out.read()), 'right');
});

test('what a chunk held may be overwritten once it is released', async () => {
  const out = new PassThrough();
  const target = new StreamTarget(out, never);
  const bytes = Buffer.from('abc');
  await target.write({ bytes, release: () => bytes.fill('x') }, 0);
  await target.accept(0);
  assert.equal(String(out.read()), 'abc');
});

test('a reader that stops holds accept up, until the signal ends the wait', async () => {
  const stalled = new Writable({ highWaterMark: 1, write: () => {} });
  const controller = new AbortController();
  const target = new StreamTarget(stalled, controller.signal);
  await give(target, 'abc', 0);
  const accepted = target.accept(0);
  controller.abort(new Error('interrupted'));
  await assert.rejects(accepted, /interrupted/);
});

test('an output that was closed fails the piece, and everything after it', async () => {
  const cause = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
  const broken = new Writable({ write: (_bytes, _encoding, done) => done(cause) });
  const target = new StreamTarget(broken, never);
  await give(target, 'abc', 0);
  await assert.rejects(target.accept(0), { code: 'DISK_FAILED', cause });
  await assert.rejects(give(target, 'def', 3), { code: 'DISK_FAILED', reason: 'EPIPE' });
  await assert.rejects(target.commit(), { code: 'DISK_FAILED' });
});

test('discard writes nothing of what is held', async () => {
  const out = new PassThrough();
  const target = new StreamTarget(out, never);
  await give(target, 'abc', 0);
  await target.discard();
  await target.accept(0);
  assert.equal(out.read(), null);
});

test('nothing is replaced and nothing has a path', () => {
  const target = new StreamTarget(new PassThrough(), never);
  assert.deepEqual([target.path, target.replaces], [null, false]);
});
