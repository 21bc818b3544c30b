import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { rowsOfContent } from '../../../src/cli/files/file-outcomes.ts';
import { formatRoute } from '../../../src/index.ts';
import { addressOf, startChain } from '../../support/chain.ts';
import { runProgram } from '../../support/program.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

test('get takes several files over the hops of a route file, or of --via', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  for (const name of ['a', 'b', 'c']) await root.writeRandom(`sub/${name}.bin`, 1000);
  const chain = await startChain(t, 2, root.path);
  await writeFile(path.join(out.path, 'input.txt'), formatRoute(chain.route('other.bin')));
  const first = await runProgram(t, ['get', 'input.txt', '--', 'sub/a.bin', 'sub/b.bin'], { cwd: out.path });
  assert.equal(first.stderr, '');
  assert.equal(first.code, 0);
  assert.match(first.stdout, /\nsaved +2 of 2 files in \.\nsize +2\.0 KiB \(2000 bytes\)\n/);
  const via = chain.nodes.map(addressOf).join(',');
  const more = ['get', '--via', via, 'sub/a.bin', 'sub/b.bin', 'sub/c.bin', '-o', out.path, '--force'];
  const second = await runProgram(t, more, { cwd: root.path });
  assert.equal(second.code, 0);
  assert.match(second.stdout, /3 of 3 files in .* \(2 replaced\)/);
  assert.deepEqual(await out.list(), ['a.bin', 'b.bin', 'c.bin', 'input.txt']);
});

test('each file that fails is a line, the others arrive, and the first failure gives the exit code', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  for (const name of ['a', 'b']) await root.writeRandom(name, 1000);
  await writeFile(path.join(out.path, 'b'), '');
  const chain = await startChain(t, 2, root.path);
  const via = ['get', '--via', chain.nodes.map(addressOf).join(','), '-o', out.path];
  const text = await runProgram(t, [...via, 'missing', 'a', 'b'], {});
  assert.equal(text.code, 6);
  assert.match(text.stdout, /saved +1 of 3 files/);
  assert.match(text.stdout, /arrived +undamaged, every piece of the 1 that did\n/);
  assert.match(
    text.stderr,
    /^hopline: hop 2 .* no file "missing"\nhopline: .*b exists already, and is another file: .*\n {2}hint: .*\n {2}hint: .*\n$/,
  );
  const json = await runProgram(t, [...via, 'b', 'missing', 'a', '--force', '--json'], {});
  assert.equal(json.code, 6);
  const events = json.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    events
      .filter(({ event }) => event === 'done')
      .map(({ file }) => file)
      .sort(),
    ['a', 'b'],
  );
  assert.deepEqual(
    events.filter(({ event }) => event === 'error').map(({ file, code }) => [file, code]),
    [['missing', 'FILE_NOT_FOUND']],
  );
  assert.deepEqual(events.filter(({ event }) => event === 'started').length, 2);
});

test('several files to stdout, or in the classic dialect, are usage errors', async (t) => {
  for (const flag of [['-o', '-'], ['--classic']]) {
    const { code, stderr } = await runProgram(t, ['get', '--via', '127.0.0.1:1', 'a', 'b', ...flag]);
    assert.equal(code, 2);
    assert.match(stderr, /takes one file, not several/);
  }
});

test('several files go into a directory that is made for them', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  for (const name of ['a', 'b']) await root.writeRandom(name, 1000);
  const chain = await startChain(t, 1, root.path);
  await writeFile(path.join(out.path, 'input.txt'), formatRoute(chain.route('other.bin')));
  const { code, stdout } = await runProgram(t, ['get', 'input.txt', '-o', 'reports', '--', 'a', 'b'], {
    cwd: out.path,
  });
  assert.equal(code, 0);
  assert.match(stdout, /saved +2 of 2 files in reports\n/);
  assert.match(stdout, /arrived +undamaged, every piece of every file\n/);
  assert.deepEqual((await readdir(path.join(out.path, 'reports'))).sort(), ['a', 'b']);
});

for (const [files, ms, words] of [
  [3, 1000, '3.0 files/s'],
  [2, 10_000, '0.2 files/s'],
  [1, 60_000, 'less than 0.1 files/s'],
  [40, 1000, '40 files/s'],
] as const) {
  test(`${files} files in ${ms / 1000} s are ${words}`, () => {
    const outcomes = Array.from({ length: files }, () => ({ file: 'a', result: { size: 1, resumedBytes: 0 } }));
    const rows = rowsOfContent(outcomes as never, ms);
    assert.equal(rows.find(([label]) => label === 'speed')?.[1].split(', ')[1], words);
  });
}

test('files that were here already have no speed', () => {
  const outcomes = [{ file: 'a', result: { size: 9, resumedBytes: 9, alreadyHere: true } }];
  assert.deepEqual(
    rowsOfContent(outcomes as never, 1000).map(([label]) => label),
    ['size', 'compared'],
  );
});

test('the speed of several files is that of what came in this run', () => {
  const outcomes = [
    { file: 'a', result: { size: 9 * 1024 ** 2, resumedBytes: 8 * 1024 ** 2 } },
    { file: 'b', result: { size: 1024 ** 2, resumedBytes: 0 } },
  ];
  const rows = rowsOfContent(outcomes as never, 1000);
  assert.equal(rows.find(([label]) => label === 'speed')?.[1].split(', ')[0], '2.0 MiB/s');
});
