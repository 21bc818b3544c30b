/** `hopline sync`: a directory here becomes a copy, whatever ended an earlier run, and nothing goes that was not named. */

import assert from 'node:assert/strict';
import { lstat, mkdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { downloadTree } from '../../../src/index.ts';
import { findExtraFiles, removeExtraFiles } from '../../../src/io/disk/tree/extra-files.ts';
import { addressOf, startChain } from '../../support/chain.ts';
import { lastLine } from '../../support/home.ts';
import { runProgram } from '../../support/program.ts';
import { makeTempRoot } from '../../support/temp-root.ts';
import { snapshotTree } from '../../support/tree-snapshot.ts';

const rules = { maxListEntries: 1000, maxListDepth: 64 };

async function startTree(t: TestContext, files: number) {
  const [root, here] = [await makeTempRoot(t), await makeTempRoot(t)];
  for (let index = 0; index < files; index += 1) await root.writeRandom(`tree/d${index % 3}/f${index}`, 1000 + index);
  const chain = await startChain(t, 2, root.path);
  return { root, here, chain, into: path.join(here.path, 'copy'), tree: path.join(root.path, 'tree') };
}

test('a copy is brought up to date, and what is here alone goes with --delete alone, listed first', async (t) => {
  const { here, chain, into, tree } = await startTree(t, 6);
  const sync = (...flags: string[]) => {
    return runProgram(t, ['sync', '--via', chain.nodes.map(addressOf).join(), 'tree', 'copy', ...flags], {
      cwd: here.path,
    });
  };
  assert.equal((await sync()).code, 0);
  assert.deepEqual(await snapshotTree(into), await snapshotTree(tree));
  await writeFile(path.join(tree, 'd0/f0'), 'changed at the origin');
  await here.writeRandom('copy/own/mine', 10);
  await here.writeRandom('copy/d1/mine', 10);
  const kept = await sync();
  assert.match(kept.stdout, /\nextra +2 files here that the origin does not have; --delete removes them\n$/);
  const before = await snapshotTree(into);
  const dry = await sync('--delete', '--dry-run');
  assert.match(dry.stdout, /\nwould delete d1\/mine\nwould delete own\/mine\n$/);
  const part = await sync('--delete', '--exclude', 'own', '--dry-run', '--json');
  assert.deepEqual((lastLine(part).extra as { files: unknown }).files, ['d1/mine'], 'what is excluded is left alone');
  assert.deepEqual(await snapshotTree(into), before);
  const deleted = await sync('--delete');
  assert.deepEqual([deleted.code, deleted.stderr], [0, '']);
  assert.match(deleted.stdout, /\ndelete +d1\/mine\ndelete +own\/mine\n$/);
  // Writing the file at the origin changed no time of a directory there.
  assert.deepEqual(await snapshotTree(into), await snapshotTree(tree));
});

test('--delete touches nothing that is not on the list, and nothing at all where the origin lacks what is on it', async (t) => {
  const { here, chain, into } = await startTree(t, 3);
  const via = chain.nodes.map(addressOf).join();
  const sync = () => {
    const args = ['sync', '--via', via, 'tree', 'copy', '--files-from', 'list', '--delete'];
    return runProgram(t, args, { cwd: here.path });
  };
  for (const name of ['d0/old', 'd1/mine', 'typo']) await here.writeRandom(`copy/${name}`, 10);
  await writeFile(path.join(here.path, 'list'), 'd0\ntypo\n');
  const refused = await sync();
  assert.equal(refused.code, 6, refused.stderr);
  assert.match(refused.stderr, /list lists "typo", which is not there/);
  assert.match(refused.stdout, /\nextra +2 files here stay, since not all came\n$/);
  const before = JSON.stringify(await snapshotTree(into));
  assert.ok(
    ['d0/old', 'd1/mine', 'typo'].every((name) => before.includes(name)),
    before,
  );
  await writeFile(path.join(here.path, 'list'), 'd0\n');
  const done = await sync();
  assert.deepEqual([done.code, done.stderr], [0, '']);
  const left = JSON.stringify(await snapshotTree(into));
  assert.ok(!left.includes('old') && left.includes('mine') && left.includes('typo'), left);
});

test('a file at the origin is called one, not something that is not served', async (t) => {
  const { here, chain } = await startTree(t, 1);
  const args = ['sync', '--via', chain.nodes.map(addressOf).join(), 'tree/d0/f0', 'copy'];
  const { code, stderr } = await runProgram(t, args, { cwd: here.path });
  assert.equal(code, 2);
  assert.match(
    stderr,
    /^hopline: "tree\/d0\/f0" is a file at the origin, and sync takes a directory; get fetches a file\n/,
  );
});

test('an empty name is no directory: what lies in the working directory stays', async (t) => {
  const { here, chain } = await startTree(t, 3);
  await here.writeRandom('mine', 10);
  const args = ['sync', '--via', chain.nodes.map(addressOf).join(), 'tree', '', '--delete'];
  const refused = await runProgram(t, args, { cwd: here.path });
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /^hopline: argument 'DIR' is invalid\. Expected a value, and it is empty: /);
  assert.deepEqual(await here.list(), ['mine']);
});

