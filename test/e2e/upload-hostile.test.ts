import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  lstat,
  mkdir,
  open as openFile,
  readdir,
  readFile,
  readlink,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ErrorCode, NodeOptions, RunningNode } from '../../src/index.ts';
import { loadDiskCalls } from '../../src/io/kernel/libc.ts';
import type { Message } from '../../src/wire/native/messages.ts';
import { startChain, until } from '../support/chain.ts';
import { openCircuit, sha256 } from '../support/circuits.ts';
import { hasNamelessFiles, makeTempRoot } from '../support/temp-root.ts';

const short = { headMs: 300, lingerMs: 100 };
const pieceBytes = 1024;
const bytes = randomBytes(3 * pieceBytes + 1);
const upload = '0'.repeat(32);

type Put = Extract<Message, { type: 'put' }>;

const put: Put = {
  type: 'put',
  name: 'a.bin',
  size: bytes.length,
  pieceBytes,
  version: 'v1',
  upload,
  digests: ['sha256'],
};

function piece(index: number): Buffer {
  return bytes.subarray(index * pieceBytes, (index + 1) * pieceBytes);
}

function write(index: number): Message {
  return { type: 'write', index, digest: sha256(piece(index)) };
}

async function startOrigin(t: TestContext, options: Partial<NodeOptions> = {}) {
  const outer = await makeTempRoot(t);
  const root = path.join(outer.path, 'root');
  await mkdir(root);
  await writeFile(path.join(outer.path, 'secret'), 'untouched');
  const { nodes } = await startChain(t, 1, root, { uploads: {}, limits: short, ...options });
  const [node] = nodes as [RunningNode];
  const open = (requests: readonly Message[]) => openCircuit(t, [node], requests);
  const list = async () => ((await readdir(root, { recursive: true })) as string[]).sort();
  const refused = async (request: Message, code: ErrorCode) => {
    const circuit = await open([request]);
    await assert.rejects(circuit.receive('ready'), { code, hop: 1 }, JSON.stringify(request));
    await circuit.close();
  };
  return { outer: outer.path, root, node, open, list, refused };
}

/** Sends all pieces and COMMIT, and takes the answers. */
async function finish(circuit: Awaited<ReturnType<typeof openCircuit>>, indexes: readonly number[] = [0, 1, 2, 3]) {
  for (const index of indexes) {
    await circuit.sendPiece([write(index)], piece(index));
    assert.deepEqual(await circuit.receive('stored'), { type: 'stored', index });
  }
  circuit.send([{ type: 'commit' }]);
  return circuit.receive('committed');
}

test('pieces may come in any order, all at once, with other requests among them, and twice', async (t) => {
  const { open, root, node } = await startOrigin(t);
  const circuit = await open([{ type: 'ping' }, put, { type: 'ping' }]);
  await circuit.receive('pong');
  assert.deepEqual(await circuit.receive('ready'), { type: 'ready', digest: 'sha256', missing: [[0, 4]], ahead: true });
  await circuit.receive('pong');
  for (const index of [3, 1, 1, 0, 2]) void circuit.sendPiece([write(index)], piece(index));
  circuit.send([{ type: 'ping' }, { type: 'stat', name: 'a.bin', digests: ['sha256'] }, { type: 'commit' }]);
  for (const index of [3, 1, 1, 0, 2]) assert.deepEqual(await circuit.receive('stored'), { type: 'stored', index });
  await circuit.receive('pong');
  await assert.rejects(circuit.receive('status'), { code: 'FILE_NOT_FOUND' });
  assert.deepEqual(await circuit.receive('committed'), { type: 'committed', replaced: false });
  assert.deepEqual(await readFile(path.join(root, 'a.bin')), bytes);
  circuit.send([
    { type: 'stat', name: 'a.bin', digests: ['sha256'] },
    { ...put, name: 'b.bin', size: 0 },
  ]);
  assert.equal((await circuit.receive('status')).size, bytes.length);
  assert.deepEqual((await circuit.receive('ready')).missing, []);
  circuit.send([{ type: 'commit' }]);
  await circuit.receive('committed');
  assert.equal((await lstat(path.join(root, 'b.bin'))).size, 0);
  assert.equal(node.stats().uploaded, 2);
});

