import assert from 'node:assert/strict';
import { mkdir, utimes } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  type ListDirectoryOptions,
  listDirectory,
  newKey,
  parseVia,
  type RemoteEntry,
  statFile,
} from '../../../src/index.ts';
import { startChain, startPeer, until } from '../../support/chain.ts';
import { startOriginal } from '../../support/classic-peers.ts';
import { keyed } from '../../support/keyed.ts';
import { folder, inside, startLister, top } from '../../support/lister.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const isWindows = process.platform === 'win32';
/** So that what fails is tried again soon. */
const limits = { retryMinMs: 1, retryMaxMs: 2, avoidMs: 1, avoidMaxMs: 1, probeMs: 50 };

async function list(routes: ListDirectoryOptions['routes'], options: Partial<ListDirectoryOptions> = {}) {
  const told: RemoteEntry[] = [];
  const onEntries = (entries: readonly RemoteEntry[]) => {
    told.push(...entries);
    return true;
  };
  const result = await listDirectory({ routes, directory: 'tree', limits, onEntries, ...options });
  return { told, result, paths: told.map((entry) => entry.path) };
}

async function startTree(t: TestContext, hops: number) {
  const root = await makeTempRoot(t);
  for (const name of ['a', 'b/c', 'b/d/e', '\uFF5E', '\u{1F600}']) await root.writeRandom(`tree/${name}`, 5);
  await mkdir(path.join(root.path, 'tree/empty'));
  await utimes(path.join(root.path, 'tree/a'), 1, 1_700_000_000);
  const chain = await startChain(t, hops, root.path);
  return { root, chain, routes: chain.route('tree').routes };
}

test('a directory is listed over a chain, its own level or all, with sizes and times', async (t) => {
  const { routes } = await startTree(t, 2);
  const one = await list(routes);
  assert.deepEqual(one.paths, ['a', 'b', 'empty', '\uFF5E', '\u{1F600}']);
  const mode = isWindows ? 0o666 : 0o644;
  assert.deepEqual(one.told[0], { kind: 'file', path: 'a', size: 5, mode, mtimeNs: '1700000000000000000' });
  const { entries, size, encrypted, reroutes } = one.result;
  assert.deepEqual({ entries, size, encrypted, reroutes }, { entries: 5, size: 15, encrypted: false, reroutes: 0 });
  const all = await list(routes, { recursive: true });
  assert.deepEqual(all.paths, ['a', 'b', 'b/c', 'b/d', 'b/d/e', 'empty', '\uFF5E', '\u{1F600}']);
  assert.deepEqual([all.result.entries, all.result.size], [8, 25]);
  assert.deepEqual((await list(routes, { directory: '.' })).paths, ['tree']);
  assert.deepEqual((await list(routes, { directory: 'tree/empty' })).paths, []);
});

test('the name of a file is listed as the only entry; what is not there is refused as with get', async (t) => {
  const { routes } = await startTree(t, 2);
  const { told } = await list(routes, { directory: 'tree/a' });
  const mode = isWindows ? 0o666 : 0o644;
  assert.deepEqual(told, [{ kind: 'file', path: '', size: 5, mode, mtimeNs: '1700000000000000000' }]);
  await assert.rejects(list(routes, { directory: 'none' }), { code: 'FILE_NOT_FOUND', hop: 2 });
  await assert.rejects(list(routes, { directory: '../tree' }), { code: 'ROUTE_SYNTAX' });
});

test('stat tells of a file what its origin says, and of a directory without listing it', async (t) => {
  const { routes } = await startTree(t, 2);
  const { elapsedMs, hops, version, digest, ...file } = (await statFile({ routes, file: 'tree/a' })) as never as {
    [key: string]: unknown;
  };
  const mode = isWindows ? 0o666 : 0o644;
  const facts = { kind: 'file', size: 5, pieceBytes: 1_048_576, mode, mtimeNs: '1700000000000000000' };
  assert.deepEqual(file, { ...facts, encrypted: false, reroutes: 0 });
  assert.match(String(version), /^[0-9a-f]{32}$/);
  const directory = await statFile({ routes, file: 'tree' });
  assert.equal(directory.kind, 'directory');
  assert.match(String(directory.mtimeNs), /^\d{19}$/);
  await assert.rejects(statFile({ routes, file: 'tree/none' }), { code: 'FILE_NOT_FOUND', hop: 2 });
});

test('over a circuit with a key, a listing says whose word it is', async (t) => {
  const root = await makeTempRoot(t);
  await root.writeRandom('tree/a', 1);
  const { key: identity } = newKey();
  const chain = await startChain(t, 2, root.path, { identity });
  const { routes } = keyed(chain.route('tree'), identity.public);
  const { paths, result } = await list(routes);
  assert.deepEqual([paths, result.encrypted, result.verifiedBy], [['a'], true, identity.public.text]);
  const { encrypted, verifiedBy } = await statFile({ routes, file: 'tree/a' });
  assert.deepEqual([encrypted, verifiedBy], [true, identity.public.text]);
});

