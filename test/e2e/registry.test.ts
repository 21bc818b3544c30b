/** Fronts that share their servers through a real Redis, also while that is gone. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as nextTimer } from 'node:timers/promises';
import {
  createMessage,
  defaultLimits,
  download,
  type NodeOptions,
  openSender,
  parseVia,
  type RunningNode,
  startNode,
  systemClock,
} from '../../src/index.ts';
import { redisStore } from '../../src/pool/registry/redis-store.ts';
import type { Port } from '../../src/wire/address.ts';
import { addressOf, connectRaw, startPeer, until } from '../support/chain.ts';
import { runProgram, startProgram } from '../support/program.ts';
import { startRedis, withoutRedis } from '../support/redis.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const host = '127.0.0.1';
const policy = 'PP_1';
const options = { skip: withoutRedis };

async function start(t: TestContext, more: Partial<NodeOptions>): Promise<RunningNode> {
  const node = await startNode({ listen: { host, port: 0 }, ...more });
  t.after(() => node.close({ graceMs: 0 }));
  return node;
}

const hopOf = ({ address }: Pick<RunningNode, 'address'>) => ({ host, port: address.port as Port });

/** Sends messages to a front, one after the other; who answered each. */
async function send(front: Pick<RunningNode, 'address'>, count: number, pauseMs = 0): Promise<string[]> {
  const sender = await openSender({ to: hopOf(front) });
  const servers: string[] = [];
  try {
    for (let sent = 0; sent < count; sent += 1) {
      const { server = '' } = await sender.send(createMessage('5', policy, `message ${sent}`));
      servers.push(server);
      await nextTimer(pauseMs);
    }
  } finally {
    await sender.close();
  }
  return servers;
}

/** The servers that a front uses now, in the order of their names. */
async function serversOf(front: Pick<RunningNode, 'address'>, count: number): Promise<string> {
  const servers = await send(front, count).catch(() => []);
  return [...new Set(servers)].sort().join();
}

/** Settles once `condition` holds; fails after a second. */
async function withinOneSecond(condition: () => Promise<boolean>): Promise<void> {
  const began = performance.now();
  await until(condition);
  const ms = performance.now() - began;
  assert.ok(ms < 1000, `it took ${ms} ms`);
}

test(
  'a server that registers at one front is used by the other within a second, and gone as soon',
  options,
  async (t) => {
    const { url } = await startRedis(t);
    const [one, other] = [await start(t, { registry: url }), await start(t, { registry: url })];
    await assert.rejects(send(other, 1), { code: 'POLICY_UNKNOWN' });
    await start(t, { server: { policy, id: '1', register: [hopOf(one)] } });
    await withinOneSecond(async () => (await serversOf(other, 2)) === '1');
    const direct = await start(t, { registry: url, server: { policy, id: '2' } });
    await withinOneSecond(async () => (await serversOf(one, 4)) === '1,2' && (await serversOf(other, 4)) === '1,2');
    await direct.close({ graceMs: 0 });
    await withinOneSecond(async () => (await serversOf(one, 4)) === '1' && (await serversOf(other, 4)) === '1');
  },
);

test('a server that is told of another policy leaves the one and enters the other', options, async (t) => {
  const { url } = await startRedis(t);
  const rules = { listen: { host, port: 0 }, registry: url };
  const server = await start(t, { ...rules, server: { policy, id: '1' } });
  const { connect } = redisStore(url, { limits: defaultLimits, clock: systemClock });
  const store = await connect(new AbortController().signal);
  t.after(() => store.close());
  let entries: readonly string[] = [];
  const hasOnly = async (pool: string) => {
    entries = (await store.exchange({ renew: [], leave: [] }))?.entries ?? entries;
    return entries.length === 1 && entries[0] === JSON.stringify({ pool, at: addressOf(server), note: 'string' });
  };
  await withinOneSecond(() => hasOnly(policy));
  for (const next of ['other', policy]) {
    await server.reload({ ...rules, server: { policy: next, id: '1' } });
    await withinOneSecond(() => hasOnly(next));
  }
  await server.reload({ ...rules, server: { policy, id: '2' } });
  await assert.rejects(server.reload({ ...rules, registry: `${url}/1` }), { code: 'CONFIG_INVALID' });
  assert.ok(await hasOnly(policy));
  await server.close({ graceMs: 0 });
  entries = (await store.exchange({ renew: [], leave: [] }))?.entries ?? entries;
  assert.deepEqual(entries, []);
});

test('a front that starts later knows at its first message who has registered before', options, async (t) => {
  const { url } = await startRedis(t);
  const first = await start(t, { registry: url });
  await start(t, { server: { policy, id: '1', register: [hopOf(first)] } });
  await until(async () => (await serversOf(first, 1)) === '1');
  await until(async () => (await serversOf(await start(t, { registry: url }), 1)) === '1');
});

test('a route may name a pool that only the registry knows', options, async (t) => {
  const { url } = await startRedis(t);
  const [root, out] = [await makeTempRoot(t), await makeTempRoot(t)];
  const content = await root.writeRandom('a.bin', 100_000);
  await start(t, { registry: url, root: root.path, server: { policy: 'files', id: '1' } });
  const relay = await start(t, { registry: url });
  const route = parseVia(`${addressOf(relay)},@files`, 'a.bin');
  await until(() => download({ route, output: out.path, force: true }).then(Boolean, () => false));
  assert.deepEqual(await readFile(path.join(out.path, 'a.bin')), content);
});