const wrong: readonly (readonly [what: string, change: Partial<Put>, code: ErrorCode])[] = [
  ['pieces that are too small', { pieceBytes: 1023 }, 'PEER_PROTOCOL'],
  ['pieces that are too large', { pieceBytes: 16 * 1024 * 1024 + 1 }, 'PEER_PROTOCOL'],
  ['too many pieces', { size: 1024 * 262_144 + 1 }, 'PEER_PROTOCOL'],
  ['the largest size there is', { size: Number.MAX_SAFE_INTEGER, pieceBytes: 16 * 1024 * 1024 }, 'PEER_PROTOCOL'],
  ['no digest that is known', { digests: ['md5'] }, 'PEER_PROTOCOL'],
  ['a name that climbs', { name: '../secret' }, 'FILE_DENIED'],
  ['a name that climbs on its way', { name: 'a/../../secret' }, 'FILE_DENIED'],
  ['an absolute name', { name: '/tmp/x' }, 'FILE_DENIED'],
  ['no name', { name: '' }, 'FILE_DENIED'],
  ['the root itself', { name: '.' }, 'FILE_DENIED'],
  ['a directory', { name: 'a/' }, 'FILE_DENIED'],
  ['a directory by its dot', { name: 'a/.' }, 'FILE_DENIED'],
  ['a control character', { name: 'a\u001b[2J' }, 'FILE_DENIED'],
  ['a NUL', { name: 'a\0' }, 'FILE_DENIED'],
  ['a part of a name that is too long', { name: `${'x'.repeat(256)}/a` }, 'FILE_DENIED'],
  ['the name of a part file', { name: '.b.part' }, 'FILE_DENIED'],
  ['the name of a journal', { name: 'c/.B.Part.Journal' }, 'FILE_DENIED'],
  ['the name of a journal that is being written', { name: '.b.part.journal.new' }, 'FILE_DENIED'],
  ['a directory that has the name of a part file', { name: '.b.part/a' }, 'FILE_DENIED'],
];
for (const [what, change, code] of wrong) {
  test(`a PUT with ${what} is refused with ${code} and leaves nothing`, async (t) => {
    const { refused, list, outer, node } = await startOrigin(t);
    await refused({ ...put, ...change }, code);
    assert.deepEqual(await list(), []);
    assert.deepEqual((await readdir(outer)).sort(), ['root', 'secret']);
    assert.equal(await readFile(path.join(outer, 'secret'), 'utf8'), 'untouched');
    assert.deepEqual(node.stats().failures, { [code]: 1 });
  });
}

test('a PUT of more bytes than the disk has is refused before anything is reserved', async (t) => {
  const { refused, list } = await startOrigin(t, { limits: { ...short, maxUploadPieces: Number.MAX_SAFE_INTEGER } });
  for (const name of ['a.bin', 'made/for/nothing']) await refused({ ...put, name, size: 2 ** 52 }, 'DISK_FULL');
  assert.deepEqual(await list(), []);
});

test('a link out of the root is followed neither by a directory on the way nor by the file itself', {
  skip: process.platform === 'win32',
}, async (t) => {
  const { refused, root, outer, open } = await startOrigin(t, { uploads: { force: true } });
  await symlink('..', path.join(root, 'up'));
  await symlink('../outside', path.join(root, 'dangling'));
  await symlink('../secret', path.join(root, 'link'));
  for (const name of ['up/new', 'up/root/new', 'up/a/b/new']) await refused({ ...put, name }, 'FILE_DENIED');
  await refused({ ...put, name: 'dangling/new' }, 'DISK_FAILED');
  await refused({ ...put, name: 'link' }, 'DISK_EXISTS');
  const circuit = await open([{ ...put, name: 'link', force: true }]);
  await circuit.receive('ready');
  assert.deepEqual(await finish(circuit), { type: 'committed', replaced: true });
  assert.ok((await lstat(path.join(root, 'link'))).isFile());
  assert.equal(await readFile(path.join(outer, 'secret'), 'utf8'), 'untouched');
  assert.deepEqual((await readdir(outer)).sort(), ['root', 'secret']);
});

