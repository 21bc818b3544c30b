/** The programs, with somebody in between, or at the other end, who breaks the rules of encrypted circuits. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { createKeyFile } from '../../../src/secure/keys/key-file.ts';
import { nodeAead } from '../../../src/secure/records/aead.ts';
import { encodeRecordHeader, maxClientContent, RecordSealer, recordKinds } from '../../../src/secure/records/record.ts';
import { newKey } from '../../../src/wire/keys/key.ts';
import { receiveAll, startPeer } from '../../support/chain.ts';
import { firstMessage } from '../../support/first-message.ts';
import { startProgram } from '../../support/program.ts';
import { byRecord, flip, startTamperer } from '../../support/tamper.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const mib = 1024 * 1024;
const skip = process.platform === 'win32';

/** A node of a key with a file of 8 pieces, and a client with a key that may have it. */
async function startBoth(t: TestContext) {
  const root = await makeTempRoot(t);
  const content = await root.writeRandom('files/here.bin', 8 * mib);
  const inRoot = (name: string) => path.join(root.path, name);
  const key = (await createKeyFile(inRoot('node.key'), new Date())).public;
  const own = (await createKeyFile(inRoot('own.key'), new Date())).public;
  const writeKeys = (text: string) => writeFile(inRoot('keys'), text, { mode: 0o600 });
  await writeKeys(`all ${own.text}\nall anonymous\n`);
  const flags = ['--root', 'files', '--identity', 'node.key', '--authorized-keys', 'keys'];
  const node = startProgram(t, ['node', '--listen', '127.0.0.1:0', ...flags], { cwd: root.path });
  const port = Number(/listening on .*:(\d+)\n/.exec(await node.saw(/serves .*\n/))?.[1]);
  const start = (via: string, flags: readonly string[] = []) => {
    const args = ['get', '--via', via, 'here.bin', '-o', 'got', '--json', '--identity', 'own.key', ...flags];
    return startProgram(t, args, { cwd: root.path, env: { XDG_CONFIG_HOME: root.path } });
  };
  const get = async (via: string, flags: readonly string[] = []) => {
    const { code, stdout, stderr } = await start(via, flags).finished;
    const last = JSON.parse(stdout.trim().split('\n').at(-1) || '{}') as Record<string, unknown>;
    return { exit: code, code: last.code, message: String(last.message), all: stdout + stderr };
  };
  return { root, content, key, own, node, port, start, get, writeKeys, inRoot };
}

type Alter = Parameters<typeof byRecord>[0];

const at = (place: number, alter: (record: Buffer) => readonly Buffer[] | null): Alter => {
  return (record, index) => (index === place ? alter(record) : [record]);
};
const flipped = (place: number) => (record: Buffer) => {
  flip(record, place < 0 ? record.length + place : place);
  return [record];
};
const swapped = (): Alter => {
  let held: Buffer | undefined;
  return (record, index) => {
    if (index === 12) held = record;
    if (index === 12) return [];
    return index === 13 && held ? [record, held] : [record];
  };
};
const forgedEnd = () => [encodeRecordHeader({ kind: 3, pattern: 0, length: 16 }), randomBytes(16)];

/** On each circuit, and what comes of it: the answer is record 0; before the first piece nothing can be gone on with, behind some it can. */
const alterations: readonly (readonly [what: string, make: () => Alter, exit: 0 | 7])[] = [
  ['an answer that was changed', () => at(0, flipped(50)), 7],
  ['content that was changed', () => at(1, flipped(100)), 7],
  ['a tag that was changed', () => at(1, flipped(-1)), 7],
  ['another kind', () => at(1, flipped(1)), 7],
  ['a reserved byte', () => at(1, flipped(3)), 7],
  ['a length beyond all', () => at(1, flipped(4)), 7],
  ['an end that was made up', () => at(1, forgedEnd), 7],
  ['a record less', () => at(12, () => []), 0],
  ['a record twice', () => at(12, (record) => [record, record]), 0],
  ['two records that changed places', swapped, 0],
  ['half a record, and no more', () => at(12, () => null), 0],
];

