import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { copyFile, readFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  type DownloadEvent,
  type DownloadOptions,
  describeHop,
  download,
  type Hop,
  parseVia,
  type RunningNode,
  startNode,
} from '../../src/index.ts';
import { addressOf, startChain, startPeer } from '../support/chain.ts';
import { flip, startTamperer } from '../support/tamper.ts';
import { makeTempRoot, type TempRoot } from '../support/temp-root.ts';

const mib = 1_048_576;
const size = 24 * mib + 12_345;
const limits = { maxReadsAhead: 2, retryMinMs: 10, retryMaxMs: 50, probeMs: 500, connectMs: 1000 };
const file = 'data.bin';

interface Fixture {
  readonly content: Buffer;
  readonly root: TempRoot;
  readonly out: TempRoot;
  /** Downloads over `vias`; `act` is called once, in mid-flight. */
  run(vias: readonly string[], act?: () => void, options?: Partial<DownloadOptions>): Promise<DownloadEvent[]>;
}

async function start(t: TestContext): Promise<Fixture> {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const content = await root.writeRandom(file, size);
  return {
    content,
    root,
    out,
    run: async (vias, act = () => {}, options = {}) => {
      const events: DownloadEvent[] = [];
      let isDone = false;
      const onEvent = (event: DownloadEvent) => {
        events.push(event);
        if (isDone || event.kind !== 'progress' || event.bytes < 6 * mib) return;
        isDone = true;
        act();
      };
      const result = await download({ route: parseVia(vias, file), output: out.path, limits, onEvent, ...options });
      assert.equal(result.size, size);
      assert.deepEqual(await out.list(), [file]);
      assert.equal(content.equals(await readFile(path.join(out.path, file))), true);
      return events;
    },
  };
}

function kill(node: RunningNode | undefined): void {
  void node?.close({ graceMs: 0 });
}

function reroutesOf(events: readonly DownloadEvent[]) {
  return events.flatMap((event) => (event.kind === 'reroute' ? [event] : []));
}

for (const place of [0, 1, 2]) {
  test(`a relay that dies in mid-flight at place ${place + 1} of 4 is replaced by its alternate`, async (t) => {
    const fixture = await start(t);
    const { nodes } = await startChain(t, 4, fixture.root.path);
    const others = await startChain(t, 4, fixture.root.path);
    const via = nodes.map((node, index) => `${addressOf(node)}|${addressOf(others.nodes[index] as RunningNode)}`);
    const events = await fixture.run([via.join(',')], () => kill(nodes[place]));
    const [reroute] = reroutesOf(events);
    assert.ok(reroute);
    assert.equal(reroute.failure.hop, place);
    assert.match(reroute.failure.message, new RegExp(addressOf(nodes[place] as RunningNode)));
    assert.equal(describeHop(reroute.to[place] as Hop), addressOf(others.nodes[place] as RunningNode));
    assert.equal(events.filter(({ kind }) => kind === 'started').length, 1);
  });
}

test('an origin that dies is replaced by a replica, which is checked before it is mixed in', async (t) => {
  const fixture = await start(t);
  const replica = await makeTempRoot(t);
  await copyFile(path.join(fixture.root.path, file), path.join(replica.path, file));
  const [relay] = (await startChain(t, 1, fixture.root.path)).nodes as [RunningNode];
  const [origin] = (await startChain(t, 1, fixture.root.path)).nodes as [RunningNode];
  const [other] = (await startChain(t, 1, replica.path)).nodes as [RunningNode];
  const via = `${addressOf(relay)},${addressOf(origin)}|${addressOf(other)}`;
  const events = await fixture.run([via], () => kill(origin));
  assert.equal(reroutesOf(events).length > 0, true);
  assert.ok(other.stats().bytesServed > 0 && other.stats().bytesServed < size);
});

test('a whole route that dies is replaced by the next one of the file', async (t) => {
  const fixture = await start(t);
  const first = await startChain(t, 2, fixture.root.path);
  const second = await startChain(t, 3, fixture.root.path);
  const vias = [first, second].map(({ nodes }) => nodes.map(addressOf).join(','));
  const events = await fixture.run(vias, () => {
    for (const node of first.nodes) kill(node);
  });
  assert.deepEqual(reroutesOf(events)[0]?.to.map(describeHop), second.nodes.map(addressOf));
});

