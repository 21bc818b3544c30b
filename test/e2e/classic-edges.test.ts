import assert from 'node:assert/strict';
import net from 'node:net';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { download, type ErrorCode, type HoplineError, type Limits, parseVia } from '../../src/index.ts';
import { connectRaw, receiveAll, startChain, startPeer } from '../support/chain.ts';
import {
  BlockingSocket,
  type Habits,
  inputText,
  runOriginalClient,
  settled,
  startOriginal,
} from '../support/classic-peers.ts';
import { runProgram } from '../support/program.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const limits = { quietMs: 30, lingerMs: 300 };
const content = Buffer.from('the content of the file, in one line\n'.repeat(30_000));

/** One node of ours that serves `data.bin`, and a place for downloads. */
async function startNodes(t: TestContext, count: number, own: Partial<Limits> = {}) {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const bytes = await root.writeRandom('data.bin', 20_000);
  const { nodes } = await startChain(t, count, root.path, { limits: { ...limits, ...own } });
  return { bytes, out, nodes, hops: nodes.map((node) => node.address) };
}

/** One node of ours before an original server with `data.bin` and `empty.bin`. */
async function startBeforeOriginal(t: TestContext, habits: Habits = {}, own: Partial<Limits> = {}) {
  const files = new Map([
    ['data.bin', content],
    ['empty.bin', Buffer.alloc(0)],
  ]);
  const original = await startOriginal(t, files, habits);
  const { nodes, out, hops } = await startNodes(t, 1, own);
  return { nodes, out, original, hops: [...hops, original] };
}

function getClassic(hops: readonly { port: number }[], output: string, name = 'data.bin', own: Partial<Limits> = {}) {
  const route = parseVia(hops.map(({ port }) => `127.0.0.1:${port}`).join(), name);
  return download({ route, classic: true, output, limits: { ...limits, ...own } });
}

/** What a socket receives first; nothing if its peer ends or resets before. */
function firstPiece(socket: net.Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.once('data', (bytes) => resolve(String(bytes)));
    for (const event of ['end', 'close']) socket.once(event, () => resolve(''));
  });
}

function failsWith(code: ErrorCode): (error: HoplineError) => boolean {
  return (error) => {
    assert.equal(error.code, code, error.message);
    return true;
  };
}

async function closedPort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test('a port that is cut by a segment border is read whole', async (t) => {
  const { bytes, nodes: origins, hops } = await startNodes(t, 1);
  const relay = await startNodes(t, 1, { quietMs: 2000 });
  const text = inputText('data.bin', [...relay.hops, ...hops]);
  const socket = await connectRaw(t, relay.nodes[0] as (typeof origins)[0]);
  socket.write(text.slice(0, -2));
  await sleep(100);
  socket.write(text.slice(-2));
  assert.equal(await firstPiece(socket), String(bytes.length));
  const received = receiveAll(socket);
  socket.end('ack_to_send');
  assert.deepEqual(await received, bytes);
  socket.destroy();
  assert.equal(await settled([...origins, ...relay.nodes]), 'nothing is left');
});

test('a request a byte at a time is read whole', async (t) => {
  const { bytes, nodes, hops } = await startNodes(t, 2, { quietMs: 1000 });
  const socket = await connectRaw(t, nodes[0] as (typeof nodes)[0]);
  for (const byte of Buffer.from(inputText('data.bin', hops))) {
    socket.write(Buffer.of(byte));
    await sleep(1);
  }
  assert.equal(await firstPiece(socket), String(bytes.length));
  const received = receiveAll(socket);
  for (const byte of Buffer.from('ack_')) socket.write(Buffer.of(byte));
  socket.end();
  assert.deepEqual(await received, bytes);
  socket.destroy();
  assert.equal(await settled(nodes), 'nothing is left');
});

