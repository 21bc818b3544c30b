import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { download, HoplineError, parseVia, type RunningNode, startNode } from '../../src/index.ts';
import { type Answer, decodeAnswer, encodeMessage, type Message } from '../../src/wire/native/messages.ts';
import { addressOf, connectRaw, receiveAll, startChain, startPeer, until } from '../support/chain.ts';
import { rawFrame } from '../support/decoding.ts';
import { makeTempRoot, type TempRoot } from '../support/temp-root.ts';

const short = { headMs: 300, idleMs: 600, openMs: 800, connectMs: 400, probeMs: 300, lingerMs: 100, quietMs: 30 };
/** Of what is to be told by another deadline of these, on a machine that stalls too. */
const patient = { ...short, idleMs: 60_000, openMs: 60_000 };

/** What the node says to `bytes`, until it closes. */
async function tell(t: TestContext, node: RunningNode, bytes: Buffer): Promise<Answer> {
  const socket = await connectRaw(t, node);
  const received = receiveAll(socket);
  socket.write(bytes);
  const decoded = decodeAnswer(await received, 65536);
  assert.equal(decoded.kind, 'ok');
  return (decoded as { value: Answer }).value;
}

async function assertServes(t: TestContext, node: RunningNode, root: TempRoot): Promise<void> {
  const out = await makeTempRoot(t);
  await root.writeRandom('after.bin', 1000);
  const result = await download({ route: parseVia(addressOf(node), 'after.bin'), output: out.path });
  assert.equal(result.verified, true);
}

function openMessage(hops: readonly string[], trace = randomBytes(16).toString('hex'), hop = 1): Message {
  return { type: 'open', hops: [...hops], hop, trace, deadlineMs: 1000 };
}

function frame(json: Buffer | string, { version = 1, length = Buffer.byteLength(json) } = {}): Buffer {
  return rawFrame(json, length, version);
}

const rejected: readonly (readonly [what: string, bytes: Buffer, code: string])[] = [
  ['binary garbage', Buffer.from([0x01, 0x02, 0x03]), 'PEER_PROTOCOL'],
  ['garbage behind the first byte of a frame', Buffer.from([0xff, 0x00, 0x00, 0x00]), 'PEER_PROTOCOL'],
  ['a Python pickle', Buffer.from([0x80, 0x04, 0x95]), 'PEER_PROTOCOL'],
  ['a TLS hello', Buffer.from([0x16, 0x03, 0x01]), 'PEER_PROTOCOL'],
  ['another version', frame('{}', { version: 9 }), 'PEER_VERSION'],
  ['a header over the limit', frame('{}', { length: 65537 }), 'LIMIT_HEAD'],
  ['a header that claims 4 GiB', frame('{}', { length: 0xffffffff }), 'LIMIT_HEAD'],
  ['JSON that is cut', frame('{"type":"open"'), 'PEER_PROTOCOL'],
  ['JSON that is deep', frame(`{"hops":${'['.repeat(20000)}${']'.repeat(20000)}}`), 'PEER_PROTOCOL'],
  ['JSON that is huge', frame(JSON.stringify({ type: 'open', hops: ['x'.repeat(60000)] })), 'PEER_PROTOCOL'],
  ['a request where OPEN is due', encodeMessage({ type: 'ping' }), 'PEER_PROTOCOL'],
  ['no hops', encodeMessage(openMessage([])), 'PEER_PROTOCOL'],
  ['a hop that is not one', encodeMessage(openMessage(['a:1', 'b:http'])), 'PEER_PROTOCOL'],
  ['33 hops', encodeMessage(openMessage(Array.from({ length: 33 }, (_, i) => `h${i}:1`))), 'LIMIT_HOPS'],
  ['a place far down a long route', encodeMessage(openMessage(['a:1', 'b:1'], '0'.repeat(32), 32)), 'LIMIT_HOPS'],
];

for (const [what, bytes, code] of rejected) {
  test(`a node refuses ${what} with ${code}, counts it, and serves the next client`, async (t) => {
    const root = await makeTempRoot(t);
    const { nodes } = await startChain(t, 1, root.path, { limits: short });
    const [node] = nodes as [RunningNode];
    const answer = await tell(t, node, bytes);
    assert.equal(answer.type, 'refused');
    assert.equal('code' in answer && answer.code, code);
    assert.deepEqual(node.stats().failures, { [code]: 1 });
    await assertServes(t, node, root);
  });
}

