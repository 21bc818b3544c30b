/** First messages of encrypted circuits that nobody stands behind: what a node does for them, and for others meanwhile. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { download, type NodeOptions, type RunningNode } from '../../src/index.ts';
import { decodeWelcome } from '../../src/secure/handshake/hello.ts';
import { createKeyFile } from '../../src/secure/keys/key-file.ts';
import { newKey } from '../../src/wire/keys/key.ts';
import { encodeMessage, type Message } from '../../src/wire/native/messages.ts';
import { specGet } from '../secure/independent/spec-peers.ts';
import { addressOf, connectRaw, receiveAll, startChain, until } from '../support/chain.ts';
import { firstMessage } from '../support/first-message.ts';
import { keyed } from '../support/keyed.ts';
import { startProgram } from '../support/program.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const identity = newKey().key;
const own = newKey().key;
const mib = 1024 * 1024;
const stat: Message = { type: 'stat', name: 'here.bin', digests: ['sha256'] };
const read: Message = { type: 'read', offset: 0, length: mib };

/** A node with a file of two pieces. */
async function start(t: TestContext, limits: NodeOptions['limits'] = {}, more: Partial<NodeOptions> = {}) {
  const root = await makeTempRoot(t);
  const content = await root.writeRandom('here.bin', 2 * mib);
  const { nodes, route } = await startChain(t, 1, root.path, { identity, limits, ...more });
  const [node] = nodes as [RunningNode];
  const get = async () => {
    const out = await makeTempRoot(t);
    const result = await download({
      route: keyed(route('here.bin'), identity.public),
      output: out.path,
      identity: own,
    });
    assert.deepEqual([result.size, result.verifiedBy], [content.length, identity.public.text]);
  };
  const asked = { port: node.address.port, hops: [addressOf(node)], node: identity.public.bytes, name: 'here.bin' };
  return {
    root,
    content,
    node,
    get,
    getBySpec: (time?: number) => specGet(time === undefined ? asked : { ...asked, time }),
  };
}

/** Sends bytes to a node; resolves to all that comes back until it closes. */
async function send(t: TestContext, node: RunningNode, bytes: Buffer): Promise<Buffer> {
  const socket = await connectRaw(t, node);
  const received = receiveAll(socket);
  socket.write(bytes);
  const all = await received;
  socket.destroy();
  return all;
}

test('a first message that asks for what may not be early, or for too much, is refused before it is answered', async (t) => {
  const { node, root, get } = await start(t, {}, { uploads: {} });
  const put: Message = {
    type: 'put',
    name: 'new.bin',
    size: 1,
    pieceBytes: mib,
    version: 'v',
    upload: '0'.repeat(32),
    digests: ['sha256'],
  };
  const cases: readonly (readonly Message[])[] = [
    [stat, { type: 'digest', offset: 0, length: mib, version: 'v' }],
    [{ type: 'list', name: '.' }],
    [put],
    [{ type: 'commit' }],
    [stat, ...Array<Message>(16).fill(read)],
    [stat, ...Array<Message>(500).fill(read)],
  ];
  for (const requests of cases) {
    const { bytes } = firstMessage({ hops: [addressOf(node)], node: identity.public, own, requests });
    const answer = await send(t, node, bytes);
    assert.equal(answer[0], 0xff, 'a refusal in plain, and no answer of a handshake');
    assert.match(answer.toString('latin1'), /"code":"PEER_PROTOCOL"/);
    assert.ok(answer.length < 200);
  }
  assert.deepEqual(node.stats().failures, { PEER_PROTOCOL: cases.length });
  assert.deepEqual(await root.list(), ['here.bin']);
  await get();
});

test('a client that ends before it has confirmed, or before it is answered, is gone without a byte of content', async (t) => {
  const { node, get } = await start(t);
  const { bytes } = firstMessage({ hops: [addressOf(node)], node: identity.public, requests: [stat], time: 0 });
  const socket = await connectRaw(t, node);
  const received = receiveAll(socket);
  socket.end(bytes);
  const answer = await received;
  assert.equal(answer[1], 2);
  assert.equal(answer.length, 8 + answer.readUInt32BE(4), 'the answer, and nothing behind it');
  await until(() => node.stats().failures.PEER_LOST === 1);
  const cut = await connectRaw(t, node);
  cut.end(bytes.subarray(0, -1));
  await receiveAll(cut);
  await until(() => node.stats().open === 0);
  await get();
});

