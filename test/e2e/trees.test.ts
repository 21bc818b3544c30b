import assert from 'node:assert/strict';
import { appendFileSync, rmSync } from 'node:fs';
import { appendFile, chmod, mkdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  type DownloadTreeOptions,
  download,
  downloadFiles,
  downloadTree,
  type Logger,
  parseVia,
  silentLogger,
  type TreeEvent,
} from '../../src/index.ts';
import { loadDiskCalls } from '../../src/io/kernel/libc.ts';
import { addressOf, startChain, startPeer } from '../support/chain.ts';
import { rawFrame } from '../support/decoding.ts';
import { folder, inside, startLister, top } from '../support/lister.ts';
import { makeTempRoot, type TempRoot } from '../support/temp-root.ts';
import { snapshotTree } from '../support/tree-snapshot.ts';

const mib = 1_048_576;
const isWindows = process.platform === 'win32';

/** What an origin says about each circuit that it has served: files that were asked for, bytes, entries listed. */
interface Served {
  readonly files: number;
  readonly bytes: number;
  readonly entries: number;
}

async function start(t: TestContext, hops: number) {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const served: Served[] = [];
  const log: Logger = {
    ...silentLogger,
    info: (fields, message) => {
      if (message === 'circuit served') served.push(fields as unknown as Served);
    },
  };
  const chain = await startChain(t, hops, root.path, { log });
  const { routes } = chain.route('tree');
  return {
    root,
    out,
    served,
    chain,
    tree: path.join(root.path, 'tree'),
    copy: path.join(out.path, 'tree'),
    run: (options: Partial<DownloadTreeOptions> = {}) =>
      downloadTree({ routes, directory: 'tree', output: out.path, ...options }),
  };
}

const oddNames = ['a b', ' ', 'Бюджет – 予算', '-rf', '--', '.hidden', '#', "it's", '\u{1F600}', 'x'.repeat(255)];

async function fillTree(root: TempRoot): Promise<void> {
  for (const [index, name] of oddNames.entries()) await root.writeRandom(`tree/${name}`, index * 111);
  if (!isWindows) await root.writeRandom('tree/back\\slash "quoted": *?', 5);
  for (let index = 0; index < 200; index += 1) {
    await root.writeRandom(`tree/many/${index % 7}/${index}.bin`, (index * 37) % 3000);
  }
  await root.writeRandom('tree/large/one', 5 * mib + 1);
  await root.writeRandom('tree/large/two', 2 * mib);
  await root.writeRandom('tree/large/block', 256 * 1024 + 1);
  await mkdir(path.join(root.path, 'tree/empty/in/empty'), { recursive: true });
  if (!isWindows) {
    await chmod(path.join(root.path, 'tree/a b'), 0o400);
    await chmod(path.join(root.path, 'tree/-rf'), 0o755);
    await chmod(path.join(root.path, 'tree/many/3'), 0o750);
    await chmod(path.join(root.path, 'tree/empty'), 0o555);
  }
  await utimes(path.join(root.path, 'tree/.hidden'), 1, 1);
  await utimes(path.join(root.path, 'tree/many'), 1_000_000_000, 1_000_000_000);
}

/** Times are compared as exactly as they can be set here. */
function comparable(lines: readonly string[]): string[] {
  const exact = loadDiskCalls().setModifiedNs !== undefined;
  return exact ? [...lines] : lines.map((line) => line.replace(/\d{6}( [0-9a-f]*)$/, '$1'));
}