for (const [habit, write] of [
  ['CRLF', (name, own, next) => `${name}\r\n127.0.0.1 ${own}\r\n127.0.0.1 ${next}`],
  ['CRLF and a final newline', (name, own, next) => `${name}\r\n127.0.0.1 ${own}\r\n127.0.0.1 ${next}\r\n`],
  ['a final newline', (name, own, next) => `${name}\n127.0.0.1 ${own}\n127.0.0.1 ${next}\n`],
  ['a blank line', (name, own, next) => `${name}\n\n127.0.0.1 ${own}\n\n127.0.0.1 ${next}\n\n`],
  ['colons and tabs', (name, own, next) => `${name}\n127.0.0.1:${own}\n127.0.0.1\t${next} `],
] as [string, (name: string, own: number, next: number) => string][]) {
  test(`a request with ${habit} goes on as the strictest original reads it`, async (t) => {
    const { nodes, original, hops } = await startBeforeOriginal(t);
    const [own] = hops;
    const text = write('data.bin', own?.port ?? 0, original.port);
    const socket = await connectRaw(t, nodes[0] as (typeof nodes)[0]);
    const first = firstPiece(socket);
    socket.write(text);
    assert.equal(await first, String(content.length));
    assert.deepEqual(original.requests, [`data.bin\n127.0.0.1 ${original.port}`]);
    socket.destroy();
    assert.equal(await settled(nodes), 'nothing is left');
  });
}

test('a name that is cut by a segment border is read whole', async (t) => {
  const { bytes, nodes, hops } = await startNodes(t, 1);
  const socket = await connectRaw(t, nodes[0] as (typeof nodes)[0]);
  const size = firstPiece(socket);
  const text = inputText('data.bin', hops);
  socket.write(text.slice(0, 4));
  await sleep(20);
  socket.write(text.slice(4));
  assert.equal(await size, String(bytes.length));
  socket.destroy();
  assert.equal(await settled(nodes), 'nothing is left');
});

test('host names on a request are resolved', async (t) => {
  const { bytes, nodes, hops } = await startNodes(t, 2);
  const text = ['data.bin', ...hops.map(({ port }) => `localhost ${port}`)]
    .join('\n')
    .replace('localhost', '127.0.0.1');
  assert.deepEqual((await runOriginalClient(text)).content, bytes);
  assert.equal(await settled(nodes), 'nothing is left');
});

test('a size in two segments goes on as one piece', async (t) => {
  // The second segment must not come later than that, on a machine that stalls neither.
  const patient = { quietMs: 1000 };
  const { nodes, out, hops } = await startBeforeOriginal(t, { splitSize: true }, patient);
  const received = await runOriginalClient(inputText('data.bin', hops));
  assert.equal(received.answer, String(content.length));
  assert.ok(received.content.equals(content));
  assert.equal((await getClassic(hops, out.path, 'data.bin', patient)).size, content.length);
  const direct = getClassic(hops.slice(1), path.join(out.path, 'direct.bin'), 'data.bin', patient);
  assert.equal((await direct).size, content.length);
  assert.equal(await settled(nodes), 'nothing is left');
});

test('a server that ends at once after the size of an empty file has served it', async (t) => {
  const { nodes, out, hops } = await startBeforeOriginal(t, { endAtZero: true });
  assert.equal((await runOriginalClient(inputText('empty.bin', hops))).answer, '0');
  assert.equal((await getClassic(hops, out.path, 'empty.bin')).size, 0);
  assert.equal((await getClassic(hops.slice(1), path.join(out.path, 'direct.bin'), 'empty.bin')).size, 0);
  assert.equal(await settled(nodes), 'nothing is left');
});

test('exactly four bytes go ahead, and nothing past the size comes back', async (t) => {
  let sent = '';
  const server = await startPeer(t, (socket) => {
    socket.once('data', () => {
      socket.write('5');
      socket.on('data', (bytes) => {
        sent += bytes;
        socket.end('12345 and more');
      });
    });
  });
  const { nodes, hops } = await startNodes(t, 1);
  const received = await runOriginalClient(inputText('data.bin', [...hops, server]));
  assert.equal(String(received.content), '12345');
  assert.equal(await settled(nodes), 'nothing is left');
  assert.equal(sent, 'ack_');
});

test('an answer counts although a reset follows it', async (t) => {
  const server = await startPeer(t, (socket) => {
    // Node shows a reset that arrives along with data as a plain end, so the reset comes later.
    socket.once('data', () => socket.write('NA', () => setTimeout(() => socket.resetAndDestroy(), 20)));
  });
  const { nodes, out, hops } = await startNodes(t, 1, { quietMs: 200 });
  assert.equal((await runOriginalClient(inputText('x', [...hops, server]))).answer, 'NA');
  await assert.rejects(getClassic([server], out.path, 'x', { quietMs: 200 }), failsWith('FILE_NOT_FOUND'));
  assert.equal(await settled(nodes), 'nothing is left');
});

