import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { download, downloadFiles, type FilesEvent, parseVia, type RunningNode } from '../../src/index.ts';
import { decodeRequest } from '../../src/wire/native/messages.ts';
import { decodeOpen } from '../../src/wire/native/open-message.ts';
import { startChain, startPeer, until } from '../support/chain.ts';
import { startTamperer } from '../support/tamper.ts';
import { makeTempRoot, type TempRoot } from '../support/temp-root.ts';

const mib = 1_048_576;
const maxHeaderBytes = 65_536;

async function writeMany(root: TempRoot, count: number, bytes: (index: number) => number): Promise<string[]> {
  const files = Array.from({ length: count }, (_, index) => `many/${index}.bin`);
  await Promise.all(files.map((file, index) => root.writeRandom(file, bytes(index))));
  return files;
}

async function assertEqual(root: TempRoot, out: TempRoot, files: readonly string[]): Promise<void> {
  for (const file of files) {
    const [sent, received] = await Promise.all([
      readFile(path.join(root.path, file)),
      readFile(path.join(out.path, path.basename(file))),
    ]);
    assert.ok(sent.equals(received), file);
  }
  assert.deepEqual(await out.list(), files.map((file) => path.basename(file)).sort());
}

/** A TCP relay in front of a node: `pass` is given what the client sends, and how to send it on. */
async function startGate(
  t: TestContext,
  node: RunningNode,
  pass: (bytes: Buffer, on: (bytes: Buffer) => void) => void,
): Promise<string> {
  const peer = await startPeer(t, (near) => {
    const far = net.connect({ host: '127.0.0.1', port: node.address.port, allowHalfOpen: true });
    far.on('error', () => near.destroy()).on('close', () => near.destroy());
    near.on('close', () => far.destroy());
    near.on('data', (bytes) => pass(bytes, (all) => far.write(all)));
    far.on('data', (bytes) => near.write(bytes));
  });
  return peer.address;
}

/** How many whole requests follow the OPEN at the start of `bytes`. */
function countRequests(bytes: Buffer): number {
  const open = decodeOpen(bytes, maxHeaderBytes);
  if (open.kind !== 'ok') return 0;
  let count = 0;
  for (let rest = bytes.subarray(open.used); ; count += 1) {
    const request = decodeRequest(rest, maxHeaderBytes);
    if (request.kind !== 'ok') return count;
    rest = rest.subarray(request.used);
  }
}

test('a thousand small files come whole through three hops on one circuit', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const files = await writeMany(root, 1000, (index) => (index * 37) % 9000);
  const chain = await startChain(t, 3, root.path);
  const { routes } = chain.route('any');
  const outcomes = await downloadFiles({ routes, files, output: out.path });
  assert.deepEqual(
    outcomes.map(({ file }) => file),
    files,
  );
  assert.ok(outcomes.every(({ result }) => result?.verified));
  await assertEqual(root, out, files);
  assert.equal(chain.nodes[2]?.stats().served, 1);
});

test('a missing file, an existing target and empty files are their own affair; the others arrive', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const files = await writeMany(root, 100, (index) => (index % 10 === 0 ? 0 : 500));
  await writeFile(path.join(out.path, '7.bin'), 'mine');
  const asked = [...files.slice(0, 50), 'many/missing.bin', ...files.slice(50)];
  const chain = await startChain(t, 2, root.path);
  const { routes } = chain.route('any');
  const events: FilesEvent[] = [];
  const onEvent = (event: FilesEvent) => events.push(event);
  const outcomes = await downloadFiles({ routes, files: asked, output: out.path, onEvent });
  const failed = outcomes.filter(({ error }) => error);
  assert.deepEqual(
    failed.map(({ file, error }) => [file, error?.code]),
    [
      ['many/7.bin', 'DISK_EXISTS'],
      ['many/missing.bin', 'FILE_NOT_FOUND'],
    ],
  );
  assert.match(failed[1]?.error?.message ?? '', /hop 2 .* has no file "many\/missing\.bin"/);
  assert.equal(await readFile(path.join(out.path, '7.bin'), 'utf8'), 'mine');
  assert.ok(!events.some((event) => event.kind === 'started' && event.file === 'many/7.bin'));
  assert.equal(events.filter(({ kind }) => kind === 'settled').length, 101);
  assert.deepEqual(chain.nodes[1]?.stats().failures, { FILE_NOT_FOUND: 1 });
  await writeFile(path.join(out.path, '7.bin'), await readFile(path.join(root.path, 'many/7.bin')));
  await assertEqual(root, out, files);
  const again = await downloadFiles({ routes, files, output: out.path, force: true });
  assert.ok(again.every(({ result }) => result?.replaced));
});