test('alternates are tried at once where the preferred hop was never there', async (t) => {
  const fixture = await start(t);
  const [gone, there] = (await startChain(t, 2, fixture.root.path)).nodes as [RunningNode, RunningNode];
  await gone.close();
  const events = await fixture.run([`${addressOf(gone)}|${addressOf(there)}`]);
  assert.equal(reroutesOf(events)[0]?.failure.code, 'PEER_UNREACHABLE');
  assert.equal(reroutesOf(events)[0]?.waitMs, 0);
});

test('with one route, a node that comes back is used again', async (t) => {
  const fixture = await start(t);
  const { nodes } = await startChain(t, 2, fixture.root.path);
  const [relay] = nodes as [RunningNode];
  const back: Promise<RunningNode>[] = [];
  t.after(async () => {
    for (const node of back) await (await node).close({ graceMs: 0 });
  });
  const listen = relay.address;
  const events = await fixture.run([nodes.map(addressOf).join(',')], () => {
    back.push(relay.close({ graceMs: 0 }).then(() => startNode({ listen, root: fixture.root.path })));
  });
  assert.ok(reroutesOf(events).length > 0);
});

test('a route that stays broken is given up after the retries, and what came is kept', async (t) => {
  const fixture = await start(t);
  const { nodes } = await startChain(t, 2, fixture.root.path);
  const kept: number[] = [];
  let reroutes = 0;
  const onEvent = (event: DownloadEvent) => {
    if (event.kind === 'progress' && event.bytes > 6 * mib) kill(nodes[1]);
    if (event.kind === 'kept') kept.push(event.bytes);
    if (event.kind === 'reroute') reroutes += 1;
  };
  const route = parseVia(nodes.map(addressOf).join(','), file);
  const failing = download({ route, output: fixture.out.path, limits, retry: 2, onEvent });
  await assert.rejects(failing, { code: 'PEER_UNREACHABLE', hop: 1 });
  assert.equal(reroutes, 2);
  assert.equal(kept.length, 1);
  assert.deepEqual(await fixture.out.list(), [`.${file}.part`, `.${file}.part.journal`]);
});

test('a route that never worked is not tried again unless that was asked for', async (t) => {
  const fixture = await start(t);
  const silent = await startPeer(t, (socket) => socket.destroy());
  for (const [retry, expected] of [
    [undefined, 0],
    [2, 2],
  ] as const) {
    let reroutes = 0;
    const onEvent = (event: DownloadEvent) => {
      if (event.kind === 'reroute') reroutes += 1;
    };
    const route = parseVia(silent.address, file);
    await assert.rejects(download({ route, output: fixture.out.path, limits, retry, onEvent }), { code: 'PEER_LOST' });
    assert.equal(reroutes, expected);
  }
});

test('a missing file is looked for at the other origin, and missing everywhere it is said so', async (t) => {
  const fixture = await start(t);
  const empty = await makeTempRoot(t);
  const [without] = (await startChain(t, 1, empty.path)).nodes as [RunningNode];
  const [withIt] = (await startChain(t, 1, fixture.root.path)).nodes as [RunningNode];
  const events = await fixture.run([`${addressOf(without)}|${addressOf(withIt)}`]);
  assert.equal(reroutesOf(events)[0]?.failure.code, 'FILE_NOT_FOUND');
  const route = parseVia(addressOf(without), file);
  await assert.rejects(download({ route, output: empty.path, retry: 5 }), { code: 'FILE_NOT_FOUND' });
});

test('a file is fetched over two routes at once, each bringing part of it', async (t) => {
  const fixture = await start(t);
  const replica = await makeTempRoot(t);
  await copyFile(path.join(fixture.root.path, file), path.join(replica.path, file));
  const first = await startChain(t, 2, fixture.root.path);
  const second = await startChain(t, 2, replica.path);
  const vias = [first, second].map(({ nodes }) => nodes.map(addressOf).join(','));
  await fixture.run(vias, () => {}, { parallel: 2 });
  for (const { nodes } of [first, second]) {
    const { bytesServed } = (nodes[1] as RunningNode).stats();
    assert.ok(bytesServed > 0 && bytesServed < size, `${bytesServed} bytes came over one route`);
  }
});

test('of two routes at once, one may die: the other brings the rest', async (t) => {
  const fixture = await start(t);
  const first = await startChain(t, 2, fixture.root.path);
  const second = await startChain(t, 2, fixture.root.path);
  const vias = [first, second].map(({ nodes }) => nodes.map(addressOf).join(','));
  await fixture.run(vias, () => kill(first.nodes[0]), { parallel: 2 });
});

