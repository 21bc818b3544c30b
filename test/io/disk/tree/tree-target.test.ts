import assert from 'node:assert/strict';
import {
  chmod,
  link,
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { type TreeDirectory, type TreeFile, TreeTarget } from '../../../../src/io/disk/tree/tree-target.ts';
import { makeTempRoot } from '../../../support/temp-root.ts';

const isWindows = process.platform === 'win32';
const at = 1_700_000_000_123_456_789n;
const top = directory('');

function directory(name: string, mode = 0o755): TreeDirectory {
  return { path: name, mode, mtimeNs: at };
}

function file(name: string, size = 3, mode = 0o644): TreeFile {
  return { path: name, size, mode, mtimeNs: at };
}

async function makeTree(t: TestContext, force = false) {
  const root = await makeTempRoot(t);
  const place = path.join(root.path, 'out', 'tree');
  const open = () => new TreeTarget(place, { force, signal: new AbortController().signal });
  return { root, place, open };
}

/** Brings one small file to disk. */
async function write(tree: TreeTarget, entry: TreeFile, text: string): Promise<void> {
  const [verdict = 'missing'] = await tree.compare([entry]);
  const target = tree.target(entry, verdict);
  await target.begin({ file: entry.path, size: text.length, pieceBytes: 1024, algorithm: 'sha256' });
  const chunks = [{ bytes: Buffer.from(text), release: () => {} }];
  if (text.length > 0) await target.write({ index: 0, position: 0, chunks, vouched: undefined });
  await target.commit();
}

test('directories are made, filled whatever their permissions, and get them and their time in the end', async (t) => {
  const { place, open } = await makeTree(t);
  const directories = [top, directory('shut', 0o500), directory('shut/in', 0o500), directory('none', 0)];
  for (const run of ['first', 'second'] as const) {
    const tree = open();
    const entry = file(`shut/in/${run}`, 3, 0o400);
    await tree.begin(directories, [entry]);
    await write(tree, entry, 'abc');
    await tree.finish();
    for (const { path: name, mode } of directories) {
      const found = await stat(path.join(place, name), { bigint: true });
      assert.equal(found.isDirectory(), true);
      if (isWindows) continue;
      assert.equal(Number(found.mode & 0o777n), mode, name);
      assert.ok(found.mtimeNs / 1000n === at / 1000n, `${name}: ${found.mtimeNs}`);
    }
    const found = await stat(path.join(place, 'shut/in', run), { bigint: true });
    assert.ok(found.mtimeNs / 1000n === at / 1000n);
    if (!isWindows) assert.equal(Number(found.mode & 0o777n), 0o400);
  }
  for (const name of ['shut', 'shut/in']) await chmod(path.join(place, name), 0o700);
  assert.deepEqual((await readdir(path.join(place, 'shut/in'))).sort(), ['first', 'second']);
});

test('a file is the same by size and time; its permissions are then set, and nothing else is touched', async (t) => {
  const { place, open } = await makeTree(t);
  const entries = ['same', 'mode', 'size', 'time', 'gone', 'folder'].map((name) => file(name));
  const first = open();
  await first.begin([top], entries);
  for (const entry of entries) await write(first, entry, 'abc');
  await chmod(path.join(place, 'mode'), 0o600);
  await writeFile(path.join(place, 'size'), 'abcd');
  await utimes(path.join(place, 'time'), 1, 1);
  await rm(path.join(place, 'gone'));
  await rm(path.join(place, 'folder'));
  await mkdir(path.join(place, 'folder'));
  await writeFile(path.join(place, 'mine'), '');
  const again = open();
  await again.begin([top], entries);
  const verdicts = await again.compare(entries);
  assert.deepEqual(verdicts, ['same', 'same', 'differs', 'resembles', 'missing', 'directory']);
  if (!isWindows) assert.equal((await stat(path.join(place, 'mode'))).mode & 0o777, 0o644);
  assert.deepEqual(verdicts.map((verdict) => again.takes(verdict)).slice(2), [false, false, true, false]);
  assert.throws(() => again.target(file('size'), 'differs'), { code: 'DISK_EXISTS', message: /size exists already/ });
  assert.throws(() => again.target(file('folder'), 'directory'), { code: 'DISK_EXISTS', message: /is a directory/ });
  assert.equal(await readFile(path.join(place, 'size'), 'utf8'), 'abcd');
  assert.ok((await readdir(place)).includes('mine'));
});

test('nothing is written through a link in the tree, and nothing is made beside it', { skip: isWindows }, async (t) => {
  const { root, place, open } = await makeTree(t, true);
  const elsewhere = path.join(root.path, 'elsewhere');
  await mkdir(elsewhere);
  await mkdir(path.join(place, 'a'), { recursive: true });
  await symlink(elsewhere, path.join(place, 'a', 'b'));
  const directories = [top, directory('new'), directory('a'), directory('a/b')];
  const wrong = { code: 'DISK_EXISTS', message: /a\/b is a link, where a directory is to be$/ };
  await assert.rejects(open().begin(directories, [file('a/b/c')]), wrong);
  assert.deepEqual(await readdir(elsewhere), []);
  assert.deepEqual(await readdir(place), ['a']);
  await rename(path.join(place, 'a', 'b'), path.join(root.path, 'link'));
  await writeFile(path.join(place, 'a', 'b'), '');
  await assert.rejects(open().begin(directories, []), { code: 'DISK_EXISTS', message: /a\/b is a file/ });
  await rm(place, { recursive: true });
  await symlink(elsewhere, place);
  await assert.rejects(open().begin([top], []), { code: 'DISK_EXISTS', message: /tree is a link/ });
});

test('a link in the place of a file is replaced with force, and what it points to is not', {
  skip: isWindows,
}, async (t) => {
  const { root, place, open } = await makeTree(t, true);
  const precious = path.join(root.path, 'precious');
  await writeFile(precious, 'abc');
  await mkdir(place, { recursive: true });
  await symlink(precious, path.join(place, 'a'));
  const tree = open();
  await tree.begin([top], [file('a')]);
  assert.deepEqual(await tree.compare([file('a')]), ['differs']);
  await write(tree, file('a'), 'xyz');
  assert.equal(await readFile(precious, 'utf8'), 'abc');
  assert.equal((await lstat(path.join(place, 'a'))).isFile(), true);
});

test('nobody may read more of an unfinished file than of the finished one, and its owner can go on with it', {
  skip: isWindows,
}, async (t) => {
  const { place, open } = await makeTree(t);
  const tree = open();
  const entry = file('secret', 3, 0o400);
  await tree.begin([top], [entry]);
  const target = tree.target(entry, 'missing');
  await target.begin({ file: 'secret', size: 3, pieceBytes: 1024, algorithm: 'sha256' });
  assert.equal((await stat(path.join(place, '.secret.part'))).mode & 0o777, 0o600);
  await target.discard();
});

test('an aborted signal ends the work with its reason', async (t) => {
  const { place } = await makeTree(t);
  const reason = new Error('enough');
  const tree = new TreeTarget(place, { force: false, signal: AbortSignal.abort(reason) });
  await assert.rejects(tree.begin([top], []), reason);
  await assert.rejects(tree.compare([file('a')]), reason);
});

test('a part file that is a second name of a file that is here goes, unless the tree is only looked at', async (t) => {
  const { place, open } = await makeTree(t);
  const entry = file('a');
  const tree = open();
  await tree.begin([top], [entry]);
  await write(tree, entry, 'abc');
  await tree.finish();
  await link(path.join(place, 'a'), path.join(place, '.a.part'));
  const look = new TreeTarget(place, { force: false, signal: new AbortController().signal, isLookedAt: true });
  await look.begin([top], [entry]);
  assert.deepEqual(await look.compare([entry]), ['same']);
  assert.equal((await readdir(place)).length, 2);
  assert.deepEqual(await open().compare([entry]), ['same']);
  assert.deepEqual(await readdir(place), ['a']);
});

test('the journal of a larger file that is here goes, as of a run that was killed when the part file had its name', async (t) => {
  const { place, open } = await makeTree(t);
  const entry = file('a', 100_000);
  const tree = open();
  await tree.begin([top], [entry]);
  await write(tree, entry, 'a'.repeat(entry.size));
  await writeFile(path.join(place, '.a.part.journal'), '', { mode: 0o600 });
  assert.deepEqual(await open().compare([entry]), ['same']);
  assert.deepEqual(await readdir(place), ['a']);
});

test('a file in the place of the directory that a tree goes into is told', async (t) => {
  const { root, place, open } = await makeTree(t);
  await writeFile(path.join(root.path, 'out'), 'a file');
  const message = `${path.dirname(place)} is a file, where a directory is to be`;
  await assert.rejects(open().begin([top], []), { code: 'DISK_EXISTS', message });
});