test('large files among small ones come whole, on the same circuit', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const sizes = new Map([
    [3, 5 * mib + 1],
    [4, mib],
    [5, 300_000],
    [40, 2 * mib],
    [79, mib + 1],
  ]);
  const files = await writeMany(root, 80, (index) => sizes.get(index) ?? 100);
  const chain = await startChain(t, 3, root.path);
  const outcomes = await downloadFiles({ routes: chain.route('any').routes, files, output: out.path });
  await assertEqual(root, out, files);
  assert.equal(chain.nodes[2]?.stats().served, 1);
  const single = await makeTempRoot(t);
  for (const [index] of sizes) {
    const file = files[index] as string;
    const { piecesDigest, pieces } = await download({ route: chain.route(file), output: single.path });
    assert.deepEqual([outcomes[index]?.result?.piecesDigest, outcomes[index]?.result?.pieces], [piecesDigest, pieces]);
  }
});

test('an origin that cuts files otherwise is followed, by one file and by many', async (t) => {
  const root = await makeTempRoot(t);
  const files = await writeMany(root, 40, (index) => index * 1000);
  const { routes } = (await startChain(t, 2, root.path, { limits: { pieceBytes: 4096 } })).route('any');
  const out = await makeTempRoot(t);
  const outcomes = await downloadFiles({ routes, files, output: out.path });
  assert.deepEqual(outcomes.map(({ result }) => result?.pieces).slice(0, 10), [0, 1, 1, 1, 1, 2, 2, 2, 2, 3]);
  await assertEqual(root, out, files);
  const one = await makeTempRoot(t);
  for (const file of files.slice(0, 10)) await download({ route: { file, routes }, output: one.path });
  await assertEqual(root, one, files.slice(0, 10));
});

test('a circuit that breaks among many files leaves whole files and nothing torn', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const files = await writeMany(root, 600, () => 4096);
  const limits = { idleMs: 1500, openMs: 1500, connectMs: 500, probeMs: 500, lingerMs: 200 };
  const chain = await startChain(t, 3, root.path, { limits });
  let done = 0;
  const onEvent = (event: FilesEvent) => {
    if (event.kind !== 'settled') return;
    done += 1;
    if (done === 100) void chain.nodes[1]?.close({ graceMs: 0 });
  };
  const { routes } = chain.route('any');
  const outcomes = await downloadFiles({ routes, files, output: out.path, onEvent, limits, retry: 0 });
  const whole = outcomes.filter(({ result }) => result).map(({ file }) => file);
  const errors = new Set(outcomes.flatMap(({ error }) => error ?? []));
  assert.ok(whole.length >= 100 && whole.length < 600, `${whole.length} files arrived`);
  assert.deepEqual(
    [...errors].map(({ code }) => code),
    ['PEER_LOST'],
  );
  assert.match([...errors][0]?.message ?? '', /the circuit broke at leg 2/);
  await assertEqual(root, out, whole);
});

test('an interruption leaves the files that were finished', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const files = await writeMany(root, 300, () => 4096);
  const chain = await startChain(t, 1, root.path);
  const stop = new AbortController();
  const onEvent = (event: FilesEvent) => event.kind === 'settled' && stop.abort();
  const { routes } = chain.route('any');
  const outcomes = await downloadFiles({ routes, files, output: out.path, onEvent, signal: stop.signal });
  assert.ok(outcomes.some(({ error }) => error?.code === 'INTERRUPTED'));
  await assertEqual(
    root,
    out,
    outcomes.filter(({ result }) => result).map(({ file }) => file),
  );
});