test('where no more first messages are remembered, or a clock is off by an hour, a client waits for a trip and gets its file', async (t) => {
  const maxEarly = 3;
  const { node, content, get, getBySpec } = await start(t, { maxEarly });
  const hour = 3_600_000;
  for (const time of [Date.now() - hour, Date.now() + hour]) {
    const { welcome, content: got } = await getBySpec(time);
    assert.equal(welcome.early, false);
    assert.ok(got.equals(content));
  }
  for (let count = 0; count < maxEarly; count += 1) assert.equal((await getBySpec()).welcome.early, true);
  for (let count = 0; count < 2; count += 1) {
    const { welcome, content: got } = await getBySpec();
    assert.equal(welcome.early, false);
    assert.ok(got.equals(content));
  }
  await get();
  assert.deepEqual(node.stats().failures, {});
});

/** Garbage that costs most: what it says is an ephemeral key is one, so that the node has to work with it. */
function garbage(hops: readonly string[]): Buffer {
  const length = 32 + 48 + 256 + 16;
  const header = Buffer.from('fe01010000000000', 'hex');
  header.writeUInt32BE(length, 4);
  const trace = randomBytes(16).toString('hex');
  const open = encodeMessage({ type: 'open', hops: [...hops], hop: 1, trace, deadlineMs: 20_000 });
  const ephemeral = randomBytes(32);
  ephemeral.writeUInt8(ephemeral.readUInt8(31) & 0x7f, 31);
  return Buffer.concat([open, header, ephemeral, randomBytes(length - 32)]);
}

test('while garbage comes in place of first messages, others are served, and each is forgotten', async (t) => {
  const { node, get } = await start(t);
  const total = 400;
  let [sent, served] = [0, 0];
  const spend = async () => {
    while (sent < total) {
      sent += 1;
      assert.match((await send(t, node, garbage([addressOf(node)]))).toString('latin1'), /"code":"SECURE_FAILED"/);
    }
  };
  const all = Promise.all(Array.from({ length: 16 }, spend));
  const before = process.cpuUsage();
  while (sent < total) {
    await get();
    served += 1;
  }
  await all;
  const { user, system } = process.cpuUsage(before);
  await until(() => node.stats().open === 0);
  assert.deepEqual(node.stats().failures, { SECURE_FAILED: total });
  assert.ok(served > 1, `${served} files meanwhile`);
  // Sender, node and honest client together; a few times what it takes on a slow machine.
  const msEach = (user + system) / 1000 / total;
  assert.ok(msEach < 50, `${msEach} ms of CPU for each`);
});

test('a first message that is sent again to a node with workers is answered early by each of them once at most', {
  skip: process.platform === 'win32',
}, async (t) => {
  const workers = 2;
  const root = await makeTempRoot(t);
  await root.writeRandom('files/here.bin', 2 * mib);
  const key = await createKeyFile(path.join(root.path, 'node.key'), new Date());
  const config = ['listen: 127.0.0.1:0', 'root: files', 'security: {identity: node.key}', 'limits: {head: 1s}'];
  await writeFile(path.join(root.path, 'hopline.yaml'), `${config.join('\n')}\n`);
  const program = startProgram(t, ['node', '--config', 'hopline.yaml', '--workers', `${workers}`], { cwd: root.path });
  const port = Number(/listening on .*:(\d+)\n/.exec(await program.saw(/serves .*\n/))?.[1]);
  const hops = [`127.0.0.1:${port}`];
  const same = { time: Date.now(), trace: randomBytes(16).toString('hex'), ephemeral: newKey().key };
  const early: boolean[] = [];
  while (early.length < 8) {
    const { bytes, handshake } = firstMessage({ hops, node: key.public, own, requests: [stat, read], ...same });
    const socket = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    socket.on('error', () => {});
    const received = receiveAll(socket);
    await once(socket, 'connect');
    socket.write(bytes);
    const all = await received;
    socket.destroy();
    // The circuit before has the same trace, and may not have ended at the node yet.
    if (all.includes('"code":"ROUTE_LOOP"')) continue;
    const end = 8 + all.readUInt32BE(4);
    const welcome = decodeWelcome(handshake.read(all.subarray(8, end)), 65_536);
    early.push(welcome.early);
    // Within what one is told that nobody is waited for any more, at most.
    assert.ok(all.length - end < (welcome.early ? mib + 4096 : 256), `${all.length - end} bytes`);
  }
  const served = early.filter((is) => is).length;
  assert.ok(served >= 1 && served <= workers, early.join());
});
