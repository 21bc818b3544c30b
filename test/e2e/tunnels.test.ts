/** HTTP servers, and others, reached through nodes: a tunnel whose last node connects to the address. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import type { Routes } from '../../src/client/ways/recent-way.ts';
import { type Hop, HoplineError, Tunnels } from '../../src/index.ts';
import { parseHop } from '../../src/wire/address.ts';
import { encodeMessage } from '../../src/wire/native/messages.ts';
import { addressOf, connectRaw, receiveAll, startChain, startPeer, until } from '../support/chain.ts';
import { makeTempRoot } from '../support/temp-root.ts';

function hopAt(address: string): Hop {
  const parsed = parseHop(address);
  assert.ok(parsed.kind === 'ok');
  return parsed.hop;
}

function wayOver(...addresses: readonly string[]): Routes[number] {
  return addresses.map((address) => [hopAt(address)]);
}

/** A port that nobody listens on: it was free a moment ago. */
async function findClosedPort(): Promise<Hop> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return hopAt(`127.0.0.1:${port}`);
}

async function startHttp(
  t: TestContext,
  listener: http.RequestListener,
): Promise<{ address: Hop; server: http.Server }> {
  const server = http.createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { address: hopAt(`127.0.0.1:${(server.address() as net.AddressInfo).port}`), server };
}

/** An agent whose connections are tunnels. */
function agentOver(t: TestContext, tunnels: Tunnels, address: Hop): http.Agent {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  agent.createConnection = (_options, done) => {
    tunnels.open(address).then(
      (stream) => done?.(null, stream),
      (error) => done?.(error, undefined as never),
    );
    return undefined;
  };
  t.after(() => agent.destroy());
  return agent;
}

async function request(agent: http.Agent, options: http.RequestOptions, body?: Buffer): Promise<[number, Buffer]> {
  const asked = http.request({ ...options, agent, host: 'server.example' });
  asked.end(body);
  const [answer] = (await once(asked, 'response')) as [http.IncomingMessage];
  const parts: Buffer[] = [];
  for await (const part of answer) parts.push(part as Buffer);
  return [answer.statusCode ?? 0, Buffer.concat(parts)];
}

test('requests go through three nodes, two over one connection, with large contents both ways', async (t) => {
  const root = await makeTempRoot(t);
  const chain = await startChain(t, 3, root.path);
  let connections = 0;
  const { address, server } = await startHttp(t, (asked, answer) => asked.pipe(answer));
  server.on('connection', () => {
    connections += 1;
  });
  const tunnels = new Tunnels({ routes: chain.route('x').routes });
  const agent = agentOver(t, tunnels, address);
  const content = Buffer.alloc(3_000_000, 'content that is sent back ');
  assert.deepEqual(await request(agent, { method: 'POST', path: '/a' }, content), [200, content]);
  assert.deepEqual(await request(agent, { method: 'POST', path: '/b' }, Buffer.from('b')), [200, Buffer.from('b')]);
  assert.equal(connections, 1);
  agent.destroy();
  await until(() => chain.nodes.every((node) => node.stats().open === 0));
});

test('a tunnel that the last node may not open is refused, with that node and the address named', async (t) => {
  const root = await makeTempRoot(t);
  const chain = await startChain(t, 3, root.path);
  const tunnels = new Tunnels({ routes: chain.route('x').routes });
  const error = await tunnels.open(hopAt('192.0.2.1:80')).catch((failure: unknown) => failure);
  assert.ok(error instanceof HoplineError);
  assert.equal(error.code, 'POLICY_DENIED');
  assert.equal(error.hop, 3);
  assert.match(error.message, /^hop 3 \(127\.0\.0\.1:\d+\) is not allowed to open a leg to hop 4 \(192\.0\.2\.1:80\)$/);
});