test('with records that somebody in between has altered, a file comes right or does not come at all', {
  skip,
}, async (t) => {
  const { content, key, port, get, inRoot } = await startBoth(t);
  const tryOne = async ([what, make, exit]: (typeof alterations)[number], index: number) => {
    let altered = 0;
    const between = await startTamperer(t, port, () => {
      const alter = make();
      return {
        back: byRecord((record, place) => {
          const parts = alter(Buffer.from(record), place);
          if (parts?.length !== 1 || !parts[0]?.equals(record)) altered += 1;
          return parts;
        }),
      };
    });
    const got = await get(`${between}#${key.text}`, ['--retry', '5', '-o', `got-${index}`]);
    assert.ok(altered > 0, what);
    assert.equal(got.exit, exit, `${what}: ${got.all}`);
    if (exit === 0) assert.ok(content.equals(await readFile(inRoot(`got-${index}`))), what);
    else assert.equal(got.code, 'SECURE_FAILED', what);
  };
  const turns = alterations.map((each, index) => [each, index] as const);
  const goOn = async () => {
    for (let turn = turns.shift(); turn; turn = turns.shift()) await tryOne(...turn);
  };
  await Promise.all([goOn(), goOn(), goOn()]);
});

test('a record of another circuit is of no use, nor is one of the client that was changed', { skip }, async (t) => {
  const { root, key, port, get, node } = await startBoth(t);
  const old: Buffer[] = [];
  const noted = (record: Buffer) => {
    old.push(record);
    return [record];
  };
  const keep = await startTamperer(t, port, () => ({ back: byRecord(at(1, noted)) }));
  assert.equal((await get(`${keep}#${key.text}`)).exit, 0);
  const again = await startTamperer(t, port, () => ({ back: byRecord(at(1, () => old)) }));
  const got = await get(`${again}#${key.text}`, ['-o', 'other', '--retry', '5']);
  assert.deepEqual([got.exit, got.code], [7, 'SECURE_FAILED'], got.all);
  const forward = await startTamperer(t, port, () => ({ forward: byRecord(at(1, flipped(-1))) }));
  assert.notEqual((await get(`${forward}#${key.text}`, ['-o', 'other', '--retry', '1'])).exit, 0);
  await node.saw(/SECURE_FAILED/);
  assert.ok(!(await root.list()).includes('other'));
});

test('keys that are wrong, unknown, expired or mistyped are told as such', { skip }, async (t) => {
  const { key, own, port, get, node, writeKeys, inRoot } = await startBoth(t);
  const via = `127.0.0.1:${port}#${key.text}`;
  const other = await get(`127.0.0.1:${port}#${newKey().key.public.text}`);
  assert.deepEqual([other.exit, other.code], [14, 'KEY_CHANGED'], other.all);
  const mistyped = `${key.text.slice(0, 20)}${key.text[20] === 'q' ? 'p' : 'q'}${key.text.slice(21)}`;
  const typed = await get(`127.0.0.1:${port}#${mistyped}`);
  assert.deepEqual([typed.exit, typed.code], [2, 'KEY_INVALID'], typed.all);
  assert.match(typed.message, /a character is wrong: checksum, the 21st character/);
  await chmod(inRoot('own.key'), 0o644);
  const open = await get(via);
  assert.deepEqual([open.exit, open.code], [2, 'KEY_INVALID'], open.all);
  assert.match(open.message, /own\.key has mode 0644/);
  await chmod(inRoot('own.key'), 0o600);
  for (const [lines, why] of [
    [`all ${newKey().key.public.text}\n`, 'is not among the authorized keys'],
    [`all,expires="2001-01-01" ${own.text}\n`, 'has expired'],
  ] as const) {
    await writeKeys(lines);
    node.child.kill('SIGHUP');
    let got = await get(via, ['-f']);
    // The program is told by a signal, which comes when it comes.
    for (let count = 0; got.exit === 0 && count < 50; count += 1) got = await get(via, ['-f']);
    assert.deepEqual([got.exit, got.code], [5, 'AUTH_DENIED'], got.all);
    await node.saw(new RegExp(why));
  }
});

