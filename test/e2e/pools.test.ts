/** Pools as hops of routes: at every place, with members that are killed, missing, denied or the node itself. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { Circuit } from '../../src/client/circuit/circuit.ts';
import {
  createMessage,
  type DownloadEvent,
  type DownloadOptions,
  defaultLimits,
  describeHop,
  download,
  downloadFiles,
  type Hop,
  isPoolHop,
  type NodeOptions,
  openSender,
  type PoolOptions,
  parseHop,
  parseVia,
  type RunningNode,
  systemClock,
  type UploadEvent,
  upload,
} from '../../src/index.ts';
import { createSystemResolver } from '../../src/io/names/system-resolver.ts';
import type { Port } from '../../src/wire/address.ts';
import { encodeMessage } from '../../src/wire/native/messages.ts';
import { addressOf, connectRaw, startChain, startPeer, until } from '../support/chain.ts';
import { makeTempRoot, type TempRoot } from '../support/temp-root.ts';

const mib = 1_048_576;
const size = 24 * mib + 12_345;
const limits = { maxReadsAhead: 2, retryMinMs: 10, retryMaxMs: 50, probeMs: 500, connectMs: 1000 };
const file = 'data.bin';
const trace = '0123456789abcdef0123456789abcdef';

const membersOf = (nodes: readonly { readonly address: { readonly host: string; readonly port: number } }[]) =>
  nodes.map(({ address: { host, port } }) => ({ host, port: port as Port }));

function poolOf(nodes: readonly RunningNode[], options: Partial<PoolOptions> = {}): PoolOptions {
  return { name: 'them', members: membersOf(nodes), ...options };
}

async function startOne(t: TestContext, root: string, options: Partial<NodeOptions> = {}): Promise<RunningNode> {
  return (await startChain(t, 1, root, options)).nodes[0] as RunningNode;
}

interface Fixture {
  readonly root: TempRoot;
  /** Downloads over `via`; `act` is called once, in mid-flight. */
  run(
    via: string,
    options?: Partial<DownloadOptions>,
    act?: () => void,
  ): Promise<{ readonly events: readonly DownloadEvent[]; readonly way: readonly string[] }>;
}

async function start(t: TestContext, bytes = size): Promise<Fixture> {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const content = await root.writeRandom(file, bytes);
  return {
    root,
    run: async (via, options = {}, act = () => {}) => {
      const events: DownloadEvent[] = [];
      let isDone = false;
      const onEvent = (event: DownloadEvent) => {
        events.push(event);
        if (isDone || event.kind !== 'progress' || event.bytes < 6 * mib) return;
        isDone = true;
        act();
      };
      const route = parseVia(via, file);
      const result = await download({ route, output: out.path, force: true, limits, onEvent, ...options });
      assert.equal(content.equals(await readFile(path.join(out.path, file))), true);
      return { events, way: result.hops.map(describeHop) };
    },
  };
}

const reroutesOf = (events: readonly DownloadEvent[]) =>
  events.flatMap((event) => (event.kind === 'reroute' ? [event] : []));

for (const place of ['first', 'middle', 'last'] as const) {
  test(`a member that is killed in mid-file at the ${place} place is replaced at once by another`, async (t) => {
    const { root, run } = await start(t);
    const { nodes } = await startChain(t, 2, root.path);
    const pools = [poolOf(nodes)];
    const before = await startOne(t, root.path, place === 'first' ? {} : { pools });
    const origin = await startOne(t, root.path);
    const vias = {
      first: `@them,${addressOf(origin)}`,
      middle: `${addressOf(before)},@them,${addressOf(origin)}`,
      last: `${addressOf(before)},@them`,
    };
    let killed = '';
    const kill = () => {
      const busy = nodes.find((node) => node.stats().relayed + node.stats().served > 0 && node.stats().open > 0);
      killed = addressOf(busy as RunningNode);
      void busy?.close({ graceMs: 0 });
    };
    const options = place === 'first' ? { pools, retry: 0 } : { retry: 0 };
    const { events, way } = await run(vias[place], options, kill);
    const [reroute, ...more] = reroutesOf(events);
    const shown = place === 'first' ? killed : `@them: ${killed}`;
    assert.ok(reroute);
    assert.deepEqual(more, []);
    assert.match(reroute.failure.message, new RegExp(shown));
    assert.ok(reroute.from.map(describeHop).includes(shown));
    assert.equal(reroute.waitMs, 0);
    const other = addressOf(nodes.find((node) => addressOf(node) !== killed) as RunningNode);
    assert.ok(way.includes(place === 'first' ? other : `@them: ${other}`), way.join());
    assert.equal(events.filter(({ kind }) => kind === 'started').length, 1);
  });
}