test('an address where nobody listens is named, and the node that said so', async (t) => {
  const root = await makeTempRoot(t);
  const chain = await startChain(t, 2, root.path);
  const tunnels = new Tunnels({ routes: chain.route('x').routes });
  const error = await tunnels.open(await findClosedPort()).catch((failure: unknown) => failure);
  assert.ok(error instanceof HoplineError);
  assert.deepEqual([error.code, error.hop, error.reason], ['PEER_UNREACHABLE', 2, 'ECONNREFUSED']);
});

test('an alternate takes the place of a dead first hop, and is asked first the next time', async (t) => {
  const root = await makeTempRoot(t);
  const chain = await startChain(t, 2, root.path);
  const [first = '', second = ''] = chain.nodes.map(addressOf);
  let triesOfDead = 0;
  const dead = await startPeer(t, (socket) => {
    triesOfDead += 1;
    socket.destroy();
  });
  const { address } = await startHttp(t, (_asked, answer) => answer.end('here'));
  const routes = [[[hopAt(dead.address), hopAt(first)], [hopAt(second)]]];
  const tunnels = new Tunnels({ routes });
  for (let index = 0; index < 3; index += 1) {
    const agent = agentOver(t, tunnels, address);
    assert.deepEqual(await request(agent, { path: '/' }), [200, Buffer.from('here')]);
    agent.destroy();
    // One try, and the PINGs that look into why it failed.
    if (index === 0) triesOfDead = 0;
  }
  assert.equal(triesOfDead, 0);
  await until(() => chain.nodes.every((node) => node.stats().open === 0));
});

test('a node opens no tunnel to itself, and none without an address', async (t) => {
  const root = await makeTempRoot(t);
  const chain = await startChain(t, 1, root.path);
  const [node] = chain.nodes;
  assert.ok(node);
  const tunnels = new Tunnels({ routes: [wayOver(addressOf(node))] });
  const looped = await tunnels.open(hopAt(addressOf(node))).catch((failure: unknown) => failure);
  assert.ok(looped instanceof HoplineError);
  assert.deepEqual([looped.code, looped.hop], ['ROUTE_LOOP', 1]);
  const socket = await connectRaw(t, node);
  const trace = '0'.repeat(32);
  socket.end(encodeMessage({ type: 'open', hops: ['10.0.0.1:7001'], hop: 1, trace, deadlineMs: 1000, tunnel: true }));
  assert.match((await receiveAll(socket)).toString(), /"refused","code":"PEER_PROTOCOL","hop":1/);
});

test('what was sent before the end of a tunnel arrives, in both directions', async (t) => {
  const root = await makeTempRoot(t);
  const chain = await startChain(t, 2, root.path);
  const peer = await startPeer(t, (socket) => {
    const parts: Buffer[] = [];
    socket.on('data', (part: Buffer) => parts.push(part));
    socket.on('end', () => socket.end(Buffer.concat([Buffer.alloc(500_000, 1), ...parts])));
  });
  const stream = await new Tunnels({ routes: chain.route('x').routes }).open(hopAt(peer.address));
  stream.end(Buffer.alloc(700_000, 2));
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  assert.deepEqual(Buffer.concat(parts), Buffer.concat([Buffer.alloc(500_000, 1), Buffer.alloc(700_000, 2)]));
});

test('a node that ends under a tunnel breaks it, and an aborted attempt leaves nothing', async (t) => {
  const root = await makeTempRoot(t);
  const chain = await startChain(t, 2, root.path);
  const peer = await startPeer(t, () => {});
  const tunnels = new Tunnels({ routes: chain.route('x').routes });
  const stream = await tunnels.open(hopAt(peer.address));
  const broken = once(stream, 'error');
  await chain.nodes[1]?.close({ graceMs: 0 });
  const [error] = await broken;
  assert.ok(error instanceof HoplineError);
  const silent = await startPeer(t, () => {});
  const stop = new AbortController();
  const waiting = new Tunnels({ routes: [wayOver(silent.address)] }).open(hopAt(peer.address), stop.signal);
  await silent.connected;
  stop.abort();
  await assert.rejects(waiting, { code: 'INTERRUPTED' });
});