test('a tree arrives as it is: names, content, permissions, times, empty directories', async (t) => {
  const { root, run, tree, copy, out, served } = await start(t, 3);
  await fillTree(root);
  const events: TreeEvent[] = [];
  const result = await run({ onEvent: (event) => events.push(event) });
  assert.deepEqual(
    result.outcomes.filter(({ error }) => error),
    [],
  );
  assert.deepEqual(comparable(await snapshotTree(copy)), comparable(await snapshotTree(tree)));
  assert.deepEqual(await out.list(), ['tree']);
  assert.equal(result.path, copy);
  const files = isWindows ? 213 : 214;
  assert.deepEqual([result.directories, result.files, result.unchanged], [13, files, 0]);
  const [first] = events;
  assert.ok(first?.kind === 'listed');
  assert.deepEqual(first.due, { files, size: result.size });
  assert.equal(events.filter(({ kind }) => kind === 'settled').length, files);
  const last = events.findLast((event) => event.kind === 'progress');
  assert.equal(last?.kind === 'progress' && last.bytes, result.size);
  assert.equal(
    served.reduce((sum, { bytes }) => sum + bytes, 0),
    result.size,
  );
  if (!isWindows) await chmod(path.join(copy, 'empty'), 0o755);
  if (!isWindows) await chmod(path.join(tree, 'empty'), 0o755);
});

test('a second run asks for the listing and for nothing else; a third for what has changed', async (t) => {
  const { root, run, tree, copy, served } = await start(t, 2);
  for (let index = 0; index < 50; index += 1) await root.writeRandom(`tree/${index % 3}/${index}`, index * 10);
  await root.writeRandom('tree/large', 3 * mib);
  await run();
  served.length = 0;
  const again = await run();
  assert.deepEqual(again.outcomes, []);
  assert.deepEqual([again.unchanged, again.due], [51, { files: 0, size: 0 }]);
  assert.deepEqual(
    served.map(({ files, bytes, entries }) => ({ files, bytes, entries })),
    [{ files: 0, bytes: 0, entries: 55 }],
  );
  await appendFile(path.join(tree, '1', '4'), 'more');
  await root.writeRandom('tree/new/file', 5);
  const refused = await run();
  assert.deepEqual(
    refused.outcomes.map(({ file, error, result }) => [file, error?.code, result?.size]),
    [
      ['tree/1/4', 'DISK_EXISTS', undefined],
      ['tree/new/file', undefined, 5],
    ],
  );
  served.length = 0;
  const forced = await run({ force: true });
  assert.deepEqual(
    forced.outcomes.map(({ file, result }) => [file, result?.replaced]),
    [['tree/1/4', true]],
  );
  assert.equal(
    served.reduce((sum, { files }) => sum + files, 0),
    1,
  );
  assert.deepEqual(comparable(await snapshotTree(copy)), comparable(await snapshotTree(tree)));
});

test('files of one’s own are left alone, and changed permissions are set without fetching', async (t) => {
  const { root, run, tree, copy, served } = await start(t, 1);
  await root.writeRandom('tree/a/file', 100);
  await run();
  await writeFile(path.join(copy, 'a', 'mine'), 'mine');
  if (!isWindows) await chmod(path.join(tree, 'a', 'file'), 0o711);
  if (!isWindows) await chmod(path.join(tree, 'a'), 0o711);
  served.length = 0;
  const result = await run({ force: true });
  assert.deepEqual([result.unchanged, result.outcomes.length], [1, 0]);
  assert.equal(await readFile(path.join(copy, 'a', 'mine'), 'utf8'), 'mine');
  await rm(path.join(copy, 'a', 'mine'));
  await utimes(path.join(copy, 'a'), 0, (await stat(path.join(tree, 'a'))).mtimeMs / 1000);
  if (!isWindows) assert.equal((await stat(path.join(copy, 'a', 'file'))).mode & 0o777, 0o711);
  if (!isWindows) assert.equal((await stat(path.join(copy, 'a'))).mode & 0o777, 0o711);
});

