import assert from 'node:assert/strict';
import {
  appendFile,
  type FileHandle,
  mkdir,
  readdir,
  readFile,
  stat,
  symlink,
  truncate,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  type DigestName,
  describeHop,
  download,
  HoplineError,
  type NodeOptions,
  parseVia,
  type RunningNode,
  type UploadEvent,
  type UploadOptions,
  upload,
} from '../../src/index.ts';
import { openPart } from '../../src/io/disk/writing/part.ts';
import { loadDiskCalls } from '../../src/io/kernel/libc.ts';
import { addressOf, startChain, startPeer, until } from '../support/chain.ts';
import { flipAt, startTamperer } from '../support/tamper.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const mib = 1_048_576;
const { lock } = loadDiskCalls();
const short = { idleMs: 1500, openMs: 3000, connectMs: 500, probeMs: 500, lingerMs: 200 };

/** A chain whose origin takes uploads, and a directory with the files to send. */
async function startWritable(t: TestContext, hops: number, options: Partial<NodeOptions> = {}) {
  const root = await makeTempRoot(t);
  const home = await makeTempRoot(t);
  const chain = await startChain(t, hops, root.path, { uploads: {}, ...options });
  const put = (name: string, more: Partial<UploadOptions> = {}) =>
    upload({ source: path.join(home.path, 'data.bin'), route: chain.route(name), ...more });
  const origin = chain.nodes.at(-1) as RunningNode;
  const list = async () => ((await readdir(root.path, { recursive: true })) as string[]).sort();
  return { root: { ...root, list }, home, chain, put, origin };
}

for (const [hops, bytes, kernel] of [
  [1, 0, true],
  [1, 1, true],
  [3, 0, false],
  [3, 5_000_000, true],
  [3, 5_000_000, false],
  [7, mib, true],
] as const) {
  test(`a file of ${bytes} bytes is sent whole through ${hops} hops${kernel ? '' : ', without the kernel path'}`, async (t) => {
    const { root, home, chain, put, origin } = await startWritable(t, hops, { kernel });
    const content = await home.writeRandom('data.bin', bytes);
    const told: UploadEvent[] = [];
    const result = await put('new.bin', { onEvent: (event) => told.push(event) });
    assert.deepEqual(await readFile(path.join(root.path, 'new.bin')), content);
    assert.deepEqual(await root.list(), ['new.bin']);
    const { size, pieces, replaced, resumedBytes, wastedBytes, file } = result;
    assert.deepEqual([file, size, replaced, resumedBytes, wastedBytes], ['new.bin', bytes, false, 0, 0]);
    assert.equal(pieces, Math.ceil(bytes / mib));
    assert.deepEqual(told[0], { kind: 'started', size: bytes, leftBytes: 0 });
    if (bytes > 0) assert.deepEqual(told.at(-1), { kind: 'progress', bytes, size: bytes });
    assert.equal(told.filter(({ kind }) => kind === 'progress').length, pieces);
    await until(() => chain.nodes.every((node) => node.stats().open === 0));
    assert.deepEqual([origin.stats().uploaded, origin.stats().bytesUploaded], [1, bytes]);
  });
}

test('what was sent has the digest that a download of it has', async (t) => {
  const { home, put, chain } = await startWritable(t, 2);
  const out = await makeTempRoot(t);
  await home.writeRandom('data.bin', 2_500_000);
  const sent = await put('new.bin');
  const fetched = await download({ route: chain.route('new.bin'), output: out.path });
  assert.deepEqual(sent.piecesDigest, fetched.piecesDigest);
  assert.match(sent.piecesDigest?.algorithm as DigestName, /blake3|sha256/);
});

test('no node takes uploads unless it is told to', async (t) => {
  const { root, home, put, origin } = await startWritable(t, 2, { uploads: undefined });
  await home.writeRandom('data.bin', 10);
  await assert.rejects(put('new.bin'), (error) => {
    assert.ok(error instanceof HoplineError);
    assert.deepEqual([error.code, error.hop], ['UPLOAD_DENIED', 2]);
    assert.match(error.message, /^hop 2 \(.*\), the origin, does not take "new\.bin": it takes no uploads$/);
    return true;
  });
  assert.deepEqual(await root.list(), []);
  assert.deepEqual(origin.stats().failures, { UPLOAD_DENIED: 1 });
});