test('a file on the way, and a directory at the end, are no place for an upload', async (t) => {
  const { refused, root } = await startOrigin(t, { uploads: { force: true } });
  await writeFile(path.join(root, 'file'), '');
  await mkdir(path.join(root, 'folder'));
  await refused({ ...put, name: 'file/a' }, 'DISK_FAILED');
  await refused({ ...put, name: 'file/a/b' }, 'DISK_FAILED');
  await refused({ ...put, name: 'folder', force: true }, 'DISK_EXISTS');
});

const pastTheEnd: Message = { type: 'write', index: 4, digest: sha256(piece(0)) };
const outOfTurn: readonly (readonly [what: string, requests: readonly Message[]])[] = [
  ['a WRITE without a PUT', [write(0)]],
  ['a COMMIT without a PUT', [{ type: 'commit' }]],
  ['a WRITE of a piece past the end behind a PUT that was refused', [{ ...put, name: '../x' }, pastTheEnd]],
  ['a COMMIT with pieces missing', [put, { type: 'commit' }]],
  ['a piece past the end', [put, pastTheEnd]],
  ['a piece far past the end', [put, { type: 'write', index: Number.MAX_SAFE_INTEGER, digest: sha256(piece(0)) }]],
  ['a piece of an empty file', [{ ...put, size: 0 }, write(0)]],
];
for (const [what, requests] of outOfTurn) {
  test(`${what} is refused and ends the circuit`, async (t) => {
    const { open, list, node } = await startOrigin(t);
    const circuit = await open(requests);
    if (requests[0]?.type === 'put' && requests[0].name === put.name) await circuit.receive('ready');
    if (requests[0]?.type === 'put' && requests[0].name !== put.name) {
      await assert.rejects(circuit.receive('ready'), { code: 'FILE_DENIED' });
    }
    await assert.rejects(circuit.receive('stored'), { code: 'PEER_PROTOCOL' });
    await circuit.close();
    await until(() => node.stats().open === 0);
    assert.deepEqual(await list(), []);
  });
}

test('a piece with other bytes than its digest says is refused, and may be sent again', async (t) => {
  const { open, root } = await startOrigin(t);
  const circuit = await open([put]);
  await circuit.receive('ready');
  await circuit.sendPiece([write(1)], piece(0));
  await circuit.sendPiece([write(0)], piece(0));
  await circuit.sendPiece([{ type: 'write', index: 2, digest: 'ab'.repeat(16) }], piece(2));
  await assert.rejects(circuit.receive('stored'), { code: 'HASH_MISMATCH', hop: 1 });
  assert.equal((await circuit.receive('stored')).index, 0);
  await assert.rejects(circuit.receive('stored'), { code: 'HASH_MISMATCH', hop: 1 });
  await finish(circuit, [3, 2, 1]);
  assert.deepEqual(await readFile(path.join(root, 'a.bin')), bytes);
});

test('a piece that is too short, and a client that ends in the middle of one, keep what came before', async (t) => {
  const { open, list, node } = await startOrigin(t, { limits: { ...short, idleMs: 800 } });
  for (const end of ['stall', 'close'] as const) {
    const circuit = await open([put]);
    const { missing } = await circuit.receive('ready');
    assert.deepEqual(missing, end === 'stall' ? [[0, 4]] : [[1, 3]]);
    const index = end === 'stall' ? 0 : 3;
    await circuit.sendPiece([write(index)], piece(index));
    await circuit.receive('stored');
    await circuit.sendPiece([write(1)], piece(1).subarray(0, 100));
    if (end === 'stall') await assert.rejects(circuit.receive('stored'), { code: /TIMEOUT_IDLE|PEER_LOST/ });
    await circuit.close();
    await until(() => node.stats().open === 0);
    assert.deepEqual(await list(), ['.a.bin.part', '.a.bin.part.journal']);
  }
  const circuit = await open([put]);
  assert.deepEqual((await circuit.receive('ready')).missing, [[1, 2]]);
  await finish(circuit, [1, 2]);
  assert.deepEqual(await list(), ['a.bin']);
});