test('a web browser is told what it has reached', async (t) => {
  const root = await makeTempRoot(t);
  const { nodes } = await startChain(t, 1, root.path, { limits: short });
  const socket = await connectRaw(t, nodes[0] as RunningNode);
  const received = receiveAll(socket);
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  assert.match((await received).toString(), /^HTTP\/1\.1 501 [\s\S]*hopline/);
});

test('a header that is cut, or comes a byte at a time for too long, is given up at the deadline', async (t) => {
  const root = await makeTempRoot(t);
  const { nodes } = await startChain(t, 1, root.path, { limits: short });
  const [node] = nodes as [RunningNode];
  const whole = encodeMessage(openMessage(['127.0.0.1:1']));
  const cut = await tell(t, node, whole.subarray(0, 20));
  assert.equal('code' in cut && cut.code, 'TIMEOUT_HEAD');

  const socket = await connectRaw(t, node);
  const received = receiveAll(socket);
  let sent = 0;
  const drip = setInterval(() => socket.write(whole.subarray(sent, ++sent)), 20);
  t.after(() => clearInterval(drip));
  const slow = decodeAnswer(await received, 65536);
  assert.equal(slow.kind === 'ok' && 'code' in slow.value && slow.value.code, 'TIMEOUT_HEAD');
  assert.ok(sent < whole.length, 'the deadline came before the header was whole');
  await assertServes(t, node, root);
});

test('a peer that connects and says nothing is given up at the deadline', async (t) => {
  const root = await makeTempRoot(t);
  const { nodes } = await startChain(t, 1, root.path, { limits: short });
  const silent = await tell(t, nodes[0] as RunningNode, Buffer.alloc(0));
  assert.equal('code' in silent && silent.code, 'TIMEOUT_HEAD');
});

test('a client that ends in the middle of its header is gone without a trace', async (t) => {
  const root = await makeTempRoot(t);
  const { nodes } = await startChain(t, 1, root.path, { limits: short });
  const [node] = nodes as [RunningNode];
  const socket = await connectRaw(t, node);
  const received = receiveAll(socket);
  socket.end(encodeMessage(openMessage(['127.0.0.1:1'])).subarray(0, 20));
  const answer = decodeAnswer(await received, 65536);
  assert.equal(answer.kind === 'ok' && 'code' in answer.value && answer.value.code, 'PEER_PROTOCOL');
  await assertServes(t, node, root);
});

test('a route through the node itself is refused, next door and on the way back', async (t) => {
  const root = await makeTempRoot(t);
  const { nodes } = await startChain(t, 2, root.path, { limits: short });
  const [a, b] = nodes.map(addressOf) as [string, string];
  for (const [hops, place] of [
    [[a, a], 1],
    [[a, b, a, b], 3],
  ] as const) {
    const answer = await tell(t, nodes[0] as RunningNode, encodeMessage(openMessage(hops)));
    assert.deepEqual(answer, { type: 'refused', code: 'ROUTE_LOOP', hop: place });
  }
});

test('a node on another address than loopback relays nowhere, and says which hop refused', async (t) => {
  const root = await makeTempRoot(t);
  const { nodes } = await startChain(t, 1, root.path, { limits: short });
  const gate = await startNode({ listen: { host: '0.0.0.0', port: 0 }, root: root.path, limits: short });
  t.after(() => gate.close({ graceMs: 0 }));
  const via = `127.0.0.1:${gate.address.port},${addressOf(nodes[0] as RunningNode)}`;
  await assert.rejects(download({ route: parseVia(via, 'x'), output: root.path, limits: short }), (error) => {
    assert.ok(error instanceof HoplineError);
    assert.equal(error.code, 'POLICY_DENIED');
    assert.equal(error.hop, 1);
    assert.match(error.message, /hop 1 \(127\.0\.0\.1:\d+\) is not allowed to open a leg to hop 2/);
    return true;
  });
});