test('a member that is not there is passed over before the client notices', async (t) => {
  const { root, run } = await start(t, 1000);
  const [gone, there] = (await startChain(t, 2, root.path)).nodes as [RunningNode, RunningNode];
  await gone.close();
  const relay = await startOne(t, root.path, { pools: [poolOf([gone, there])] });
  const { events, way } = await run(`${addressOf(relay)},@them`);
  assert.deepEqual(reroutesOf(events), []);
  assert.deepEqual(way, [addressOf(relay), `@them: ${addressOf(there)}`]);
});

test('circuits go round the members, and by file with consistent hashing', async (t) => {
  const { root, run } = await start(t, 1000);
  const { nodes } = await startChain(t, 3, root.path);
  const even = await startOne(t, root.path, { pools: [poolOf(nodes, { health: { slowStartMs: 0 } })] });
  const taken = new Set<string>();
  for (let turn = 0; turn < 3; turn += 1) taken.add((await run(`${addressOf(even)},@them`)).way.join());
  assert.equal(taken.size, 3);
  const pools = [poolOf(nodes, { algorithm: 'consistent-hash', health: { slowStartMs: 0 } })];
  const hashed = await startOne(t, root.path, { pools });
  const same = new Set<string>();
  for (let turn = 0; turn < 4; turn += 1) same.add((await run(`${addressOf(hashed)},@them`)).way.join());
  assert.equal(same.size, 1);
});

test('an origin of the pool without the file is left for one that has it', async (t) => {
  const { root, run } = await start(t, 1000);
  const empty = await makeTempRoot(t);
  const without = await startOne(t, empty.path);
  const withIt = await startOne(t, root.path);
  const pools = [poolOf([without, withIt], { health: { slowStartMs: 0 } })];
  const relay = await startOne(t, root.path, { pools });
  const { events, way } = await run(`${addressOf(relay)},@them`);
  const [reroute] = reroutesOf(events);
  assert.equal(reroute?.failure.code, 'FILE_NOT_FOUND');
  assert.match(
    reroute.failure.message,
    new RegExp(`^hop 2 \\(@them: ${addressOf(without)}\\), the origin, has no file`),
  );
  assert.equal(way[1], `@them: ${addressOf(withIt)}`);
  const route = parseVia(`${addressOf(relay)},@them`, 'missing.bin');
  await assert.rejects(download({ route, output: empty.path, retry: 3, limits }), { code: 'FILE_NOT_FOUND', hop: 2 });
});

test('a member that dies and comes back is out of rotation and in again by itself', async (t) => {
  const { root, run } = await start(t, 1000);
  const [first, second] = (await startChain(t, 2, root.path)).nodes as [RunningNode, RunningNode];
  const health = { intervalMs: 50, slowStartMs: 0, ejectMs: 50 };
  const relay = await startOne(t, root.path, { pools: [poolOf([first, second], { health })] });
  const taken = async () => (await run(`${addressOf(relay)},@them`)).way[1];
  await first.close();
  for (let turn = 0; turn < 4; turn += 1) assert.equal(await taken(), `@them: ${addressOf(second)}`);
  await startOne(t, root.path, { listen: first.address });
  await until(async () => (await taken()) === `@them: ${addressOf(first)}`);
});