test('a small file that was damaged on the way is asked for again', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const files = await writeMany(root, 50, () => 0);
  const marked = Buffer.concat([Buffer.from('MARK'), Buffer.alloc(3000)]);
  await writeFile(path.join(root.path, 'many/20.bin'), marked);
  const chain = await startChain(t, 1, root.path);
  let damaged = false;
  const via = await startTamperer(t, chain.nodes[0]?.address.port ?? 0, {
    back: (bytes) => {
      const place = damaged ? -1 : bytes.indexOf('MARK');
      if (place >= 0) damaged = bytes.write('XXXX', place) > 0;
      return bytes;
    },
  });
  const retries: string[] = [];
  const onEvent = (event: FilesEvent) => event.kind === 'retry' && retries.push(event.file);
  await downloadFiles({ routes: parseVia(via, 'any').routes, files, output: out.path, onEvent });
  assert.deepEqual(retries, ['many/20.bin']);
  await assertEqual(root, out, files);
});

test('the first byte comes after one trip: OPEN, STAT and READ go before any answer', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const content = await root.writeRandom('data.bin', 4096);
  const { nodes } = await startChain(t, 1, root.path);
  let held = Buffer.alloc(0);
  const via = await startGate(t, nodes[0] as RunningNode, (bytes, on) => {
    held = Buffer.concat([held, bytes]);
    if (countRequests(held) === 2) on(held);
  });
  const limits = { openMs: 3000, probeMs: 500 };
  await download({ route: parseVia(via, 'data.bin'), output: out.path, limits });
  assert.deepEqual(await readFile(path.join(out.path, 'data.bin')), content);
});

test('many files are asked for before any answer, and no more than the limit', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const files = await writeMany(root, 20, () => 100);
  const { nodes } = await startChain(t, 1, root.path);
  let held = Buffer.alloc(0);
  const via = await startGate(t, nodes[0] as RunningNode, (bytes, on) => {
    const before = countRequests(held);
    held = Buffer.concat([held, bytes]);
    assert.ok(before >= 16 || countRequests(held) <= 16);
    if (before >= 16) on(bytes);
    else if (countRequests(held) === 16) on(held);
  });
  const limits = { openMs: 3000, probeMs: 500, maxFilesAhead: 8 };
  await downloadFiles({ routes: parseVia(via, 'any').routes, files, output: out.path, limits });
  await assertEqual(root, out, files);
});

test('names that would meet on disk, and an output that is no directory, are refused at once', async (t) => {
  const out = await makeTempRoot(t);
  const { routes } = parseVia('127.0.0.1:1', 'any');
  const both = { routes, files: ['a/x', 'b/x'], output: out.path };
  await assert.rejects(downloadFiles(both), { code: 'USAGE_INVALID', message: /"a\/x" and "b\/x" would both/ });
  await assert.rejects(downloadFiles({ ...both, files: ['../x'] }), { code: 'ROUTE_SYNTAX' });
  await mkdir(path.join(out.path, 'dir'));
  await out.writeRandom('none', 1);
  const nowhere = { routes, files: ['x', 'y'], output: path.join(out.path, 'none') };
  await assert.rejects(downloadFiles(nowhere), { code: 'DISK_FAILED', message: /need a directory/ });
  const fresh = { ...nowhere, output: path.join(out.path, 'fresh') };
  const [first] = await downloadFiles(fresh);
  assert.equal(first && 'error' in first && first.error?.code, 'PEER_UNREACHABLE');
  assert.deepEqual(await out.list(), ['dir', 'fresh', 'none']);
});

test('large files of several go on where they stopped, without a byte twice', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const size = 9 * 1_048_576;
  const files = ['one.bin', 'two.bin'];
  for (const file of files) await root.writeRandom(file, size);
  const chain = await startChain(t, 2, root.path);
  const { routes } = chain.route('any');
  const limits = { maxReadsAhead: 2 };
  const stop = new AbortController();
  const onEvent = (event: FilesEvent) => event.kind === 'progress' && event.bytes > 5_000_000 && stop.abort();
  await downloadFiles({ routes, files, output: out.path, onEvent, limits, signal: stop.signal });
  const served = () => chain.nodes[1]?.stats().bytesServed ?? 0;
  await until(() => chain.nodes.every((node) => node.stats().open === 0));
  const before = served();
  const outcomes = await downloadFiles({ routes, files, output: out.path, limits });
  const resumed = outcomes.reduce((sum, { result }) => sum + (result?.resumedBytes ?? 0), 0);
  assert.ok(resumed >= 4 * 1_048_576, `${resumed} bytes were there`);
  assert.equal(served() - before, 2 * size - resumed);
  for (const file of files) {
    assert.equal((await readFile(path.join(root.path, file))).equals(await readFile(path.join(out.path, file))), true);
  }
  assert.deepEqual(await out.list(), files);
});
