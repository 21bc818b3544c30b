import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import {
  createMessage,
  type HoplineError,
  type NodeOptions,
  openSender,
  type RunningNode,
  type SenderOptions,
  startNode,
} from '../../src/index.ts';
import type { Port } from '../../src/wire/address.ts';
import { encodeMessage } from '../../src/wire/native/messages.ts';
import { connectRaw, receiveAll, startPeer, until } from '../support/chain.ts';
import {
  type Habits,
  isListening,
  registerOriginal,
  runOriginalPacketClient,
  startOriginalFront,
  startOriginalServer,
} from '../support/packet-peers.ts';

const limits = { registerMs: 50, lingerMs: 200, answerMs: 400 };
const host = '127.0.0.1';
const hopOf = (port: number) => ({ host, port: port as Port });
const sha1 = (text: string) => createHash('sha1').update(text).digest('hex');

async function start(t: TestContext, options: Partial<NodeOptions> = {}): Promise<RunningNode> {
  const node = await startNode({ listen: { host, port: 0 }, ...options, limits: { ...limits, ...options.limits } });
  t.after(async () => {
    await node.close({ graceMs: 0 });
    assert.equal(node.stats().open, 0, 'a connection survived its node');
  });
  return node;
}

/** A server of ours; known to the front once it has answered a message. */
function startServer(t: TestContext, front: { readonly port: number }, policy: string, id: string, port = 0) {
  return start(t, { listen: { host, port }, server: { policy, id, register: [hopOf(front.port)] } });
}

/** Sends one message on a connection of its own; the id of the server that answered. */
async function ask(to: number, policy: string, payload = 'xyz', options: SenderOptions = {}): Promise<string> {
  const sender = await openSender({ to: hopOf(to), ...options });
  try {
    return (await sender.send(createMessage('5', policy, payload))).server ?? '';
  } finally {
    await sender.close();
  }
}

/** Settles once the front has so many servers for a policy: as many different ones answer. */
async function hasServers(front: number, policy: string, count: number): Promise<void> {
  await until(async () => {
    const servers = new Set<string>();
    for (let turn = 0; turn < count; turn += 1) servers.add(await ask(front, policy).catch(() => ''));
    return servers.size === count && !servers.has('');
  });
}

/** Writes text and takes whatever comes back until `count` objects are whole. */
async function exchange(socket: Socket, text: string | Buffer, count = 1): Promise<Record<string, unknown>[]> {
  let received = '';
  const take = (part: Buffer) => {
    received += part.toString();
  };
  socket.on('data', take);
  socket.write(text);
  const objects = () => received.replaceAll('}{', '}\n{').split('\n');
  await until(() => objects().length === count && received.endsWith('}'));
  socket.off('data', take);
  return objects().map((object) => JSON.parse(object));
}

test('messages go to the servers of their policy in the order in which they registered', async (t) => {
  const front = await start(t);
  const { port } = front.address;
  const servers = [];
  for (const id of [1, 2]) {
    const server = await startOriginalServer(t, id);
    await registerOriginal(server, 'PP_1', port);
    servers.push(server);
  }
  await until(async () => (await ask(port, 'PP_1').catch(() => '')) === '1');
  await until(async () => (await ask(port, 'PP_1')) === '2');
  const order = [];
  for (let turn = 0; turn < 5; turn += 1) order.push(await ask(port, 'PP_1'));
  assert.deepEqual(order, ['1', '2', '1', '2', '1']);
});

const messages = (policy: string | number) =>
  ['xyz', 'a "quoted" {brace}', 'x'.repeat(900)].map((payload) => ({ policy, payload }));

const servers = [
  ['our server', undefined],
  ['the original server, one answer a connection', {}],
  ['the original server, loops on a connection', { loops: true }],
] as const satisfies readonly (readonly [name: string, habits: Habits | undefined])[];

