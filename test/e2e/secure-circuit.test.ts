/** Circuits that are encrypted between their ends, over nodes as they are. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import type { CircuitSecurity } from '../../src/client/circuit/circuit-security.ts';
import { type ErrorCode, HoplineError } from '../../src/core/errors.ts';
import { nodeAead } from '../../src/secure/records/aead.ts';
import { newKey } from '../../src/wire/keys/key.ts';
import { encodeMessage, type Message } from '../../src/wire/native/messages.ts';
import { addressOf, startChain, startPeer, until } from '../support/chain.ts';
import { sha256 } from '../support/circuits.ts';
import { openCircuit } from '../support/secure-circuits.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const identity = newKey().key;
const own = newKey().key;
const mib = 1024 * 1024;
const stat = (name: string): Message => ({ type: 'stat', name, digests: ['sha256'] });

const open = (
  t: TestContext,
  addresses: readonly string[],
  requests: readonly Message[],
  changed: Partial<CircuitSecurity> = {},
) => openCircuit(t, addresses, requests, { remote: identity.public, own, ...changed });

function failsWith(code: ErrorCode, words = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof HoplineError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, words);
    return true;
  };
}

for (const [name, changed] of [
  ['with a key of the client', {}],
  ['without one', { own: undefined }],
  ['by node:crypto', { aead: nodeAead }],
] as const) {
  test(`a file comes over three hops, encrypted, ${name}`, async (t) => {
    const root = await makeTempRoot(t);
    const content = await root.writeRandom('dir/plan.txt', 3 * mib + 5);
    const { nodes } = await startChain(t, 3, root.path, { identity, next: ['127.0.0.1'] });
    const first: Message = { type: 'read', offset: 0, length: mib };
    const circuit = await open(t, nodes.map(addressOf), [stat('dir/plan.txt'), first], changed);
    const status = await circuit.receive('status');
    assert.equal(status.size, content.length);
    const offsets = [mib, 2 * mib, 3 * mib];
    circuit.send(offsets.map((offset) => ({ type: 'read', offset, length: mib, version: status.version })));
    const parts: Buffer[] = [];
    for (const offset of [0, ...offsets]) {
      const data = await circuit.receive('data');
      assert.equal(data.offset, offset);
      const piece = Buffer.alloc(data.length);
      await circuit.receiveInto(piece, () => {});
      const { digest } = await circuit.receive('end');
      assert.equal(digest, sha256(piece));
      parts.push(piece);
    }
    assert.ok(Buffer.concat(parts).equals(content));
    assert.ok(circuit.isSettled);
    await circuit.close();
    // A client that is done and goes has broken nothing.
    await until(() => nodes.every((node) => node.stats().open === 0));
    for (const node of nodes) assert.deepEqual(node.stats().failures, {});
  });
}

test('a file goes up, encrypted', async (t) => {
  const root = await makeTempRoot(t);
  const { nodes } = await startChain(t, 2, root.path, { identity, next: ['127.0.0.1'], uploads: {} });
  const content = randomBytes(2 * mib + 9);
  const put: Message = {
    type: 'put',
    name: 'up.bin',
    size: content.length,
    pieceBytes: mib,
    version: 'v1',
    upload: '0'.repeat(32),
    digests: ['sha256'],
  };
  const circuit = await open(t, nodes.map(addressOf), [put]);
  assert.deepEqual((await circuit.receive('ready')).missing, [[0, 3]]);
  for (let index = 0; index < 3; index += 1) {
    const piece = content.subarray(index * mib, (index + 1) * mib);
    await circuit.sendPiece([{ type: 'write', index, digest: sha256(piece) }], piece);
    assert.equal((await circuit.receive('stored')).index, index);
  }
  circuit.send([{ type: 'commit' }]);
  await circuit.receive('committed');
  assert.ok((await readFile(path.join(root.path, 'up.bin'))).equals(content));
});

test('a refusal of the origin is sealed, and the circuit goes on or ends as it does in plain', async (t) => {
  const root = await makeTempRoot(t);
  await root.writeRandom('here', 10);
  const { nodes } = await startChain(t, 2, root.path, { identity, next: ['127.0.0.1'] });
  const circuit = await open(t, nodes.map(addressOf), [stat('nowhere')]);
  await assert.rejects(circuit.receive('status'), failsWith('FILE_NOT_FOUND'));
  circuit.send([stat('here')]);
  assert.equal((await circuit.receive('status')).size, 10);
  circuit.send([{ type: 'read', offset: 0, length: 2 ** 40 }]);
  await assert.rejects(circuit.receive('data'), failsWith('PEER_PROTOCOL'));
});

test('a node with another key, or with none, is not spoken to in plain', async (t) => {
  const doesNotHave =
    /^hop 2 \(.*\) did not take what was sealed for hop1\w{58}: it has another key or none, or somebody/;
  const root = await makeTempRoot(t);
  await root.writeRandom('here', 10);
  const { nodes } = await startChain(t, 2, root.path, { identity: newKey().key, next: ['127.0.0.1'] });
  const wrong = await open(t, nodes.map(addressOf), [stat('here')]);
  await assert.rejects(wrong.receive('status'), failsWith('SECURE_FAILED', doesNotHave));
  const keyless = await startChain(t, 2, root.path, { next: ['127.0.0.1'] });
  const none = await open(t, keyless.nodes.map(addressOf), [stat('here')]);
  await assert.rejects(none.receive('status'), failsWith('SECURE_FAILED', doesNotHave));
});

test('a relay that refuses is heard, and one that speaks for the origin is not', async (t) => {
  const root = await makeTempRoot(t);
  const { nodes } = await startChain(t, 1, root.path, { identity, next: ['127.0.0.1'] });
  const [relay] = nodes.map(addressOf) as [string];
  const unreachable = await open(t, [relay, '127.0.0.1:9'], [stat('here')]);
  await assert.rejects(unreachable.receive('status'), failsWith('PEER_UNREACHABLE'));
  const told: Message[] = [
    { type: 'refused', code: 'FILE_NOT_FOUND', hop: 1 },
    { type: 'refused', code: 'AUTH_DENIED', hop: 2 },
    { type: 'refused', code: 'POLICY_DENIED', reason: 'AUTH_REQUIRED', hop: 2 },
    { type: 'status', size: 4, version: 'v', pieceBytes: mib, digest: 'sha256' },
  ];
  for (const message of told) {
    const heard: Buffer[] = [];
    const liar = await startPeer(t, (socket) => {
      socket.on('data', (bytes) => heard.push(bytes));
      socket.write(encodeMessage(message));
    });
    const circuit = await open(t, [liar.address, '127.0.0.1:9'], [stat('secret-name')]);
    await assert.rejects(circuit.receive('status'), failsWith('SECURE_FAILED'));
    await circuit.close();
    assert.ok(!Buffer.concat(heard).includes('secret-name'));
  }
});
