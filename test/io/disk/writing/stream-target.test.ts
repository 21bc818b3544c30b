import assert from 'node:assert/strict';
import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { StreamTarget } from '../../../../src/io/disk/writing/stream-target.ts';
import { makeTempRoot } from '../../../support/temp-root.ts';

const content = { file: 'f', size: 10, pieceBytes: 3, algorithm: undefined };
const never = new AbortController().signal;
const vouched = { digest: '00', version: 'v' };

/** Gives `target` one piece of one chunk; settles as `write` does. */
function give(target: StreamTarget, content: string, index: number, release = () => {}): Promise<void> {
  const chunks = [{ bytes: Buffer.from(content), release }];
  return target.write({ index, position: index * 3, chunks, vouched });
}

test('pieces that arrive out of order leave in order', async () => {
  const out = new PassThrough();
  const target = new StreamTarget(out, never, 8);
  assert.equal((await target.begin(content)).reservation, 'none');
  await give(target, 'ghi', 2);
  await give(target, 'def', 1);
  assert.equal(out.readableLength, 0);
  await give(target, 'abc', 0);
  await give(target, 'j', 3);
  await target.commit();
  out.end();
  assert.equal(await text(out), 'abcdefghij');
});

test('a stream that may keep what it is given gets the bytes for good, and no copy of them', async () => {
  const out = new PassThrough();
  const target = new StreamTarget(out, never, 8);
  const bytes = Buffer.from('abc');
  let released = 0;
  const release = () => {
    released += 1;
  };
  await target.write({ index: 0, position: 0, chunks: [{ bytes, release }], vouched });
  await target.commit();
  assert.equal(out.read(), bytes);
  assert.equal(released, 0);
});

test('into a file a chunk is written as it is, and released when it is there', async (t) => {
  const root = await makeTempRoot(t);
  const place = path.join(root.path, 'out');
  const out = createWriteStream(place);
  const target = new StreamTarget(out, never, 8);
  const bytes = ['abc', 'def'].map((text) => Buffer.from(text));
  for (const index of [1, 0]) {
    const chunk = { bytes: bytes[index] as Buffer, release: () => void bytes[index]?.fill('x') };
    await target.write({ index, position: index * 3, chunks: [chunk], vouched });
    assert.equal(bytes.join(), index === 1 ? 'abc,def' : 'xxx,xxx');
  }
  await target.commit();
  await new Promise((resolve) => out.end(resolve));
  assert.equal(await readFile(place, 'utf8'), 'abcdef');
});

test('a reader that stops holds up every piece, until the signal ends the wait', async () => {
  const stalled = new Writable({ highWaterMark: 1, write: () => {} });
  const controller = new AbortController();
  const target = new StreamTarget(stalled, controller.signal, 8);
  const first = give(target, 'abc', 0);
  const later = give(target, 'ghi', 2);
  const early = await Promise.race([first, later, Promise.resolve('both wait')]);
  assert.equal(early, 'both wait');
  controller.abort(new Error('interrupted'));
  await assert.rejects(first, /interrupted/);
  await assert.rejects(later, /interrupted/);
});

test('an output that was closed fails the piece, and everything after it', async () => {
  const cause = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
  const broken = new Writable({ write: (_bytes, _encoding, done) => done(cause) });
  const target = new StreamTarget(broken, never, 8);
  await assert.rejects(give(target, 'abc', 0), { code: 'DISK_FAILED', cause });
  await assert.rejects(give(target, 'def', 1), { code: 'DISK_FAILED', reason: 'EPIPE' });
  await assert.rejects(target.commit(), { code: 'DISK_FAILED' });
});

test('a stream that is destroyed in the middle of a write fails the piece that it took and says nothing of', async () => {
  const cause = Object.assign(new Error('the reader left'), { code: 'EPIPE' });
  for (const given of [undefined, cause]) {
    const out = new Writable({ write: () => {} });
    const target = new StreamTarget(out, never, 8);
    const writing = give(target, 'abc', 0);
    out.destroy(given);
    await assert.rejects(writing, { code: 'DISK_FAILED', ...(given && { cause }) });
  }
});

test('a changed file starts over while nothing has left, and fails once something has', async () => {
  const out = new PassThrough();
  const target = new StreamTarget(out, never, 8);
  await give(target, 'old', 1);
  await target.begin(content);
  await give(target, 'abc', 0);
  assert.equal(String(out.read()), 'abc');
  await assert.rejects(target.begin(content), { code: 'FILE_CHANGED' });
});

test('nothing is kept, replaced or resumed, and nothing has a path', async () => {
  const out = new PassThrough();
  const target = new StreamTarget(out, never, 8);
  await give(target, 'abc', 1);
  assert.equal(await target.keep(), 0);
  await give(target, 'abc', 0);
  assert.equal(String(out.read()), 'abc');
  assert.deepEqual([target.path, target.replaces, target.mayResume], [null, false, false]);
});