test('a file larger than the node takes is denied, and one byte less is not', async (t) => {
  const { root, home, put } = await startWritable(t, 2, { uploads: { maxBytes: 1000 } });
  await home.writeRandom('data.bin', 1001);
  await assert.rejects(put('new.bin'), { code: 'UPLOAD_DENIED', reason: 'EFBIG', message: /larger than it allows/ });
  await home.writeRandom('data.bin', 1000);
  await put('new.bin');
  assert.deepEqual(await root.list(), ['new.bin']);
});

for (const [client, node, replaced] of [
  [false, false, false],
  [true, false, false],
  [false, true, false],
  [true, true, true],
] as const) {
  test(`with force at ${client ? 'the client' : 'no client'} and ${node ? 'the node' : 'no node'}, a file that is there is ${replaced ? 'replaced' : 'kept'}`, async (t) => {
    const { root, home, put } = await startWritable(t, 2, { uploads: { force: node } });
    const content = await home.writeRandom('data.bin', 3_000_000);
    await writeFile(path.join(root.path, 'old.bin'), 'old');
    await put('fresh.bin', { force: client });
    const pending = put('old.bin', { force: client });
    if (replaced) assert.equal((await pending).replaced, true);
    else
      await assert.rejects(pending, { code: 'DISK_EXISTS', hop: 2, message: /hop 2 .* has a file "old\.bin" already/ });
    const expected = replaced ? content : Buffer.from('old');
    assert.deepEqual(await readFile(path.join(root.path, 'old.bin')), expected);
    assert.deepEqual(await root.list(), ['fresh.bin', 'old.bin']);
  });
}

for (const force of [false, true]) {
  test(`a file that is at the origin already, the same, is success${force ? ', where the node replaces none' : ''}`, async (t) => {
    const { root, home, put } = await startWritable(t, 2);
    const content = await home.writeRandom('data.bin', 3_000_000);
    await put('new.bin');
    const before = await stat(path.join(root.path, 'new.bin'), { bigint: true });
    const { alreadyThere, replaced, pieces, piecesDigest, wastedBytes } = await put('new.bin', { force });
    assert.deepEqual([alreadyThere, replaced, pieces, wastedBytes], [true, false, 3, 0]);
    assert.ok(piecesDigest);
    const after = await stat(path.join(root.path, 'new.bin'), { bigint: true });
    assert.deepEqual([after.ino, after.mtimeNs], [before.ino, before.mtimeNs]);
    content[2_999_999] = (content[2_999_999] ?? 0) ^ 1;
    await writeFile(path.join(root.path, 'new.bin'), content);
    await assert.rejects(put('new.bin', { force }), { code: 'DISK_EXISTS', hop: 2 });
    assert.deepEqual(await root.list(), ['new.bin']);
  });
}

test('a file that someone makes while it is uploaded is not overwritten, and the pieces stay', async (t) => {
  const { root, home, put } = await startWritable(t, 2);
  const content = await home.writeRandom('data.bin', 3_000_000);
  const target = path.join(root.path, 'new.bin');
  let made: Promise<void> | undefined;
  const onEvent = (event: UploadEvent) => {
    if (event.kind === 'progress') made ??= writeFile(target, 'theirs');
  };
  await assert.rejects(put('new.bin', { onEvent }), { code: 'DISK_EXISTS', hop: 2 });
  await made;
  assert.equal(await readFile(target, 'utf8'), 'theirs');
  assert.deepEqual(await root.list(), ['.new.bin.part', '.new.bin.part.journal', 'new.bin']);
  await unlink(target);
  const { resumedBytes, piecesDigest } = await put('new.bin');
  assert.equal(resumedBytes, 3_000_000);
  assert.ok(piecesDigest, 'the digest of the pieces is known though nothing was sent');
  assert.deepEqual(await readFile(target), content);
});