for (const [how, leave] of [
  ['resets', (socket: net.Socket) => socket.resetAndDestroy()],
  ['ends', (socket: net.Socket) => socket.destroy()],
  ['says nothing that is a size', (socket: net.Socket) => socket.end('Traceback (most recent call last)')],
] as const) {
  test(`a next hop that ${how} instead of answering is out of reach`, async (t) => {
    const server = await startPeer(t, (socket) => {
      socket.once('data', () => leave(socket));
    });
    const { nodes, out, hops } = await startNodes(t, 1);
    assert.equal((await runOriginalClient(inputText('x', [...hops, server]))).answer, 'Address not found');
    await assert.rejects(getClassic([...hops, server], out.path), failsWith('PEER_UNREACHABLE'));
    assert.deepEqual(await out.list(), []);
    assert.equal(await settled(nodes), 'nothing is left');
  });
}

for (const count of [1, 2]) {
  test(`a closed port behind ${count} of our nodes is told in the words of the originals`, async (t) => {
    const { nodes, out, hops } = await startNodes(t, count);
    const route = [...hops, { port: await closedPort() }];
    assert.equal((await runOriginalClient(inputText('data.bin', route))).answer, 'Address not found');
    await assert.rejects(getClassic(route, out.path), failsWith('PEER_UNREACHABLE'));
    assert.equal(await settled(nodes), 'nothing is left');
    assert.equal(nodes.at(-1)?.stats().failures.PEER_UNREACHABLE, 2);
  });
}

test('an original proxy in front of a closed port is understood', async (t) => {
  const { nodes, out, hops } = await startNodes(t, 1);
  const proxy = await startOriginal(t, new Map());
  const route = [...hops, proxy, { port: await closedPort() }];
  await assert.rejects(getClassic(route, out.path), failsWith('PEER_UNREACHABLE'));
  await assert.rejects(getClassic(route.slice(1), out.path), failsWith('PEER_UNREACHABLE'));
  assert.equal(await settled(nodes), 'nothing is left');
});

test('the policy holds for classic requests, and no more is said than that the address was not found', async (t) => {
  const { nodes, hops } = await startNodes(t, 1);
  const received = await runOriginalClient(`data.bin\n127.0.0.1 ${hops[0]?.port}\n192.0.2.1 80`);
  assert.equal(received.answer, 'Address not found');
  assert.equal(await settled(nodes), 'nothing is left');
  assert.deepEqual(nodes[0]?.stats().failures, { POLICY_DENIED: 1 });
});

test('a file outside the root is not there', async (t) => {
  const { nodes, hops } = await startNodes(t, 1);
  for (const name of ['../data.bin', '/etc/hostname', '.', 'no/such/file']) {
    assert.equal((await runOriginalClient(inputText(name, hops))).answer, 'NA', name);
  }
  assert.equal(await settled(nodes), 'nothing is left');
});

for (const [what, text, code] of [
  ['above 1024 bytes', `${'x'.repeat(1000)}\n127.0.0.1 7001\n127.0.0.1 7002`, 'LIMIT_HEAD'],
  ['whose line is no hop', 'data.bin\nfirst\nsecond\nthird', 'PEER_PROTOCOL'],
  ['with a port out of range', 'data.bin\n127.0.0.1 70000\n127.0.0.1 7002', 'PEER_PROTOCOL'],
] as const) {
  test(`a request ${what} is refused with NA`, async (t) => {
    const { nodes } = await startNodes(t, 1);
    const socket = await connectRaw(t, nodes[0] as (typeof nodes)[0]);
    const received = receiveAll(socket);
    socket.write(text);
    assert.equal(String(await received), 'NA');
    socket.destroy();
    assert.equal(await settled(nodes), 'nothing is left');
    assert.deepEqual(nodes[0]?.stats().failures, { [code]: 1 });
  });
}

