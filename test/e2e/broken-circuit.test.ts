import assert from 'node:assert/strict';
import { open, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { type DownloadEvent, download, HoplineError, parseVia, type RunningNode } from '../../src/index.ts';
import { addressOf, startChain, startPeer, until } from '../support/chain.ts';
import { flipAt, startTamperer } from '../support/tamper.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const short = { idleMs: 1500, openMs: 1500, connectMs: 500, probeMs: 500, lingerMs: 200 };
const mib = 1_048_576;
/** The first failure is the last, and leaves nothing. */
const once = { retry: 0, resume: false };

test('a piece that was damaged on the way is asked for again, and the file is right', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const content = await root.writeRandom('data.bin', 5 * mib);
  const { nodes } = await startChain(t, 1, root.path);
  const via = await startTamperer(t, (nodes[0] as RunningNode).address.port, { back: flipAt([mib / 2, 3 * mib]) });
  const retries: number[] = [];
  const received: Buffer[] = [];
  const output = new Writable({
    write: (bytes, _encoding, done) => {
      received.push(Buffer.from(bytes));
      done();
    },
  });
  const onEvent = (event: DownloadEvent) => {
    if (event.kind === 'retry') retries.push(event.piece);
  };
  const result = await download({ route: parseVia(via, 'data.bin'), output, onEvent });
  assert.deepEqual(Buffer.concat(received), content);
  assert.equal(retries.length, 2);
  const onDisk = await download({ route: parseVia(addressOf(nodes[0] as RunningNode), 'data.bin'), output: out.path });
  assert.deepEqual(result.digest, onDisk.digest);
});

test('a piece that is damaged every time is an error that names it, and nothing is left on disk', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  await root.writeRandom('data.bin', 3 * mib);
  const { nodes } = await startChain(t, 1, root.path);
  const everyMib = Array.from({ length: 40 }, (_, index) => index * mib + 700_000);
  const via = await startTamperer(t, (nodes[0] as RunningNode).address.port, { back: flipAt(everyMib) });
  await assert.rejects(download({ route: parseVia(via, 'data.bin'), output: out.path }), (error) => {
    assert.ok(error instanceof HoplineError);
    assert.equal(error.code, 'HASH_MISMATCH');
    assert.match(error.message, /piece \d of 3 did not match its digest, 3 times/);
    return true;
  });
  assert.deepEqual(await out.list(), []);
});

for (const [victim, leg] of [
  [0, 1],
  [1, 2],
  [2, 3],
] as const) {
  test(`a node that ends in the middle of a file is found and named: hop ${victim + 1} of 3`, async (t) => {
    const root = await makeTempRoot(t);
    const out = await makeTempRoot(t);
    await writeFile(path.join(root.path, 'data.bin'), '');
    await truncate(path.join(root.path, 'data.bin'), 400 * mib);
    const chain = await startChain(t, 3, root.path, { limits: short });
    let killed = false;
    const onEvent = (event: DownloadEvent) => {
      if (killed || event.kind !== 'progress') return;
      killed = true;
      void chain.nodes[victim]?.close({ graceMs: 0 });
    };
    const pending = download({ route: chain.route('data.bin'), output: out.path, onEvent, limits: short, ...once });
    await assert.rejects(pending, (error) => {
      assert.ok(error instanceof HoplineError);
      assert.equal(error.code, 'PEER_LOST');
      assert.match(error.message, new RegExp(`the circuit broke at leg ${leg}, from .* to hop ${leg} `));
      return true;
    });
    assert.deepEqual(await out.list(), []);
    await until(() => chain.nodes.every((node) => node.stats().open === 0));
  });
}

test('a client that disappears in the middle ends the circuit on every node', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  await writeFile(path.join(root.path, 'data.bin'), '');
  await truncate(path.join(root.path, 'data.bin'), 400 * mib);
  const chain = await startChain(t, 3, root.path);
  const stop = new AbortController();
  const onEvent = (event: DownloadEvent) => {
    if (event.kind === 'progress') stop.abort();
  };
  const pending = download({ route: chain.route('data.bin'), output: out.path, signal: stop.signal, onEvent, ...once });
  await assert.rejects(pending, { code: 'INTERRUPTED' });
  assert.deepEqual(await out.list(), []);
  await until(() => chain.nodes.every((node) => node.stats().open === 0));
});