test('directories are made on the way, below the root alone', async (t) => {
  const { root, home, put } = await startWritable(t, 1);
  const content = await home.writeRandom('data.bin', 10);
  await mkdir(path.join(root.path, 'there'));
  await symlink('there', path.join(root.path, 'link'));
  await put('a/b/c.bin');
  await put('link/./d//e.bin');
  assert.deepEqual(await readFile(path.join(root.path, 'a/b/c.bin')), content);
  assert.deepEqual(await readFile(path.join(root.path, 'there/d/e.bin')), content);
});

/** Lets a client send about half of a file, and then breaks off. */
async function sendHalf(put: (name: string, more: Partial<UploadOptions>) => Promise<unknown>): Promise<number> {
  const stop = new AbortController();
  let acknowledged = 0;
  const onEvent = (event: UploadEvent) => {
    if (event.kind !== 'progress') return;
    acknowledged = event.bytes;
    if (event.bytes * 2 > event.size) stop.abort();
  };
  await assert.rejects(put('new.bin', { onEvent, signal: stop.signal }), { code: 'INTERRUPTED' });
  return acknowledged;
}

test('an upload that was broken off goes on where it was, and sends nothing again that was acknowledged', async (t) => {
  const { root, home, put, origin } = await startWritable(t, 3);
  const content = await home.writeRandom('data.bin', 40 * mib);
  const acknowledged = await sendHalf(put);
  await until(() => origin.stats().open === 0);
  assert.deepEqual(await root.list(), ['.new.bin.part', '.new.bin.part.journal']);
  const result = await put('new.bin');
  assert.ok(result.resumedBytes >= acknowledged, `${result.resumedBytes} of ${acknowledged}`);
  assert.equal(origin.stats().bytesUploaded, 40 * mib);
  assert.equal(result.wastedBytes, 0);
  assert.deepEqual(await readFile(path.join(root.path, 'new.bin')), content);
  assert.deepEqual(await root.list(), ['new.bin']);
});

test('what is left of another version of the file does not count', async (t) => {
  const { root, home, put, origin } = await startWritable(t, 1);
  await home.writeRandom('data.bin', 40 * mib);
  await sendHalf(put);
  await until(() => origin.stats().open === 0);
  const content = await home.writeRandom('data.bin', 40 * mib);
  assert.equal((await put('new.bin')).resumedBytes, 0);
  assert.deepEqual(await readFile(path.join(root.path, 'new.bin')), content);
  assert.deepEqual(await root.list(), ['new.bin']);
});

test('a source that changes or shrinks while it is sent is an error, and nothing becomes visible', async (t) => {
  const { root, home, put } = await startWritable(t, 2);
  const source = path.join(home.path, 'data.bin');
  for (const change of [() => truncate(source, mib), () => utimes(source, 1, 1), () => appendFile(source, 'x')]) {
    await home.writeRandom('data.bin', 40 * mib);
    let changed: Promise<void> | undefined;
    const onEvent = (event: UploadEvent) => {
      if (event.kind === 'progress') changed ??= change();
    };
    await assert.rejects(put('new.bin', { onEvent, retry: 3 }), {
      code: 'FILE_CHANGED',
      hop: 0,
      message: /data\.bin changed while it was read/,
    });
    await changed;
    assert.ok(!(await root.list()).includes('new.bin'));
  }
});

test('a source that is no regular file, or is not there, is told in one line before anything is opened', async (t) => {
  const { home, put, origin, chain } = await startWritable(t, 1);
  for (const [source, words] of [
    [home.path, /^cannot read .*: it is a directory$/],
    [path.join(home.path, 'none'), /^cannot read .*: there is no such file$/],
    ...(process.platform === 'win32' ? [] : ([['/dev/null', /^cannot read .*: it is not a regular file$/]] as const)),
  ] as const) {
    await assert.rejects(put('new.bin', { source }), { code: 'USAGE_INVALID', message: words });
  }
  await home.writeRandom('data.bin', 1);
  const route = { ...chain.route('x'), file: '../new.bin' };
  await assert.rejects(put('x', { route }), { code: 'ROUTE_SYNTAX', message: /climbs out/ });
  assert.equal(origin.stats().accepted, 0);
});

