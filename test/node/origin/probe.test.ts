/** PROBE: what a node takes and sends to measure a way, and what keeps that small. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Circuit } from '../../../src/client/circuit/circuit.ts';
import { type NodeOptions, type RunningNode, startNode } from '../../../src/index.ts';
import { newKey } from '../../../src/wire/keys/key.ts';
import { encodeMessage, type Message } from '../../../src/wire/native/messages.ts';
import { addressOf, connectRaw, receiveAll, until } from '../../support/chain.ts';
import { openCircuit } from '../../support/circuits.ts';
import { advanceUntil, FakeClock } from '../../support/legs.ts';
import { openCircuit as openSecureCircuit } from '../../support/secure-circuits.ts';

const start = async (t: TestContext, options: Partial<NodeOptions> = {}) => {
  const node = await startNode({ listen: { host: '127.0.0.1', port: 0 }, ...options });
  t.after(() => node.close({ graceMs: 0 }));
  return node;
};
const probe = (up: number, down: number): Message => ({ type: 'probe', up, down });
const ping: Message = { type: 'ping' };

const openTo = (node: RunningNode) =>
  encodeMessage({ type: 'open', hops: [addressOf(node)], hop: 1, trace: 'ab'.repeat(16), deadlineMs: 10_000 });

/** Reads one answer with all of its bytes. */
async function receiveProbed(circuit: Circuit): Promise<Buffer> {
  const { down } = await circuit.receive('probed');
  const bytes = Buffer.alloc(down, 1);
  await circuit.receiveInto(bytes, () => {});
  return bytes;
}

test('a node takes the bytes of a probe, sends as many as it is asked for, and then answers what came behind', async (t) => {
  const [relay, origin] = [await start(t), await start(t, { next: [] })];
  const circuit = await openCircuit(t, [relay, origin], [ping]);
  await circuit.receive('pong');
  void circuit.sendPiece([probe(300_000, 0)], Buffer.alloc(300_000, 7));
  circuit.send([probe(0, 200_000), ping]);
  assert.equal((await receiveProbed(circuit)).length, 0);
  assert.ok((await receiveProbed(circuit)).equals(Buffer.alloc(200_000)));
  await circuit.receive('pong');
});

test('what a probe moves is counted as content is', async (t) => {
  const node = await start(t);
  const circuit = await openCircuit(t, [node], [probe(0, 5_000)]);
  await receiveProbed(circuit);
  await circuit.sendPiece([probe(7_000, 0)], Buffer.alloc(7_000));
  await receiveProbed(circuit);
  const { process } = node.stats().moved.origin;
  assert.deepEqual(process, { forward: 7_000, back: 5_000 });
});

for (const [what, asked] of [
  ['up', probe(1025, 0)],
  ['down', probe(0, 1025)],
] as const) {
  test(`a probe of more bytes ${what} than a node takes ends the circuit`, async (t) => {
    const node = await start(t, { limits: { maxProbeBytes: 1024 } });
    const circuit = await openCircuit(t, [node], [asked]);
    await assert.rejects(circuit.receive('probed'), { code: 'PEER_PROTOCOL' });
  });
}

for (const limit of ['maxProbes', 'maxPeerProbes'] as const) {
  test(`with ${limit} under way, a further probe is refused, and one is taken once they are over`, async (t) => {
    const node = await start(t, { limits: { [limit]: 1 } });
    const first = await openCircuit(t, [node], [ping]);
    await first.receive('pong');
    // Half of it: the node waits for the rest.
    void first.sendPiece([probe(2_000, 0)], Buffer.alloc(1_000));
    await until(() => node.stats().moved.origin.process.forward === 1_000);
    const second = await openCircuit(t, [node], [probe(0, 1)]);
    const reason = limit === 'maxProbes' ? 'MAX_PROBES' : 'MAX_PEER_PROBES';
    await assert.rejects(second.receive('probed'), { code: 'LIMIT_PROBES', reason, hop: 1 });
    await first.close();
    await until(async () => {
      const again = await openCircuit(t, [node], [probe(0, 1)]);
      return again.receive('probed').then(
        () => true,
        () => false,
      );
    });
  });
}

test('a probe that takes too long ends its circuit', async (t) => {
  const clock = new FakeClock();
  const node = await start(t, { clock, limits: { probeHoldMs: 3_000 } });
  const socket = await connectRaw(t, node);
  socket.write(Buffer.concat([openTo(node), encodeMessage(probe(2_000, 0)), Buffer.alloc(1_000)]));
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.resume();
  await until(() => node.stats().moved.origin.process.forward === 1_000);
  clock.advance(2_999);
  await until(() => node.stats().open === 1);
  clock.advance(1);
  await closed;
});

test('probes pass under the rate of content, in both directions', async (t) => {
  const clock = new FakeClock();
  const node = await start(t, { clock, limitRate: 100_000 });
  for (const [up, down] of [
    [100_000, 0],
    [0, 100_000],
  ] as const) {
    const circuit = await openCircuit(t, [node], [ping]);
    await circuit.receive('pong');
    const before = clock.now();
    void circuit.sendPiece([probe(up, down)], Buffer.alloc(up));
    await advanceUntil(clock, receiveProbed(circuit));
    await circuit.close();
    assert.ok(clock.now() - before >= 600, `${clock.now() - before} ms for 100,000 bytes at 100,000 a second`);
  }
});

test('where keys are required, a probe, the load and the age are for clients that may ask for something', async (t) => {
  const identity = newKey().key;
  const node = await start(t, { identity, requireKey: true });
  const told = async (circuit: Circuit) => Object.keys(await circuit.receive('pong'));
  const plain = await openCircuit(t, [node], [ping, probe(0, 1)]);
  const said = await told(plain);
  for (const field of ['time', 'features', 'key']) assert.ok(said.includes(field), field);
  for (const field of ['load', 'uptimeS']) assert.ok(!said.includes(field), field);
  await assert.rejects(plain.receive('probed'), { code: 'AUTH_REQUIRED', hop: 1 });
  const known = await openSecureCircuit(t, [addressOf(node)], [ping], { remote: identity.public });
  const saidToKnown = await told(known);
  for (const field of ['load', 'uptimeS']) assert.ok(saidToKnown.includes(field), field);
  known.send([probe(0, 1)]);
  assert.equal((await receiveProbed(known)).length, 1);
});

test('a probe cannot come with the first message of a handshake', async (t) => {
  const identity = newKey().key;
  const node = await start(t, { identity });
  const circuit = await openSecureCircuit(t, [addressOf(node)], [probe(0, 3)], { remote: identity.public });
  assert.equal((await receiveProbed(circuit)).length, 3, 'it went behind it, and is answered');
});

test('a node that stops in the middle of a probe leaves nothing', async (t) => {
  const node: RunningNode = await startNode({ listen: { host: '127.0.0.1', port: 0 } });
  const socket = await connectRaw(t, node);
  socket.write(Buffer.concat([openTo(node), encodeMessage(probe(2_000, 0)), Buffer.alloc(10)]));
  await until(() => node.stats().moved.origin.process.forward === 10);
  const came = receiveAll(socket);
  await node.close({ graceMs: 0 });
  await came;
  assert.equal(node.stats().open, 0);
});
