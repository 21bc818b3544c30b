import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import nodeFs, { linkSync } from 'node:fs';
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { defaultLimits, HoplineError, type Limits } from '../../../src/index.ts';
import type { Hold } from '../../../src/io/disk/held.ts';
import { Listing, type ListingOptions } from '../../../src/node/listings/listing.ts';
import { NameRoom } from '../../../src/node/listings/name-room.ts';
import { Globs } from '../../../src/wire/globs.ts';
import { encodeMessage, type Listed, type Message } from '../../../src/wire/native/messages.ts';
import { connectRaw, startChain, until } from '../../support/chain.ts';
import { holds } from '../../support/holds.ts';
import { makeTempRoot, type TempRoot } from '../../support/temp-root.ts';

const isWindows = process.platform === 'win32';

async function makeRoot(t: TestContext): Promise<TempRoot> {
  const root = await makeTempRoot(t);
  return { ...root, path: await fs.realpath(root.path) };
}

async function listAll(
  root: TempRoot,
  name: string,
  limits: Partial<Limits> = {},
  room = new NameRoom(),
  options: ListingOptions = {},
) {
  const listing = await Listing.open(root.path, name, { ...defaultLimits, ...limits }, room, options);
  const entries: Listed[] = [];
  for (;;) {
    const frame = await listing.nextFrame();
    assert.ok(encodeMessage(frame).length <= defaultLimits.maxHeaderBytes);
    entries.push(...frame.entries);
    if (frame.last) return { entries, skipped: frame.skipped };
  }
}

test('a listing begins with the directory, goes depth first and in the order of bytes, and says what things are', async (t) => {
  const root = await makeRoot(t);
  const names = ['b', 'a/z', 'a/-', 'a.txt', 'B', 'é', '\u{1F600}', '\uFF5E', 'empty'];
  for (const name of names) await root.writeRandom(`tree/${name}`, name === 'empty' ? 0 : 7);
  await fs.mkdir(path.join(root.path, 'tree/none'));
  await fs.chmod(path.join(root.path, 'tree/b'), 0o640);
  await fs.utimes(path.join(root.path, 'tree/b'), 1, 1_700_000_000);
  const { entries, skipped } = await listAll(root, 'tree');
  assert.deepEqual(
    entries.map((entry) => [entry.kind, entry.path]),
    [
      ['directory', ''],
      ['file', 'B'],
      ['directory', 'a'],
      ['file', 'a/-'],
      ['file', 'a/z'],
      ['file', 'a.txt'],
      ['file', 'b'],
      ['file', 'empty'],
      ['directory', 'none'],
      ['file', 'é'],
      ['file', '\uFF5E'],
      ['file', '\u{1F600}'],
    ],
  );
  const b = entries.find((entry) => entry.path === 'b');
  const mode = isWindows ? 0o666 : 0o640;
  assert.deepEqual(b, { kind: 'file', path: 'b', size: 7, mode, mtimeNs: '1700000000000000000' });
  assert.deepEqual(skipped, { names: 0, unreadable: 0, unfinished: 0 });
});

/** The paths in a listing of `tree`, of so many levels; with globs, for one who may read these alone. */
async function listPaths(root: TempRoot, depth?: number, globs?: readonly string[]): Promise<string[]> {
  const read = new Globs(globs ?? ['**']);
  const shown = {
    shows: (name: string) => read.match(name),
    leads: (name: string) => read.leadThrough(name),
    hidden: () => new HoplineError('AUTH_DENIED', 'nothing to see'),
  };
  const view = globs && (() => shown);
  const { entries } = await listAll(root, 'tree', {}, new NameRoom(), { depth, view });
  return entries.map((entry) => entry.path);
}

test('a listing has as many levels as were asked for', async (t) => {
  const root = await makeRoot(t);
  for (const name of ['a/b/c/d', 'a/b/e', 'f', 'g/h']) await root.writeRandom(`tree/${name}`, 1);
  assert.deepEqual(await listPaths(root, 0), ['']);
  assert.deepEqual(await listPaths(root, 1), ['', 'a', 'f', 'g']);
  assert.deepEqual(await listPaths(root, 2), ['', 'a', 'a/b', 'f', 'g', 'g/h']);
  assert.deepEqual(await listPaths(root), ['', 'a', 'a/b', 'a/b/c', 'a/b/c/d', 'a/b/e', 'f', 'g', 'g/h']);
  const { entries } = await listAll(root, 'tree', { maxListDepth: 1 }, new NameRoom(), { depth: 1 });
  assert.equal(entries.length, 4);
});

