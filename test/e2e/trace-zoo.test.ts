/** Routes with one thing wrong each: a trace finds the leg or the hop, and says what to do. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Finding, firstFailure, type HopLook } from '../../src/client/trace/hop-look.ts';
import { type TraceOptions, traceRoutes } from '../../src/client/trace/trace-route.ts';
import { hintFor } from '../../src/core/failure/hints.ts';
import { type NodeOptions, parseVia, type Resolver, type RunningNode, startNode } from '../../src/index.ts';
import { newKey } from '../../src/wire/keys/key.ts';
import { startBlackHole, startFilteredPort, startOldNode, startSlowLine, type Way } from '../support/broken-legs.ts';
import { addressOf, startPeer } from '../support/chain.ts';
import { occupy } from '../support/circuits.ts';
import { startOriginal } from '../support/classic-peers.ts';

/** With the time that a busy machine may need; where nothing comes, that is waited for, and `soon` is enough. */
const quick = { count: 3, intervalMs: 1, limits: { probeMs: 5_000, quietMs: 40 } };
const soon = { patienceMs: 1_000, limits: { ...quick.limits, probeMs: 1_000 } };
const linux = { skip: process.platform !== 'linux' };

async function start(t: TestContext, options: Partial<NodeOptions> = {}): Promise<RunningNode> {
  const node = await startNode({ listen: { host: '127.0.0.1', port: 0 }, limits: { lingerMs: 200 }, ...options });
  t.after(() => node.close({ graceMs: 0 }));
  return node;
}

function trace(via: string | readonly string[], options: Partial<TraceOptions> = {}): Promise<readonly HopLook[]> {
  return traceRoutes({ route: parseVia(typeof via === 'string' ? [via] : via, 'any'), ...quick, ...options });
}

/** Each hop as `STATE`, and behind it the words of what was found. */
function words(looks: readonly HopLook[]): string[] {
  return looks.map(({ state, findings }) => [state, ...findings.map(tell)].join('; '));
}

function tell(finding: Finding): string {
  return finding.kind === 'warning' ? finding.message : `${finding.error.code} ${finding.error.message}`;
}

function assertWords(looks: readonly HopLook[], expected: readonly RegExp[]): void {
  const found = words(looks);
  assert.equal(found.length, expected.length, found.join('\n'));
  for (const [index, pattern] of expected.entries()) assert.match(found[index] as string, pattern, found.join('\n'));
}

test('a route without a fault has its figures, and nothing is found', async (t) => {
  const identity = newKey().key;
  const [first, second] = [await start(t, { identity }), await start(t)];
  const looks = await trace(`${addressOf(first)}#${identity.public.text},${addressOf(second)}`);
  assertWords(looks, [/^answers$/, /^answers$/]);
  const [one, two] = looks as [HopLook, HopLook];
  assert.deepEqual([one.key, one.encrypted, two.key, two.encrypted], ['pinned', true, 'none', false]);
  assert.deepEqual([one.samplesMs.length, two.samplesMs.length], [3, 3]);
  for (const { pong, clock } of looks) {
    assert.ok(pong?.load && pong.uptimeS !== undefined);
    assert.ok(clock && Math.abs(clock.offsetMs) < 5_000);
  }
  assert.equal(firstFailure(looks), undefined);
});

test('how much passes in each direction is measured where it is asked for', async (t) => {
  const identity = newKey().key;
  const [first, second] = [await start(t, { identity }), await start(t)];
  const via = `${addressOf(first)}#${identity.public.text},${addressOf(second)}`;
  for (const { rates } of await trace(via, { rate: true, rateMs: 1 }))
    assert.ok(Number(rates.up) > 0 && Number(rates.down) > 0);
  for (const { rates } of await trace(via)) assert.deepEqual(rates, {});
});

test('a closed port', async (t) => {
  const [relay, gone] = [await start(t), await startNode({ listen: { host: '127.0.0.1', port: 0 } })];
  const address = addressOf(gone);
  await gone.close();
  const looks = await trace(`${addressOf(relay)},${address},127.0.0.1:9`);
  assertWords(looks, [
    /^answers$/,
    new RegExp(`^fails; PEER_UNREACHABLE hop 1 .* cannot reach hop 2 \\(${address}\\): connection refused$`),
    /^unreached$/,
  ]);
  assert.equal(firstFailure(looks)?.hop, 1);
  assertWords(await trace(address), [
    /^fails; PEER_UNREACHABLE this machine cannot reach hop 1 .*: connection refused$/,
  ]);
});

test('a filtered port, of which nothing comes', linux, async (t) => {
  const [relay, filtered] = [await start(t), await startFilteredPort(t)];
  assertWords(await trace(`${addressOf(relay)},${filtered}`, soon), [
    /^answers$/,
    /^fails; TIMEOUT_CONNECT hop 1 .* got no connection to hop 2 .* in time$/,
  ]);
  assertWords(await trace(filtered, soon), [
    /^fails; TIMEOUT_CONNECT this machine got no connection to hop 1 .* in time$/,
  ]);
});

