import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { Writable, type WritableOptions } from 'node:stream';
import { type TestContext, test } from 'node:test';
import {
  createMessage,
  download,
  type HoplineError,
  type NodeOptions,
  openSender,
  parseVia,
  type RunningNode,
  startNode,
  upload,
} from '../../src/index.ts';
import type { Port } from '../../src/wire/address.ts';
import { addressOf, startChain, until } from '../support/chain.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const listen = { host: '127.0.0.1', port: 0 };
const hopOf = (node: RunningNode) => ({ host: node.address.host, port: node.address.port as Port });

async function start(t: TestContext, options: Partial<NodeOptions> = {}): Promise<RunningNode> {
  const { nodes } = await startChain(t, 1, (await makeTempRoot(t)).path, options);
  return nodes[0] as RunningNode;
}

for (const kernel of [true, false]) {
  const how = kernel ? 'inside the kernel where that is possible' : 'through the process';

  test(`no circuit drops while both nodes are reloaded twenty times, ${how}`, async (t) => {
    const root = await makeTempRoot(t);
    const other = await makeTempRoot(t);
    const content = await root.writeRandom('data.bin', 3_000_000);
    const { nodes, route } = await startChain(t, 2, root.path, { kernel, limitRate: 3_000_000 });
    const options = (round: number): NodeOptions => ({
      listen,
      kernel,
      // What is asked for on circuits that are under way is still below their own root.
      root: round % 3 === 0 ? other.path : root.path,
      next: [`10.0.0.${round}`],
      limitRate: 3_000_000 + round,
      uploads: round % 2 ? { force: true } : undefined,
      limits: { idleMs: 10_000 + round, maxConnections: 100 + round, maxPoolTries: 1 + (round % 2) },
      pools: [{ name: `pool-${round % 4}`, members: [{ host: '127.0.0.1', port: (7001 + round) as Port }] }],
    });
    let letEnd = () => {};
    const reloaded = new Promise<void>((resolve) => {
      letEnd = resolve;
    });
    const downloads = Array.from({ length: 6 }, async () => {
      const parts: Buffer[] = [];
      let taken = 0;
      // Takes a third, and the rest only behind the last reload, so that no circuit is over before.
      const write: WritableOptions['write'] = (bytes: Buffer, _encoding, done) => {
        parts.push(Buffer.from(bytes));
        taken += bytes.length;
        if (taken < 1_000_000) done();
        else void reloaded.then(() => done());
      };
      const output = new Writable({ write });
      const { reroutes } = await download({ route: route('data.bin'), output, retry: 0 });
      return { reroutes, received: Buffer.concat(parts) };
    });
    await until(() => nodes[0]?.stats().relayed === 6 && nodes[1]?.stats().served === 6);
    for (let round = 0; round < 20; round += 1) {
      await Promise.all(nodes.map((node) => node.reload(options(round))));
    }
    assert.equal(nodes[0]?.stats().open, 6, 'a circuit was over before the last reload');
    letEnd();
    for (const { reroutes, received } of await Promise.all(downloads)) {
      assert.equal(reroutes, 0);
      assert.ok(received.equals(content));
    }
    for (const node of nodes) assert.deepEqual(node.stats().failures, {});
  });
}

test('connections that come after a reload have the new options', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const content = await root.writeRandom('new.bin', 1000);
  const node = await start(t);
  const route = parseVia(addressOf(node), 'new.bin');
  await assert.rejects(download({ route, output: out.path }), { code: 'FILE_NOT_FOUND' });
  const source = path.join(root.path, 'new.bin');
  const sent = parseVia(addressOf(node), 'sent.bin');
  await assert.rejects(upload({ source, route: sent }), { code: 'UPLOAD_DENIED' });
  await node.reload({ listen, root: root.path, uploads: {} });
  await download({ route, output: out.path });
  assert.deepEqual(await readFile(path.join(out.path, 'new.bin')), content);
  await upload({ source, route: sent });
  assert.deepEqual(await root.list(), ['new.bin', 'sent.bin']);
  await node.reload({ listen, root: root.path, limits: { maxConnections: 1, maxNameBytes: 3 } });
  await assert.rejects(download({ route, output: out.path, force: true }), { code: 'FILE_DENIED' });
});

test('a reload with options that are none changes nothing', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  await root.writeRandom('data.bin', 10);
  const node = await startNode({ listen, root: root.path });
  t.after(() => node.close({ graceMs: 0 }));
  const bad: readonly Partial<NodeOptions>[] = [
    { next: ['10.0.0.0/99'] },
    { registerFrom: ['everybody'] },
    { limitRate: 5 },
    { limitRateTotal: Number.NaN },
    { root: path.join(root.path, 'nowhere') },
  ];
  for (const options of bad) {
    const reloaded = node.reload({ listen, root: out.path, ...options });
    await assert.rejects(reloaded, { code: 'USAGE_INVALID' });
  }
  await download({ route: parseVia(addressOf(node), 'data.bin'), output: out.path });
});

test('a reload says all that needs a restart, a line each', async (t) => {
  const node = await start(t);
  const cache = await makeTempRoot(t);
  const limits = { maxDigestCacheBytes: 1, maxDigestCacheFiles: 1 };
  const changed = { listen: { ...listen, port: 1 }, digestCache: cache.path, kernel: false, limits };
  const error = (await node.reload(changed).catch((cause: unknown) => cause)) as HoplineError;
  assert.equal(error.code, 'CONFIG_INVALID');
  assert.deepEqual(
    error.problems?.map((line) => line.replace(/:.*; /, ': ')),
    [
      'listen: needs a restart',
      'digest-cache: needs a restart',
      'kernel: needs a restart',
      'limits.max-digest-cache: needs a restart',
      'limits.max-digest-cache-files: needs a restart',
    ],
  );
});