test('a key that is taken away in the middle of a transfer ends it', { skip }, async (t) => {
  const { own, key, port, start, node, writeKeys, root } = await startBoth(t);
  await writeKeys(`all,limit-rate="1M" ${own.text}\n`);
  node.child.kill('SIGHUP');
  await node.saw(/(authorized keys read.*){2}/s);
  const got = start(`127.0.0.1:${port}#${key.text}`, ['--retry', '2']);
  await got.saw(/"bytes":[1-9]/);
  await writeKeys(`all anonymous\n`);
  node.child.kill('SIGHUP');
  const { code, stdout } = await got.finished;
  assert.equal(code, 5, stdout);
  assert.match(stdout, /"AUTH_DENIED"/);
  assert.ok(!(await root.list()).includes('got'));
});

/** RFC 7748, section 6.1 and the numbers beyond the prime: with each, every secret gives the same. */
const lowOrder = [
  '00'.repeat(32),
  `01${'00'.repeat(31)}`,
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  `ec${'ff'.repeat(30)}7f`,
  `ed${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(30)}7f`,
].map((text) => Buffer.from(text, 'hex'));

test('points of low order are refused at both ends, and so are lengths that no record has', { skip }, async (t) => {
  const { key, port, get, node, inRoot } = await startBoth(t);
  const hops = [`127.0.0.1:${port}`];
  const send = async (bytes: Buffer) => {
    const socket = net.connect({ host: '127.0.0.1', port });
    socket.on('error', () => {});
    t.after(() => socket.destroy());
    const received = receiveAll(socket);
    socket.write(bytes);
    return { socket, received };
  };
  for (const point of lowOrder) {
    const { bytes } = firstMessage({ hops, node: key, requests: [] });
    const place = bytes.indexOf(Buffer.of(0xfe, 1, 0, 0)) + 8;
    point.copy(bytes, place);
    const { received } = await send(bytes);
    assert.match((await received).toString('latin1'), /"code":"SECURE_FAILED"/, point.toString('hex'));
  }
  for (const length of [0, 1, 15, maxClientContent + 17, 2 ** 31, 2 ** 32 - 1]) {
    const { bytes, handshake } = firstMessage({ hops, node: key, requests: [] });
    const { socket, received } = await send(bytes);
    const answer = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
    handshake.read(answer.subarray(8, 8 + answer.readUInt32BE(4)));
    const sealer = new RecordSealer({ aead: nodeAead, key: handshake.split().send, maxContent: maxClientContent });
    socket.write(Buffer.from(sealer.seal([])));
    socket.write(encodeRecordHeader({ kind: recordKinds.data, pattern: 0, length }));
    await received;
  }
  assert.equal((await get(`${hops[0]}#${key.text}`)).exit, 0, 'the node goes on');

  for (const point of lowOrder.slice(0, 3)) {
    const answer = Buffer.concat([encodeRecordHeader({ kind: 2, pattern: 0, length: 112 }), point, randomBytes(80)]);
    const liar = await startPeer(t, (socket) => void socket.once('data', () => socket.write(answer)));
    const got = await get(`${liar.address}#${key.text}`, ['-o', inRoot('other'), '--retry', '0']);
    assert.deepEqual([got.exit, got.code], [7, 'SECURE_FAILED'], got.all);
  }
  node.child.kill('SIGTERM');
  const { stderr } = await node.finished;
  assert.match(stderr, /SECURE_FAILED/);
  assert.doesNotMatch(stderr, /TIMEOUT_|INTERNAL|PEER_LOST/);
});

test('a node that knows no encryption, named as the end, is told from one that does, and gets nothing in plain', {
  skip,
}, async (t) => {
  const { key, root, get, inRoot } = await startBoth(t);
  await mkdir(inRoot('home'));
  const plain = startProgram(t, ['node', '--listen', '127.0.0.1:0', '--root', 'files', '--log-level', 'debug'], {
    cwd: root.path,
    env: { XDG_STATE_HOME: inRoot('home') },
  });
  const port = Number(/listening on .*:(\d+)\n/.exec(await plain.saw(/serves .*\n/))?.[1]);
  const got = await get(`127.0.0.1:${port}#${key.text}`, ['--retry', '1']);
  assert.deepEqual([got.exit, got.code], [14, 'KEY_CHANGED'], got.all);
  assert.match(got.message, /says that it has none/);
  assert.ok(!(await readdir(root.path)).includes('got'));
  plain.child.kill('SIGTERM');
  assert.ok(!(await plain.finished).stderr.includes('here.bin'));
});