test('a name that does not resolve', async (t) => {
  const resolve: Resolver = async (host) => {
    if (host === 'localhost') return ['127.0.0.1'];
    throw Object.assign(new Error('no'), { code: 'ENOTFOUND' });
  };
  const relay = await start(t, { resolve, next: ['nowhere.test', '127.0.0.1'] });
  assertWords(await trace(`${addressOf(relay)},nowhere.test:7001`), [
    /^answers$/,
    /^fails; PEER_UNRESOLVED hop 1 .* cannot resolve the name of hop 2 \(nowhere.test:7001\): name not found$/,
  ]);
  assertWords(await trace('nowhere.test:7001', { resolve }), [
    /^fails; PEER_UNRESOLVED this machine cannot resolve the name of hop 1 .*: name not found$/,
  ]);
});

test('a leg that a relay may not open', async (t) => {
  // Nobody dials it: the relay may go on to loopback alone.
  const looks = await trace(`${addressOf(await start(t))},192.0.2.1:7001`);
  assertWords(looks, [/^answers$/, /^fails; POLICY_DENIED hop 1 .* is not allowed to open a leg to hop 2 /]);
  assert.match(hintFor(firstFailure(looks)?.code ?? 'INTERNAL'), /--next/);
});

test('a node that is full', async (t) => {
  const [relay, full] = [await start(t), await start(t, { limits: { maxConnections: 1, lingerMs: 200 } })];
  await occupy(t, full);
  assertWords(await trace(`${addressOf(relay)},${addressOf(full)}`), [
    /^answers$/,
    /^fails; LIMIT_CONNECTIONS hop 2 .* holds as many connections as it may$/,
  ]);
});

test('a node of an older version, of which no more is asked than it knows', async (t) => {
  const [relay, old] = [await start(t), await startOldNode(t)];
  const looks = await trace(`${addressOf(relay)},${old.address}`, { rate: true, rateMs: 1 });
  assertWords(looks, [/^answers/, /^answers; hop 2 .* is of an older version, hopline\/0.0.9: /]);
  assert.deepEqual(new Set(old.asked), new Set(['ping']));
  assert.equal(looks[1]?.pong?.load?.max, 9);
  assert.equal(firstFailure(looks), undefined);
});

test('a key that is not the one in the route, or not the one that this machine knows', async (t) => {
  const [own, other] = [newKey().key, newKey().key];
  const [relay, node] = [await start(t), await start(t, { identity: own })];
  const pinned = await trace(`${addressOf(relay)},${addressOf(node)}#${other.public.text}`);
  const changed = new RegExp(
    `^answers; KEY_CHANGED hop 2 .* says that its key is ${own.public.text}, and the route has ${other.public.text}$`,
  );
  assertWords(pinned, [/^answers$/, changed]);
  assert.equal(pinned[1]?.key, 'changed');
  const knownKeys = new Map([[addressOf(node), other.public]]);
  assertWords(await trace(addressOf(node), { knownKeys }), [/KEY_CHANGED hop 1 .* and known_nodes has /]);
  const known = await trace(addressOf(node), { knownKeys: new Map([[addressOf(node), own.public]]) });
  assert.deepEqual([known[0]?.key, known[0]?.encrypted], ['known', true]);
  const fresh = await trace(addressOf(node));
  assert.deepEqual([fresh[0]?.key, fresh[0]?.encrypted], ['new', false]);
});

test('an origin that lets in known keys alone, and this is none', async (t) => {
  const identity = newKey().key;
  const [relay, origin] = [await start(t), await start(t, { identity, requireKey: true })];
  const looks = await trace(`${addressOf(relay)},${addressOf(origin)}`);
  assertWords(looks, [/^answers$/, /^answers; AUTH_REQUIRED hop 2 .* asks for a key/]);
  assert.equal(looks[1]?.pong?.load, undefined);
  const through = await trace(`${addressOf(origin)},${addressOf(relay)}`);
  assertWords(through, [/^answers$/, /^answers$/]);
});

