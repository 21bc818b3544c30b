import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { Circuits } from '../../src/client/circuit/circuits.ts';
import { FileFetch } from '../../src/client/download/fetch-file.ts';
import {
  type DownloadEvent,
  defaultLimits,
  download,
  fetchUrl,
  parseVia,
  systemClock,
  type UploadEvent,
  upload,
} from '../../src/index.ts';
import type { Piece, Target, TargetContent } from '../../src/io/disk/writing/target.ts';
import { createFileTarget } from '../../src/io/disk/writing/target-place.ts';
import { createSystemResolver } from '../../src/io/names/system-resolver.ts';
import type { Message } from '../../src/wire/native/messages.ts';
import { addressOf, startChain, until } from '../support/chain.ts';
import { openCircuit } from '../support/circuits.ts';
import { failNextSync, replaceSync, type SyncCall } from '../support/failing-disk.ts';
import { FakeClock } from '../support/legs.ts';
import { startTamperer } from '../support/tamper.ts';
import { contentOf, pieceOf } from '../support/targets.ts';
import { makeTempRoot } from '../support/temp-root.ts';
import { startWebServer } from '../support/web-server.ts';

const mib = 1_048_576;
/** Few pieces on their way, so that much is still missing when something happens in mid-flight. */
const limits = { maxReadsAhead: 2 };

/** A file at an origin behind a relay, and a directory that it may be moved from or to. */
async function startFile(t: TestContext, bytes: number) {
  const root = await makeTempRoot(t);
  const other = await makeTempRoot(t);
  const content = await root.writeRandom('data.bin', bytes);
  const chain = await startChain(t, 2, root.path, { uploads: {} });
  return { root, other, content, chain, source: path.join(root.path, 'data.bin') };
}

/** In mid-file a sync is due every 64 MiB. */
const failing: readonly (readonly [call: SyncCall, when: string, bytes: number])[] = [
  ['datasync', 'in mid-file', 66 * mib],
  ['sync', 'at the end', 2 * mib + 1],
];

for (const [call, when, bytes] of failing) {
  test(`a download whose disk fails ${when} is no success, and leaves nothing`, async (t) => {
    const { other, chain } = await startFile(t, bytes);
    await failNextSync(t, call);
    const pending = download({ route: chain.route('data.bin'), output: other.path });
    await assert.rejects(pending, { code: 'DISK_FAILED', reason: 'EIO' });
    assert.deepEqual(await other.list(), []);
  });

  test(`an upload whose disk at the origin fails ${when} is no success, and leaves nothing there`, async (t) => {
    const { root, chain, source } = await startFile(t, bytes);
    await failNextSync(t, call);
    await assert.rejects(upload({ source, route: chain.route('new.bin') }), { code: 'DISK_FAILED', hop: 2 });
    await until(() => chain.nodes.every((node) => node.stats().open === 0));
    assert.deepEqual(await root.list(), ['data.bin']);
  });

  test(`a fetch whose disk fails ${when} is no success, and leaves nothing`, async (t) => {
    const { other, content } = await startFile(t, bytes);
    const server = await startWebServer(t, (_, response) => {
      response.writeHead(200, { ETag: '"v1"', 'Content-Length': content.length }).end(content);
    });
    await failNextSync(t, call);
    const pending = fetchUrl(`${server.url}/x`, { path: path.join(other.path, 'x'), stream: new PassThrough() });
    await assert.rejects(pending, { code: 'DISK_FAILED', reason: 'EIO' });
    assert.deepEqual(await other.list(), []);
  });
}

test('books and bytes that agree are not enough: the origin is asked, though they name the version that it has', async (t) => {
  const { root, other, content, chain, source } = await startFile(t, 6 * mib);
  const route = chain.route('data.bin');
  // Somebody else's content under the name, size and version of the right one.
  const planted = Buffer.from(content).fill(7, mib, 2 * mib);
  const { version } = await stat(t, chain, 'data.bin');
  const plant: TargetContent = { ...contentOf(planted, mib), file: 'data.bin' };
  const target = await createFileTarget(other.path, 'data.bin', { force: false });
  await target.begin(plant);
  for (let index = 0; index < 6; index += 1) await target.write(pieceOf(planted, index, plant, { version }));
  await target.keep();
  const events: DownloadEvent[] = [];
  const result = await download({ route, output: other.path, onEvent: (event) => events.push(event) });
  assert.ok(events.some((event) => event.kind === 'started' && event.restarted));
  assert.equal(result.resumedBytes, 0);
  assert.ok(content.equals(await readFile(path.join(other.path, 'data.bin'))));
  assert.deepEqual(await root.list(), [path.basename(source)]);
});

