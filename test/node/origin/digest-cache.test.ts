import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  type DigestName,
  download,
  type Logger,
  parseVia,
  type RunningNode,
  silentLogger,
  startNode,
} from '../../../src/index.ts';
import { openServed } from '../../../src/io/disk/reading/served-file.ts';
import { DigestCache } from '../../../src/node/origin/digest-cache.ts';
import { type DigestKey, DigestStore } from '../../../src/node/origin/digest-store.ts';
import { addressOf } from '../../support/chain.ts';
import { makeLater } from '../../support/later.ts';
import { makeTempRoot, type TempRoot } from '../../support/temp-root.ts';

const mib = 1_048_576;
const old = new Date('2020-01-01T00:00:00Z');

function keyOf(name: string, pieces: number): DigestKey {
  const version = createHash('sha256').update(name).digest('hex').slice(0, 32);
  return { version, algorithm: 'sha256', pieceBytes: mib, pieces };
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

test('a digest is known once it was set, for that version and piece alone', async () => {
  const cache = new DigestCache(mib);
  (await cache.open(keyOf('a', 3))).set(1, digestOf('x'));
  const again = await cache.open(keyOf('a', 3));
  assert.equal(again.get(1), digestOf('x'));
  assert.equal(again.get(0), undefined);
  assert.equal((await cache.open(keyOf('b', 3))).get(1), undefined);
  assert.equal((await cache.open({ ...keyOf('a', 3), algorithm: 'blake3' })).get(1), undefined);
  assert.equal((await cache.open({ ...keyOf('a', 3), pieceBytes: 4096 })).get(1), undefined);
});

test('the file that was not used for longest is given up first, and one too large is never held', async () => {
  const room = 3 * (512 + 32);
  const cache = new DigestCache(room);
  for (const name of ['a', 'b', 'c']) (await cache.open(keyOf(name, 1))).set(0, digestOf(name));
  await cache.open(keyOf('a', 1));
  await cache.open(keyOf('d', 1));
  assert.equal((await cache.open(keyOf('a', 1))).get(0), digestOf('a'));
  assert.equal((await cache.open(keyOf('b', 1))).get(0), undefined);
  const large = await cache.open(keyOf('large', 1000));
  large.set(0, digestOf('large'));
  assert.equal(large.get(0), undefined);
  assert.equal((await cache.open(keyOf('a', 1))).get(0), digestOf('a'));
});

async function openStore(dir: TempRoot, maxFiles = 10, log: Logger = silentLogger): Promise<DigestStore> {
  return DigestStore.open(path.join(dir.path, 'digests'), maxFiles, log);
}

async function remember(dir: TempRoot, key: DigestKey, maxFiles = 10): Promise<string> {
  const cache = new DigestCache(mib, await openStore(dir, maxFiles));
  const digests = await cache.open(key);
  for (let piece = 0; piece < key.pieces; piece += 1) digests.set(piece, digestOf(`${key.version}${piece}`));
  cache.done(digests);
  await cache.close();
  return path.join(dir.path, 'digests', `${key.version}.${key.algorithm}`);
}

async function recall(dir: TempRoot, key: DigestKey): Promise<string | undefined> {
  return (await new DigestCache(mib, await openStore(dir)).open(key)).get(1);
}

test('digests outlive the process on disk, a damaged file counts as none and is written anew', async (t) => {
  const dir = await makeTempRoot(t);
  const key = keyOf('a', 2);
  const file = await remember(dir, key);
  const right = digestOf(`${key.version}1`);
  assert.equal(await recall(dir, key), right);
  const whole = await readFile(file);
  for (let place = 0; place < whole.length; place += 7) {
    const damaged = Buffer.from(whole);
    damaged.writeUInt8(damaged.readUInt8(place) ^ 1, place);
    await writeFile(file, damaged);
    assert.equal(await recall(dir, key), undefined, `byte ${place}`);
  }
  for (const length of [0, 1, 128, whole.length - 1]) {
    await writeFile(file, whole.subarray(0, length));
    assert.equal(await recall(dir, key), undefined, `cut to ${length} bytes`);
  }
  await remember(dir, key);
  assert.equal(await recall(dir, key), right);
});

test('a store file under another name is not believed', async (t) => {
  const dir = await makeTempRoot(t);
  const file = await remember(dir, keyOf('a', 2));
  const other = keyOf('b', 2);
  await writeFile(path.join(dir.path, 'digests', `${other.version}.sha256`), await readFile(file));
  assert.equal(await recall(dir, other), undefined);
  assert.equal(await recall(dir, { ...keyOf('a', 2), pieceBytes: 2 * mib }), undefined);
});

test('the store keeps no more files than it may, and nothing for a file of one piece', async (t) => {
  const dir = await makeTempRoot(t);
  for (const name of ['a', 'b', 'c', 'd']) {
    const file = await remember(dir, keyOf(name, 2), 2);
    await utimes(file, old, new Date(old.getTime() + 1000 * name.charCodeAt(0)));
  }
  await remember(dir, keyOf('one', 1), 2);
  assert.equal(await recall(dir, keyOf('b', 2)), undefined);
  assert.notEqual(await recall(dir, keyOf('c', 2)), undefined);
  assert.notEqual(await recall(dir, keyOf('d', 2)), undefined);
});

test('a digest cache that is not a directory is a usage error', async (t) => {
  const dir = await makeTempRoot(t);
  await writeFile(path.join(dir.path, 'digests'), 'a file');
  const node = startNode({ listen: { host: '127.0.0.1', port: 0 }, digestCache: path.join(dir.path, 'digests') });
  await assert.rejects(node, { code: 'USAGE_INVALID', message: /--digest-cache: read ".*", expected a directory/ });
  const below = path.join(dir.path, 'below');
  await assert.rejects(startNode({ listen: { host: '127.0.0.1', port: 0 }, root: dir.path, digestCache: below }), {
    code: 'USAGE_INVALID',
    message: /outside the root/,
  });
});

async function startOrigin(t: TestContext, root: TempRoot, digestCache: string): Promise<RunningNode> {
  const node = await startNode({ listen: { host: '127.0.0.1', port: 0 }, root: root.path, digestCache });
  t.after(() => node.close({ graceMs: 0 }));
  return node;
}

test('an origin answers with digests that it knew before its start, and takes one anew when asked again', async (t) => {
  makeLater(t);
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const content = await root.writeRandom('data.bin', 3 * mib + 5);
  const digestCache = path.join(out.path, 'digests');
  const fetch = async (node: RunningNode, name: string) => {
    const retried: number[] = [];
    const { piecesDigest } = await download({
      route: parseVia(addressOf(node), 'data.bin'),
      output: path.join(out.path, name),
      onEvent: (event) => event.kind === 'retry' && retried.push(event.piece),
    });
    assert.deepEqual(await readFile(path.join(out.path, name)), content);
    return { piecesDigest, retried };
  };
  let node = await startOrigin(t, root, digestCache);
  const first = await fetch(node, 'first');
  assert.deepEqual(first.retried, []);
  await node.close();
  // One digest on disk is not that of its piece: whoever answers with it did not hash.
  const served = await openServed(root.path, 'data.bin', 4096);
  await served.close();
  const [name = ''] = await readdir(digestCache);
  const algorithm = name.split('.')[1] as DigestName;
  const key = { version: served.version, algorithm, pieceBytes: mib, pieces: 4 };
  const store = await DigestStore.open(digestCache, 10, silentLogger);
  const records = (await store.load(key, 4 * 32)) as Buffer;
  records.fill(7, 2 * 32, 3 * 32);
  await store.save(key, records);
  node = await startOrigin(t, root, digestCache);
  const second = await fetch(node, 'second');
  assert.ok(first.piecesDigest);
  assert.deepEqual([second.retried, second.piecesDigest], [[2], first.piecesDigest]);
  assert.deepEqual((await fetch(node, 'third')).retried, []);
});

for (const [what, prepare, kept] of [
  ['a moment ago', async () => {}, 0],
  [
    'long ago, though its time of modification is still to come',
    async (file: string) => utimes(file, soon(), soon()),
    0,
  ],
  ['long ago', async () => {}, 1],
] as const) {
  test(`the digests of a file that changed ${what} are ${kept > 0 ? 'kept' : 'not kept'}`, async (t) => {
    if (what !== 'a moment ago') makeLater(t);
    const root = await makeTempRoot(t);
    const out = await makeTempRoot(t);
    await root.writeRandom('data.bin', 2 * mib);
    const file = path.join(root.path, 'data.bin');
    // Anyone who may write to a file may set this time, which is then no proof of its age.
    if (what === 'a moment ago') await utimes(file, old, old);
    await prepare(file);
    const digestCache = path.join(out.path, 'digests');
    const node = await startOrigin(t, root, digestCache);
    await download({ route: parseVia(addressOf(node), 'data.bin'), output: path.join(out.path, 'first') });
    await node.close();
    assert.equal((await readdir(digestCache)).length, kept);
  });
}

function soon(): Date {
  return new Date(Date.now() + 60_000);
}