test('the same upload over another circuit takes over from the one that the node still holds', async (t) => {
  const { open, root, node } = await startOrigin(t, { limits: { ...short, idleMs: 60_000 } });
  const first = await open([put]);
  await first.receive('ready');
  await first.sendPiece([write(2)], piece(2));
  await first.receive('stored');
  const stranger = await open([{ ...put, upload: '1'.repeat(32) }]);
  await assert.rejects(stranger.receive('ready'), { code: 'DISK_BUSY', hop: 1 });
  const second = await open([put]);
  assert.deepEqual((await second.receive('ready')).missing, [
    [0, 2],
    [3, 1],
  ]);
  await assert.rejects(first.receive('stored'), { code: 'PEER_LOST' });
  await finish(second, [0, 1, 3]);
  assert.deepEqual(await readFile(path.join(root, 'a.bin')), bytes);
  assert.equal(node.stats().failures.DISK_BUSY, 1);
});

test('of a small file there is nothing before its COMMIT, and what was left or stands under its name is dealt with', async (t) => {
  const { open, root, list } = await startOrigin(t);
  const content = piece(0);
  const small = { ...put, name: 'made/s.bin', size: content.length } as const;
  const begin = async (request: Message) => {
    const circuit = await open([request]);
    assert.deepEqual((await circuit.receive('ready')).missing, [[0, 1]]);
    await circuit.sendPiece([write(0)], content);
    await circuit.receive('stored');
    return circuit;
  };
  const isHeld = hasNamelessFiles(root);
  const given = await begin(small);
  if (isHeld) assert.deepEqual(await list(), ['made']);
  await given.close();
  await until(async () => (await list()).length === 0);

  const taken = await begin(small);
  await writeFile(path.join(root, 'made/s.bin'), 'somebody was faster');
  taken.send([{ type: 'commit' }]);
  await assert.rejects(taken.receive('committed'), { code: 'DISK_EXISTS' });
  assert.equal(await readFile(path.join(root, 'made/s.bin'), 'utf8'), 'somebody was faster');

  await writeFile(path.join(root, '.t.bin.part'), 'left by a node that was killed', { mode: 0o600 });
  const last = await begin({ ...small, name: 't.bin' });
  last.send([{ type: 'commit' }]);
  await last.receive('committed');
  assert.deepEqual(await list(), ['made', 'made/s.bin', 't.bin']);
  assert.deepEqual(await readFile(path.join(root, 't.bin')), content);
});

test('a COMMIT is answered once more to whoever asks under the same number, and to nobody else', async (t) => {
  const { open } = await startOrigin(t);
  const first = await open([put]);
  await first.receive('ready');
  await finish(first);
  const again = await open([put, { type: 'commit' }]);
  assert.deepEqual((await again.receive('ready')).missing, []);
  assert.deepEqual(await again.receive('committed'), { type: 'committed', replaced: false });
  const stranger = await open([{ ...put, upload: '1'.repeat(32) }]);
  await assert.rejects(stranger.receive('ready'), { code: 'DISK_EXISTS' });
  // Nothing of these has come, whatever their number says.
  for (const another of [{ size: bytes.length + 1 }, { size: 2 ** 40, pieceBytes: 16 * 2 ** 20 }, { version: 'v2' }]) {
    const other = await open([{ ...put, ...another }]);
    await assert.rejects(other.receive('ready'), { code: 'DISK_EXISTS' }, JSON.stringify(another));
  }
  const elsewhere = await open([{ ...put, name: 'b.bin' }]);
  assert.deepEqual((await elsewhere.receive('ready')).missing, [[0, 4]]);
});