test('a circuit in which no byte moves any more is an error that names the leg, not a silent wait', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  await root.writeRandom('data.bin', 5 * mib);
  const limits = { ...short, idleMs: 400 };
  const { nodes } = await startChain(t, 2, root.path, { limits: { idleMs: 60_000 } });
  let passed = 0;
  const swallower = await startTamperer(t, (nodes[1] as RunningNode).address.port, {
    back: (bytes) => {
      passed += bytes.length;
      return passed > 2 * mib ? Buffer.alloc(0) : bytes;
    },
  });
  const route = parseVia(`${addressOf(nodes[0] as RunningNode)},${swallower}`, 'data.bin');
  const failure = await download({ route, output: out.path, limits, ...once }).catch((error: unknown) => error);
  assert.ok(failure instanceof HoplineError);
  assert.match(failure.code, /^TIMEOUT_/);
  assert.match(failure.message, /the circuit stalled at leg 2, from hop 1 .* to hop 2 /);
  assert.deepEqual(await out.list(), []);
});

test('a file that shrinks or changes while it is read is an error, never a mixture', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const file = path.join(root.path, 'data.bin');
  const chain = await startChain(t, 2, root.path);
  const changes = [
    () => truncate(file, 10 * mib),
    async () => {
      const handle = await open(file, 'r+');
      await handle.write(Buffer.from('changed'), 0, 7, 30 * mib);
      await handle.close();
    },
  ];
  for (const change of changes) {
    await root.writeRandom('data.bin', 40 * mib);
    let changed: Promise<void> | undefined;
    const onEvent = (event: DownloadEvent) => {
      if (event.kind === 'progress') changed ??= change();
    };
    const pending = download({ route: chain.route('data.bin'), output: out.path, onEvent, ...once });
    await assert.rejects(pending, { code: 'FILE_CHANGED', hop: 2 });
    await changed;
    assert.deepEqual(await out.list(), []);
  }
});

test('a missing file is told by the origin and leaves nothing on disk', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const chain = await startChain(t, 3, root.path);
  await assert.rejects(download({ route: chain.route('no such.bin'), output: out.path }), (error) => {
    assert.ok(error instanceof HoplineError);
    assert.equal(error.code, 'FILE_NOT_FOUND');
    assert.match(error.message, /^hop 3 \(.*\), the origin, has no file "no such.bin"$/);
    return true;
  });
  assert.deepEqual(await out.list(), []);
});

test('a file that is larger than the disk is refused before its first byte moves', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  await writeFile(path.join(root.path, 'huge.bin'), '');
  await truncate(path.join(root.path, 'huge.bin'), 8 * 1024 ** 4);
  const chain = await startChain(t, 2, root.path);
  await assert.rejects(download({ route: chain.route('huge.bin'), output: out.path }), { code: 'DISK_FULL' });
  assert.deepEqual(await out.list(), []);
  const { bytesServed = 0 } = chain.nodes[1]?.stats() ?? {};
  assert.ok(bytesServed <= 64 * mib, 'no more than the pieces that were asked for along with the size are under way');
});

test('a stopping node lets a running circuit finish and takes no new one', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  await root.writeRandom('data.bin', 60 * mib);
  const chain = await startChain(t, 2, root.path);
  let closing: Promise<void> | undefined;
  const onEvent = (event: DownloadEvent) => {
    if (event.kind === 'progress') closing ??= chain.nodes[0]?.close({ graceMs: 20_000 });
  };
  const result = await download({ route: chain.route('data.bin'), output: out.path, onEvent });
  assert.equal(result.verified, true);
  await closing;
  await assert.rejects(download({ route: chain.route('data.bin'), output: out.path, force: true }), {
    code: 'PEER_UNREACHABLE',
  });
});

test('a node that ends its near leg ends the far leg too, though nothing moves there', async (t) => {
  const root = await makeTempRoot(t);
  const mute = await startPeer(t, () => {});
  const { nodes } = await startChain(t, 1, root.path);
  const [node] = nodes as [RunningNode];
  const route = parseVia(`${addressOf(node)},${mute.address}`, 'x');
  const stop = new AbortController();
  const pending = download({ route, output: root.path, signal: stop.signal });
  await mute.connected;
  stop.abort();
  await assert.rejects(pending, { code: 'INTERRUPTED' });
  await node.close({ graceMs: 0 });
  assert.equal(node.stats().open, 0);
});