test('of few levels, a directory that only leads on is told if there is something to see in it, and nothing deeper', async (t) => {
  const root = await makeRoot(t);
  for (const name of ['a/b/pub/d', 'a/b/pub/e', 'a/c/pub/f', 'g/secret', 'h/pub/i', 'j']) {
    await root.writeRandom(`tree/${name}`, 1);
  }
  const globs = ['**/pub/*'];
  assert.deepEqual(await listPaths(root, 1, globs), ['', 'a', 'h']);
  assert.deepEqual(await listPaths(root, 2, globs), ['', 'a', 'a/b', 'a/c', 'h', 'h/pub']);
  assert.deepEqual(await listPaths(root, 1, ['a/**', 'j']), ['', 'a', 'j']);
  assert.deepEqual(await listPaths(root, 0, globs), ['']);
  for (const depth of [undefined, 0, 1, 2])
    await assert.rejects(listPaths(root, depth, ['**/nothing']), { code: 'AUTH_DENIED' });
});

test('links are told and not followed, so that a loop is no loop', { skip: isWindows }, async (t) => {
  const root = await makeRoot(t);
  await root.writeRandom('tree/sub/a', 1);
  await root.writeRandom('secret/b', 1);
  await fs.symlink('..', path.join(root.path, 'tree/sub/up'));
  await fs.symlink('.', path.join(root.path, 'tree/self'));
  await fs.symlink('/etc', path.join(root.path, 'tree/out'));
  await fs.symlink(`/${'x'.repeat(2000)}`, path.join(root.path, 'tree/long'));
  await promisify(execFile)('mkfifo', [path.join(root.path, 'tree/fifo')]);
  const { entries } = await listAll(root, 'tree');
  assert.deepEqual(
    entries.filter(({ kind }) => kind === 'other'),
    [{ kind: 'other', path: 'fifo' }],
  );
  assert.deepEqual(
    entries.flatMap((entry) => (entry.kind === 'link' ? [[entry.path, entry.target]] : [])),
    [
      ['long', `/${'x'.repeat(1023)}`],
      ['out', '/etc'],
      ['self', '.'],
      ['sub/up', '..'],
    ],
  );
  assert.deepEqual(
    entries.flatMap(({ kind, path: entry }) => (kind === 'file' ? entry : [])),
    ['sub/a'],
  );
});

test('a directory must lie below the root, by its real path; what is none is no directory', async (t) => {
  const root = await makeRoot(t);
  await root.writeRandom('served/tree/a', 1);
  await root.writeRandom('secret/b', 1);
  const served = path.join(root.path, 'served');
  await fs.symlink(path.join(root.path, 'secret'), path.join(served, 'out'), 'junction');
  await fs.symlink(path.join(served, 'tree'), path.join(served, 'in'), 'junction');
  for (const [name, code] of [
    ['none', 'FILE_NOT_FOUND'],
    ['tree/a', 'FILE_DENIED'],
    ['tree/a/b', 'FILE_NOT_FOUND'],
    ['out', 'FILE_DENIED'],
    ['', 'FILE_DENIED'],
    ['..', 'FILE_DENIED'],
    ['../secret', 'FILE_DENIED'],
  ] as const) {
    await assert.rejects(Listing.open(served, name, defaultLimits, new NameRoom()), { code }, name);
  }
  const { entries } = await listAll({ ...root, path: served }, 'in');
  assert.deepEqual(
    entries.map((entry) => entry.path),
    ['', 'a'],
  );
});

test('names that cannot travel and part files are counted, and nothing of them is told', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const root = await makeRoot(t);
  const tree = path.join(root.path, 'tree');
  await root.writeRandom('tree/fine', 1);
  await fs.writeFile(Buffer.concat([Buffer.from(`${tree}/`), Buffer.from([0xff])]), '');
  await fs.writeFile(path.join(tree, 'new\nline'), '');
  await fs.writeFile(path.join(tree, '.a.part'), '');
  await fs.writeFile(path.join(tree, '.a.part.journal'), '');
  await fs.writeFile(path.join(tree, 'a.part'), '');
  const { entries, skipped } = await listAll(root, 'tree');
  assert.deepEqual(
    entries.map((entry) => entry.path),
    ['', 'a.part', 'fine'],
  );
  assert.deepEqual(skipped, { names: 2, unreadable: 0, unfinished: 2 });
  const short = await listAll(root, 'tree', { maxNameBytes: 'tree/fine'.length });
  assert.deepEqual(short.skipped, { names: 3, unreadable: 0, unfinished: 2 });
});