test('a node that is stopping takes no reload', async () => {
  const node = await startNode({ listen });
  await node.close();
  await assert.rejects(node.reload({ listen }), { code: 'NODE_STOPPING' });
});

/** The id of the server that answers a message of `policy`, or the code of the refusal. */
async function ask(front: RunningNode, policy: string): Promise<string> {
  const sender = await openSender({ to: hopOf(front) });
  try {
    return (await sender.send(createMessage('5', policy, 'xyz'))).server ?? '';
  } catch (error) {
    return (error as HoplineError).code;
  } finally {
    await sender.close();
  }
}

test('a server that registered stays, whatever becomes of its pool', async (t) => {
  const front = await start(t, { pools: [{ name: 'PP_1', health: { intervalMs: 100 } }] });
  // One registration alone: the front has to keep it.
  const limits = { registerMs: 600_000 };
  await start(t, { server: { policy: 'PP_1', id: 'A', register: [hopOf(front)] }, limits });
  await until(async () => (await ask(front, 'PP_1')) === 'A');
  const root = (await makeTempRoot(t)).path;
  for (const pools of [
    [{ name: 'PP_1', algorithm: 'least-in-flight' as const }],
    [],
    [{ name: 'other' }],
    [{ name: 'PP_1' }],
  ]) {
    await front.reload({ listen, root, pools });
    assert.equal(await ask(front, 'PP_1'), 'A');
  }
  await front.reload({ listen, root, limits: { maxPoolTries: 1 }, pools: [{ name: 'PP_1' }] });
  assert.equal(await ask(front, 'PP_1'), 'A');
});

test('no message fails while the pool that it goes to is reloaded twenty times', async (t) => {
  const servers = await Promise.all(['one', 'two'].map((id) => start(t, { server: { policy: 'PP_1', id } })));
  const root = (await makeTempRoot(t)).path;
  const options = (round: number): NodeOptions => ({
    listen,
    root,
    limits: { maxPoolTries: 1 + (round % 2) },
    pools: [
      {
        name: 'PP_1',
        members: servers.slice(round % 3 === 0 ? 1 : 0).map(hopOf),
        algorithm: round % 4 ? 'round-robin' : 'least-in-flight',
      },
    ],
  });
  const front = await start(t, options(1));
  let reloads = 0;
  let sent = 0;
  const sending = Array.from({ length: 4 }, async () => {
    const sender = await openSender({ to: hopOf(front) });
    for (; reloads < 20; sent += 1) await sender.send(createMessage('5', 'PP_1', `message ${sent}`));
    await sender.close();
  });
  for (; reloads < 20; reloads += 1) {
    const before = sent;
    await front.reload(options(reloads));
    await until(() => sent > before + 10);
  }
  await Promise.all(sending);
  assert.deepEqual(front.stats().failures, {});
});

test('members follow the list, and a pool that is gone is unknown', async (t) => {
  const [one, two] = await Promise.all(['one', 'two'].map((id) => start(t, { server: { policy: 'PP_1', id } })));
  const root = (await makeTempRoot(t)).path;
  const pool = (...nodes: (RunningNode | undefined)[]) => [
    { name: 'PP_1', members: nodes.map((node) => hopOf(node as RunningNode)) },
  ];
  const front = await start(t, { pools: pool(one) });
  assert.equal(await ask(front, 'PP_1'), 'one');
  await front.reload({ listen, root, pools: pool(one, two) });
  assert.deepEqual(new Set([await ask(front, 'PP_1'), await ask(front, 'PP_1')]), new Set(['one', 'two']));
  await front.reload({ listen, root, pools: pool(two) });
  assert.equal(await ask(front, 'PP_1'), 'two');
  await front.reload({ listen, root });
  assert.equal(await ask(front, 'PP_1'), 'POLICY_UNKNOWN');
});

test('a pool that stays as it is keeps what it knows of its members', async (t) => {
  const gone = await startNode({ listen });
  await gone.close();
  const server = await start(t, { server: { policy: 'PP_1', id: 'A' } });
  const warnings: string[] = [];
  const log = {
    debug: () => {},
    info: () => {},
    warn: (_: unknown, text: string) => warnings.push(text),
    error: () => {},
  };
  const pools = [
    { name: 'PP_1', members: [hopOf(gone), hopOf(server)], health: { intervalMs: 600_000, ejectMs: 600_000 } },
  ];
  const front = await start(t, { pools, log });
  const root = (await makeTempRoot(t)).path;
  for (let round = 0; round < 4; round += 1) {
    assert.equal(await ask(front, 'PP_1'), 'A');
    await front.reload({ listen, root, pools, log });
  }
  assert.equal(warnings.filter((text) => text.startsWith('a request failed')).length, 1);
});

test('a server registers with its new fronts after a reload, and no more with the old ones', async (t) => {
  // A connection that a front keeps to its server goes on with what the server was when it began.
  const limits = { registerMs: 50, keepMs: 1 };
  const fronts = [await start(t, { limits }), await start(t, { limits })] as const;
  const server = (front: RunningNode, policy: string) => ({ policy, id: 'A', register: [hopOf(front)] });
  const node = await start(t, { server: server(fronts[0], 'PP_1'), limits });
  await until(async () => (await ask(fronts[0], 'PP_1')) === 'A');
  const root = (await makeTempRoot(t)).path;
  await node.reload({ listen, root, server: server(fronts[1], 'PP_2'), limits });
  await until(async () => (await ask(fronts[1], 'PP_2')) === 'A');
  await until(async () => (await ask(fronts[0], 'PP_1')) === 'POOL_EMPTY');
  await node.reload({ listen, root, limits });
  await until(async () => (await ask(fronts[1], 'PP_2')) === 'POOL_EMPTY');
});