test('a piece that was damaged on the way is sent again, and the file is right', async (t) => {
  const { root, home, origin } = await startWritable(t, 1);
  const content = await home.writeRandom('data.bin', 5 * mib);
  const via = await startTamperer(t, origin.address.port, { forward: flipAt([mib / 2, 3 * mib]) });
  const retries: number[] = [];
  const onEvent = (event: UploadEvent) => {
    if (event.kind === 'retry') retries.push(event.piece);
  };
  const route = parseVia(via, 'new.bin');
  const result = await upload({ source: path.join(home.path, 'data.bin'), route, onEvent });
  assert.equal(retries.length, 2);
  assert.equal(result.wastedBytes, 2 * mib);
  assert.deepEqual(await readFile(path.join(root.path, 'new.bin')), content);
  assert.deepEqual(origin.stats().failures, { HASH_MISMATCH: 2 });
});

test('a piece that is damaged every time is an error that names it', async (t) => {
  const { root, home, origin } = await startWritable(t, 1);
  await home.writeRandom('data.bin', 3 * mib);
  const everyMib = Array.from({ length: 40 }, (_, index) => index * mib + 700_000);
  const via = await startTamperer(t, origin.address.port, { forward: flipAt(everyMib) });
  const pending = upload({ source: path.join(home.path, 'data.bin'), route: parseVia(via, 'new.bin'), retry: 0 });
  await assert.rejects(pending, {
    code: 'HASH_MISMATCH',
    message: /piece \d was damaged on its way to the origin, 3 times in a row/,
  });
  await until(async () => origin.stats().open === 0);
  assert.deepEqual(await root.list(), []);
});

test('a header that was damaged on the way costs a circuit, and not the upload', async (t) => {
  // The next circuit waits until the one before it has synced what it has, however long that takes.
  const limits = { headMs: 600_000, stallMs: 600_000, connectMs: 600_000, probeMs: 600_000 };
  const { root, home, origin } = await startWritable(t, 1, { limits });
  const content = await home.writeRandom('data.bin', 8 * mib);
  let headers = 0;
  const via = await startTamperer(t, origin.address.port, {
    forward: (bytes) => {
      const place = bytes.indexOf('"type":"write"');
      if (place >= 0) headers += 1;
      if (headers === 3) bytes.writeUInt8(bytes.readUInt8(place) ^ 1, place);
      if (place >= 0 && headers === 3) headers += 1;
      return bytes;
    },
  });
  const route = parseVia(via, 'new.bin');
  const { reroutes } = await upload({ source: path.join(home.path, 'data.bin'), route, retry: 5, limits });
  assert.equal(reroutes, 1);
  assert.deepEqual(await readFile(path.join(root.path, 'new.bin')), content);
});

test('a circuit that is cut is taken up again within the same upload', async (t) => {
  const { root, home, origin } = await startWritable(t, 1);
  const content = await home.writeRandom('data.bin', 30 * mib);
  let passed = 0;
  let cuts = 0;
  const via = await startTamperer(t, origin.address.port, {
    forward: (bytes) => {
      passed += bytes.length;
      if (passed < (cuts + 1) * 8 * mib || cuts === 3) return bytes;
      cuts += 1;
      return null;
    },
  });
  let last = 0;
  let reroutes = 0;
  const onEvent = (event: UploadEvent) => {
    if (event.kind === 'reroute') reroutes += 1;
    if (event.kind !== 'progress') return;
    assert.ok(event.bytes >= last, 'what was acknowledged stays acknowledged');
    last = event.bytes;
  };
  const source = path.join(home.path, 'data.bin');
  const result = await upload({ source, route: parseVia(via, 'new.bin'), onEvent, retry: 5 });
  assert.deepEqual([cuts, result.reroutes, reroutes, last], [3, 3, 3, 30 * mib]);
  assert.deepEqual(await readFile(path.join(root.path, 'new.bin')), content);
});

