/** Whose word a file is: over encrypted circuits one key vouches for every piece, whatever was left by whomever. */

import assert from 'node:assert/strict';
import { copyFile, cp, mkdir, readFile, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import {
  type Address,
  type DownloadEvent,
  type DownloadOptions,
  download,
  downloadFiles,
  downloadTree,
  type Logger,
  parseVia,
  RemoteFiles,
  type RoutePlan,
  type UploadEvent,
  upload,
} from '../../src/index.ts';
import { availableDigests } from '../../src/io/digests/digest.ts';
import { Journal } from '../../src/io/disk/writing/journal.ts';
import { type KeyPair, newKey } from '../../src/wire/keys/key.ts';
import { addressOf, startChain, until } from '../support/chain.ts';
import { openCircuit } from '../support/circuits.ts';
import { keyed, readSent } from '../support/keyed.ts';
import { startTamperer } from '../support/tamper.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const mib = 1024 * 1024;
const name = 'plan.bin';
const [one, two] = [newKey().key, newKey().key];
const limits = { maxReadsAhead: 2 };

/** Two origins with a copy each, one key each. */
async function startReplicas(t: TestContext, pieces: number) {
  const root = await makeTempRoot(t);
  const replica = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const content = await root.writeRandom(name, (pieces - 1) * mib + 77);
  await copyFile(path.join(root.path, name), path.join(replica.path, name));
  const first = await startChain(t, 2, root.path, { identity: one, next: ['127.0.0.1'], uploads: {} });
  const second = await startChain(t, 2, replica.path, { identity: two, next: ['127.0.0.1'] });
  const vias = [first, second].map(({ nodes }) => nodes.map(addressOf).join(','));
  const [origin, other] = [first, second].map(({ nodes }) => addressOf(nodes[1] as never));
  const keys = (address: string) => (address === origin ? one.public : address === other ? two.public : undefined);
  const route = keyed(parseVia(vias, name), keys);
  const run = async (plan: RoutePlan, options: Partial<DownloadOptions> = {}) => {
    const events: DownloadEvent[] = [];
    const result = await download({
      route: plan,
      output: out.path,
      limits,
      onEvent: (event) => events.push(event),
      ...options,
    });
    assert.ok(content.equals(await readFile(path.join(out.path, name))));
    assert.deepEqual(await out.list(), [name]);
    return { result, events };
  };
  return { root, replica, out, content, first, second, vias, route, run };
}

const only = ({ file, routes }: RoutePlan, index: number): RoutePlan => ({
  file,
  routes: routes.slice(index, index + 1),
});

test('in plain nobody has vouched, and a result says so', async (t) => {
  const { first, run } = await startReplicas(t, 2);
  const { result } = await run(first.route(name));
  assert.deepEqual([result.verified, result.encrypted, 'verifiedBy' in result], [true, false, false]);
});

test('a journal and a part file that anybody wrote count for nothing that the key has not said', async (t) => {
  const { first, out, content, route, run } = await startReplicas(t, 5);
  const circuit = await openCircuit(t, first.nodes, [{ type: 'stat', name, digests: ['sha256'] }]);
  const { version, pieceBytes } = await circuit.receive('status');
  const [algorithm] = availableDigests();
  assert.ok(algorithm);
  // The worst of them: in the name of the origin's own version and key, with digests that fit what was altered.
  for (const key of [undefined, two.public.text, one.public.text]) {
    const altered = Buffer.from(content).fill(0, mib + 5, mib + 6 + 8);
    await writeFile(path.join(out.path, `.${name}.part`), altered, { mode: 0o600 });
    const left = [0, 1, 2].map((index) => {
      const digest = algorithm.digestOf(altered.subarray(index * mib, (index + 1) * mib)).toString('hex');
      return [index, { digest, version, key }] as const;
    });
    const books = { file: name, size: content.length, pieceBytes, algorithm: algorithm.name };
    await (await Journal.create(path.join(out.path, `.${name}.part.journal`), books, new Map(left))).close();
    const { result, events } = await run(only(route, 0), { force: true });
    assert.ok(events.some((event) => event.kind === 'started' && event.restarted));
    assert.deepEqual([result.encrypted, result.verifiedBy], [true, one.public.text]);
  }
});

test('what a plain run left is gone on with once the key has shown its digests', async (t) => {
  const { first, out, route, run } = await startReplicas(t, 24);
  const stop = new AbortController();
  const onEvent = (event: DownloadEvent) => {
    if (event.kind === 'progress' && event.bytes > 6 * mib) stop.abort();
  };
  const plain = { route: first.route(name), output: out.path, limits, signal: stop.signal, onEvent };
  await assert.rejects(download(plain), { code: 'INTERRUPTED' });
  const journal = await readFile(path.join(out.path, `.${name}.part.journal`), 'utf8');
  assert.match(journal, / version 0 \S+ -\n/);
  const { result } = await run(only(route, 0));
  assert.ok(result.resumedBytes > 0);
  assert.equal(result.verifiedBy, one.public.text);
});

for (const parallel of [1, 4]) {
  test(`a way that breaks is replaced by one to another key, and one of them vouches for all, ${parallel} at once`, async (t) => {
    const { first, vias, run } = await startReplicas(t, 24);
    const { nodes } = first;
    let passed = 0;
    const back = (bytes: Buffer) => {
      passed += bytes.length;
      return passed > 1.2 * mib ? null : bytes;
    };
    const relay = nodes[0]?.address.port ?? 0;
    const cut = await startTamperer(t, relay, { back });
    const origin = addressOf(nodes[1] as never);
    const keys = (address: string) => (address === origin ? one.public : two.public);
    // With a deadline for the ways that are left: the first never brings anything more.
    const plan = keyed(parseVia([`${cut},${origin}`, vias[1] as string], name), keys);
    const { result } = await run(plan, { parallel });
    assert.ok(result.reroutes >= 1);
    assert.deepEqual([result.encrypted, result.verifiedBy], [true, two.public.text]);
  });
}

test('pieces that two keys bring side by side are vouched for by one of them, or the file changes hands', async (t) => {
  const { route, run, replica, out } = await startReplicas(t, 12);
  const { result } = await run(route, { parallel: 4 });
  assert.ok([one, two].some((key) => result.verifiedBy === key.public.text));
  // Of another content under the same size, no part is mixed in.
  const other = await readFile(path.join(replica.path, name));
  await writeFile(path.join(replica.path, name), other.fill(1, 0, 5));
  const again = await download({ route: only(route, 1), output: out.path, limits }).catch((error) => error);
  assert.equal(again.code, 'DISK_EXISTS');
});

test('what is here already is compared with the word of the key', async (t) => {
  const { route, run } = await startReplicas(t, 3);
  await run(route);
  const { result } = await run(route);
  assert.deepEqual([result.alreadyHere, result.verifiedBy], [true, one.public.text]);
});

test('each of several files, those of a tree, and an upload have the word of the key', async (t) => {
  const { root, route, out } = await startReplicas(t, 3);
  await mkdir(path.join(root.path, 'dir'));
  for (const [file, bytes] of [
    ['dir/a', 10],
    ['dir/b', 2 * mib + 1],
    ['dir/c', 0],
  ] as const)
    await root.writeRandom(file, bytes);
  const { routes } = only(route, 0);
  const files = await downloadFiles({ routes, files: ['dir/a', 'dir/b', 'dir/c', name], output: out.path });
  const tree = await downloadTree({ routes, directory: 'dir', output: out.path });
  for (const { result } of [...files, ...tree.outcomes]) {
    assert.deepEqual([result?.encrypted, result?.verifiedBy], [true, one.public.text]);
  }
  for (const file of ['a', 'b', 'c']) {
    const there = await readFile(path.join(root.path, 'dir', file));
    for (const here of [file, `dir/${file}`]) assert.ok(there.equals(await readFile(path.join(out.path, here))));
  }
  const empty = await downloadFiles({ routes, files: ['dir/c'], output: out.path });
  assert.deepEqual([empty[0]?.result?.alreadyHere, empty[0]?.result?.verifiedBy], [true, one.public.text]);
  const sent = await upload({ source: path.join(out.path, name), route: { file: 'up.bin', routes } });
  assert.deepEqual([sent.encrypted, sent.verifiedBy], [true, one.public.text]);
});

test('of what was sent up before, an origin goes on with what the same client sealed', async (t) => {
  const { root, route, first, out } = await startReplicas(t, 1);
  const content = await out.writeRandom('big.bin', 16 * mib);
  const source = path.join(out.path, 'big.bin');
  const sealed = { file: 'up.bin', routes: only(route, 0).routes };
  const plain = first.route('up.bin');
  /** Sends some of it, ends, and resolves to how much of an earlier run the next one finds. */
  const begin = async (to: RoutePlan, identity?: KeyPair) => {
    const stop = new AbortController();
    let left = 0;
    const onEvent = (event: UploadEvent) => {
      if (event.kind === 'started') left = event.leftBytes;
      if (event.kind === 'progress' && event.bytes > left + 2 * mib) stop.abort();
    };
    await assert.rejects(upload({ source, route: to, identity, signal: stop.signal, onEvent }), {
      code: 'INTERRUPTED',
    });
    await until(async () => first.nodes.every((node) => node.stats().open === 0));
    return left > 0;
  };
  assert.equal(await begin(plain), false);
  assert.equal(await begin(plain), true);
  assert.equal(await begin(sealed, one), false, 'what came in plain may be anybody’s');
  assert.equal(await begin(sealed, one), true);
  assert.equal(await begin(sealed, two), false);
  assert.equal(await begin(sealed), false);
  assert.equal(await begin(sealed), false, 'a client without a key is not known again');
  assert.equal(await begin(plain), false);
  assert.equal(await begin(sealed, one), false);
  const { verifiedBy, resumedBytes } = await upload({ source, route: sealed, identity: one });
  assert.ok(resumedBytes > 0);
  assert.equal(verifiedBy, one.public.text);
  assert.ok(content.equals(await readFile(path.join(root.path, 'up.bin'))));
});

test('a client without a key goes on with its own upload over another circuit', async (t) => {
  const { root, route, first, out } = await startReplicas(t, 1);
  const content = await out.writeRandom('big.bin', 16 * mib);
  let stored = 0;
  let isCut = false;
  let isRerouted = false;
  let found: number | undefined;
  const forward = (bytes: Buffer) => {
    if (isCut || stored < 2 * mib) return bytes;
    isCut = true;
    return null;
  };
  const onEvent = (event: UploadEvent) => {
    if (event.kind === 'reroute') isRerouted = true;
    if (event.kind !== 'progress') return;
    // The first word over another circuit is how much is there.
    if (isRerouted) found ??= event.bytes;
    stored = event.bytes;
  };
  const relay = await startTamperer(t, first.nodes[0]?.address.port ?? 0, { forward });
  const [, origin] = only(route, 0).routes[0] ?? [];
  const [[[entry]]] = parseVia(relay, name).routes as [[[Address]]];
  const result = await upload({
    source: path.join(out.path, 'big.bin'),
    route: { file: 'up.bin', routes: [[[entry], origin ?? []]] },
    onEvent,
  });
  assert.equal(result.reroutes, 1);
  assert.ok(found !== undefined && found >= 2 * mib, `${found} bytes were found`);
  assert.ok(content.equals(await readFile(path.join(root.path, 'up.bin'))));
});

test('of a pool the member counts that has its key', async (t) => {
  const { first, second, run } = await startReplicas(t, 3);
  const members = [second, first].map(({ nodes }) => nodes[1]?.address as Address);
  const pools = [{ name: 'them', members }];
  const { nodes } = await startChain(t, 1, '.', { pools, next: ['127.0.0.1'] });
  const [entry] = nodes.map(addressOf) as [string];
  // By either key, so that one of them is not that of the member which the relay takes first.
  for (const { public: key } of [one, two]) {
    const { result } = await run(keyed(parseVia(`${entry},@them`, name), key), { force: true });
    assert.equal(result.verifiedBy, key.text);
  }
  // The client's own pool, as the first place.
  const own = await run(keyed(parseVia('@them', name), one.public), { force: true, pools });
  assert.deepEqual([own.result.verifiedBy, own.result.hops.length], [one.public.text, 1]);
});

test('a remote file stays with the key that it was opened with', async (t) => {
  const { root, replica, content, route, first } = await startReplicas(t, 9);
  for (const { path: at } of [root, replica]) await utimes(path.join(at, name), 1_700_000_000, 1_700_000_000);
  const files = new RemoteFiles({ routes: route.routes, limits });
  t.after(() => files.close());
  const file = await files.open(name);
  assert.deepEqual([file.encrypted, file.verifiedBy], [true, one.public.text]);
  assert.ok(content.subarray(5, 5 + mib).equals(await buffer(file.read(5, mib))));
  await file.close();
  // Over the circuit that was kept.
  const kept = await files.open(name);
  assert.deepEqual([kept.verifiedBy, kept.version], [one.public.text, file.version]);
  const stream = kept.read(0, content.length);
  stream.once('readable', () => void first.nodes[1]?.close({ graceMs: 0 }));
  await assert.rejects(buffer(stream), { code: 'FILE_CHANGED' });
  await kept.close();
  const other = await files.open(name);
  assert.equal(other.verifiedBy, two.public.text);
  assert.notEqual(other.version, file.version);
  assert.ok(content.equals(await buffer(other.read(0, content.length))));
  await other.close();
});

test('neither name nor content is on any leg of three hops, or in the log of a relay', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const content = await root.writeRandom('dir/secret-name.bin', 3 * mib + 5);
  await cp(path.join(root.path, 'dir'), path.join(out.path, 'here'), { recursive: true });
  const logged: string[] = [];
  const note = (...said: unknown[]) => void logged.push(JSON.stringify(said));
  const log: Logger = { debug: note, info: note, warn: note, error: note } as never;
  const relays = await startChain(t, 2, root.path, { identity: two, next: ['127.0.0.1'], log });
  const { nodes } = await startChain(t, 1, root.path, { identity: one, uploads: {} });
  const seen: { readonly forward: Buffer[]; readonly back: Buffer[] }[] = [];
  const hops: string[] = [];
  for (const node of [...relays.nodes, ...nodes]) {
    const leg = { forward: [] as Buffer[], back: [] as Buffer[] };
    const keep = (parts: Buffer[]) => (bytes: Buffer) => {
      parts.push(Buffer.from(bytes));
      return bytes;
    };
    seen.push(leg);
    hops.push(await startTamperer(t, node.address.port, { forward: keep(leg.forward), back: keep(leg.back) }));
  }
  const route = keyed(parseVia(hops.join(','), 'dir/secret-name.bin'), one.public);
  const { routes } = route;
  const result = await download({ route, output: out.path });
  assert.equal(result.verifiedBy, one.public.text);
  await downloadTree({ routes, directory: 'dir', output: out.path });
  await upload({ source: path.join(out.path, 'here/secret-name.bin'), route: { file: 'dir/secret-name-2', routes } });
  const captured = seen.flatMap(({ forward, back }) => [Buffer.concat(forward), Buffer.concat(back)]);
  assert.equal(captured.length, 6);
  for (const bytes of captured) {
    assert.ok(!bytes.includes('secret-name'));
    for (let at = 0; at + 16 < content.length; at += 100_003) assert.ok(!bytes.includes(content.subarray(at, at + 16)));
  }
  for (const { forward } of seen) assert.deepEqual(readSent(Buffer.concat(forward)), ['open', 'sealed']);
  assert.ok(logged.length > 0);
  assert.ok(!logged.some((line) => /secret-name/.test(line)), 'a relay has logged the name');
});