test('a run that was interrupted is gone on with: nothing that arrived is fetched again', async (t) => {
  const { root, run, tree, copy, served } = await start(t, 2);
  for (let index = 0; index < 30; index += 1) await root.writeRandom(`tree/a/${index}`, 1000);
  await root.writeRandom('tree/b', 24 * mib);
  const stop = new AbortController();
  const onEvent = (event: TreeEvent) => {
    if (event.kind === 'progress' && event.bytes > 8 * mib) stop.abort();
  };
  const limits = { maxReadsAhead: 2 };
  const { outcomes } = await run({ signal: stop.signal, onEvent, limits });
  const arrived = outcomes.filter(({ result }) => result).length;
  assert.ok(outcomes.some(({ file, error }) => file === 'tree/b' && error?.code === 'INTERRUPTED'));
  served.length = 0;
  const again = await run();
  assert.equal(again.unchanged, arrived);
  assert.ok(again.outcomes.every(({ result }) => result));
  const large = again.outcomes.find(({ file }) => file === 'tree/b')?.result;
  assert.ok(large && large.resumedBytes >= 4 * mib, `${large?.resumedBytes} bytes were gone on from`);
  assert.deepEqual(comparable(await snapshotTree(copy)), comparable(await snapshotTree(tree)));
});

test('links at the origin, loops among them, are counted and not made', { skip: isWindows }, async (t) => {
  const { root, run, tree, copy } = await start(t, 2);
  await root.writeRandom('tree/sub/file', 10);
  await root.writeRandom('secret', 10);
  await symlink('..', path.join(tree, 'sub', 'up'));
  await symlink('../secret', path.join(tree, 'out'));
  await symlink('sub', path.join(tree, 'in'));
  const result = await run();
  assert.deepEqual(result.links, [
    { path: 'in', target: 'sub' },
    { path: 'out', target: '../secret' },
    { path: 'sub/up', target: '..' },
  ]);
  assert.deepEqual(
    (await snapshotTree(copy)).map((line) => line.split(' ').slice(0, 2)),
    [
      ['directory', ''],
      ['directory', 'sub'],
      ['file', 'sub/file'],
    ],
  );
});

test('a file that goes away, or grows, behind the listing is its own affair', async (t) => {
  const { root, run, tree, copy } = await start(t, 1);
  for (const name of ['a', 'b', 'c']) await root.writeRandom(`tree/${name}`, 100);
  const onEvent = (event: TreeEvent) => {
    if (event.kind !== 'listed') return;
    rmSync(path.join(tree, 'b'));
    appendFileSync(path.join(tree, 'c'), 'more');
  };
  const { outcomes } = await run({ onEvent });
  assert.deepEqual(
    outcomes.map(({ file, error, result }) => [file, error?.code ?? result?.size]),
    [
      ['tree/a', 100],
      ['tree/b', 'FILE_NOT_FOUND'],
      ['tree/c', 104],
    ],
  );
  const again = await run({ force: true });
  assert.deepEqual(
    again.outcomes.map(({ file, result }) => [file, result?.size]),
    [['tree/c', 104]],
  );
  assert.deepEqual(comparable(await snapshotTree(copy)), comparable(await snapshotTree(tree)));
});

test('a name that is a directory is told as such by STAT, alone and among others', async (t) => {
  const { root, out, chain } = await start(t, 2);
  await root.writeRandom('tree/a', 1);
  await root.writeRandom('b', 1);
  const wrong = { code: 'FILE_IS_DIRECTORY', hop: 2, message: /"tree" is a directory at hop 2/ };
  await assert.rejects(download({ route: chain.route('tree'), output: out.path, retry: 5 }), wrong);
  await mkdir(path.join(out.path, 'tree'));
  await assert.rejects(download({ route: chain.route('tree'), output: out.path }), wrong);
  await mkdir(path.join(out.path, 'b'));
  const taken = { code: 'DISK_EXISTS', message: /b is a directory$/ };
  await assert.rejects(download({ route: chain.route('b'), output: out.path, force: true }), taken);
  await rm(path.join(out.path, 'tree'), { recursive: true });
  await rm(path.join(out.path, 'b'), { recursive: true });
  const { routes } = chain.route('tree');
  const outcomes = await downloadFiles({ routes, files: ['tree', 'b'], output: out.path });
  assert.deepEqual(
    outcomes.map(({ error }) => error?.code),
    ['FILE_IS_DIRECTORY', undefined],
  );
  const file = downloadTree({ routes, directory: 'b', output: out.path });
  await assert.rejects(file, { code: 'FILE_DENIED', hop: 2 });
  const none = downloadTree({ routes, directory: 'none', output: out.path });
  await assert.rejects(none, { code: 'FILE_NOT_FOUND', hop: 2 });
  await assert.rejects(downloadTree({ routes, directory: '../tree' }), { code: 'ROUTE_SYNTAX' });
  assert.deepEqual(await out.list(), ['b']);
});