test('an upload that sends PINGs in the place of content gives way to one that works', async (t) => {
  const limits = { maxUploads: 8, maxPeerUploads: 8, yieldMs: 50 };
  const { open, list, node } = await startOrigin(t, { limits: { ...short, ...limits } });
  const silent = await Promise.all(
    Array.from({ length: 8 }, async (_, index) => {
      const circuit = await open([{ ...put, name: `made/silent${index}`, upload: String(index).padStart(32, '0') }]);
      await circuit.receive('ready');
      circuit.send([{ type: 'ping' }]);
      await circuit.receive('pong');
      return circuit;
    }),
  );
  const ended = silent.map((circuit) => circuit.receive('stored').catch(({ code }) => code));
  const working = await open([{ ...put, upload: 'f'.repeat(32) }]);
  await working.receive('ready');
  assert.equal((await finish(working)).type, 'committed');
  assert.equal(await Promise.race(ended), 'TIMEOUT_IDLE');
  await Promise.all(silent.map((circuit) => circuit.close()));
  await until(() => node.stats().open === 1);
  assert.deepEqual(await list(), ['a.bin'], 'what was reserved and made for them is gone');
});

test('an upload that lost its place lets go of its file, however long its client takes over another answer', async (t) => {
  const { open, root, node } = await startOrigin(t, { limits: { ...short, stallMs: 200 } });
  await writeFile(path.join(root, 'large'), '');
  await truncate(path.join(root, 'large'), 64 * 1024 * 1024);
  const length = 1024 * 1024;
  const idle = await open([put]);
  await idle.receive('ready');
  // Far more than the system takes for a client that does not read.
  idle.send([
    { type: 'stat', name: 'large', digests: ['sha256'] },
    { type: 'read', offset: 0, length, more: 63 },
  ]);
  await until(() => node.stats().open === 0);
  const next = await open([{ ...put, upload: '1'.repeat(32) }]);
  await next.receive('ready');
  await finish(next);
});

test('uploads that bring one piece and go leave the disk all but that, and can be gone on with', {
  skip: !loadDiskCalls().deallocate && 'nothing is set aside',
}, async (t) => {
  const mib = 1024 * 1024;
  const { open, node, root } = await startOrigin(t, { limits: { ...short, idleMs: 20_000 } });
  const large = randomBytes(16 * mib);
  const part = (index: number) => large.subarray(index * mib, (index + 1) * mib);
  const send = (circuit: Awaited<ReturnType<typeof open>>, index: number) =>
    circuit.sendPiece([{ type: 'write', index, digest: sha256(part(index)) }], part(index));
  const request = { ...put, size: large.length, pieceBytes: mib };
  const taken = async (name: string) => ((await lstat(path.join(root, `.${name}.part`))).blocks ?? 0) * 512;
  const names = ['a', 'b', 'c', 'd'];
  for (const name of names) {
    const circuit = await open([{ ...request, name }]);
    await circuit.receive('ready');
    assert.ok((await taken(name)) >= large.length, 'the space is set aside while the circuit is there');
    await send(circuit, 3);
    await circuit.receive('stored');
    await circuit.close();
  }
  await until(() => node.stats().open === 0);
  for (const name of names) assert.ok((await taken(name)) < 2 * mib, `${await taken(name)} bytes are held`);
  const circuit = await open([{ ...request, name: 'a' }]);
  const { missing } = await circuit.receive('ready');
  assert.deepEqual(missing, [
    [0, 3],
    [4, 12],
  ]);
  const indexes = Array.from(large.subarray(0, 16).keys()).filter((index) => index !== 3);
  const sending = indexes.map((index) => send(circuit, index));
  for (const index of indexes) assert.equal((await circuit.receive('stored')).index, index);
  await Promise.all(sending);
  circuit.send([{ type: 'commit' }]);
  await circuit.receive('committed');
  assert.ok((await readFile(path.join(root, 'a'))).equals(large));
});

test('an upload beyond the share of reserved bytes is taken without space set aside', async (t) => {
  const size = 4 * 1024 * 1024;
  const limits = { ...short, maxPeerReservedBytes: size, idleMs: 20_000 };
  const { open, root } = await startOrigin(t, { limits });
  const taken = async (name: string) => ((await lstat(path.join(root, `.${name}.part`))).blocks ?? 0) * 512;
  const request = { ...put, size, pieceBytes: 1024 * 1024 };
  for (const name of ['within', 'beyond']) {
    const circuit = await open([{ ...request, name }]);
    await circuit.receive('ready');
  }
  if (loadDiskCalls().fallocate) assert.ok((await taken('within')) >= size);
  assert.ok((await taken('beyond')) < size);
});