test('what is left is not fetched again if the origin shows the digests that it has', async (t) => {
  const { other, content, chain } = await startFile(t, 24 * mib);
  const route = chain.route('data.bin');
  const stop = new AbortController();
  let kept = 0;
  const onEvent = (event: DownloadEvent) => {
    if (event.kind === 'progress' && event.bytes > 6 * mib) stop.abort();
    if (event.kind === 'kept') kept = event.bytes;
  };
  const first = download({ route, output: other.path, limits, signal: stop.signal, onEvent });
  await assert.rejects(first, { code: 'INTERRUPTED' });
  const before = chain.nodes[1]?.stats().bytesServed ?? 0;
  const result = await download({ route, output: other.path });
  assert.deepEqual([result.resumedBytes, result.verified], [kept, true]);
  assert.equal((chain.nodes[1]?.stats().bytesServed ?? 0) - before, 24 * mib - kept);
  assert.ok(content.equals(await readFile(path.join(other.path, 'data.bin'))));
});

test('a file whose permissions change while it is fetched is gone on with, and comes once', {
  skip: process.platform === 'win32' && 'there are no such permissions',
}, async (t) => {
  const { other, content, chain, source } = await startFile(t, 24 * mib);
  let isChanged = false;
  const reroutes: string[] = [];
  const onEvent = (event: DownloadEvent) => {
    if (event.kind === 'progress' && event.bytes > 6 * mib && !isChanged) {
      isChanged = true;
      chmodSync(source, 0o640);
    }
    if (event.kind === 'reroute') reroutes.push(event.failure.code);
    if (event.kind === 'started') assert.equal(event.restarted, false);
  };
  const result = await download({ route: chain.route('data.bin'), output: other.path, limits, onEvent });
  assert.deepEqual(reroutes, ['FILE_CHANGED']);
  assert.ok(result.wastedBytes <= limits.maxReadsAhead * mib, `${result.wastedBytes} bytes came twice`);
  assert.ok(content.equals(await readFile(path.join(other.path, 'data.bin'))));
});

/** Asks an origin for a file. */
async function stat(t: TestContext, { nodes }: Awaited<ReturnType<typeof startChain>>, name: string) {
  const circuit = await openCircuit(t, nodes, [{ type: 'stat', name, digests: ['sha256'] }]);
  return circuit.receive('status');
}

test('pieces of two versions that were alike in the beginning do not make a file', async (t) => {
  const piece = 64 * 1024;
  const roots = [await makeTempRoot(t), await makeTempRoot(t)] as const;
  const content = await roots[0].writeRandom('data.bin', 8 * piece);
  // The same up to the third piece, and different in every one from there on.
  const other = Buffer.concat([content.subarray(0, 2 * piece), Buffer.alloc(6 * piece, 7)]);
  await writeFile(path.join(roots[1].path, 'data.bin'), other);
  const small = { ...defaultLimits, pieceBytes: piece };
  const circuits = [];
  const requests: Message[] = [{ type: 'stat', name: 'data.bin', digests: ['sha256'] }];
  for (const root of roots) {
    const { nodes } = await startChain(t, 1, root.path, { limits: { pieceBytes: piece } });
    circuits.push(await openCircuit(t, nodes, requests, { pieceBytes: piece }));
  }
  const target = new TakingTurns();
  const { signal } = new AbortController();
  const client = { limits: small, clock: systemClock, resolve: createSystemResolver(), signal };
  const told = { onBytes: () => {}, onEvent: () => {} };
  const fetch = new FileFetch({
    file: 'data.bin',
    target,
    client,
    parallel: 2,
    circuits: await Circuits.over([], client, {}),
    ...told,
  });
  const [first, second] = circuits as [(typeof circuits)[0], (typeof circuits)[0]];
  const one = fetch.fetchOver(first, false);
  await target.begun;
  await Promise.allSettled([one, fetch.fetchOver(second, false)]);
  const late = target.pieces.filter(({ index }) => index >= 2).map(({ vouched }) => vouched?.version);
  assert.equal(new Set(late).size, 2, 'both origins brought pieces that differ');
  assert.throws(() => fetch.finish(), { code: 'FILE_CHANGED' });
});

/**
 * Takes two pieces at once from the first version, more of them once the second has brought one, and more of the second
 * once the first has brought one that is different in the two.
 */
class TakingTurns implements Target {
  readonly path = null;
  readonly replaces = false;
  readonly mayResume = false;
  readonly pieces: Piece[] = [];
  readonly begun: Promise<void>;
  readonly #secondCame: Promise<void>;
  readonly #firstDiffered: Promise<void>;
  #onBegun = () => {};
  #onSecond = () => {};
  #onFirst = () => {};

