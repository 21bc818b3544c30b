/** Content over encrypted circuits where the file, or other clients, do not go along. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { open, truncate, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Circuit } from '../../src/client/circuit/circuit.ts';
import { HoplineError } from '../../src/core/errors.ts';
import { defaultLimits, download, type RunningNode } from '../../src/index.ts';
import { decodeWelcome } from '../../src/secure/handshake/hello.ts';
import { nodeAead } from '../../src/secure/records/aead.ts';
import { encodeRecordHeader, maxClientContent, RecordSealer, recordKinds } from '../../src/secure/records/record.ts';
import { newKey } from '../../src/wire/keys/key.ts';
import type { Message } from '../../src/wire/native/messages.ts';
import { addressOf, startChain, until } from '../support/chain.ts';
import { firstMessage } from '../support/first-message.ts';
import { keyed } from '../support/keyed.ts';
import { openCircuit } from '../support/secure-circuits.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const identity = newKey().key;
const mib = 1024 * 1024;
const stat = (name: string): Message => ({ type: 'stat', name, digests: ['sha256'] });

/** What follows DATA, and how its answer ends. */
async function takeContent(circuit: Circuit, afterFirst: () => Promise<void> = async () => {}) {
  const { length } = await circuit.receive('data');
  await afterFirst();
  const content = Buffer.alloc(length);
  await circuit.receiveInto(content, () => {});
  const end = await circuit.receive('end').then(
    () => 'end',
    (error) => (error instanceof HoplineError ? error.code : String(error)),
  );
  return { content, end };
}

for (const encrypted of [true, false]) {
  test(`of a file that is cut while it is read, zeros come, and never what was in the memory before, ${encrypted ? 'encrypted' : 'in plain'}`, async (t) => {
    const root = await makeTempRoot(t);
    const canary = Buffer.from('canary of another file');
    await writeFile(path.join(root.path, 'other.bin'), Buffer.alloc(8 * mib, canary));
    const before = Buffer.alloc(48 * mib, 0x2e);
    const file = path.join(root.path, 'cut.bin');
    await writeFile(file, before);
    const { nodes } = await startChain(t, 1, root.path, { identity });
    const security = encrypted ? { remote: identity.public } : undefined;
    const circuit = await openCircuit(t, nodes.map(addressOf), [stat('other.bin')], security);
    await circuit.receive('status');
    circuit.send([{ type: 'read', offset: 0, length: 8 * mib }]);
    assert.ok((await takeContent(circuit)).content.includes(canary));

    const reads = [0, 1, 2].map((index): Message => ({ type: 'read', offset: index * 16 * mib, length: 16 * mib }));
    circuit.send([stat('cut.bin'), ...reads]);
    await circuit.receive('status');
    // Within a piece that nobody has read yet: what a reader does not take, an origin does not read ahead.
    const left = 46 * mib + 12_345;
    const answers = [await takeContent(circuit, () => truncate(file, left))];
    answers.push(await takeContent(circuit), await takeContent(circuit));
    const content = Buffer.concat(answers.map((answer) => answer.content));
    assert.equal(content.length, before.length);
    const zeros = content.indexOf(0);
    assert.ok(zeros > 0 && zeros <= left, `${zeros} bytes of the file`);
    assert.ok(content.subarray(0, zeros).equals(before.subarray(0, zeros)));
    assert.ok(content.subarray(zeros).every((byte) => byte === 0));
    assert.ok(!content.includes(canary));
    assert.ok(
      answers.some(({ end }) => end === 'FILE_CHANGED'),
      answers.map(({ end }) => end).join(),
    );
  });
}

/** A client that has confirmed that it is there, asks for much, and reads none of it. */
async function stop(t: TestContext, node: RunningNode): Promise<net.Socket> {
  const reads = Array.from(
    { length: 15 },
    (_, index): Message => ({
      type: 'read',
      offset: index * 16 * mib,
      length: 16 * mib,
    }),
  );
  const { socket, sealer } = await shakeHands(t, node, [stat('large.bin'), ...reads]);
  socket.write(sealer.seal([]));
  return socket;
}

/** A client whose record never becomes whole. */
async function halve(t: TestContext, node: RunningNode): Promise<net.Socket> {
  const { socket, sealer } = await shakeHands(t, node, []);
  socket.write(sealer.seal([]));
  const header = encodeRecordHeader({ kind: recordKinds.data, pattern: 0, length: maxClientContent + 16 });
  socket.write(Buffer.concat([header, randomBytes(maxClientContent / 2)]));
  return socket;
}

async function shakeHands(t: TestContext, node: RunningNode, requests: readonly Message[]) {
  const { host, port } = node.address;
  const socket = net.connect({ host, port });
  t.after(() => socket.destroy());
  socket.on('error', () => {});
  const { bytes, handshake } = firstMessage({ hops: [addressOf(node)], node: identity.public, requests });
  socket.write(bytes);
  const answer = await new Promise<Buffer>((resolve) => {
    let held: Buffer = Buffer.alloc(0);
    socket.on('data', (part) => {
      held = Buffer.concat([held, part]);
      if (held.length < 8 || held.length < 8 + held.readUInt32BE(4)) return;
      socket.pause().removeAllListeners('data');
      resolve(held.subarray(8, 8 + held.readUInt32BE(4)));
    });
  });
  decodeWelcome(handshake.read(answer), 65_536);
  const key = handshake.split().send;
  return { socket, sealer: new RecordSealer({ aead: nodeAead, key, maxContent: maxClientContent }) };
}

test('beside many clients that stopped reading, and many whose records never become whole, a file comes in its time', async (t) => {
  const root = await makeTempRoot(t);
  await root.writeRandom('small.bin', 5 * mib);
  const large = await open(path.join(root.path, 'large.bin'), 'w');
  await large.truncate(240 * mib);
  await large.close();
  const { nodes, route } = await startChain(t, 1, root.path, { identity });
  const [node] = nodes as [RunningNode];
  const held = 32;
  for (let count = 0; count < held; count += 1) await Promise.all([stop(t, node), halve(t, node)]);
  await until(() => node.stats().open === 2 * held);
  const out = await makeTempRoot(t);
  const started = performance.now();
  const result = await download({ route: keyed(route('small.bin'), identity.public), output: out.path });
  assert.equal(result.verifiedBy, identity.public.text);
  assert.ok(performance.now() - started < defaultLimits.stallMs + 15_000);
  assert.ok(node.stats().open >= 2 * held, 'none of them has given way');
});
