/** Servers that register with a front by their keys: who may for which pool, and for how long. */

import assert from 'node:assert/strict';
import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Logger } from '../../src/core/log.ts';
import { silentLogger } from '../../src/core/log.ts';
import { createMessage, type NodeOptions, openSender, type RunningNode, startNode } from '../../src/index.ts';
import type { Port } from '../../src/wire/address.ts';
import { newKey } from '../../src/wire/keys/key.ts';
import { connectRaw, until } from '../support/chain.ts';
import { startTamperer } from '../support/tamper.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const host = '127.0.0.1';
const [frontKey, serverKey, other] = [newKey().key, newKey().key, newKey().key];
const mine = serverKey.public.text;
const limits = { registerMs: 20 };

async function start(t: TestContext, options: Partial<NodeOptions> = {}): Promise<RunningNode> {
  const node = await startNode({ listen: { host, port: 0 }, limits, ...options });
  t.after(() => node.close({ graceMs: 0 }));
  return node;
}

/** A front that takes nobody by his address: loopback may register by its key alone. */
async function startFront(t: TestContext, line: string, more: Partial<NodeOptions> = {}) {
  const root = await makeTempRoot(t);
  const authorizedKeys = path.join(root.path, 'authorized_keys');
  const write = async (text: string) => {
    await writeFile(`${authorizedKeys}.new`, text, { mode: 0o600 });
    await rename(`${authorizedKeys}.new`, authorizedKeys);
  };
  await write(line);
  const said = new Said();
  const options = { identity: frontKey, authorizedKeys, log: said.log, ...more };
  return { front: await start(t, options), write, said, options };
}

class Said {
  readonly lines: string[] = [];
  readonly log: Logger = {
    ...silentLogger,
    info: (fields, message) => void this.lines.push(`${message} ${JSON.stringify(fields)}`),
    warn: (fields, message) => void this.lines.push(`${message} ${JSON.stringify(fields)}`),
  };

  count(pattern: RegExp): number {
    return this.lines.filter((line) => pattern.test(line)).length;
  }
}

/** A server of the policy PP; `key` is that which it believes the front to have. */
async function startServer(
  t: TestContext,
  front: { readonly address: { readonly port: number } },
  more: Partial<NodeOptions> = {},
  key = frontKey.public,
) {
  const said = new Said();
  const register = [{ host, port: front.address.port as Port, key }];
  const server = { policy: 'PP', id: 'me', register };
  const node = await start(t, { identity: serverKey, server, log: said.log, ...more });
  return { node, said };
}

async function send(front: RunningNode): Promise<string | undefined> {
  const sender = await openSender({ to: { host, port: front.address.port as Port } });
  try {
    return (await sender.send(createMessage('5', 'PP', 'x'))).server;
  } finally {
    await sender.close();
  }
}

test('a server registers by its key for the pools that it names, and for nothing else', async (t) => {
  const { front } = await startFront(t, `register="OTHER,PP" ${mine}`);
  const { said } = await startServer(t, front);
  await until(() => said.count(/^registered /) === 1);
  assert.equal(await send(front), 'me');
});

for (const [what, line] of [
  ['is not listed', `register="PP" ${other.public.text}`],
  ['is listed for another pool', `register="PP_1,P" ${mine}`],
  ['may do all that is not registering', `all ${mine}`],
  ['has expired', `register="PP",expires="2020-01-01" ${mine}`],
] as const) {
  test(`a server whose key ${what} is AUTH_DENIED in one line, also from loopback`, async (t) => {
    const { front, said: atFront } = await startFront(t, line);
    const { said } = await startServer(t, front);
    await until(() => (front.stats().failures.AUTH_DENIED ?? 0) > 2);
    assert.equal(
      said.count(/not registered; trying again: 127\.0\.0\.1:\d+: its authorized keys do not let.*"AUTH_DENIED"/),
      1,
    );
    assert.ok(atFront.count(/hop1\w{8} |the key hop1\w{8}/) > 0, 'the front says whose key and why');
    await assert.rejects(send(front), { code: 'POLICY_UNKNOWN' });
  });
}

test('where there are no authorized keys nobody registers by a key', async (t) => {
  const front = await start(t, { identity: frontKey });
  const { said } = await startServer(t, front);
  await until(() => said.count(/not registered.*AUTH_DENIED/) === 1);
});

