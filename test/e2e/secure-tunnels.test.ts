/** Tunnels and messages over ways that end at a key: nobody on the way reads what is asked, of whom, or what comes back. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { type TestContext, test } from 'node:test';
import {
  asHoplineError,
  createMessage,
  type NodeOptions,
  openSender,
  parseVia,
  type RunningNode,
  Tunnels,
} from '../../src/index.ts';
import { type Hop, parseHop } from '../../src/wire/address.ts';
import { type KeyPair, newKey } from '../../src/wire/keys/key.ts';
import { encodeMessage, type Message } from '../../src/wire/native/messages.ts';
import { addressOf, connectRaw, receiveAll, startChain, startPeer, until } from '../support/chain.ts';
import { openCircuit } from '../support/secure-circuits.ts';
import { startTamperer } from '../support/tamper.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const { key: identity } = newKey();

interface Fixture {
  readonly relay: RunningNode;
  readonly last: RunningNode;
  /** The way over both, whose second leg is read along; the last hop has `key`. */
  via(key?: KeyPair): string;
  /** All that passed between the two nodes. */
  seen(): Buffer;
}

async function start(t: TestContext, options: Partial<NodeOptions> = {}): Promise<Fixture> {
  const root = await makeTempRoot(t);
  const next = ['127.0.0.1'];
  const [last] = (await startChain(t, 1, root.path, { identity, next, ...options })).nodes as [RunningNode];
  const [relay] = (await startChain(t, 1, root.path, { next })).nodes as [RunningNode];
  const parts: Buffer[] = [];
  const note = (bytes: Buffer) => {
    parts.push(Buffer.from(bytes));
    return bytes;
  };
  const between = await startTamperer(t, last.address.port, { forward: note, back: note });
  const via = ({ public: { text } } = identity) => `${addressOf(relay)},${between}#${text}`;
  return { relay, last, via, seen: () => Buffer.concat(parts) };
}

const routesOf = (via: string) => parseVia(via, 'any').routes;

function hopsOf(via: string): Hop[] {
  return (routesOf(via)[0] ?? []).flat();
}

function hopAt(address: string): Hop {
  const parsed = parseHop(address);
  assert.ok(parsed.kind === 'ok');
  return parsed.hop;
}

function assertHidden(seen: Buffer, ...texts: readonly string[]): void {
  assert.ok(seen.length > 200, 'nothing passed by');
  for (const text of texts) assert.ok(!seen.includes(text), `${text} passed in plain`);
}