test('a client that lost only the last word asks for it again, and is told once more', async (t) => {
  const { root, home, origin } = await startWritable(t, 1);
  const content = await home.writeRandom('data.bin', 2 * mib);
  let cuts = 0;
  const via = await startTamperer(t, origin.address.port, {
    back: (bytes) => {
      if (cuts > 0 || !bytes.includes('committed')) return bytes;
      cuts += 1;
      return null;
    },
  });
  const source = path.join(home.path, 'data.bin');
  const result = await upload({ source, route: parseVia(via, 'new.bin') });
  assert.deepEqual([cuts, result.reroutes, result.replaced, result.wastedBytes], [1, 1, false, 0]);
  assert.deepEqual(await readFile(path.join(root.path, 'new.bin')), content);
  assert.deepEqual([origin.stats().uploaded, origin.stats().bytesUploaded], [1, 2 * mib]);
});

test('a file that the node still holds for a circuit that broke is waited for, and then written', {
  skip: !lock && 'this system has no lock to call',
}, async (t) => {
  const { root, home, origin } = await startWritable(t, 1);
  const content = await home.writeRandom('data.bin', 10 * mib);
  const part = path.join(root.path, '.new.bin.part');
  const circuits: net.Socket[] = [];
  let held: Promise<FileHandle> | undefined;
  const via = await startPeer(t, async (near) => {
    circuits.push(near);
    near.on('close', () => far.destroy());
    const far = new net.Socket();
    far.on('error', () => near.destroy()).on('close', () => near.destroy());
    // As if another process of the node had not noticed yet that the first circuit broke.
    if (circuits.length === 2) {
      await until(() => origin.stats().open === 0);
      held = openPart(part, { target: 'new.bin', lock, readOwner: async () => 0, mode: 0o600 });
      await held;
    }
    far.connect(origin.address.port, '127.0.0.1');
    far.pipe(near).pipe(far);
  });
  const codes: string[] = [];
  const onEvent = (event: UploadEvent) => {
    if (event.kind === 'progress') circuits.length === 1 && circuits[0]?.destroy();
    if (event.kind !== 'reroute') return;
    codes.push(event.failure.code);
    if (event.failure.code === 'DISK_BUSY') void held?.then((handle) => handle.close());
  };
  await upload({ source: path.join(home.path, 'data.bin'), route: parseVia(via.address, 'new.bin'), onEvent });
  assert.deepEqual(codes, ['PEER_LOST', 'DISK_BUSY']);
  assert.deepEqual(await readFile(path.join(root.path, 'new.bin')), content);
});

test('an upload whose direction ends in the middle of a piece is a circuit that broke, and goes on over another', async (t) => {
  const { root, home, origin } = await startWritable(t, 1);
  const content = await home.writeRandom('data.bin', 3 * mib);
  let circuits = 0;
  const via = await startPeer(t, (near) => {
    circuits += 1;
    const isFirst = circuits === 1;
    const far = net.connect({ port: origin.address.port, host: '127.0.0.1', allowHalfOpen: true });
    far.on('error', () => near.destroy()).on('close', () => near.destroy());
    near.on('close', () => far.destroy()).on('end', () => far.end());
    let passed = 0;
    near.on('data', (bytes: Buffer) => {
      if (far.writable) far.write(bytes);
      passed += bytes.length;
      // The answers still come: only this direction has ended.
      if (isFirst && passed > 1.5 * mib) far.end();
    });
    far.pipe(near);
  });
  const codes: string[] = [];
  const onEvent = (event: UploadEvent) => {
    if (event.kind === 'reroute') codes.push(event.failure.code);
  };
  await upload({ source: path.join(home.path, 'data.bin'), route: parseVia(via.address, 'new.bin'), onEvent });
  assert.deepEqual(codes, ['PEER_LOST']);
  assert.deepEqual(await readFile(path.join(root.path, 'new.bin')), content);
  assert.deepEqual(origin.stats().failures, { PEER_LOST: 1 });
});