/** Starts a front and a server that registers with it; how often the server was sent a message. */
async function startPairing(t: TestContext, isOurFront: boolean, habits: Habits | undefined) {
  const health = { intervalMs: 20, jitter: 0, timeoutMs: 60_000 };
  const pools = [{ name: '111', check: 'packet' as const, health }];
  const original = isOurFront ? undefined : await startOriginalFront(t);
  const port = original?.port ?? (await start(t, { pools, limits: { answerMs: 60_000 } })).address.port;
  if (!habits) await startServer(t, { port }, '111', '100');
  const server = habits && (await startOriginalServer(t, 100, habits));
  if (server) await registerOriginal(server, '111', port);
  if (original) await until(() => original.table.size === 1);
  await hasServers(port, '111', 1);
  return { port, isDead: () => server?.isDead() ?? false };
}

for (const [frontName, isOurFront] of [
  ['our front', true],
  ['the original front', false],
] as const) {
  for (const [serverName, habits] of servers) {
    test(`200 messages of the original client, ${frontName}, ${serverName}`, async (t) => {
      const { port, isDead } = await startPairing(t, isOurFront, habits);
      const sent = Array.from({ length: 200 }, (_, index) => ({ policy: '111', payload: `message ${index}` }));
      const answers = await runOriginalPacketClient(port, [...messages('111'), ...sent]);
      for (const { packet, isCorrect } of answers) {
        assert.ok(isCorrect, JSON.stringify(packet));
        const { type, srcid, destid, payloadsize } = packet;
        assert.deepEqual([type, srcid, destid, payloadsize], ['2', '100', '5', '40']);
      }
      assert.ok(!isDead());
    });

    test(`200 messages of our client, ${frontName}, ${serverName}`, async (t) => {
      const { port, isDead } = await startPairing(t, isOurFront, habits);
      for (let turn = 0; turn < 200; turn += 1) assert.equal(await ask(port, '111', `message ${turn}`), '100');
      assert.ok(!isDead());
    });
  }
}

for (const [serverName, habits] of servers) {
  test(`what people write as numbers is answered in numbers: our front, ${serverName}`, async (t) => {
    const { port } = await startPairing(t, true, habits);
    const answers = await runOriginalPacketClient(port, messages(111), { asNumbers: true });
    for (const { packet, isCorrect } of answers) {
      assert.ok(isCorrect, JSON.stringify(packet));
      assert.deepEqual([packet.type, packet.destid, packet.payloadsize], [2, 5, 40]);
    }
  });

  test(`our client, our front, ${serverName}, many at once`, async (t) => {
    const { port } = await startPairing(t, true, habits);
    const asked = await Promise.all(Array.from({ length: 20 }, () => ask(port, '111')));
    assert.deepEqual(new Set(asked), new Set(['100']));
  });
}

test('a message without a source, or with a number as payload, ends no original server', async (t) => {
  const { port, isDead } = await startPairing(t, true, {});
  const socket = await connectRaw(t, { address: { host, port } } as RunningNode);
  const [answer] = await exchange(socket, '{"type":0,"privPoliId":111,"payload":42}');
  assert.equal(answer?.payload, sha1('42'));
  assert.equal(await ask(port, '111'), '100');
  assert.ok(!isDead());
});

test('checks leave an original server as it is, however many', async (t) => {
  const pools = [{ name: 'PP_1', check: 'packet' as const, health: { intervalMs: 5, jitter: 0 } }];
  const front = await start(t, { pools });
  const server = await startOriginalServer(t, 7);
  await registerOriginal(server, 'PP_1', front.address.port);
  await until(() => server.connections() > 20);
  assert.ok(!server.isDead());
  assert.equal(await ask(front.address.port, 'PP_1'), '7');
});

test('two policies that are one number to JavaScript have each its own server, and get their numbers back', async (t) => {
  const front = await start(t);
  const [one, other] = ['9007199254740992', '9007199254740993'];
  await startServer(t, front.address, one, '1');
  await startServer(t, front.address, other, '2');
  await hasServers(front.address.port, one, 1);
  await hasServers(front.address.port, other, 1);
  const socket = await connectRaw(t, front);
  const received = receiveAll(socket);
  for (const policy of [one, other]) socket.write(`{"type":0,"srcid":${policy},"privPoliId":${policy},"payload":"x"}`);
  socket.end();
  const text = (await received).toString();
  assert.match(text, /"srcid":"1","destid":9007199254740992,.*"srcid":"2","destid":9007199254740993,/);
});