test('a second PUT on a circuit ends the first, whose pieces stay', async (t) => {
  const { open, list } = await startOrigin(t);
  const circuit = await open([put]);
  await circuit.receive('ready');
  await circuit.sendPiece([write(0)], piece(0));
  await circuit.receive('stored');
  circuit.send([{ ...put, name: 'b.bin' }]);
  await circuit.receive('ready');
  await finish(circuit);
  circuit.send([put]);
  assert.deepEqual((await circuit.receive('ready')).missing, [[1, 3]]);
  await finish(circuit, [1, 2, 3]);
  assert.deepEqual(await list(), ['a.bin', 'b.bin']);
});

test('a READY holds no more ranges than fit: what does not counts as missing, and may be sent all the same', async (t) => {
  const { open, root, node } = await startOrigin(t, { limits: { ...short, idleMs: 20_000 } });
  const count = 3000;
  const large = randomBytes(count * pieceBytes);
  const part = (index: number) => large.subarray(index * pieceBytes, (index + 1) * pieceBytes);
  const request = { ...put, size: large.length };
  const send = async (circuit: Awaited<ReturnType<typeof open>>, indexes: readonly number[]) => {
    const sending = indexes.map((index) =>
      circuit.sendPiece([{ type: 'write', index, digest: sha256(part(index)) }], part(index)),
    );
    for (const index of indexes) assert.equal((await circuit.receive('stored')).index, index);
    await Promise.all(sending);
  };
  const first = await open([request]);
  await first.receive('ready');
  await send(
    first,
    Array.from({ length: count / 2 }, (_, index) => index * 2),
  );
  await first.close();
  await until(() => node.stats().open === 0);
  const second = await open([request]);
  const { missing } = await second.receive('ready');
  assert.equal(missing.length, 1024);
  assert.deepEqual(missing[0], [1, 1]);
  assert.deepEqual(missing.at(-1), [2047, count - 2047]);
  await send(
    second,
    missing.flatMap(([start, length]) => Array.from({ length }, (_, index) => start + index)),
  );
  second.send([{ type: 'commit' }]);
  await second.receive('committed');
  assert.deepEqual(await readFile(path.join(root, 'a.bin')), large);
});

test('a disk that fails in the middle is told at once, though the client says nothing more, and keeps what it has', {
  skip: process.platform !== 'linux' && 'there is no full device',
}, async (t) => {
  const { open, root, node } = await startOrigin(t, { limits: { ...short, idleMs: 60_000 } });
  const circuit = await open([put]);
  await circuit.receive('ready');
  await circuit.sendPiece([write(0)], piece(0));
  await circuit.receive('stored');
  await fillDisk(path.join(root, '.a.bin.part'));
  await circuit.sendPiece([write(1)], piece(1));
  await assert.rejects(circuit.receive('stored'), { code: 'DISK_FULL', hop: 1, reason: 'ENOSPC' });
  await until(() => node.stats().open === 0);
  const next = await open([put]);
  assert.deepEqual((await next.receive('ready')).missing, [[1, 3]]);
  await finish(next, [1, 2, 3]);
  assert.deepEqual(await readFile(path.join(root, 'a.bin')), bytes);
});

/** Puts a device without room in the place of a file that this process has open. */
async function fillDisk(file: string): Promise<void> {
  const koffi = createRequire(import.meta.url)('koffi');
  const dup2 = koffi.load(null).func('int dup2(int from, int to)');
  for (const fd of await readdir('/proc/self/fd')) {
    if ((await readlink(`/proc/self/fd/${fd}`).catch(() => '')) !== file) continue;
    const full = await openFile('/dev/full', 'r+');
    dup2(full.fd, Number(fd));
    await full.close();
  }
}