test('an origin that takes no uploads is left for an alternate that does', async (t) => {
  const { root, home, origin } = await startWritable(t, 1);
  const closed = await startChain(t, 1, home.path);
  await home.writeRandom('data.bin', 10);
  const route = parseVia(`${addressOf(closed.nodes[0] as RunningNode)}|${addressOf(origin)}`, 'new.bin');
  const { hops, reroutes } = await upload({ source: path.join(home.path, 'data.bin'), route });
  assert.deepEqual([hops.map(describeHop), reroutes], [[addressOf(origin)], 1]);
  assert.deepEqual(await root.list(), ['new.bin']);
});

test('an upload in which no byte moves any more is an error that names the leg', async (t) => {
  const { home, chain } = await startWritable(t, 2, { limits: { idleMs: 60_000 } });
  await home.writeRandom('data.bin', 20 * mib);
  let passed = 0;
  const swallower = await startTamperer(t, (chain.nodes[1] as RunningNode).address.port, {
    forward: (bytes) => {
      passed += bytes.length;
      return passed > 2 * mib ? Buffer.alloc(0) : bytes;
    },
  });
  const route = parseVia(`${addressOf(chain.nodes[0] as RunningNode)},${swallower}`, 'new.bin');
  const limits = { ...short, idleMs: 400 };
  await assert.rejects(upload({ source: path.join(home.path, 'data.bin'), route, limits, retry: 0 }), {
    code: /^TIMEOUT_/,
    message: /the circuit stalled at leg 2, from hop 1 .* to hop 2 /,
  });
});

test('two clients of the same name: one writes, the other is told so; of other names, both write', async (t) => {
  const { root, home, put } = await startWritable(t, 2);
  const content = await home.writeRandom('data.bin', 30 * mib);
  let second: Promise<unknown> | undefined;
  const onEvent = (event: UploadEvent) => {
    if (event.kind === 'progress') second ??= Promise.allSettled([put('new.bin'), put('other.bin')]);
  };
  await put('new.bin', { onEvent });
  const [same, other] = (await second) as PromiseSettledResult<unknown>[];
  assert.equal(same?.status === 'rejected' && same.reason.code, 'DISK_BUSY');
  assert.match(
    same?.status === 'rejected' && same.reason.message,
    /another upload of "new\.bin" to hop 2 .* is under way/,
  );
  assert.equal(other?.status, 'fulfilled');
  for (const name of ['new.bin', 'other.bin']) assert.deepEqual(await readFile(path.join(root.path, name)), content);
});

test('an upload waits for the place of one that works, and is refused by the name of the limit if that goes on', async (t) => {
  const waits = await startWritable(t, 1, { limits: { maxUploads: 1, yieldMs: 20_000 } });
  await waits.home.writeRandom('data.bin', 3 * mib);
  await Promise.all([waits.put('new.bin'), waits.put('other.bin')]);
  const { home, put } = await startWritable(t, 1, { limits: { maxUploads: 1, yieldMs: 1, minUploadRateBytes: 1 } });
  await home.writeRandom('data.bin', 30 * mib);
  let second: Promise<unknown> | undefined;
  const onEvent = (event: UploadEvent) => {
    if (event.kind === 'progress') second ??= put('other.bin').catch(({ code, reason }) => [code, reason]);
  };
  await put('new.bin', { onEvent });
  assert.deepEqual(await second, ['LIMIT_UPLOADS', 'MAX_UPLOADS']);
  await put('third.bin');
});