test('a clock that is wrong: that of a hop, or that of this machine', async (t) => {
  const late = () => Date.now() - 3_600_000 * 3;
  const [relay, node] = [await start(t), await start(t, { wallClock: late })];
  const via = `${addressOf(relay)},${addressOf(node)}`;
  assertWords(await trace(via), [/^answers$/, /^answers; the clock of hop 2 .* is 3 h behind this machine's$/]);
  const right = `${addressOf(relay)},${addressOf(await start(t))}`;
  assertWords(await trace(right, { wallClock: late }), [
    /^answers; the clock of this machine is 3 h behind that of every hop$/,
    /^answers$/,
  ]);
});

for (const [way, which] of [
  ['forward', 'on the way there'],
  ['back', 'on the way back'],
] as const satisfies readonly (readonly [Way, string])[]) {
  test(`a leg that passes small segments and swallows large ones ${which}`, async (t) => {
    const [relay, second, third] = [await start(t), await start(t), await start(t)];
    const hole = await startBlackHole(t, second.address.port, way);
    const looks = await trace(`${addressOf(relay)},${hole},${addressOf(third)}`, soon);
    assertWords(looks, [
      /^answers$/,
      new RegExp(
        `^answers; TIMEOUT_IDLE large segments vanish on leg 2, from hop 1 .* to hop 2 .*, ${which}, and small`,
      ),
      /^answers$/,
    ]);
    assert.match(looks[1]?.findings[0]?.advice ?? '', /MTU.*MSS/);
  });
}

for (const [way, which] of [
  ['forward', /^answers; leg 2, from hop 1 .* is slow towards hop 2 /],
  ['back', /^answers; leg 2, from hop 1 .* is slow on the way back from hop 2 /],
] as const satisfies readonly (readonly [Way, RegExp])[]) {
  test(`a leg that is slow ${way} alone`, async (t) => {
    const [relay, second] = [await start(t), await start(t)];
    const slow = await startSlowLine(t, second.address.port, way, 150_000);
    const looks = await trace(`${addressOf(relay)},${slow}`, { rate: true, rateMs: 100 });
    assertWords(looks, [/^answers/, which]);
    assert.equal(firstFailure(looks), undefined, 'slow is no failure');
  });
}

for (const [what, serve, found] of [
  [
    'ends without a word',
    (socket) => socket.end(),
    /PEER_LOST hop 2 .* takes the connection and ends it without a word$/,
  ],
  ['says nothing', () => {}, /TIMEOUT_HEAD hop 2 .* takes the connection and says nothing$/],
  [
    'speaks another protocol',
    (socket) => socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
    /PEER_PROTOCOL what listens at hop 2 .* is no hopline node: /,
  ],
] as const satisfies readonly (readonly [string, (socket: import('node:net').Socket) => unknown, RegExp])[]) {
  test(`a plain service in place of a hop, which ${what}`, async (t) => {
    const [relay, service] = [await start(t), await startPeer(t, serve)];
    const looks = await trace(`${addressOf(relay)},${service.address}`, soon);
    assertWords(looks, [/^answers$/, found]);
    assert.equal(looks[1]?.state, 'fails');
  });
}

test('hops that speak classic, as far as they go', async (t) => {
  const relay = await start(t);
  const [proxy, server] = [await startOriginal(t, new Map()), await startOriginal(t, new Map())];
  const looks = await trace(`${addressOf(relay)},${proxy.address},${server.address}`, { ...soon, patienceMs: 2_000 });
  assertWords(looks, [
    /^answers$/,
    /^classic; hop 2 .* classic dialect only/,
    /^classic; hop 3 .* since a hop before it speaks that alone/,
  ]);
  assert.equal(firstFailure(looks), undefined);
});

test('alternates, each on its own, and the way goes on over the first that answers', async (t) => {
  const [relay, origin] = [await start(t), await start(t)];
  const gone = await startNode({ listen: { host: '127.0.0.1', port: 0 } });
  await gone.close();
  const looks = await trace(`${addressOf(gone)}|${addressOf(relay)},${addressOf(origin)}`);
  assertWords(looks, [/^fails; PEER_UNREACHABLE this machine cannot reach hop 1 /, /^answers$/, /^answers$/]);
  assert.deepEqual(
    looks.map(({ place }) => place),
    [1, 1, 2],
  );
  assert.equal(looks[2]?.before, looks[1]);
});

test('each member of a pool, and what is behind it', async (t) => {
  const members = [await start(t), await start(t)];
  const hops = members.map(({ address: { host, port } }) => ({ host, port }));
  const relay = await start(t, { pools: [{ name: 'files', members: hops as never }] });
  const origin = await start(t);
  const looks = await trace(`${addressOf(relay)},@files,${addressOf(origin)}`);
  assertWords(looks, [/^answers$/, /^answers$/, /^answers$/, /^answers$/]);
  const taken = looks.slice(1, 3).map(({ hop }) => ('member' in hop ? hop.member?.port : undefined));
  assert.deepEqual(new Set(taken), new Set(hops.map(({ port }) => port)));
  assert.deepEqual(
    looks.map(({ place }) => place),
    [1, 2, 2, 3],
  );
});

test('several routes side by side, one of them broken', async (t) => {
  const [one, two] = [await start(t), await start(t)];
  const gone = await startNode({ listen: { host: '127.0.0.1', port: 0 } });
  await gone.close();
  const looks = await trace([addressOf(one), `${addressOf(two)},${addressOf(gone)}`]);
  assertWords(looks, [/^answers$/, /^answers$/, /^fails; PEER_UNREACHABLE hop 1 /]);
  assert.deepEqual(
    looks.map(({ route, place }) => [route, place]),
    [
      [1, 1],
      [2, 1],
      [2, 2],
    ],
  );
});

test('a trace that is interrupted says so, and leaves no connection', async (t) => {
  const node = await start(t);
  const stop = new AbortController();
  const onLook = () => stop.abort();
  await assert.rejects(trace(addressOf(node), { signal: stop.signal, onLook, count: 1000 }), { code: 'INTERRUPTED' });
});