for (const policy of ['PP_1', '111']) {
  test(`our server tells an original front once that it is there, for ${policy}, and does not claim more`, async (t) => {
    const front = await startOriginalFront(t);
    const lines: string[] = [];
    const log = { debug() {}, warn() {}, error() {}, info: (_fields: object, message: string) => lines.push(message) };
    const told = { policy, id: '100', register: [hopOf(front.port)] };
    const server = await start(t, { server: told, log });
    await until(() => front.table.size === 1);
    const other = await startOriginalServer(t, 200);
    await registerOriginal(other, policy, front.port);
    await until(() => front.table.get(JSON.stringify(policy))?.length === 2);
    assert.deepEqual(await Promise.all([ask(front.port, policy), ask(front.port, policy)]), ['100', '200']);
    // Behind the line nothing is sent any more.
    await until(() => lines.some((line) => /^registration sent, not confirmed/.test(line)));
    assert.ok(!lines.includes('registered'));
    assert.deepEqual(front.table.get(JSON.stringify(policy)), [String(server.address.port), String(other.port)]);
  });
}

test('an original front that has no server refuses in its way, and our client understands', async (t) => {
  const front = await startOriginalFront(t);
  await assert.rejects(ask(front.port, 'PP_9'), (error: HoplineError) => {
    assert.equal(error.code, 'POLICY_UNKNOWN');
    assert.match(error.message, /^hop 1 \(127\.0\.0\.1:\d+\) knows no server of the policy "PP_9"$/);
    return true;
  });
});

test('our client asks a server itself: ours and an original one', async (t) => {
  const ours = await start(t, { server: { policy: 'PP_1' } });
  assert.equal(await ask(ours.address.port, 'PP_1'), String(ours.address.port));
  await assert.rejects(ask(ours.address.port, 'PP_2'), { code: 'POLICY_UNKNOWN' });
  const original = await startOriginalServer(t, 7);
  assert.equal(await ask(original.port, 'whatever'), '7');
});