test('a peer that is no node is found out by the checks, unless they only connect', async (t) => {
  const { root } = await start(t, 10);
  const out = await makeTempRoot(t);
  const peer = await startPeer(t, (socket) => socket.resume().end('what?'));
  const members = [{ host: '127.0.0.1', port: peer.port as Port }];
  const health = { intervalMs: 20, timeoutMs: 500 };
  const checks = ['node', 'connect'] as const;
  const pools = checks.map((check) => ({ name: check, members, health, check }));
  const at = addressOf(await startOne(t, root.path, { pools }));
  const codeOver = (pool: string) =>
    download({ route: parseVia(`${at},@${pool}`, file), output: out.path, limits }).then(
      () => 'done',
      ({ code }) => code,
    );
  await until(async () => (await codeOver('node')) === 'POOL_EMPTY');
  assert.equal(await codeOver('connect'), 'PEER_PROTOCOL');
});

test('a relay that names a member where no pool is, is not believed', async (t) => {
  const { run } = await start(t, 10);
  const taken = encodeMessage({ type: 'taken', hop: 1, address: '127.0.0.1:1' });
  const liar = await startPeer(t, (socket) => socket.resume().write(taken));
  await assert.rejects(run(liar.address), { code: 'PEER_PROTOCOL' });
});

test('a pool that is configured twice is a mistake', async (t) => {
  const { root } = await start(t, 10);
  await assert.rejects(startOne(t, root.path, { pools: [poolOf([]), poolOf([])] }), { code: 'USAGE_INVALID' });
});

test('a pool that the node before it does not have is refused, with both named', async (t) => {
  const { root, run } = await start(t, 10);
  const relay = await startOne(t, root.path, { pools: [poolOf([])] });
  const at = addressOf(relay);
  const message = `hop 1 (${at}) knows no pool @other`;
  await assert.rejects(run(`${at},@other`), { code: 'POOL_UNKNOWN', hop: 1, message });
});

test('a pool without members, and one whose members are all away, say so', async (t) => {
  const { root, run } = await start(t, 10);
  const away = await startOne(t, root.path);
  await away.close();
  const pools = [poolOf([]), poolOf([away], { name: 'away' })];
  const at = addressOf(await startOne(t, root.path, { pools }));
  await assert.rejects(run(`${at},@them`), {
    code: 'POOL_EMPTY',
    hop: 1,
    message: `no member of @them answers hop 1 (${at})`,
  });
  await assert.rejects(run(`${at},@away`), { code: 'POOL_EMPTY', hop: 1 });
});

test('a pool at the first place that this machine does not know is said to be that', async (t) => {
  const { run } = await start(t, 10);
  const message = 'this machine knows no pool @mine';
  await assert.rejects(run('@mine,127.0.0.1:1', { retry: 3 }), { code: 'POOL_UNKNOWN', hop: 0, message });
  const sent = openSender({ via: [{ pool: 'mine' }] });
  await assert.rejects(sent, { code: 'POOL_UNKNOWN', message });
});

test('a node never takes itself for a member', async (t) => {
  const { root, run } = await start(t, 1000);
  const other = await startOne(t, root.path);
  const port = await freePort(t, root.path);
  const self = { host: '127.0.0.1', port: port as Port };
  const pools = [poolOf([], { members: [self, ...membersOf([other])], health: { slowStartMs: 0 } })];
  const relay = await startOne(t, root.path, { listen: self, pools });
  for (let turn = 0; turn < 2; turn += 1) {
    const { events, way } = await run(`${addressOf(relay)},@them`);
    assert.deepEqual(reroutesOf(events), []);
    assert.equal(way[1], `@them: ${addressOf(other)}`);
  }
});

test('a route that comes back through a pool is a loop', async (t) => {
  const { root, run } = await start(t, 10);
  const first = await startOne(t, root.path);
  const second = await startOne(t, root.path, { pools: [poolOf([first])] });
  const via = `${addressOf(first)},${addressOf(second)},@them`;
  await assert.rejects(run(via), { code: 'ROUTE_LOOP', hop: 3 });
});

