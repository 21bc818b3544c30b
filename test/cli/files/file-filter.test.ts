/** Which files of a directory are moved by the flags that choose, from the command line to both ends. */

import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { Command } from 'commander';
import { addFilterFlags, type FilterFlags, readFileFilter } from '../../../src/cli/files/file-filter.ts';
import { downloadTree } from '../../../src/index.ts';
import { addressOf, startChain } from '../../support/chain.ts';
import { runProgram } from '../../support/program.ts';
import { makeTempRoot } from '../../support/temp-root.ts';
import { snapshotTree } from '../../support/tree-snapshot.ts';

const tree = ['a.log', 'a.txt', 'sub/b.log', 'sub/b.txt', 'sub/deep/c.txt', '.git/config', '[x]/y.txt'];

/** What these flags leave of the tree. */
async function chosen(...args: readonly string[]): Promise<readonly string[]> {
  const command = addFilterFlags(new Command().exitOverride().configureOutput({ writeErr: () => {} }));
  await command.parseAsync(args, { from: 'user' });
  const filter = await readFileFilter(command.opts<FilterFlags>());
  return tree.filter((file) => filter?.selects(file) ?? true);
}

test('globs choose names in every directory, paths with a slash from its top, directories with all in them', async () => {
  assert.deepEqual(await chosen(), tree);
  assert.deepEqual(await chosen('--include', '*.log'), ['a.log', 'sub/b.log']);
  assert.deepEqual(await chosen('--exclude', '*.txt', '--exclude', '.git/'), ['a.log', 'sub/b.log']);
  assert.deepEqual(await chosen('--include', 'sub', '--exclude', 'deep'), ['sub/b.log', 'sub/b.txt']);
  assert.deepEqual(await chosen('--include', 'sub/*.txt'), ['sub/b.txt']);
  assert.deepEqual(await chosen('--include', '**/c.txt', '--include', '.git/**'), ['sub/deep/c.txt', '.git/config']);
  assert.deepEqual(await chosen('--include', '[x]'), ['[x]/y.txt']);
  assert.deepEqual(await chosen('--include', '**'), tree);
  for (const wrong of ['', '/etc', '../x', 'a**'])
    await assert.rejects(chosen('--include', wrong), { code: 'commander.invalidArgument' });
});

test('a list chooses files and directories, and what is on it and was not met is told', async (t) => {
  const file = path.join((await makeTempRoot(t)).path, 'list');
  await writeFile(file, './a.txt\r\nsub/deep/\n\n[x]/y.txt\nnone\n');
  const filter = await readFileFilter({ filesFrom: file });
  assert.deepEqual(
    tree.filter((name) => filter?.selects(name)),
    ['a.txt', 'sub/deep/c.txt', '[x]/y.txt'],
  );
  assert.throws(() => filter?.checkList(), {
    code: 'FILE_NOT_FOUND',
    message: `${file} lists "none", which is not there`,
  });
  await writeFile(file, 'a.txt\n../x\n');
  await assert.rejects(readFileFilter({ filesFrom: file }), {
    code: 'USAGE_INVALID',
    message: /list:2: read "\.\.\/x", expected a path/,
  });
});

async function startTree(t: TestContext) {
  const [root, out] = [await makeTempRoot(t), await makeTempRoot(t)];
  for (const file of tree) await root.writeRandom(`tree/${file}`, 100);
  await mkdir(path.join(root.path, 'tree/empty'));
  const chain = await startChain(t, 1, root.path, { uploads: {} });
  return { root, out, chain };
}

test('a download makes what was chosen alone, and a dry run nothing at all', async (t) => {
  const { root, out, chain } = await startTree(t);
  const { routes } = chain.route('tree');
  const select = (file: string) => file.endsWith('.txt');
  const options = { routes, directory: 'tree', output: out.path, select };
  const dry = await downloadTree({ ...options, dryRun: true });
  assert.deepEqual(dry.planned, ['[x]/y.txt', 'a.txt', 'sub/b.txt', 'sub/deep/c.txt']);
  assert.deepEqual(await out.list(), []);
  await downloadTree(options);
  const names = (await snapshotTree(out.path)).map((line) => line.split(' ')[1]);
  assert.deepEqual(names, [
    '',
    'tree',
    'tree/[x]',
    'tree/[x]/y.txt',
    'tree/a.txt',
    'tree/sub',
    'tree/sub/b.txt',
    'tree/sub/deep',
    'tree/sub/deep/c.txt',
  ]);
  await root.writeRandom('tree/a.txt', 101);
  const before = await snapshotTree(out.path);
  const again = await downloadTree({ ...options, dryRun: true, force: true });
  assert.deepEqual([again.planned, again.unchanged], [['a.txt'], 3]);
  assert.deepEqual(await snapshotTree(out.path), before);
});

test('get and put take the flags, and end with 6 for what a list has and the directory has not', async (t) => {
  const { root, out, chain } = await startTree(t);
  const via = ['--via', chain.nodes.map(addressOf).join()];
  await writeFile(path.join(out.path, 'list'), 'a.txt\nnone\n');
  const [dry, got, put] = await Promise.all([
    runProgram(t, ['get', 'tree', ...via, '--dry-run', '--exclude', '*.txt'], { cwd: out.path }),
    runProgram(t, ['get', 'tree', ...via, '--files-from', 'list', '-o', 'got'], { cwd: out.path }),
    runProgram(t, ['put', 'tree', ...via, '--as', 'copy', '--include', 'sub'], { cwd: root.path }),
  ]);
  assert.deepEqual([dry.code, dry.stderr], [0, '']);
  assert.match(
    dry.stdout,
    /^route .*\ntree .*\nwould get \.git\/config\nwould get a\.log\nwould get sub\/b\.log\nsaved +nothing \(--dry-run\); due are 3 files, 300 B\n$/,
  );
  assert.equal(got.code, 6);
  assert.match(got.stderr, /^hopline: list lists "none", which is not there\n/);
  assert.deepEqual(
    (await snapshotTree(path.join(out.path, 'got'))).map((line) => line.split(' ')[1]),
    ['', 'tree', 'tree/a.txt'],
  );
  assert.equal(put.code, 0, put.stderr);
  assert.equal((await snapshotTree(path.join(root.path, 'copy'))).length, 6);
  const planned = await runProgram(t, ['put', 'tree', ...via, '--dry-run', '--include', 'a.*'], { cwd: root.path });
  assert.match(
    planned.stdout,
    /^would put tree\/a\.log as tree\/a\.log\nwould put .*\nsent +nothing \(--dry-run\); chosen are 2 files\nleft out +1 empty directory\n$/,
  );
});