test('an origin refuses to list more than its limits, and a client to take more than its own', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  for (let index = 0; index < 9; index += 1) await root.writeRandom(`tree/${index}`, 0);
  const chain = await startChain(t, 1, root.path, { limits: { maxListEntries: 8 } });
  const { routes } = chain.route('tree');
  const refused = { code: 'LIMIT_LISTING', hop: 1, message: /does not list as many entries as "tree" has/ };
  await assert.rejects(downloadTree({ routes, directory: 'tree', output: out.path }), refused);
  await rm(path.join(root.path, 'tree/8'));
  const limits = { maxListEntries: 7 };
  const own = { code: 'LIMIT_LISTING', message: /lists more than 7 entries in "tree"/ };
  await assert.rejects(downloadTree({ routes, directory: 'tree', output: out.path, limits }), own);
  const bytes = { code: 'LIMIT_LISTING', message: /lists more than 7 bytes of paths in "tree"/ };
  const short = { maxListBytes: 7 };
  await assert.rejects(downloadTree({ routes, directory: 'tree', output: out.path, limits: short }), bytes);
  assert.deepEqual(await out.list(), []);
});

const hostile: [what: string, entries: object[], message: RegExp][] = [
  ['a path that climbs out', [top, inside('../evil')], /climbs out/],
  ['a path that climbs out further down', [top, folder('a'), inside('a/../../evil')], /climbs out/],
  ['an absolute path', [top, inside('/etc/cron.d/evil')], /a part of the path is empty/],
  ['an empty part', [top, folder('a'), inside('a//b')], /a part of the path is empty/],
  ['a directory with a slash at its end', [top, folder('a/')], /a part of the path is empty/],
  ['the directory itself a second time', [top, top], /a part of the path is empty/],
  ['a part that is a dot', [top, inside('./a')], /a part of the path is "\."/],
  ['a control character', [top, inside('a\u001b[2Jb')], /control character/],
  ['a NUL', [top, inside('a\0b')], /control character/],
  ['half of a character', [top, inside('a\ud83d')], /half of a character/],
  ['a part that is too long', [top, inside('x'.repeat(256))], /longer than 255 bytes/],
  ['a path that is too long', [top, inside(`${'x/'.repeat(2047)}y`)], /longer than 4096 bytes/],
  ['the same path twice', [top, inside('a'), inside('a')], /was listed before/],
  ['a file and a directory of one name', [top, inside('a'), folder('a')], /was listed before/],
  [
    'a link and what would lie behind it',
    [top, { kind: 'link', path: 'a', target: '/etc' }, inside('a/b')],
    /no direct/,
  ],
  ['a file in a file', [top, inside('a'), inside('a/b')], /no directory that was listed/],
  ['a file before its directory', [top, inside('a/b'), folder('a')], /no directory that was listed/],
  ['a name out of order', [top, inside('b'), inside('a')], /too late in the order of names/],
  ['names in the order of UTF-16', [top, inside('\u{1F600}'), inside('\uFF5E')], /too late in the order of names/],
  ['a directory that is gone on with', [top, folder('a'), inside('b'), inside('a/c')], /too late in the order/],
  ['a part file', [top, inside('.a.part')], /one that unfinished files have/],
  ['a journal', [top, inside('.a.part.journal')], /one that unfinished files have/],
  ['nothing at all', [], /begins with the directory itself/],
  ['a file in the place of the directory', [inside('')], /begins with the directory itself/],
  ['another entry first', [inside('a'), top], /begins with the directory itself/],
  ['a mode out of range', [top, inside('a', { mode: 0o4755 })], /malformed answer: entries\.0\.mode/],
  ['a time out of range', [top, inside('a', { mtimeNs: '9'.repeat(19) })], /malformed answer: entries\.0\.mtimeNs/],
  ['a size out of range', [top, inside('a', { size: 2 ** 53 })], /malformed answer: entries\.0\.size/],
  ['65 directories in each other', [top, ...deepFolders(64)], /more than 64 directories deep/],
];