test('a directory that cannot be read is told, without what is in it', {
  skip: isWindows || process.getuid?.() === 0,
}, async (t) => {
  const root = await makeRoot(t);
  await root.writeRandom('tree/shut/a', 1);
  await fs.chmod(path.join(root.path, 'tree/shut'), 0);
  const { entries, skipped } = await listAll(root, 'tree');
  assert.equal(entries.length, 2);
  assert.equal(skipped?.unreadable, 1);
  await assert.rejects(listAll(root, 'tree/shut'), { code: 'FILE_DENIED' });
  await fs.chmod(path.join(root.path, 'tree/shut'), 0o700);
});

test('however directories are held, a listing is the same', { skip: isWindows }, async (t) => {
  const root = await makeRoot(t);
  for (const name of ['tree/a/b', 'tree/c', '.d.part']) await root.writeRandom(name, 7);
  await fs.symlink('/etc/passwd', path.join(root.path, 'tree/a/out'));
  await fs.symlink('a', path.join(root.path, 'tree/round'));
  await promisify(execFile)('mkfifo', [path.join(root.path, 'tree/fifo')]);
  const expected = await listAll(root, 'tree');
  assert.deepEqual(
    expected.entries.map(({ kind }) => kind),
    ['directory', 'directory', 'file', 'link', 'file', 'other', 'link'],
  );
  for (const [how, by] of Object.entries(holds)) {
    assert.deepEqual(await listAll(root, 'tree', {}, new NameRoom(), { by }), expected, how);
  }
});

for (const [how, by] of Object.entries(holds)) {
  test(`a directory that a link has replaced since it was seen is not looked into, held ${how}`, {
    skip: isWindows,
  }, async (t) => {
    const root = await makeRoot(t);
    await root.writeRandom('tree/a/inside', 1);
    await root.writeRandom('secret/outside', 1);
    const swapThenHold: Hold = async (wanted) => {
      if (wanted.endsWith('/a')) {
        await fs.rename(wanted, `${wanted}-moved`);
        await fs.symlink('../secret', wanted);
      }
      return by(wanted);
    };
    const listing = await Listing.open(root.path, 'tree', defaultLimits, new NameRoom(), { by: swapThenHold });
    const { entries, skipped } = await listing.nextFrame();
    assert.deepEqual(
      entries.map((entry) => entry.path),
      ['', 'a'],
    );
    assert.equal(skipped?.unreadable, 1);
  });
}

test('more entries or deeper directories than the limits allow are refused', async (t) => {
  const root = await makeRoot(t);
  for (let index = 0; index < 20; index += 1) await root.writeRandom(`tree/${index % 2}/${index}`, 0);
  assert.equal((await listAll(root, 'tree', { maxListEntries: 22, maxListDepth: 2 })).entries.length, 23);
  await assert.rejects(listAll(root, 'tree', { maxListEntries: 21 }), { code: 'LIMIT_LISTING' });
  await assert.rejects(listAll(root, 'tree', { maxListDepth: 1 }), { code: 'LIMIT_LISTING' });
});