test('requests through a tunnel to a key are hidden on the way, and so is where it leads', async (t) => {
  const { relay, last, via, seen } = await start(t);
  const server = http.createServer((asked, answer) => asked.pipe(answer)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = `127.0.0.1:${(server.address() as { port: number }).port}`;
  for (const own of [undefined, newKey().key]) {
    const tunnels = new Tunnels({ routes: routesOf(via()), identity: own });
    const stream = await tunnels.open(hopAt(address));
    const content = Buffer.alloc(3_000_000, 'content to hide ');
    const options = { method: 'POST', path: '/path-to-hide', host: 'host.to.hide', createConnection: () => stream };
    const asked = http.request(options);
    asked.end(content);
    const [answer] = (await once(asked, 'response')) as [http.IncomingMessage];
    const parts: Buffer[] = [];
    for await (const part of answer) parts.push(part as Buffer);
    assert.ok(Buffer.concat(parts).equals(content));
    stream.destroy();
  }
  assertHidden(seen(), 'hide', address, String(address.split(':')[1]));
  await until(() => relay.stats().open === 0 && last.stats().open === 0);
  assert.deepEqual(last.stats().failures, {});
  // A client that closes at once may be gone before what the last node says to that has passed the relay.
  const { PEER_LOST: _, ...others } = relay.stats().failures;
  assert.deepEqual(others, {});
});

test('the end of each direction of an encrypted tunnel passes by itself', async (t) => {
  const { via } = await start(t);
  const peer = await startPeer(t, (socket) => {
    const parts: Buffer[] = [];
    socket.on('data', (part: Buffer) => parts.push(part));
    socket.on('end', () => socket.end(Buffer.concat([Buffer.alloc(500_000, 1), ...parts])));
  });
  const stream = await new Tunnels({ routes: routesOf(via()) }).open(hopAt(peer.address));
  stream.end(Buffer.alloc(700_000, 2));
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  assert.deepEqual(Buffer.concat(parts), Buffer.concat([Buffer.alloc(500_000, 1), Buffer.alloc(700_000, 2)]));
});

test('the last node refuses a tunnel under seal, with itself and the address named', async (t) => {
  const { via, seen } = await start(t);
  const tunnels = new Tunnels({ routes: routesOf(via()) });
  const denied = asHoplineError(await tunnels.open(hopAt('192.0.2.1:80')).catch((error: unknown) => error));
  assert.deepEqual([denied.code, denied.hop], ['POLICY_DENIED', 2]);
  assert.match(
    denied.message,
    /^hop 2 \(127\.0\.0\.1:\d+\) is not allowed to open a leg to hop 3 \(192\.0\.2\.1:80\)$/,
  );
  assertHidden(seen(), '192.0.2.1', 'refused');
  const short = await start(t, { limits: { maxHops: 2 } });
  const over = new Tunnels({ routes: routesOf(short.via()) }).open(hopAt('127.0.0.1:9'));
  await assert.rejects(over, { code: 'LIMIT_HOPS', hop: 2 });
});

test('a tunnel for another key is none, and nothing of it goes in plain', async (t) => {
  const { via, seen } = await start(t);
  let connections = 0;
  const peer = await startPeer(t, () => {
    connections += 1;
  });
  const tunnels = new Tunnels({ routes: routesOf(via(newKey().key)) });
  await assert.rejects(tunnels.open(hopAt(peer.address)), { code: 'SECURE_FAILED' });
  assertHidden(seen(), peer.address);
  assert.equal(connections, 0);
});

test('an OPEN that comes out of an encrypted tunnel goes on with the hops before it counted', async (t) => {
  const { via } = await start(t);
  const heard: Buffer[] = [];
  const peer = await startPeer(t, (socket) => socket.on('data', (bytes: Buffer) => heard.push(bytes)));
  const stream = await new Tunnels({ routes: routesOf(via()) }).open(hopAt(peer.address));
  const trace = '0'.repeat(32);
  stream.write(encodeMessage({ type: 'open', hops: [peer.address], hop: 1, trace, deadlineMs: 1000 }));
  await until(() => Buffer.concat(heard).includes('"behind":2'));
  assert.ok(!Buffer.concat(heard).includes(trace));
  stream.destroy();
});

test('CONNECT is the first on an encrypted circuit, and nowhere else', async (t) => {
  const { last } = await start(t);
  const connect: Message = { type: 'connect', address: '127.0.0.1:9' };
  const circuit = await openCircuit(t, [addressOf(last)], [{ type: 'ping' }], { remote: identity.public });
  await circuit.receive('pong');
  circuit.send([connect]);
  await assert.rejects(circuit.receive('connected'), { code: 'PEER_PROTOCOL' });
  const socket = await connectRaw(t, last);
  const open: Message = { type: 'open', hops: [addressOf(last)], hop: 1, trace: '0'.repeat(32), deadlineMs: 1000 };
  socket.end(Buffer.concat([open, connect].map(encodeMessage)));
  assert.match((await receiveAll(socket)).toString(), /"refused","code":"PEER_PROTOCOL","hop":1/);
});

test('messages to a key are hidden on the way, and so are their answers', async (t) => {
  const { relay, last, via, seen } = await start(t, { server: { policy: 'policy-to-hide', id: 'server-to-hide' } });
  const payload = 'payload-to-hide';
  const sha1 = createHash('sha1').update(payload).digest('hex');
  for (const own of [undefined, newKey().key]) {
    const sender = await openSender({ via: hopsOf(via()), identity: own });
    for (let time = 0; time < 3; time += 1) {
      const { server, hash } = await sender.send(createMessage('5', 'policy-to-hide', payload));
      assert.deepEqual([server, hash], ['server-to-hide', sha1]);
    }
    await assert.rejects(sender.send(createMessage('5', 'none-to-hide', payload)), { code: 'POLICY_UNKNOWN', hop: 2 });
    await sender.send(createMessage('5', 'policy-to-hide', payload));
    await sender.close();
  }
  assertHidden(seen(), 'hide', sha1, 'payload');
  await until(() => relay.stats().open === 0 && last.stats().open === 0);
  assert.equal(last.stats().messages, 8);
});

test('messages for another key are not sent', async (t) => {
  const { via, seen, last } = await start(t, { server: { policy: 'PP_1' } });
  const sender = await openSender({ via: hopsOf(via(newKey().key)) });
  t.after(() => sender.close());
  await assert.rejects(sender.send(createMessage('5', 'PP_1', 'hide')), { code: 'SECURE_FAILED' });
  assertHidden(seen(), 'hide', 'PP_1');
  assert.equal(last.stats().messages, 0);
});