test('a closed port, a name that does not resolve and a name server that never answers are told apart, by hop', async (t) => {
  const root = await makeTempRoot(t);
  const closed = await startPeer(t, () => {});
  const resolve = async (host: string): Promise<readonly string[]> => {
    if (host === 'silent.test') return new Promise(() => {});
    if (host === 'nobody.test') throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
    return [host];
  };
  const { nodes } = await startChain(t, 1, root.path, { limits: short, resolve });
  const dead = net.createServer();
  const port = await new Promise<number>((ready) =>
    dead.listen(0, '127.0.0.1', () => ready((dead.address() as net.AddressInfo).port)),
  );
  await new Promise((done) => dead.close(done));
  assert.ok(closed.port !== port);
  for (const [last, code, words] of [
    [`127.0.0.1:${port}`, 'PEER_UNREACHABLE', /hop 1 .* cannot reach hop 2 .*: connection refused/],
    [
      'nobody.test:7001',
      'PEER_UNRESOLVED',
      /hop 1 .* cannot resolve the name of hop 2 \(nobody\.test:7001\): name not found/,
    ],
    ['silent.test:7001', 'TIMEOUT_CONNECT', /hop 1 .* got no connection to hop 2 .* in time/],
  ] as const) {
    const route = parseVia(`${addressOf(nodes[0] as RunningNode)},${last}`, 'x');
    const failure = await download({ route, output: root.path, limits: patient }).catch((error: unknown) => error);
    assert.ok(failure instanceof HoplineError);
    assert.equal(failure.code, code);
    assert.match(failure.message, words);
  }
  assert.deepEqual(await root.list(), []);
});

test('a first hop that is not there is blamed on this machine’s own leg', async (t) => {
  const root = await makeTempRoot(t);
  const failure = await download({ route: parseVia('127.0.0.1:1', 'x'), output: root.path }).catch((error) => error);
  assert.equal(failure.code, 'PEER_UNREACHABLE');
  assert.equal(failure.hop, 0);
  assert.match(failure.message, /this machine cannot reach hop 1 \(127\.0\.0\.1:1\): connection refused/);
});

test('a hop that takes the connection and says nothing is found and named', async (t) => {
  const root = await makeTempRoot(t);
  const mute = await startPeer(t, (socket) => socket.resume());
  // What is to be found out is in time, whatever else the machine does.
  const limits = { ...short, connectMs: 5000, probeMs: 2000 };
  const { nodes } = await startChain(t, 2, root.path, { limits });
  const route = parseVia([...nodes.map(addressOf), mute.address].join(), 'x');
  const failure = await download({ route, output: root.path, limits }).catch((error: unknown) => error);
  assert.ok(failure instanceof HoplineError);
  assert.match(failure.message, new RegExp(`at leg 3, from hop 2 \\(.*\\) to hop 3 \\(${mute.address}\\)`));
  assert.equal(failure.hop, 2);
});

test('connections above the limit are each refused by name, and the node serves on', async (t) => {
  const root = await makeTempRoot(t);
  const warnings: Error[] = [];
  const collect = (warning: Error) => warnings.push(warning);
  process.on('warning', collect);
  t.after(() => process.off('warning', collect));
  const limits = { ...short, maxConnections: 8, maxPeerPercent: 100, maxRefusals: 900, headMs: 60_000, idleMs: 60_000 };
  const { nodes } = await startChain(t, 1, root.path, { limits });
  const [node] = nodes as [RunningNode];
  const held = await Promise.all(Array.from({ length: 8 }, () => connectRaw(t, node)));
  const answers: Buffer[] = [];
  const collectFrom = (socket: net.Socket) => void receiveAll(socket).then((bytes) => answers.push(bytes));
  held.forEach(collectFrom);
  const over = Array.from({ length: 1000 }, async (_, index) => {
    const socket = await connectRaw(t, node);
    collectFrom(socket);
    // Half of them speak; the others are told all the same.
    if (index % 2 === 0) socket.write(encodeMessage(openMessage(['127.0.0.1:1'])));
    return socket;
  });
  const sockets = [...held, ...(await Promise.all(over))];
  // Eight have a place in the end, which need not be those that came first.
  await until(() => answers.length === 1000);
  const named = answers.filter((bytes) => {
    const refused = decodeAnswer(bytes, 65536);
    return refused.kind === 'ok' && 'code' in refused.value && refused.value.code === 'LIMIT_CONNECTIONS';
  });
  assert.ok(named.length >= 900, 'past the cap on refusals a connection may be dropped');
  assert.equal(node.stats().failures.LIMIT_CONNECTIONS, 1000);
  assert.deepEqual(warnings, []);
  for (const socket of sockets) socket.destroy();
  await until(() => node.stats().open === 0);
  await assertServes(t, node, root);
});