  constructor() {
    this.begun = new Promise((resolve) => {
      this.#onBegun = resolve;
    });
    this.#secondCame = new Promise((resolve) => {
      this.#onSecond = resolve;
    });
    this.#firstDiffered = new Promise((resolve) => {
      this.#onFirst = resolve;
    });
  }

  async begin() {
    return { reservation: 'none', left: new Map() } as const;
  }

  async write(piece: Piece): Promise<void> {
    for (const chunk of piece.chunks) chunk.release();
    this.pieces.push(piece);
    const isFirst = piece.vouched?.version === this.pieces[0]?.vouched?.version;
    this.#onBegun();
    if (!isFirst) this.#onSecond();
    else if (piece.index >= 2) this.#onFirst();
    await (isFirst ? this.#secondCame : this.#firstDiffered);
  }

  async commit() {}

  async keep() {
    return 0;
  }

  async discard() {}
}

/** Has the next `datasync` wait until the function returned is called. */
async function holdDatasync(t: TestContext): Promise<{ readonly held: Promise<void>; readonly go: () => void }> {
  let go: () => void = () => {};
  let onHeld: () => void = () => {};
  const held = new Promise<void>((resolve) => {
    onHeld = resolve;
  });
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  await replaceSync(t, 'datasync', () => {
    onHeld();
    return gate;
  });
  return { held, go };
}

test('an upload is gone on with though its origin needs minutes to read what it has', async (t) => {
  const root = await makeTempRoot(t);
  const home = await makeTempRoot(t);
  const content = await home.writeRandom('data.bin', 8 * mib);
  const clock = new FakeClock();
  const chain = await startChain(t, 2, root.path, { uploads: {}, clock });
  const [relay, origin] = chain.nodes as [(typeof chain.nodes)[0], (typeof chain.nodes)[0]];
  let said = 0;
  const count = (bytes: Buffer) => {
    said += bytes.toString('latin1').split('"working"').length - 1;
    return bytes;
  };
  const last = await startTamperer(t, origin.address.port, { back: count });
  const route = parseVia(`${addressOf(relay)},${last}`, 'new.bin');
  const source = path.join(home.path, 'data.bin');
  const stop = new AbortController();
  const onEvent = (event: UploadEvent) => event.kind === 'progress' && event.bytes > 3 * mib && stop.abort();
  await assert.rejects(upload({ source, route, onEvent, signal: stop.signal, clock }), { code: 'INTERRUPTED' });
  await until(() => origin.stats().open === 0);
  const { held, go } = await holdDatasync(t);
  const pending = upload({ source, route, clock });
  await held;
  try {
    for (let seconds = 1; seconds <= 120; seconds += 1) {
      clock.advance(1000);
      await until(() => said >= seconds);
    }
  } finally {
    go();
  }
  const result = await pending;
  assert.ok(result.resumedBytes > 3 * mib);
  assert.equal(result.reroutes, 0);
  assert.ok(content.equals(await readFile(path.join(root.path, 'new.bin'))));
});

test('a download is gone on with though its client needs minutes to read what it has', async (t) => {
  const { other, content, chain } = await startFile(t, 8 * mib);
  const clock = new FakeClock();
  const relays = await startChain(t, 1, other.path, { clock });
  let said = 0;
  const count = (bytes: Buffer) => {
    said += bytes.toString('latin1').split('"ping"').length - 1;
    return bytes;
  };
  const [relay] = relays.nodes as [(typeof relays.nodes)[0]];
  const first = await startTamperer(t, relay.address.port, { forward: count });
  const route = parseVia(`${first},${chain.nodes.map(addressOf).join(',')}`, 'data.bin');
  const out = await makeTempRoot(t);
  const stop = new AbortController();
  const onEvent = (event: DownloadEvent) => event.kind === 'progress' && event.bytes > 3 * mib && stop.abort();
  await assert.rejects(download({ route, output: out.path, limits, onEvent, signal: stop.signal, clock }), {
    code: 'INTERRUPTED',
  });
  const { held, go } = await holdDatasync(t);
  const pending = download({ route, output: out.path, clock });
  await held;
  try {
    for (let pings = 1; pings <= 12; pings += 1) {
      clock.advance(defaultLimits.pulseMs);
      await until(() => said >= pings);
    }
  } finally {
    go();
  }
  const result = await pending;
  assert.ok(result.resumedBytes > 0);
  assert.equal(result.reroutes, 0);
  assert.ok(content.equals(await readFile(path.join(out.path, 'data.bin'))));
});