test('two origins that differ are never mixed, however many circuits there are', async (t) => {
  const fixture = await start(t);
  const replica = await makeTempRoot(t);
  await replica.writeRandom(file, size);
  const first = await startChain(t, 1, fixture.root.path);
  const second = await startChain(t, 1, replica.path);
  const [good, bad] = [first, second].map(({ nodes }) => addressOf(nodes[0] as RunningNode)) as [string, string];
  const events = await fixture.run([good, bad], () => {}, { parallel: 2, retry: 2 });
  assert.equal(events.filter(({ kind }) => kind === 'started').length, 1);
});

test('a file that is replaced in mid-flight is fetched anew, and is the new one', async (t) => {
  const fixture = await start(t);
  const { nodes } = await startChain(t, 2, fixture.root.path);
  const other = await makeTempRoot(t);
  const replacement = await other.writeRandom(file, size + 1000);
  let isDone = false;
  const events: DownloadEvent[] = [];
  const onEvent = (event: DownloadEvent) => {
    events.push(event);
    if (isDone || event.kind !== 'progress' || event.bytes < 6 * mib) return;
    isDone = true;
    renameSync(path.join(other.path, file), path.join(fixture.root.path, file));
    // The circuit has the old file open, and that stays as it is: only a new circuit finds the new one.
    kill(nodes[0]);
  };
  const [gone, origin] = nodes as [RunningNode, RunningNode];
  const [relay] = (await startChain(t, 1, fixture.root.path)).nodes as [RunningNode];
  const route = parseVia(`${addressOf(gone)}|${addressOf(relay)},${addressOf(origin)}`, file);
  const result = await download({ route, output: fixture.out.path, limits, onEvent });
  assert.equal(result.size, replacement.length);
  assert.equal(
    events.some((event) => event.kind === 'started' && event.restarted),
    true,
  );
  assert.equal(replacement.equals(await readFile(path.join(fixture.out.path, file))), true);
});

test('a file that is written to in mid-flight is fetched anew', async (t) => {
  const fixture = await start(t);
  const { route } = await startChain(t, 1, fixture.root.path);
  const changed = Buffer.from(fixture.content).fill(9, 3 * mib, 3 * mib + 100);
  let isDone = false;
  const onEvent = (event: DownloadEvent) => {
    if (isDone || event.kind !== 'progress' || event.bytes < 6 * mib) return;
    isDone = true;
    writeFileSync(path.join(fixture.root.path, file), changed);
  };
  const result = await download({ route: route(file), output: fixture.out.path, limits, onEvent });
  assert.equal(result.verified, true);
  assert.equal(changed.equals(await readFile(path.join(fixture.out.path, file))), true);
});

test('a hop that damages one piece again and again is left for another, and the way is named', async (t) => {
  const fixture = await start(t);
  const { nodes } = await startChain(t, 1, fixture.root.path);
  const [origin] = nodes as [RunningNode];
  const mark = fixture.content.subarray(5 * mib + 100, 5 * mib + 132);
  const flipper = await startTamperer(t, origin.address.port, {
    back: (bytes) => {
      const place = bytes.indexOf(mark);
      if (place >= 0) flip(bytes, place);
      return bytes;
    },
  });
  const events = await fixture.run([flipper, addressOf(origin)]);
  const [reroute] = reroutesOf(events);
  assert.equal(reroute?.failure.code, 'HASH_MISMATCH');
  assert.match(reroute?.failure.message ?? '', new RegExp(`piece 6 of 25 .* over ${flipper}$`));
  assert.equal(events.filter(({ kind }) => kind === 'retry').length, 2);
});

test('a header that was damaged on its way to the origin costs a circuit, and not the download', async (t) => {
  const fixture = await start(t);
  const { nodes } = await startChain(t, 1, fixture.root.path);
  const [origin] = nodes as [RunningNode];
  let damaged = 0;
  const flipper = await startTamperer(t, origin.address.port, {
    forward: (bytes) => {
      // A READ that names the version comes after STATUS, for what was not asked for along with OPEN.
      const place = damaged === 0 && bytes.includes('"version"') ? bytes.indexOf('"read"') : -1;
      if (place >= 0) damaged = bytes.write('"raed"', place);
      return bytes;
    },
  });
  const events = await fixture.run([flipper], undefined, { limits: { ...limits, maxReadsAhead: 1 } });
  assert.ok(damaged > 0);
  assert.deepEqual(
    reroutesOf(events).map(({ failure }) => failure.code),
    ['PEER_PROTOCOL'],
  );
});