test('of an origin that always lists all levels, only those that were asked for are told', async (t) => {
  const { address } = await startLister(t, [top, inside('a'), folder('b'), inside('b/c'), inside('d')]);
  const { routes } = parseVia(address, 'tree');
  assert.deepEqual((await list(routes)).paths, ['a', 'b', 'd']);
  assert.deepEqual((await list(routes, { recursive: true })).paths, ['a', 'b', 'b/c', 'd']);
});

test('a listing that breaks off goes on behind what was told, and nothing is told twice', async (t) => {
  const entries = [top, inside('a'), folder('b'), inside('b/c')];
  const first = await startLister(t, entries, () => true);
  const more = [...entries, inside('b/d'), inside('b.')];
  const second = await startLister(t, more);
  const reroutes: string[] = [];
  const { routes } = parseVia(`${first.address}|${second.address}`, 'tree');
  const options = { recursive: true, onEvent: ({ failure }: { failure: Error }) => reroutes.push(failure.message) };
  const { paths, result } = await list(routes, options);
  assert.deepEqual(paths, ['a', 'b', 'b/c', 'b/d', 'b.']);
  // The one that breaks off may be asked again before it is avoided.
  assert.ok(reroutes.length >= 1);
  assert.deepEqual([result.reroutes, result.entries], [reroutes.length, 5]);
});

test('a listing that breaks off at the same place each time is given up', async (t) => {
  const lister = await startLister(t, [top, inside('a')], () => true);
  const { routes } = parseVia(lister.address, 'tree');
  await assert.rejects(list(routes), { code: 'PEER_LOST' });
  assert.ok(lister.asked() >= 6 && lister.asked() <= 20, `asked ${lister.asked()} times`);
});

test('a listing that breaks off behind ever new entries ends at the limits', async (t) => {
  const next = (time: number) => [top, inside(`${time}`.padStart(4, '0'))];
  const lister = await startLister(t, next, () => true);
  const { routes } = parseVia(lister.address, 'tree');
  const told: string[] = [];
  const onEntries = (entries: readonly RemoteEntry[]) => void told.push(...entries.map(({ path }) => path));
  const run = list(routes, { onEntries, limits: { ...limits, maxListEntries: 3 } });
  await assert.rejects(run, { code: 'LIMIT_LISTING', message: /more than 3 entries/ });
  assert.deepEqual([told, lister.asked()], [['0001', '0002', '0003'], 4]);
});

test('a listing that breaks the rules fails behind what was told, and more than the limits is refused', async (t) => {
  const { address } = await startLister(t, [top, inside('a'), inside('../evil')]);
  const { routes } = parseVia(address, 'tree');
  await assert.rejects(list(routes, { retry: 0 }), { code: 'PEER_PROTOCOL', message: /climbs out/ });
  const long = await startLister(t, [top, inside('a'), inside('b')]);
  const run = list(parseVia(long.address, 'tree').routes, { limits: { ...limits, maxListEntries: 1 } });
  await assert.rejects(run, { code: 'LIMIT_LISTING', message: /more than 1 entries/ });
});

test('nothing more is taken while the entries before are dealt with, and nothing more once they are enough', async (t) => {
  const root = await makeTempRoot(t);
  const names = Array.from({ length: 600 }, (_, at) => `${at}`.padStart(200, '0'));
  await mkdir(path.join(root.path, 'tree'));
  for (const name of names) await mkdir(path.join(root.path, 'tree', name));
  const chain = await startChain(t, 1, root.path);
  const { routes } = chain.route('tree');
  let calls = 0;
  let goOn = () => {};
  const held = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const told: number[] = [];
  const run = list(routes, {
    onEntries: async (entries) => {
      calls += 1;
      told.push(entries.length);
      if (calls === 1) await held;
      return calls < 3;
    },
  });
  await until(() => calls === 1);
  // Long enough for a second part, which would be here.
  assert.equal((await statFile({ routes, file: 'tree' })).kind, 'directory');
  assert.equal(calls, 1);
  goOn();
  const { result } = await run;
  assert.equal(calls, 3);
  assert.equal(
    result.entries,
    told.reduce((sum, count) => sum + count, 0),
  );
  assert.ok(result.entries < names.length);
});

test('a hop that speaks the classic dialect alone is told as that', async (t) => {
  const original = await startOriginal(t, new Map());
  const { routes } = parseVia(original.address, 'tree');
  const refused = { code: 'PEER_CLASSIC', hop: 1, message: /speaks the classic dialect only/ };
  const quick = { ...limits, connectMs: 800 };
  await assert.rejects(list(routes, { limits: quick }), refused);
});

test('a question ends with its signal, and at its deadline', async (t) => {
  const silent = await startPeer(t, (socket) => socket.resume());
  const { routes } = parseVia(silent.address, 'tree');
  await assert.rejects(list(routes, { signal: AbortSignal.abort() }), { code: 'INTERRUPTED' });
  await assert.rejects(statFile({ routes, file: 'a', deadlineMs: 20 }), { code: 'TIMEOUT_DEADLINE' });
});