test('members that are named in a pool may be dialled, and registered ones need a rule', async (t) => {
  const { root, run } = await start(t, 1000);
  const origin = await startOne(t, root.path);
  const listen = { host: '0.0.0.0', port: 0 };
  const allowed = await startOne(t, root.path, { listen, pools: [poolOf([origin])] });
  const { way } = await run(`127.0.0.1:${allowed.address.port},@them`);
  assert.equal(way[1], `@them: ${addressOf(origin)}`);
  const closed = await startOne(t, root.path, { listen, registerFrom: ['127.0.0.1'] });
  const front = { host: '127.0.0.1', port: closed.address.port as Port };
  await startOne(t, root.path, { server: { policy: 'them', register: [front] } });
  const denied = () =>
    run(`127.0.0.1:${front.port},@them`).then(
      () => 'done',
      ({ code }) => code,
    );
  await until(async () => (await denied()) !== 'POOL_UNKNOWN');
  assert.equal(await denied(), 'POOL_EMPTY');
});

test('several files and uploads go through pools as well', async (t) => {
  const { root } = await start(t, 1000);
  const out = await makeTempRoot(t);
  const { nodes } = await startChain(t, 2, root.path, { uploads: {} });
  const relay = await startOne(t, root.path, { pools: [poolOf(nodes)] });
  const done = await downloadFiles({
    routes: parseVia('@entry,@them', file).routes,
    files: [file],
    output: out.path,
    pools: [poolOf([relay], { name: 'entry' })],
  });
  assert.deepEqual(
    done.map(({ error }) => error),
    [undefined],
  );
  const route = parseVia(`${addressOf(relay)},@them`, 'new.bin');
  const { hops } = await upload({ source: path.join(out.path, file), route });
  assert.match(hops.map(describeHop).join(), /,@them: 127\.0\.0\.1:\d+$/);
  assert.deepEqual(await readFile(path.join(root.path, 'new.bin')), await readFile(path.join(root.path, file)));
});

test('messages go through a pool of fronts, and the sender knows which one', async (t) => {
  const { root } = await start(t, 10);
  const { nodes } = await startChain(t, 2, root.path, { server: { policy: 'PP_1', id: 'me' } });
  const relay = await startOne(t, root.path, { pools: [poolOf(nodes)] });
  const hop = parseHop(addressOf(relay));
  assert.ok(hop.kind === 'ok');
  const sender = await openSender({ via: [hop.hop, { pool: 'them' }] });
  t.after(() => sender.close());
  for (const payload of ['one', 'two']) {
    assert.equal((await sender.send(createMessage('5', 'PP_1', payload))).server, 'me');
  }
  const unknown = sender.send(createMessage('5', 'PP_9', 'x'));
  await assert.rejects(unknown, { code: 'POLICY_UNKNOWN', message: /^hop 2 \(@them: 127\.0\.0\.1:\d+\) / });
});

/** A circuit over a relay and its pool that is open and idle, and the member on it. */
async function hold(t: TestContext, relay: RunningNode, avoid: readonly string[] = []) {
  const client = {
    limits: defaultLimits,
    clock: systemClock,
    resolve: createSystemResolver(),
    signal: new AbortController().signal,
  };
  const hops: Hop[] = [...membersOf([relay]), { pool: 'them' }];
  const circuit = await Circuit.open(hops, [{ type: 'stat', name: file, digests: ['sha256'] }], client, { avoid });
  t.after(() => circuit.close());
  await circuit.receive('status');
  const [, hop] = circuit.hops;
  assert.ok(hop && isPoolHop(hop) && hop.member);
  return { circuit, member: describeHop(hop.member) };
}

test('a relay takes what the client avoids only if there is no other', async (t) => {
  const { root } = await start(t, 10);
  const { nodes } = await startChain(t, 2, root.path);
  // By the file, it would be the same one each time.
  const relay = await startOne(t, root.path, { pools: [poolOf(nodes, { algorithm: 'consistent-hash' })] });
  const { member } = await hold(t, relay);
  assert.equal((await hold(t, relay)).member, member);
  const other = nodes.map(addressOf).find((address) => address !== member);
  assert.equal((await hold(t, relay, [member])).member, other);
  assert.equal((await hold(t, relay, nodes.map(addressOf))).member, member);
});