test('a copy that was interrupted anywhere is right after another run', async (t) => {
  const { chain, into, tree } = await startTree(t, 60);
  const { routes } = chain.route('tree');
  for (const settled of [0, 1, 17, 59]) {
    await rm(into, { recursive: true, force: true });
    const stop = new AbortController();
    let count = 0;
    const onEvent = ({ kind }: { readonly kind: string }) => {
      if (kind === 'listed' && settled === 0) stop.abort();
      count += kind === 'settled' ? 1 : 0;
      if (count === settled) stop.abort();
    };
    const options = { routes, directory: 'tree', into, force: true };
    await downloadTree({ ...options, signal: stop.signal, onEvent }).catch(() => {});
    const again = await downloadTree(options);
    assert.ok(again.outcomes.every(({ error }) => error === undefined));
    assert.deepEqual(await snapshotTree(into), await snapshotTree(tree));
    const nothing = await downloadTree(options);
    assert.deepEqual([nothing.outcomes.length, nothing.unchanged], [0, 60]);
  }
});

test('what the disk may take for a listed file is not extra, links and part files neither', async (t) => {
  const root = await makeTempRoot(t);
  for (const name of ['Report', 'caf\u0065\u0301', '.x.part', 'a/b/extra', 'gone']) await root.writeRandom(name, 1);
  await symlink('gone', path.join(root.path, 'link'));
  const kept = ['report', 'caf\u00e9', 'a'];
  const extra = await findExtraFiles(root.path, { kept, select: () => true }, rules);
  assert.deepEqual(extra, { files: ['gone', 'a/b/extra'], directories: ['a/b'] });
  await utimes(path.join(root.path, 'a'), 1000, 1000);
  await removeExtraFiles(root.path, extra);
  assert.deepEqual(await root.list(), ['.x.part', 'Report', 'a', 'caf\u0065\u0301', 'link']);
  assert.equal((await lstat(path.join(root.path, 'a'))).mtimeMs, 1_000_000);
});

test('a directory that has become a link is not followed', async (t) => {
  const [root, outside] = [await makeTempRoot(t), await makeTempRoot(t)];
  await root.writeRandom('d/extra', 1);
  await outside.writeRandom('extra', 1);
  const extra = await findExtraFiles(root.path, { kept: [], select: () => true }, rules);
  await rename(path.join(root.path, 'd'), path.join(root.path, 'moved'));
  await symlink(outside.path, path.join(root.path, 'd'));
  await assert.rejects(removeExtraFiles(root.path, extra), { code: 'DISK_FAILED' });
  assert.deepEqual(await outside.list(), ['extra']);
  await mkdir(path.join(outside.path, 'empty'));
  const directories = { files: [], directories: ['d/empty'] };
  await assert.rejects(removeExtraFiles(root.path, directories), { code: 'DISK_FAILED' });
  assert.deepEqual(await outside.list(), ['empty', 'extra']);
});