test('how a server writes its packets is known to the front that it did not register with', options, async (t) => {
  const { url } = await startRedis(t);
  const [one, other] = [await start(t, { registry: url }), await start(t, { registry: url })];
  const received: string[] = [];
  const server = await startPeer(t, (socket) => {
    socket.on('data', (bytes) => {
      received.push(bytes.toString());
      const { payload } = JSON.parse(bytes.toString());
      socket.write(JSON.stringify({ type: 2, srcid: 7, payload: createHash('sha1').update(payload).digest('hex') }));
    });
  });
  const socket = await connectRaw(t, one);
  socket.write(JSON.stringify({ type: 1, id: 7, privPolyId: policy, listenport: server.port }));
  await until(async () => (await serversOf(other, 1)) === '7');
  assert.match(received.join(), /^\{"type":0,/);
});

test('Redis is killed and starts again, empty, in the middle of 1000 messages: none fails', options, async (t) => {
  const outageMs = 3000;
  const redis = await startRedis(t);
  const lines: string[] = [];
  const record = (_fields: object, message: string) => void lines.push(message);
  const log = { debug: () => {}, error: () => {}, info: record, warn: record };
  // Nothing but leases, which are over soon, brings anybody back.
  const limits = { leaseMs: 3000, registerMs: 60_000 };
  const one = await start(t, { registry: redis.url, limits });
  const other = await start(t, { registry: redis.url, limits, log });
  const register = [hopOf(one)];
  for (const id of ['1', '2']) await start(t, { server: { policy, id, register }, limits });
  await start(t, { registry: redis.url, limits, server: { policy, id: '3' } });
  const all = async (front: RunningNode) => (await serversOf(front, 6)) === '1,2,3';
  await until(async () => (await all(one)) && (await all(other)));
  const sendBoth = (count: number, ms: number) =>
    Promise.all([one, other].map((front) => send(front, count / 2, (2 * ms) / count)));
  await sendBoth(200, 0);
  await redis.kill();
  const [answers] = await Promise.all([sendBoth(600, outageMs), nextTimer(outageMs)]);
  assert.ok(answers.every((servers) => new Set(servers).size === 3));
  await redis.restart();
  await sendBoth(200, limits.leaseMs + 1000);
  assert.ok((await all(one)) && (await all(other)));
  assert.deepEqual(
    lines.filter((line) => line.startsWith('the registry')).map((line) => line.replace(/:.*/, '')),
    ['the registry is lost; the members known last stay', 'the registry is back'],
  );
  const late = await start(t, { registry: redis.url });
  assert.ok(await all(late), 'everybody has come back by renewing');
});

test('a front starts without its Redis, and takes registrations meanwhile', options, async (t) => {
  const redis = await startRedis(t);
  await redis.kill();
  const [one, other] = [await start(t, { registry: redis.url }), await start(t, { registry: redis.url })];
  await start(t, { server: { policy, id: '1', register: [hopOf(one)] } });
  await until(async () => (await serversOf(one, 1)) === '1');
  await redis.restart();
  await until(async () => (await serversOf(other, 1)) === '1');
});

test('a server on all addresses must say where others reach it', async (t) => {
  const listen = { host: '0.0.0.0', port: 0 };
  const server = { policy, id: '1' };
  const registry = 'redis://127.0.0.1:1';
  await assert.rejects(start(t, { listen, registry, server }), { code: 'USAGE_INVALID' });
});

test('where a server says that it is, others look for it', options, async (t) => {
  const { url } = await startRedis(t);
  const hidden = await start(t, { server: { policy, id: 'hidden' } });
  const server = { policy, id: 'other', advertise: hopOf(hidden) };
  await start(t, { listen: { host: '0.0.0.0', port: 0 }, registry: url, server });
  const front = await start(t, { registry: url });
  await until(async () => (await serversOf(front, 2)) === 'hidden');
});

test('hopline node --registry: workers share servers with each other, and no password is shown', options, async (t) => {
  const redis = await startRedis(t, ['--requirepass', 'hidden-word']);
  const url = redis.url.replace('//', '//:hidden-word@');
  const env = { HOPLINE_REGISTRY: url };
  const front = startProgram(t, ['node', '--listen', '127.0.0.1:0', '--workers', '2'], { env });
  const at = /listening on (\S+)/.exec(await front.saw(/listening on (\S+)\n/))?.[1] as string;
  const listen = ['--listen', '127.0.0.1:0', '--policy', policy];
  const server = startProgram(t, ['node', ...listen, '--register', at]);
  const direct = startProgram(t, ['node', ...listen, '--registry', url]);
  await Promise.all([server.saw(/listening on/), direct.saw(/listening on/)]);
  const port = Number(at.split(':')[1]);
  // Any worker may take a connection.
  const ask = () => serversOf({ address: { host, port } }, 2);
  await until(async () => {
    const seen = await Promise.all(Array.from({ length: 8 }, ask));
    return seen.every((servers) => servers.includes(','));
  });
  await redis.kill();
  const said = await front.saw(/the registry is lost/);
  assert.doesNotMatch(said, /hidden-word/);
});

for (const [args, expected] of [
  [['--registry', 'redis:secret-word'], /the registry: expected a URL, redis:/],
  [['--registry', 'redis://127.0.0.1:1', '--advertise', '10.0.0.1:80'], /--advertise are for a server/],
] as const) {
  test(`node ${args.join(' ')} is a usage error`, async (t) => {
    const { code, stderr } = await runProgram(t, ['node', '--listen', '127.0.0.1:0', ...args]);
    assert.equal(code, 2);
    assert.match(stderr, expected);
    assert.doesNotMatch(stderr, /secret-word/);
  });
}