test('a circuit is under way at its member for as long as it runs', async (t) => {
  const { root } = await start(t, 10);
  const { nodes } = await startChain(t, 2, root.path);
  const relay = await startOne(t, root.path, { pools: [poolOf(nodes, { algorithm: 'least-in-flight' })] });
  const first = await hold(t, relay);
  const second = await hold(t, relay);
  assert.notEqual(second.member, first.member);
  await second.circuit.close();
  await until(() => relay.stats().open === 1);
  for (let turn = 0; turn < 3; turn += 1) {
    const next = await hold(t, relay);
    assert.equal(next.member, second.member);
    await next.circuit.close();
    await until(() => relay.stats().open === 1);
  }
});

for (const kernel of [true, false]) {
  test(`a member that breaks a circuit is ejected, and not for a client that does, ${kernel ? 'with' : 'without'} the kernel path`, async (t) => {
    const { root, run } = await start(t, 1000);
    const breaker = await startPeer(t, (socket) => socket.once('data', () => socket.resetAndDestroy()));
    const well = await startOne(t, root.path);
    const members = [{ host: '127.0.0.1', port: breaker.port as Port }, ...membersOf([well])];
    const health = { intervalMs: 60_000, ejectMs: 60_000, slowStartMs: 0 };
    const pools = [poolOf([], { members, health, check: 'connect' })];
    const relay = await startOne(t, root.path, { pools, kernel });
    const via = `${addressOf(relay)},@them`;
    const reroutes = [];
    for (let turn = 0; turn < 3; turn += 1) reroutes.push(reroutesOf((await run(via)).events).length);
    assert.deepEqual(reroutes, [1, 0, 0]);
    const others = await startChain(t, 2, root.path);
    const fair = await startOne(t, root.path, { pools: [poolOf(others.nodes, { health })], kernel });
    const { member } = await hold(t, fair);
    const socket = await connectRaw(t, fair);
    socket.write(encodeMessage({ type: 'open', hops: [addressOf(fair), '@them'], hop: 1, trace, deadlineMs: 1000 }));
    socket.write(encodeMessage({ type: 'ping' }));
    await once(socket, 'data');
    socket.resetAndDestroy();
    await until(() => fair.stats().open === 1);
    const turns = [(await hold(t, fair)).member, (await hold(t, fair)).member];
    assert.equal(turns[0], member);
    assert.equal(new Set(turns).size, 2);
  });
}

test('an upload goes on at another member when its own is killed', async (t) => {
  const { root } = await start(t, 10);
  const home = await makeTempRoot(t);
  const content = await home.writeRandom('new.bin', size);
  const { nodes } = await startChain(t, 2, root.path, { uploads: {} });
  const relay = await startOne(t, root.path, { pools: [poolOf(nodes)] });
  const route = parseVia(`${addressOf(relay)},@them`, 'new.bin');
  let killed = '';
  const onEvent = (event: UploadEvent) => {
    if (killed !== '' || event.kind !== 'progress' || event.bytes < 6 * mib) return;
    const busy = nodes.find((node) => node.stats().open > 0) as RunningNode;
    killed = addressOf(busy);
    void busy.close({ graceMs: 0 });
  };
  // The one that is killed may hold the file a moment longer than its circuit.
  const { hops } = await upload({ source: path.join(home.path, 'new.bin'), route, limits, retry: 5, onEvent });
  assert.notEqual(killed, '');
  assert.notEqual(hops.map(describeHop)[1], `@them: ${killed}`);
  assert.equal(content.equals(await readFile(path.join(root.path, 'new.bin'))), true);
});

/** A port that was free a moment ago. */
async function freePort(t: TestContext, root: string): Promise<number> {
  const node = await startOne(t, root);
  await node.close();
  return node.address.port;
}
