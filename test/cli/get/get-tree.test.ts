import assert from 'node:assert/strict';
import { appendFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { addressOf, startChain } from '../../support/chain.ts';
import { runProgram } from '../../support/program.ts';
import { makeTempRoot } from '../../support/temp-root.ts';
import { snapshotTree } from '../../support/tree-snapshot.ts';

const isWindows = process.platform === 'win32';

async function start(t: TestContext) {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  for (const name of ['a', 'b', 'sub/c']) await root.writeRandom(`photos/2026/${name}`, 1000);
  const chain = await startChain(t, 2, root.path);
  const via = chain.nodes.map(addressOf).join(',');
  const tree = path.join(root.path, 'photos', '2026');
  return { root, out, chain, via, tree, copy: path.join(out.path, '2026') };
}

function parseLines(text: string) {
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

test('get of a directory puts the tree into the output directory under its own name, again and again', async (t) => {
  const { root, out, via, tree, copy } = await start(t);
  if (!isWindows) await symlink('..', path.join(tree, 'up'));
  const whole = await runProgram(t, ['get', '--via', via, 'photos/2026', '--checksum', `sha256:${'0'.repeat(64)}`]);
  assert.equal(whole.code, 2);
  assert.match(whole.stderr, /--checksum takes one file, and "photos\/2026" is a directory/);
  const first = await runProgram(t, ['get', '--via', via, 'photos/2026', '--parallel', '2'], { cwd: out.path });
  assert.equal(first.stderr, '');
  assert.equal(first.code, 0);
  assert.match(first.stdout, /\ntree +2026: 3 files in 2 directories, 2\.9 KiB\nsaved +3 of 3 files\n/);
  assert.match(first.stdout, /\narrived +undamaged, every piece of every file\n/);
  if (!isWindows) assert.match(first.stdout, /\nleft out +1 link not followed\n$/);
  const second = await runProgram(t, ['get', '--via', via, 'photos/2026', '-o', out.path], { cwd: root.path });
  assert.equal(second.code, 0);
  assert.match(second.stdout, /\nsaved +nothing, every file is here already\n/);
  const elsewhere = path.join(out.path, 'not', 'yet');
  for (const saved of [/3 of 3 files/, /nothing/]) {
    const made = await runProgram(t, ['get', '--via', via, 'photos/2026', '-o', elsewhere]);
    assert.equal(made.code, 0);
    assert.match(made.stdout, saved);
  }
  const names = (lines: string[]) => lines.map((line) => line.split(' ')[1]);
  assert.deepEqual(names(await snapshotTree(copy)), ['', 'a', 'b', 'sub', 'sub/c']);
  assert.deepEqual(await snapshotTree(path.join(elsewhere, '2026')), await snapshotTree(copy));
});

test('get of . puts all that the origin serves into the output directory itself', async (t) => {
  const { root, out, via } = await start(t);
  for (const saved of [/\nsaved +3 of 3 files\n/, /\nsaved +nothing, every file is here already\n/]) {
    const { code, stdout, stderr } = await runProgram(t, ['get', '--via', via, '.', '-o', 'all'], { cwd: out.path });
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, saved);
  }
  assert.deepEqual(await snapshotTree(path.join(out.path, 'all')), await snapshotTree(root.path));
});

test('a file that differs is named and counted with exit code 8, and replaced with --force', async (t) => {
  const { out, via, tree } = await start(t);
  const get = ['get', '--via', via, 'photos/2026', '-o', out.path];
  await runProgram(t, [...get, '--quiet']);
  await appendFile(path.join(tree, 'a'), 'more');
  const refused = await runProgram(t, get);
  assert.equal(refused.code, 8);
  assert.match(refused.stdout, /\nsaved +0 of 1 files\nhere +2 files, unchanged\n/);
  assert.match(refused.stderr, /^hopline: .*2026.a exists already, and is another file\n {2}hint: use --force/);
  const forced = await runProgram(t, [...get, '--force', '--quiet']);
  assert.deepEqual([forced.code, forced.stdout, forced.stderr], [0, '', '']);
});

test('--json tells the listing, each file, and a summary', async (t) => {
  const { out, via, tree } = await start(t);
  await writeFile(path.join(out.path, '2026'), '');
  const get = ['get', '--via', via, 'photos/2026', '--json'];
  const taken = await runProgram(t, [...get, '-o', out.path]);
  assert.equal(taken.code, 8);
  assert.equal(parseLines(taken.stdout).at(-1).code, 'DISK_EXISTS');
  const output = path.join(out.path, 'json');
  const { code, stdout } = await runProgram(t, [...get, '-o', output]);
  assert.equal(code, 0);
  const events = parseLines(stdout);
  const kinds = events.map(({ event }) => event).filter((event) => event !== 'progress');
  assert.deepEqual([...kinds.slice(0, 2), kinds.at(-1)], ['route', 'listing', 'summary']);
  assert.deepEqual(kinds.slice(2, -1).sort(), ['done', 'done', 'done', 'started', 'started', 'started']);
  const listing = events.find(({ event }) => event === 'listing');
  assert.deepEqual(
    [listing.files, listing.directories, listing.size, listing.unchanged, listing.due],
    [3, 2, 3000, 0, { files: 3, size: 3000 }],
  );
  const summary = events.at(-1);
  assert.deepEqual([summary.fetched, summary.failed, summary.path], [3, 0, path.join(output, '2026')]);
  await appendFile(path.join(tree, 'b'), 'more');
  const again = await runProgram(t, [...get, '-o', output]);
  assert.equal(again.code, 8);
  const error = parseLines(again.stdout).find(({ event }) => event === 'error');
  assert.deepEqual([error.file, error.code, error.exitCode], ['photos/2026/b', 'DISK_EXISTS', 8]);
});

test('what the origin cannot list is told, with an exit code of its own', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const { out, via, tree } = await start(t);
  await writeFile(path.join(tree, 'two\nlines'), '');
  const get = ['get', '--via', via, 'photos/2026', '-o', out.path];
  const text = await runProgram(t, get);
  assert.equal(text.code, 5);
  assert.match(text.stdout, /\nsaved +3 of 3 files\n/);
  assert.match(
    text.stderr,
    /^hopline: the origin did not list all of "photos\/2026": 1 name cannot travel\n {2}hint: /,
  );
  const json = await runProgram(t, [...get, '--json']);
  assert.equal(json.code, 5);
  assert.deepEqual(parseLines(json.stdout).at(-1).code, 'FILE_UNREADABLE');
});

test('a directory goes neither to stdout, nor along with other files', async (t) => {
  const { root, out, via } = await start(t);
  await root.writeRandom('file', 10);
  const stdout = await runProgram(t, ['get', '--via', via, 'photos', '-o', '-']);
  assert.equal(stdout.code, 5);
  assert.match(stdout.stderr, /^hopline: "photos" is a directory at hop 2 .*\n {2}hint: name it alone/);
  const along = await runProgram(t, ['get', '--via', via, 'file', 'photos', '-o', out.path]);
  assert.equal(along.code, 5);
  assert.deepEqual(await out.list(), ['file']);
});