test('a registration ends with the right to it, and comes back with it', async (t) => {
  const { front, write, said, options } = await startFront(t, `register="PP" ${mine}`);
  const server = await startServer(t, front);
  await until(() => server.said.count(/^registered /) === 1);
  await write('# nobody\n');
  await front.reload({ listen: { host, port: 0 }, limits, ...options });
  assert.equal(said.count(/^server forgotten: hop1\w{8} is not among the authorized keys any more/), 1);
  await assert.rejects(send(front), { code: 'POLICY_UNKNOWN' });
  await until(() => server.said.count(/not registered.*AUTH_DENIED/) === 1);
  await write(`register="PP" ${mine}`);
  await until(async () => (await send(front).catch(() => '')) === 'me');
});

test('a registration ends when its key expires', async (t) => {
  const now = Date.now;
  const time = { laterMs: 0 };
  t.mock.method(Date, 'now', () => now() + time.laterMs);
  const expires = new Date(now() + 600_000).toISOString();
  const { front, said } = await startFront(t, `register="PP",expires="${expires}" ${mine}`);
  const server = await startServer(t, front);
  await until(() => server.said.count(/^registered /) === 1);
  time.laterMs = 600_000;
  await until(() => said.count(/^server forgotten: hop1\w{8} has expired/) === 1);
  await assert.rejects(send(front), { code: 'POLICY_UNKNOWN' });
});

test('a registration by a token takes the place of one by a key, and does not end with that', async (t) => {
  const { front, write, said, options } = await startFront(t, `register="PP" ${mine}`, {
    registerToken: 'a-token-of-this-front',
  });
  const { node, said: atServer } = await startServer(t, front);
  await until(() => atServer.count(/^registered /) === 1);
  const socket = await connectRaw(t, front);
  const setup = { type: 1, id: 'me', privPoliId: 'PP', listenport: node.address.port, token: 'a-token-of-this-front' };
  await node.close({ graceMs: 0 });
  let answered = '';
  socket.on('data', (bytes) => {
    answered += bytes;
  });
  socket.write(JSON.stringify(setup));
  await until(() => answered.includes('-2'));
  await write('# nobody\n');
  await front.reload({ listen: { host, port: 0 }, limits, ...options });
  assert.equal(said.count(/^server forgotten: hop1/), 0);
});

test('a front that has another key than the server knows is not told who registers', async (t) => {
  const { front } = await startFront(t, `register="PP" ${mine}`);
  const { said } = await startServer(t, front, {}, other.public);
  await until(() => said.count(/not registered; trying again: .*"SECURE_FAILED"/) === 1);
  await assert.rejects(send(front), { code: 'POLICY_UNKNOWN' });
});

test('neither key nor token of a server is seen on the way, and a front without a key gets no setup', async (t) => {
  const { front } = await startFront(t, `register="PP" ${mine}`);
  let sent = '';
  const forward = (bytes: Buffer) => {
    sent += bytes.toString('latin1');
    return bytes;
  };
  const address = await startTamperer(t, front.address.port, { forward });
  const port = Number(address.split(':').at(-1));
  const { said } = await startServer(t, { address: { port } }, { registerToken: 'a-token-of-this-front' });
  await until(() => said.count(/^registered /) === 1);
  assert.match(sent, /"type":"open"/);
  assert.doesNotMatch(sent, /a-token|listenport|hop1/);
  const plain = await start(t);
  const second = await startServer(t, plain);
  await until(() => second.said.count(/not registered; trying again: .*"SECURE_FAILED"/) === 1);
});

test('a server without a key of its own does not start where a front has one', async () => {
  const register = [{ host, port: 9 as Port, key: frontKey.public }];
  const starting = startNode({ listen: { host, port: 0 }, server: { policy: 'PP', register } });
  await assert.rejects(starting, {
    code: 'USAGE_INVALID',
    message: /--register with a key needs a key of the node's own/,
  });
});

test('a registration behind a relay is denied: the address would be that of the relay', async (t) => {
  const { front } = await startFront(t, `register="PP" ${mine}`);
  const relay = await start(t, { next: ['127.0.0.1'] });
  const via = [
    { host, port: relay.address.port as Port },
    { host, port: front.address.port as Port, key: frontKey.public },
  ];
  const sender = await openSender({ via, identity: serverKey });
  t.after(() => sender.close());
  const setup = Buffer.from(JSON.stringify({ type: 1, id: 'me', privPoliId: 'PP', listenport: 7001 }));
  const message = { ...createMessage('5', 'PP', 'x'), bytes: setup };
  await assert.rejects(sender.send(message), { code: 'REGISTER_DENIED' });
});