test('an unfinished upload is neither served nor to be written by its name, whatever its case', async (t) => {
  const { root, home, put, origin, chain } = await startWritable(t, 1);
  await home.writeRandom('data.bin', 40 * mib);
  await sendHalf(put);
  await until(() => origin.stats().open === 0);
  for (const file of [
    '.new.bin.part',
    '.new.bin.part.journal',
    '.NEW.BIN.PART',
    'a/.x.part/b',
    '.x.part.journal.new',
  ]) {
    const route = { ...chain.route('x'), file };
    await assert.rejects(download({ route, output: home.path }), { code: /FILE_DENIED|ROUTE_SYNTAX/ });
    await assert.rejects(upload({ source: path.join(home.path, 'data.bin'), route }), { code: 'ROUTE_SYNTAX' });
  }
  assert.deepEqual(await root.list(), ['.new.bin.part', '.new.bin.part.journal']);
});

test('a node that stops lets an upload finish', async (t) => {
  const { home, put, origin, root } = await startWritable(t, 1);
  await home.writeRandom('data.bin', 40 * mib);
  let closing: Promise<void> | undefined;
  const onEvent = (event: UploadEvent) => {
    if (event.kind === 'progress') closing ??= origin.close({ graceMs: 20_000 });
  };
  await put('new.bin', { onEvent });
  await closing;
  assert.deepEqual(await root.list(), ['new.bin']);
});

for (const bytes of [0, 2_500_000]) {
  test(`an upload of ${bytes} bytes whose answer to COMMIT is lost looks first, and is success`, async (t) => {
    const { root, home, chain, origin } = await startWritable(t, 1);
    const content = await home.writeRandom('data.bin', bytes);
    let cuts = 0;
    const back = (data: Buffer) => {
      if (!data.includes('"committed"') || cuts > 0) return data;
      cuts += 1;
      return null;
    };
    const port = chain.nodes[0]?.address.port ?? 0;
    const address = await startTamperer(t, port, { back });
    const source = path.join(home.path, 'data.bin');
    const limits = { retryMinMs: 10, retryMaxMs: 50 };
    const result = await upload({ source, route: parseVia([address], 'new.bin'), limits });
    assert.equal(cuts, 1);
    assert.deepEqual([result.size, result.reroutes], [bytes, 1]);
    assert.deepEqual(await readFile(path.join(root.path, 'new.bin')), content);
    assert.deepEqual([origin.stats().uploaded, origin.stats().bytesUploaded], [1, bytes]);
  });
}

test('an origin that takes a file and ends before it is finished, again and again, is not sent it for ever', async (t) => {
  const { root, home, chain } = await startWritable(t, 1);
  await home.writeRandom('data.bin', 4096);
  let cuts = 0;
  const forward = (data: Buffer) => {
    if (!data.includes('"commit"') || cuts === 12) return data;
    cuts += 1;
    return null;
  };
  const address = await startTamperer(t, chain.nodes[0]?.address.port ?? 0, { forward });
  const source = path.join(home.path, 'data.bin');
  const limits = { retryMinMs: 10, retryMaxMs: 50 };
  const sending = upload({ source, route: parseVia([address], 'new.bin'), limits, retry: 2 });
  await assert.rejects(sending, { code: 'PEER_LOST' });
  // That of the first STORED and of the first COMMIT count, none behind them does.
  assert.ok(cuts <= 5, `${cuts} times`);
  await until(() => chain.nodes[0]?.stats().open === 0);
  assert.deepEqual(await root.list(), []);
});

test('what is at the origin is compared by digests that are all asked for before the first comes', async (t) => {
  const { root, home, put, origin } = await startWritable(t, 1);
  await writeFile(path.join(root.path, 'data.bin'), await home.writeRandom('data.bin', 9 * mib + 1));
  const seen: string[] = [];
  const note = (type: string) => (bytes: Buffer) => {
    const frames = bytes.toString('latin1').split(`{"type":"${type}"`).length - 1;
    seen.push(...Array<string>(frames).fill(type));
    return bytes;
  };
  const address = await startTamperer(t, origin.address.port, { forward: note('digest'), back: note('end') });
  const { alreadyThere } = await put('data.bin', { route: parseVia(address, 'data.bin') });
  assert.equal(alreadyThere, true);
  assert.deepEqual(seen, [...Array(10).fill('digest'), ...Array(10).fill('end')]);
});