test('a request that never becomes whole is given up', async (t) => {
  const { nodes } = await startNodes(t, 1, { headMs: 100 });
  const socket = await connectRaw(t, nodes[0] as (typeof nodes)[0]);
  const received = receiveAll(socket);
  socket.write('data.bin\n127.0.0.1 ');
  assert.equal(String(await received), 'NA');
  socket.destroy();
  assert.equal(await settled(nodes), 'nothing is left');
  assert.deepEqual(nodes[0]?.stats().failures, { TIMEOUT_HEAD: 1 });
});

for (const kind of ['our own node', 'an original server']) {
  test(`an original client that leaves after the size, or in the middle, leaves nothing behind before ${kind}`, async (t) => {
    const own = kind === 'our own node';
    const root = await makeTempRoot(t);
    const large = await root.writeRandom('large.bin', 20_000_000);
    const { nodes } = await startChain(t, own ? 2 : 1, root.path, { limits });
    const hops: { port: number }[] = nodes.map((node) => node.address);
    if (!own) hops.push(await startOriginal(t, new Map([['large.bin', large]])));
    const readSome = async (blocks: number) => {
      const socket = await BlockingSocket.connect('127.0.0.1', hops[0]?.port ?? 0);
      await socket.send(inputText('large.bin', hops));
      assert.equal(String(await socket.recv()), String(large.length));
      if (blocks > 0) await socket.send('ack_to_send');
      for (let block = 0; block < blocks; block += 1) await socket.recv();
      socket.close();
    };
    await readSome(0);
    await readSome(10);
    assert.equal(await settled(nodes), 'nothing is left');
    assert.equal(nodes[0]?.stats().failures.PEER_LOST, 1);
  });
}

for (const through of [0, 1, 2]) {
  test(`half a file is never taken for a whole one through ${through} of our nodes`, async (t) => {
    const original = await startOriginal(t, new Map([['data.bin', content]]), { dieAfter: 500_000 });
    const { nodes, out, hops } = await startNodes(t, through);
    const route = [...hops, original];
    await assert.rejects(getClassic(route, out.path), failsWith('PEER_LOST'));
    assert.deepEqual(await out.list(), []);
    const received = await runOriginalClient(inputText('data.bin', route));
    assert.ok(received.content.length < content.length);
    assert.equal(await settled(nodes), 'nothing is left');
    for (const node of nodes) assert.equal(node.stats().failures.PEER_LOST, 2);
  });
}

test('our client does not wait for original proxies that wait for each other', async (t) => {
  const files = new Map([['data.bin', content]]);
  const hops = [await startOriginal(t, files), await startOriginal(t, files), await startOriginal(t, files)];
  const out = await makeTempRoot(t);
  const route = parseVia(hops.map(({ address }) => address).join(), 'data.bin');
  const own = { ...limits, lingerMs: 20_000 };
  const result = await download({ route, classic: true, output: out.path, limits: own });
  assert.ok(result.elapsedMs < own.lingerMs);
});

test('an original proxy is not told of the end before its client has had the time to leave', async (t) => {
  const { bytes, nodes, hops } = await startNodes(t, 1, { lingerMs: 2_000 });
  const proxy = await startOriginal(t, new Map());
  for (let round = 0; round < 5; round += 1) {
    const received = await runOriginalClient(inputText('data.bin', [proxy, ...hops]));
    assert.deepEqual(received.content, bytes);
  }
  const socket = await connectRaw(t, nodes[0] as (typeof nodes)[0]);
  let ended = false;
  socket.on('end', () => {
    ended = true;
  });
  socket.write(inputText('data.bin', hops));
  await firstPiece(socket);
  socket.write('ack_to_send');
  let left = bytes.length;
  await new Promise<void>((resolve) => {
    socket.on('data', (part) => {
      left -= part.length;
      if (left === 0) resolve();
    });
  });
  await sleep(100);
  assert.equal(ended, false);
  socket.write('close');
  socket.end();
  assert.equal(await settled(nodes), 'nothing is left');
});

test('`get --classic` for a missing file exits with 6', async (t) => {
  const { nodes, out, hops } = await startNodes(t, 2);
  const via = hops.map(({ port }) => `127.0.0.1:${port}`).join();
  const args = ['get', '--classic', '--via', via, 'missing', '-o', out.path];
  assert.equal((await runProgram(t, args)).code, 6);
  assert.deepEqual(await out.list(), []);
  assert.equal(await settled(nodes), 'nothing is left');
});