function deepFolders(depth: number): object[] {
  return Array.from({ length: depth }, (_, index) =>
    folder(
      Array(index + 1)
        .fill('d')
        .join('/'),
    ),
  );
}

for (const [what, entries, message] of hostile) {
  test(`a listing with ${what} is refused, and nothing is made of it`, async (t) => {
    const out = await makeTempRoot(t);
    const { routes } = parseVia((await startLister(t, entries)).address, 'tree');
    const run = downloadTree({ routes, directory: 'tree', output: path.join(out.path, 'in'), retry: 0 });
    await assert.rejects(run, { code: 'PEER_PROTOCOL', message });
    assert.deepEqual(await out.list(), []);
  });
}

test('a listing of frames that bring nothing is refused', async (t) => {
  const out = await makeTempRoot(t);
  const peer = await startPeer(t, (socket) => {
    const empty = rawFrame(JSON.stringify({ type: 'listing', entries: [], last: false }));
    socket.resume().write(Buffer.concat([empty, empty, empty]));
  });
  const { routes } = parseVia(peer.address, 'tree');
  const run = downloadTree({ routes, directory: 'tree', output: out.path });
  await assert.rejects(run, { code: 'PEER_PROTOCOL', hop: 1, message: /not the last has no entries/ });
});

test('another origin is asked when one sends a listing that is refused', async (t) => {
  const { root, out, chain } = await start(t, 1);
  await root.writeRandom('tree/a', 10);
  const { address: bad } = await startLister(t, [top, inside('../evil')]);
  const [good] = chain.nodes;
  assert.ok(good);
  const { routes } = parseVia(`${bad}|${addressOf(good)}`, 'tree');
  const { outcomes } = await downloadTree({ routes, directory: 'tree', output: out.path });
  assert.deepEqual(
    outcomes.map(({ file, result }) => [file, result?.size]),
    [['tree/a', 10]],
  );
});

test('a listing that breaks off each time it has begun is not asked for for ever', async (t) => {
  const out = await makeTempRoot(t);
  let asked = 0;
  const peer = await startPeer(t, (socket) => {
    socket.once('data', () => {
      asked += 1;
      socket.end(rawFrame(JSON.stringify({ type: 'listing', entries: [top], last: false })));
    });
  });
  const { routes } = parseVia(peer.address, 'tree');
  const limits = { retryMinMs: 1, retryMaxMs: 2, avoidMs: 1, avoidMaxMs: 1, probeMs: 50 };
  const run = downloadTree({ routes, directory: 'tree', output: out.path, limits });
  await assert.rejects(run, { code: 'PEER_LOST' });
  assert.ok(asked >= 6 && asked <= 20, `asked ${asked} times`);
  assert.deepEqual(await out.list(), []);
});

test('a listing that stops in the middle, or that never comes, ends at a deadline', async (t) => {
  const out = await makeTempRoot(t);
  const silent = await startPeer(t, (socket) => socket.resume());
  const halfway = await startPeer(t, (socket) => {
    socket.resume().write(rawFrame(JSON.stringify({ type: 'listing', entries: [top], last: false })));
  });
  const limits = { openMs: 100, idleMs: 100, probeMs: 50 };
  for (const { address } of [silent, halfway]) {
    const { routes } = parseVia(address, 'tree');
    const run = downloadTree({ routes, directory: 'tree', output: out.path, limits, retry: 0 });
    await assert.rejects(run, { code: /^TIMEOUT_/ });
  }
  const { routes } = parseVia(silent.address, 'tree');
  const stopped = downloadTree({ routes, directory: 'tree', output: out.path, signal: AbortSignal.abort() });
  await assert.rejects(stopped, { code: 'INTERRUPTED' });
  assert.deepEqual(await out.list(), []);
});