test('a node looks no further ahead than its client takes, and stops when the client is gone', async (t) => {
  const root = await makeRoot(t);
  const deep = path.join(root.path, 'tree', 'd'.repeat(250), 'e'.repeat(250), 'f'.repeat(250));
  await fs.mkdir(deep, { recursive: true });
  const count = 20_000;
  const nameOf = (index: number) => path.join(deep, String(index).padStart(250, 'x'));
  await fs.writeFile(nameOf(0), '');
  // One file by many names takes a fraction of what as many files take.
  for (let index = 1; index < count; index += 1) linkSync(nameOf(0), nameOf(index));
  const { nodes } = await startChain(t, 1, root.path);
  const [node] = nodes;
  assert.ok(node);
  const looks = [t.mock.method(fs, 'lstat'), t.mock.method(nodeFs, 'fstatSync')];
  const looksSoFar = () => looks.reduce((sum, look) => sum + look.mock.callCount(), 0);
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  const socket = await connectRaw(t, node);
  socket.pause();
  const open: Message = { type: 'open', hops: ['127.0.0.1:1'], hop: 1, trace: 'a'.repeat(32), deadlineMs: 1000 };
  socket.write(Buffer.concat([encodeMessage(open), encodeMessage({ type: 'list', name: 'tree' })]));
  let looked = 0;
  let still = 0;
  await until(() => {
    still = looksSoFar() === looked && looked > 0 ? still + 1 : 0;
    looked = looksSoFar();
    return still > 40;
  });
  assert.ok(looked < count, `${looked} entries were looked at for a client that took none`);
  socket.destroy();
  await until(() => node.stats().open === 0);
  assert.ok(looksSoFar() < count, 'the walk went on without its client');
});

test('a directory whose names do not fit into the room for them is listed as one whose names do', async (t) => {
  const root = await makeRoot(t);
  const directory = path.join(root.path, 'tree');
  await fs.mkdir(path.join(directory, 'n1500-sub'), { recursive: true });
  const names = Array.from({ length: 3000 }, (_, index) => `n${(index * 7919) % 3000}-${'x'.repeat(60)}`);
  for (let next = 0; next < names.length; next += 100) {
    await Promise.all(names.slice(next, next + 100).map((name) => fs.writeFile(path.join(directory, name), '')));
  }
  const roomy = await listAll(root, 'tree');
  const room = new NameRoom();
  const tight = await listAll(root, 'tree', { maxListHeldBytes: 0 }, room);
  assert.equal(roomy.entries.length, 3002);
  assert.deepEqual(tight, roomy);
  assert.equal(room.held, 0);
});

test('names held for a client that makes its listing wait go to one that goes on, and are read again later', async (t) => {
  const root = await makeRoot(t);
  const directory = path.join(root.path, 'tree');
  await fs.mkdir(directory);
  const names = Array.from({ length: 2000 }, (_, index) => `n${index}-${'x'.repeat(60)}`);
  for (let next = 0; next < names.length; next += 100) {
    await Promise.all(names.slice(next, next + 100).map((name) => fs.writeFile(path.join(directory, name), '')));
  }
  const whole = await listAll(root, 'tree');
  const room = new NameRoom();
  // Room for the names of one of them beyond the least.
  const limits = { ...defaultLimits, maxListHeldBytes: 192 * 1024 };
  const waiting = await Listing.open(root.path, 'tree', limits, room);
  const entries = [...(await waiting.nextFrame()).entries];
  const held = room.held;
  assert.ok(held > 0);
  let taken = () => {};
  const pause = waiting.pauseFor(new Promise((resolve) => (taken = resolve)));
  const other = await Listing.open(root.path, 'tree', limits, room);
  await other.nextFrame();
  assert.equal(room.held, held, 'the listing that goes on has the room of the one that waits');
  taken();
  await pause;
  for (let last = false; !last; ) {
    const frame = await waiting.nextFrame();
    entries.push(...frame.entries);
    last = frame.last;
  }
  assert.deepEqual(entries, whole.entries);
  other.close();
  waiting.close();
  assert.equal(room.held, 0);
});

test('a large directory comes to one client at its pace, however many listings another one has asked for', async (t) => {
  const root = await makeRoot(t);
  const directory = path.join(root.path, 'tree');
  await fs.mkdir(directory);
  const names = Array.from({ length: 3000 }, (_, index) => `n${index}`);
  for (let next = 0; next < names.length; next += 100) {
    await Promise.all(names.slice(next, next + 100).map((name) => fs.writeFile(path.join(directory, name), '')));
  }
  const room = new NameRoom();
  const begun: string[] = [];
  const list = async (owner: string) => {
    const listing = await Listing.open(root.path, 'tree', defaultLimits, room, { owner });
    await listing.nextFrame();
    begun.push(owner);
    listing.close();
  };
  const many = Array.from({ length: 40 }, () => list('many'));
  await Promise.all([...many, list('one')]);
  assert.ok(begun.indexOf('one') < 10, String(begun.indexOf('one')));
});
