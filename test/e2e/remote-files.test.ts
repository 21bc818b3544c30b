/** Ranges of files at the end of a route: verified bytes, whatever happens on the way. */

import assert from 'node:assert/strict';
import { copyFile, rename, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { test } from 'node:test';
import { HoplineError, parseVia, RemoteFiles, startNode } from '../../src/index.ts';
import { addressOf, startChain, startPeer, until } from '../support/chain.ts';
import { startTamperer } from '../support/tamper.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const past = new Date('2020-01-02T03:04:05Z');

async function readAll(stream: Readable): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

test('ranges at odd places are the bytes of the file, one after another and several files at once', async (t) => {
  const root = await makeTempRoot(t);
  const content = await root.writeRandom('dir/a.bin', 5_000_003);
  await root.writeRandom('b.bin', 10);
  const chain = await startChain(t, 3, root.path);
  const files = new RemoteFiles({ routes: chain.route('x').routes });
  t.after(() => files.close());
  const file = await files.open('dir/a.bin', { ahead: { offset: 0, length: Number.POSITIVE_INFINITY } });
  assert.equal(file.size, content.length);
  assert.equal(file.modified, Math.floor((await stat(path.join(root.path, 'dir/a.bin'))).mtimeMs));
  const ranges = [
    [0, 1],
    [1, 1_048_576],
    [1_048_575, 2],
    [3_333_333, 1_666_670],
    [0, 5_000_003],
    [5_000_002, 1],
    [17, 0],
  ] as const;
  for (const [offset, length] of ranges) {
    assert.deepEqual(await readAll(file.read(offset, length)), content.subarray(offset, offset + length));
  }
  const both = await Promise.all([
    readAll(file.read(7, 2_000_000)),
    files.open('b.bin').then((other) => readAll(other.read(0, 10)).finally(() => other.close())),
  ]);
  assert.deepEqual(both[0], content.subarray(7, 2_000_007));
  assert.equal(both[1].length, 10);
  await file.close();
  await files.close();
  await until(() => chain.nodes.every((node) => node.stats().open === 0));
});

test('files one after another come over one circuit, and a circuit that broke meanwhile is no failure', async (t) => {
  const root = await makeTempRoot(t);
  const content = await root.writeRandom('a.bin', 1_100_000);
  const chain = await startChain(t, 2, root.path);
  const files = new RemoteFiles({ routes: chain.route('x').routes });
  t.after(() => files.close());
  const get = async () => {
    const file = await files.open('a.bin', { ahead: { offset: 0, length: Number.POSITIVE_INFINITY } });
    assert.ok((await readAll(file.read(0, content.length))).equals(content));
    await file.close();
  };
  for (let index = 0; index < 10; index += 1) await get();
  assert.equal(chain.nodes[0]?.stats().accepted, 1);
  await assert.rejects(files.open('none'), { code: 'FILE_NOT_FOUND' });
  await Promise.all([get(), get(), get()]);
  for (let index = 0; index < 70; index += 1) await get();
  assert.ok((chain.nodes[0]?.stats().accepted ?? 0) >= 5, 'a circuit is not used for ever');
  await chain.nodes[1]?.close({ graceMs: 0 });
  const { address } = chain.nodes[1] ?? assert.fail();
  const again = await startNode({ listen: address, root: root.path });
  t.after(() => again.close({ graceMs: 0 }));
  await get();
  await files.close();
  await until(() => chain.nodes.every((node) => node.stats().open === 0));
});

test('a file that is not there, a directory and a name that may not travel are refused', async (t) => {
  const root = await makeTempRoot(t);
  await root.writeRandom('dir/a', 1);
  const chain = await startChain(t, 2, root.path);
  const files = new RemoteFiles({ routes: chain.route('x').routes });
  t.after(() => files.close());
  await assert.rejects(files.open('none'), { code: 'FILE_NOT_FOUND', hop: 2 });
  await assert.rejects(files.open('dir'), { code: 'FILE_IS_DIRECTORY' });
  await assert.rejects(files.open('../a'), { code: 'FILE_DENIED' });
  const file = await files.open('dir/a');
  assert.equal((await readAll(file.read(0, 1))).length, 1);
  await file.close();
});

test('an empty file has no bytes, also where some were asked for ahead', async (t) => {
  const root = await makeTempRoot(t);
  await writeFile(path.join(root.path, 'empty'), '');
  await root.writeRandom('short', 5);
  const chain = await startChain(t, 1, root.path);
  const files = new RemoteFiles({ routes: chain.route('x').routes });
  t.after(() => files.close());
  const file = await files.open('empty', { ahead: { offset: 0, length: 100 } });
  assert.equal(file.size, 0);
  assert.equal((await readAll(file.read(0, 0))).length, 0);
  await file.close();
  const short = await files.open('short', { ahead: { offset: 1000, length: 100 } });
  assert.equal((await readAll(short.read(4, 1))).length, 1);
  await short.close();
});

test('a read goes on from the last verified byte when its relay dies, at an origin with a copy of the file', async (t) => {
  const roots = [await makeTempRoot(t), await makeTempRoot(t)] as const;
  const content = await roots[0].writeRandom('a.bin', 32_000_000);
  await copyFile(path.join(roots[0].path, 'a.bin'), path.join(roots[1].path, 'a.bin'));
  for (const root of roots) await utimes(path.join(root.path, 'a.bin'), past, past);
  const first = await startChain(t, 2, roots[0].path);
  const second = await startChain(t, 2, roots[1].path);
  const ways = [first, second].map(({ nodes }) => nodes.map(addressOf).join(','));
  const files = new RemoteFiles({ routes: parseVia(ways, 'x').routes });
  t.after(() => files.close());
  const file = await files.open('a.bin');
  const stream = file.read(1, 31_999_998);
  const parts: Buffer[] = [];
  for await (const part of stream) {
    parts.push(part as Buffer);
    if (parts.length === 1) await first.nodes[0]?.close({ graceMs: 0 });
  }
  assert.ok(Buffer.concat(parts).equals(content.subarray(1, 31_999_999)));
  assert.ok((second.nodes[1]?.stats().bytesServed ?? 0) > 1_000_000);
  const again = await files.open('a.bin');
  assert.equal(again.version, file.version);
  await again.close();
  await file.close();
});

test('an origin with another file is no origin to go on with', async (t) => {
  const roots = [await makeTempRoot(t), await makeTempRoot(t)] as const;
  await roots[0].writeRandom('a.bin', 32_000_000);
  await roots[1].writeRandom('a.bin', 32_000_000);
  await utimes(path.join(roots[0].path, 'a.bin'), past, past);
  const first = await startChain(t, 1, roots[0].path);
  const second = await startChain(t, 1, roots[1].path);
  const ways = [first, second].map(({ nodes }) => nodes.map(addressOf).join(','));
  const limits = { retryMinMs: 10, retryMaxMs: 20 };
  const files = new RemoteFiles({ routes: parseVia(ways, 'x').routes, limits });
  t.after(() => files.close());
  const file = await files.open('a.bin');
  const failing = (async () => {
    let count = 0;
    for await (const _ of file.read(0, 32_000_000)) {
      count += 1;
      if (count === 1) await first.nodes[0]?.close({ graceMs: 0 });
    }
  })();
  await assert.rejects(failing, (error) => error instanceof HoplineError && error.code === 'FILE_CHANGED');
  await file.close();
});

test('a file that is written to under a reader fails the read, and one that is replaced is read on as it was', async (t) => {
  const root = await makeTempRoot(t);
  const content = await root.writeRandom('a.bin', 32_000_000);
  const place = path.join(root.path, 'a.bin');
  const chain = await startChain(t, 2, root.path);
  const files = new RemoteFiles({ routes: chain.route('x').routes, limits: { retryMinMs: 10, retryMaxMs: 20 } });
  t.after(() => files.close());
  const kept = await files.open('a.bin');
  const parts: Buffer[] = [];
  for await (const part of kept.read(0, content.length)) {
    parts.push(part as Buffer);
    if (parts.length === 1) {
      await writeFile(path.join(root.path, 'new'), content.subarray(1));
      await rename(path.join(root.path, 'new'), place);
    }
  }
  assert.ok(Buffer.concat(parts).equals(content));
  await kept.close();
  const file = await files.open('a.bin');
  const failing = (async () => {
    let count = 0;
    for await (const _ of file.read(0, file.size)) {
      count += 1;
      if (count === 1) await writeFile(place, content);
    }
  })();
  await assert.rejects(failing, { code: 'FILE_CHANGED' });
  await file.close();
});

test('a damaged piece is asked for again, and nobody gets a byte of it', async (t) => {
  const root = await makeTempRoot(t);
  const content = await root.writeRandom('a.bin', 4_000_000);
  const chain = await startChain(t, 1, root.path);
  const [node] = chain.nodes;
  assert.ok(node);
  let passed = 0;
  const address = await startTamperer(t, node.address.port, {
    back: (bytes) => {
      const isHit = passed < 1_500_000 && passed + bytes.length > 1_500_000;
      if (isHit) bytes.writeUInt8(bytes.readUInt8(1_500_000 - passed) ^ 1, 1_500_000 - passed);
      passed += bytes.length;
      return bytes;
    },
  });
  const files = new RemoteFiles({ routes: parseVia(address, 'x').routes });
  t.after(() => files.close());
  const file = await files.open('a.bin', { ahead: { offset: 0, length: 4_000_000 } });
  assert.ok((await readAll(file.read(0, 4_000_000))).equals(content));
  assert.ok(passed > 5_000_000, 'a piece came twice');
  await file.close();
});

test('a reader that stops holds the origin back, and one that leaves ends the circuit', async (t) => {
  const root = await makeTempRoot(t);
  await root.writeRandom('a.bin', 64_000_000);
  const chain = await startChain(t, 2, root.path, { kernel: false });
  const files = new RemoteFiles({ routes: chain.route('x').routes });
  t.after(() => files.close());
  const file = await files.open('a.bin');
  const stream = file.read(0, 64_000_000);
  await new Promise((resolve) => stream.once('readable', resolve));
  assert.ok(stream.readableLength <= 2_200_000, `${stream.readableLength} bytes wait to be read`);
  stream.destroy();
  await until(() => chain.nodes.every((node) => node.stats().open === 0));
  assert.ok((chain.nodes[1]?.stats().bytesServed ?? 0) < 60_000_000);
  await file.close();
});

test('an abort closes the file, open or not', async (t) => {
  const root = await makeTempRoot(t);
  await root.writeRandom('a.bin', 10_000_000);
  const chain = await startChain(t, 1, root.path);
  const stop = new AbortController();
  const file = await new RemoteFiles({ routes: chain.route('x').routes }).open('a.bin', { signal: stop.signal });
  const reading = readAll(file.read(0, 10_000_000));
  stop.abort();
  await assert.rejects(reading, { code: 'INTERRUPTED' });
  await file.close();
  const silent = await startPeer(t, () => {});
  const late = new AbortController();
  const opening = new RemoteFiles({ routes: parseVia(silent.address, 'x').routes }).open('a', { signal: late.signal });
  await silent.connected;
  late.abort();
  await assert.rejects(opening, { code: 'INTERRUPTED' });
});