test('packets may be cut anywhere and follow each other; each is answered, in its order', async (t) => {
  const front = await start(t);
  await startServer(t, front.address, 'PP_1', '100');
  await hasServers(front.address.port, 'PP_1', 1);
  const socket = await connectRaw(t, front);
  socket.setNoDelay(true);
  const payloads = ['first }', 'é😀', 'third "'];
  const text = payloads.map((payload) => JSON.stringify({ type: 0, privPoliId: 'PP_1', payload })).join('');
  const whole = await exchange(socket, text, 3);
  assert.deepEqual(
    whole.map(({ payload }) => payload),
    payloads.map(sha1),
  );
  const slow = exchange(socket, '', 3);
  for (const byte of Buffer.from(`${text}\n`)) {
    socket.write(Buffer.from([byte]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(
    (await slow).map(({ payload }) => payload),
    payloads.map(sha1),
  );
  const rest = receiveAll(socket);
  socket.end();
  assert.equal((await rest).length, 0);
});

test('a refused message is answered with its own fields and a reason, and the connection goes on', async (t) => {
  const front = await start(t, { limits: { maxPayloadBytes: 10 } });
  const server = await startOriginalServer(t, 1);
  await registerOriginal(server, 'PP_1', front.address.port);
  await hasServers(front.address.port, 'PP_1', 1);
  const socket = await connectRaw(t, front);
  const [unknown] = await exchange(socket, '{"type":0,"srcid":5,"privPoliId":9,"payloadsize":3,"payload":"xyz"}');
  assert.deepEqual(unknown, {
    type: -1,
    srcid: 5,
    privPoliId: 9,
    code: 'POLICY_UNKNOWN',
    payload: 'no server has registered for the policy "9"',
  });
  const [long] = await exchange(socket, '{"type":"0","privPolyId":"PP_1","payload":"12345678901"}');
  assert.deepEqual(long, {
    type: '-1',
    privPolyId: 'PP_1',
    code: 'LIMIT_PAYLOAD',
    payload: 'a payload has at most 10 bytes',
  });
  // Ten bytes are five of these letters.
  const [twoBytes] = await exchange(socket, '{"type":0,"privPoliId":"PP_1","payload":"éééééé"}');
  assert.equal(twoBytes?.code, 'LIMIT_PAYLOAD');
  const [fine] = await exchange(socket, '{"type":0,"privPoliId":"PP_1","payload":"ééééé"}');
  assert.equal(fine?.payload, sha1('ééééé'));
  assert.equal(front.stats().failures.LIMIT_PAYLOAD, 2);
});

const badRows: readonly (readonly [what: string, bytes: string | Buffer, code: string])[] = [
  ['an empty object', '{}', 'PEER_PROTOCOL'],
  ['an array', '[', 'PEER_PROTOCOL'],
  ['not JSON', '{"type": 0, oops}', 'PEER_PROTOCOL'],
  ['an unknown type', '{"type": 7}', 'PEER_PROTOCOL'],
  ['no policy', '{"type": 0, "payload": "x"}', 'PEER_PROTOCOL'],
  ['an answer unasked', '{"type": 2, "payload": "x"}', 'PEER_PROTOCOL'],
  ['a packet that never ends', `{"type": 0, "payload": "${'x'.repeat(11_000)}`, 'LIMIT_PAYLOAD'],
];
for (const [what, bytes, code] of badRows) {
  test(`${what} is refused with a packet, and ends the connection`, async (t) => {
    const front = await start(t);
    const socket = await connectRaw(t, front);
    const received = receiveAll(socket);
    socket.write(bytes);
    const packet = JSON.parse((await received).toString());
    assert.equal(packet.type, -1);
    assert.equal(packet.code, code);
    assert.equal(typeof packet.payload, 'string');
    assert.deepEqual(front.stats().failures, { [code]: 1 });
  });
}

test('pickle is refused by name', async (t) => {
  const lines: string[] = [];
  const log = { debug() {}, info() {}, error() {}, warn: (_fields: object, message: string) => lines.push(message) };
  const front = await start(t, { log });
  const socket = await connectRaw(t, front);
  const received = receiveAll(socket);
  socket.write(Buffer.from('80049500', 'hex'));
  assert.equal((await received)[0], 0xff);
  assert.match(lines.join(), /^pickle is never read/);
});

test('a probe is taken and not answered; a setup is answered by one', async (t) => {
  const front = await start(t);
  const socket = await connectRaw(t, front);
  const setup = '{"type":"1","id":"1","privPolyId":"PP_1","listenport":"9"}';
  assert.deepEqual(await exchange(socket, `{"type":-2}{"type":"-2"} ${setup}`), [{ type: '-2' }]);
  const rest = receiveAll(socket);
  socket.end('{"type":-2}');
  assert.equal((await rest).length, 0);
  await until(() => front.stats().open === 0);
  assert.deepEqual(front.stats().failures, {});
});

const setup = '{"type":1,"id":1,"privPolyId":"PP_1","listenport":9001}';

test('without leave nobody registers: a denial names its code, and messages find no server', async (t) => {
  for (const options of [{ registerFrom: false }, { listen: { host: '0.0.0.0', port: 0 } }] as const) {
    const front = await start(t, options);
    const socket = await connectRaw(t, { ...front, address: { host, port: front.address.port } } as RunningNode);
    const [denied] = await exchange(socket, setup);
    assert.deepEqual([denied?.type, denied?.code], [-1, 'REGISTER_DENIED']);
    await assert.rejects(ask(front.address.port, 'PP_1'), { code: 'POLICY_UNKNOWN' });
  }
});

test('a network may be let in to register, with a port of its own', async (t) => {
  const front = await start(t, { listen: { host: '0.0.0.0', port: 0 }, registerFrom: ['127.0.0.0/8'] });
  await startServer(t, front.address, 'PP_1', '100');
  await hasServers(front.address.port, 'PP_1', 1);
});

for (const wrong of ['10.0.0.0/33', 'any', 'example.org', '10.0.0.0/8/9', '']) {
  test(`"${wrong}" is no network to register from`, async () => {
    await assert.rejects(startNode({ listen: { host, port: 0 }, registerFrom: [wrong] }), { code: 'USAGE_INVALID' });
  });
}

test('policies that come to be when a server registers share their messages as the node is told to', async (t) => {
  const front = await start(t, { balance: 'consistent-hash' });
  await startServer(t, front.address, 'PP_1', '100');
  await startServer(t, front.address, 'PP_1', '101');
  const answers = async (id: string) => {
    const sender = await openSender({ to: hopOf(front.address.port) });
    const servers = new Set<string | undefined>();
    try {
      for (let n = 0; n < 3; n += 1) servers.add((await sender.send(createMessage(id, 'PP_1', 'xyz'))).server);
    } finally {
      await sender.close();
    }
    return [...servers];
  };
  // Both are there once two clients are answered by different ones; each client has one of its own.
  const clients = Array.from({ length: 32 }, (_, id) => String(id));
  await until(async () => {
    const seen = await Promise.all(clients.map(answers)).catch(() => []);
    return new Set(seen.flat()).size === 2;
  });
  for (const id of clients) assert.equal((await answers(id)).length, 1);
});

const tokens = ['0123456789abcdef', '0123456789abcdeF'] as const;

test('with the token of the front a server registers from anywhere, with another or none it does not', async (t) => {
  const [registerToken, wrong] = tokens;
  const front = await start(t, { listen: { host: '0.0.0.0', port: 0 }, registerToken });
  const at = { ...front, address: { host, port: front.address.port } } as RunningNode;
  const socket = await connectRaw(t, at);
  for (const given of [{}, { token: wrong }, { token: '' }, { token: 0 }]) {
    const [denied] = await exchange(socket, JSON.stringify({ ...JSON.parse(setup), ...given }));
    assert.deepEqual([denied?.code, denied?.token], ['REGISTER_DENIED', undefined]);
  }
  const server = { policy: 'PP_1', id: '100', register: [hopOf(front.address.port)] };
  await start(t, { server, registerToken: wrong });
  const right = await start(t, { server: { ...server, id: '101' }, registerToken });
  await hasServers(front.address.port, 'PP_1', 1);
  assert.equal(await ask(front.address.port, 'PP_1'), '101');
  await right.close({ graceMs: 0 });
});

test('a front with a token still lets loopback in on loopback, and one without takes any token for none', async (t) => {
  const [registerToken] = tokens;
  const front = await start(t, { registerToken });
  await startServer(t, front.address, 'PP_1', '100');
  await hasServers(front.address.port, 'PP_1', 1);
  const other = await start(t, { listen: { host: '0.0.0.0', port: 0 } });
  const socket = await connectRaw(t, { ...other, address: { host, port: other.address.port } } as RunningNode);
  const [denied] = await exchange(socket, JSON.stringify({ ...JSON.parse(setup), token: registerToken }));
  assert.equal(denied?.code, 'REGISTER_DENIED');
});

for (const wrong of ['', '0123456789abcde', 'with a space in it', 'zwölf und vier mehr', 'x'.repeat(201)]) {
  test(`a token of ${wrong.length} characters, "${wrong.slice(0, 20)}", is none, and no error repeats it`, async () => {
    const starting = startNode({ listen: { host, port: 0 }, registerToken: wrong });
    await assert.rejects(starting, (error: HoplineError) => {
      return error.code === 'USAGE_INVALID' && (wrong === '' || !error.message.includes(wrong));
    });
  });
}

test('the node itself, too many policies and too many servers are not taken', async (t) => {
  const front = await start(t, { limits: { maxPools: 1, maxPoolMembers: 2 } });
  const socket = await connectRaw(t, front);
  const register = async (policy: string, port: number) => {
    const [packet] = await exchange(socket, JSON.stringify({ type: 1, id: 1, privPolyId: policy, listenport: port }));
    return packet?.code ?? packet?.type;
  };
  assert.equal(await register('PP_1', front.address.port), 'REGISTER_DENIED');
  assert.equal(await register('PP_1', 9001), -2);
  assert.equal(await register('PP_1', 9002), -2);
  assert.equal(await register('PP_1', 9003), 'REGISTER_DENIED');
  assert.equal(await register('PP_1', 9001), -2);
  assert.equal(await register('PP_2', 9001), 'REGISTER_DENIED');
});

test('a server that was down for long is forgotten when the next one registers', async (t) => {
  const health = { intervalMs: 20, jitter: 0 };
  const pools = [{ name: 'PP_1', check: 'packet' as const, health }];
  const front = await start(t, { pools, limits: { forgetMs: 60, maxPoolMembers: 1 } });
  const socket = await connectRaw(t, front);
  const gone = await startPeer(t, () => {});
  await exchange(socket, setup.replace('9001', '1'));
  const next = setup.replace('9001', String(gone.port));
  await until(async () => (await exchange(socket, next))[0]?.type === -2);
});

test('a dead server is out without a message, and back by itself', async (t) => {
  const pools = [{ name: 'PP_1', check: 'packet' as const, health: { intervalMs: 50, jitter: 0 } }];
  const front = await start(t, { pools });
  const first = await startServer(t, front.address, 'PP_1', '1');
  await startServer(t, front.address, 'PP_1', '2');
  await hasServers(front.address.port, 'PP_1', 2);
  await first.close({ graceMs: 0 });
  await until(async () => !(await isListening(first.address.port)));
  for (let turn = 0; turn < 10; turn += 1) assert.equal(await ask(front.address.port, 'PP_1'), '2');
  await startServer(t, front.address, 'PP_1', '1', first.address.port);
  await hasServers(front.address.port, 'PP_1', 2);
});

test('a server that hangs costs a message its time there, and another answers', async (t) => {
  const front = await start(t);
  const mute = await startPeer(t, (socket) => socket.resume());
  const socket = await connectRaw(t, front);
  await exchange(socket, setup.replace('9001', String(mute.port)));
  const server = await startOriginalServer(t, 2);
  await registerOriginal(server, 'PP_1', front.address.port);
  assert.equal(await ask(front.address.port, 'PP_1'), '2');
  // The hung one has been ejected; nobody else waits for it.
  const began = performance.now();
  for (let turn = 0; turn < 4; turn += 1) assert.equal(await ask(front.address.port, 'PP_1'), '2');
  assert.ok(performance.now() - began < limits.answerMs);
});

for (const [what, serve] of [
  ['ends', (socket: Socket) => socket.once('data', () => socket.end())],
  ['resets', (socket: Socket) => socket.once('data', () => socket.resetAndDestroy())],
  ['sends half an answer', (socket: Socket) => socket.once('data', () => socket.end('{"type":2,"pay'))],
  ['sends rubbish', (socket: Socket) => socket.once('data', () => socket.end('HTTP/1.1 400\r\n\r\n'))],
  ['sends a message', (socket: Socket) => socket.once('data', (bytes) => socket.end(bytes))],
  [
    'serves another policy',
    (socket: Socket) => socket.once('data', () => socket.end('{"type":-1,"code":"POLICY_UNKNOWN"}')),
  ],
] as const) {
  test(`a server that ${what} is replaced before the client notices`, async (t) => {
    const front = await start(t, { pools: [{ name: 'PP_1', check: 'packet', health: { intervalMs: 60_000 } }] });
    const broken = await startPeer(t, (socket) => void serve(socket));
    const socket = await connectRaw(t, front);
    await exchange(socket, setup.replace('9001', String(broken.port)));
    const server = await startOriginalServer(t, 2);
    await registerOriginal(server, 'PP_1', front.address.port);
    await until(async () => (await ask(front.address.port, 'PP_1').catch(() => '')) === '2');
    for (let turn = 0; turn < 4; turn += 1) assert.equal(await ask(front.address.port, 'PP_1'), '2');
  });
}

test('when no server answers the client is told so', async (t) => {
  const front = await start(t, { pools: [{ name: 'PP_1', check: 'packet', members: [hopOf(1)] }] });
  await assert.rejects(ask(front.address.port, 'PP_1'), { code: 'POOL_EMPTY', hop: 1 });
});

test('a connection to a server is kept for the next message, for a moment', async (t) => {
  // A check is a connection as well.
  const pools = [{ name: 'PP_1', check: 'packet' as const, health: { intervalMs: 600_000 } }];
  const front = await start(t, { pools, limits: { keepMs: 3_000 } });
  const server = await startOriginalServer(t, 1, { loops: true });
  await registerOriginal(server, 'PP_1', front.address.port);
  await hasServers(front.address.port, 'PP_1', 1);
  const before = server.connections();
  for (let turn = 0; turn < 20; turn += 1) await ask(front.address.port, 'PP_1');
  assert.ok(server.connections() - before <= 1, String(server.connections() - before));
  // It serves nobody else until the connection ends, and that is soon.
  assert.equal(await ask(server.port, 'PP_1'), '1');
});

test('a kept connection that breaks under its second message costs no message, though there is one server only', async (t) => {
  let breaks = 0;
  const server = await startPeer(t, (socket) => {
    let answered = 0;
    socket.on('data', (bytes) => {
      if (!bytes.includes('"payload"')) return;
      answered += 1;
      if (answered === 1) socket.write(JSON.stringify({ type: 2, srcid: 1, payload: sha1('xyz') }));
      else {
        breaks += 1;
        socket.resetAndDestroy();
      }
    });
  });
  const front = await start(t, { pools: [{ name: 'PP_1', check: 'packet', members: [hopOf(server.port)] }] });
  for (let turn = 0; turn < 3; turn += 1) assert.equal(await ask(front.address.port, 'PP_1'), '1');
  assert.equal(breaks, 2);
});

test('a server that was restarted on its port costs no message, though connections to it were kept', async (t) => {
  const front = await start(t, { limits: { keepMs: 60_000 } });
  const first = await startServer(t, front.address, 'PP_1', '1');
  await hasServers(front.address.port, 'PP_1', 1);
  await ask(front.address.port, 'PP_1');
  await first.close({ graceMs: 0 });
  await startServer(t, front.address, 'PP_1', 'new', first.address.port);
  assert.equal(await ask(front.address.port, 'PP_1'), 'new');
});

test('settings of a policy: members by name, and an algorithm', async (t) => {
  const servers = await Promise.all([1, 2, 3].map((id) => startOriginalServer(t, id)));
  const members = servers.map(({ port }) => ({ host: 'localhost', port: port as Port }));
  const resolve = async () => ['127.0.0.1'];
  const pools = [{ name: 'PP_1', check: 'packet' as const, members, algorithm: 'consistent-hash' as const }];
  const front = await start(t, { pools, resolve });
  const asked = new Set<string>();
  for (let turn = 0; turn < 6; turn += 1) asked.add(await ask(front.address.port, 'PP_1'));
  assert.equal(asked.size, 1);
});

test('messages go over hops to the front, and refusals come back from wherever they arise', async (t) => {
  const [one, two, front] = [await start(t), await start(t), await start(t)];
  await startServer(t, front.address, 'PP_1', '100');
  await hasServers(front.address.port, 'PP_1', 1);
  const via = [one, two, front].map(({ address }) => hopOf(address.port));
  const sender = await openSender({ via });
  t.after(() => sender.close());
  for (const payload of ['one', 'two é']) {
    const { server, hash } = await sender.send(createMessage('5', 'PP_1', payload));
    assert.deepEqual([server, hash], ['100', sha1(payload)]);
  }
  await assert.rejects(sender.send(createMessage('5', 'PP_9', 'x')), { code: 'POLICY_UNKNOWN', hop: 3 });
  assert.equal((await sender.send(createMessage('5', 'PP_1', 'x'))).server, '100');
  const dead = [hopOf(one.address.port), hopOf(1)];
  await assert.rejects(ask(0, 'PP_1', 'x', { via: dead }), { code: 'PEER_UNREACHABLE', hop: 1 });
  const alone = await ask(0, 'PP_1', 'x', { via: [hopOf(front.address.port)] });
  assert.equal(alone, '100');
});

test('behind OPEN nobody registers', async (t) => {
  const front = await start(t);
  const socket = await connectRaw(t, front);
  const hops = [`127.0.0.1:${front.address.port}`];
  const open = encodeMessage({ type: 'open', hops, hop: 1, trace: '0'.repeat(32), deadlineMs: 1000 });
  const [denied] = await exchange(socket, Buffer.concat([open, Buffer.from(setup)]));
  assert.equal(denied?.code, 'REGISTER_DENIED');
});

test('a hash that is wrong is told with both, and nothing else of the peer’s', async (t) => {
  for (const [payload, words] of [
    ['ab'.repeat(20), /answered the SHA-1 (ab){20}, and that of the payload is 66b27417/],
    ['\u001b[2J', /answered no SHA-1, and/],
  ] as const) {
    const liar = await startPeer(t, (socket) =>
      socket.on('data', () => socket.write(JSON.stringify({ type: 2, payload }))),
    );
    await assert.rejects(ask(liar.port, 'PP_1'), (error: HoplineError) => {
      assert.equal(error.code, 'HASH_MISMATCH');
      assert.match(error.message, words);
      return true;
    });
  }
  const confused = await startPeer(t, (socket) =>
    socket.on('data', () => socket.write(JSON.stringify({ type: 2, destid: 6, payload: sha1('xyz') }))),
  );
  await assert.rejects(ask(confused.port, 'PP_1'), { code: 'HASH_MISMATCH' });
});

test('a client that leaves in the middle takes its message along, and blames nobody', async (t) => {
  const front = await start(t, { limits: { answerMs: 60_000 } });
  let isAsked = false;
  const mute = await startPeer(t, (socket) => {
    socket.on('data', () => {
      isAsked = true;
    });
  });
  const socket = await connectRaw(t, front);
  await exchange(socket, setup.replace('9001', String(mute.port)));
  socket.write('{"type":0,"privPoliId":"PP_1","payload":"x"}');
  await until(() => isAsked);
  socket.resetAndDestroy();
  await until(() => front.stats().open === 0);
});

test('a stopping node answers what is under way, and ends connections that wait', async (t) => {
  let asked: Socket | undefined;
  const slow = await startPeer(t, (socket) => {
    socket.on('data', (bytes) => {
      if (bytes.includes('"payload"')) asked = socket;
    });
  });
  const front = await start(t, { limits: { answerMs: 10_000 } });
  const [asking, idle] = [await connectRaw(t, front), await connectRaw(t, front)];
  await exchange(idle, setup.replace('9001', String(slow.port)));
  const rest = receiveAll(idle);
  const answered = receiveAll(asking);
  asking.write('{"type":0,"privPoliId":"PP_1","payload":"x"}');
  await until(() => asked !== undefined);
  const closed = front.close({ graceMs: 10_000 });
  assert.equal((await rest).length, 0);
  idle.destroy();
  asked?.write(JSON.stringify({ type: 2, srcid: 1, payload: sha1('x') }));
  assert.equal(JSON.parse((await answered).toString()).payload, sha1('x'));
  asking.destroy();
  await closed;
});

test('a full node refuses packets with a packet', async (t) => {
  const front = await start(t, { limits: { maxConnections: 1, answerMs: 60_000 } });
  const received: string[] = [];
  const mute = await startPeer(t, (socket) => socket.on('data', (bytes) => received.push(bytes.toString())));
  const first = await connectRaw(t, front);
  await exchange(first, setup.replace('9001', String(mute.port)));
  // One that rests would give its place to the second.
  first.write('{"type":0,"privPoliId":"PP_1","payload":"x"}');
  await until(() => received.length > 0);
  const second = await connectRaw(t, front);
  const refused = receiveAll(second);
  second.write('{"type":0,"privPoliId":"PP_1","payload":"x"}');
  assert.equal(JSON.parse((await refused).toString()).code, 'LIMIT_CONNECTIONS');
  first.destroy();
  await once(first, 'close');
});
