/** `hopline put` of directories, of several files, and from stdin. */

import assert from 'node:assert/strict';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { addressOf, startChain } from '../../support/chain.ts';
import { lastLine } from '../../support/home.ts';
import { runProgram } from '../../support/program.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

test('a directory goes with all that is in it, several things into a directory, and stdin under a name', async (t) => {
  const [root, home] = [await makeTempRoot(t), await makeTempRoot(t)];
  for (const name of ['photos/2026/a.jpg', 'photos/2026/more/b.jpg', 'c.txt']) await home.writeRandom(name, 1000);
  await writeFile(path.join(home.path, 'photos/2026/.a.jpg.part'), '');
  await mkdir(path.join(home.path, 'photos/2026/empty'));
  await symlink('..', path.join(home.path, 'photos/2026/up'));
  const chain = await startChain(t, 2, root.path, { uploads: {} });
  await writeFile(path.join(home.path, 'hopline.yaml'), `routes: {eu: [${chain.nodes.map(addressOf).join(', ')}]}`);
  const put = (args: readonly string[], input?: string) => {
    const env = { HOPLINE_CONFIG: 'hopline.yaml' };
    return runProgram(t, ['put', ...args], { cwd: home.path, env, ...(input === undefined ? {} : { input }) });
  };
  const tree = await put(['photos/2026', 'eu:copies/']);
  assert.deepEqual([tree.code, tree.stderr], [0, '']);
  assert.match(
    tree.stdout,
    /^route .*\nsent +2 of 2 files\nsize +2\.0 KiB .*\nspeed .*\narrived +undamaged, every piece of every file\nleft out +1 link not followed, 1 empty directory, 1 part file\n$/,
  );
  for (const name of ['a.jpg', 'more/b.jpg']) {
    const [there, here] = [`copies/2026/${name}`, `photos/2026/${name}`];
    assert.deepEqual(await readFile(path.join(root.path, there)), await readFile(path.join(home.path, here)));
  }
  await writeFile(path.join(root.path, 'c.txt'), 'another');
  const [several, renamed] = await Promise.all([
    put(['c.txt', 'photos/2026', 'eu:', '--json']),
    put(['photos/2026', 'eu:copies/other', '--progress', 'none']),
  ]);
  assert.equal(several.code, 8);
  assert.deepEqual(lastLine(several), {
    ...{ event: 'summary', files: 3, sent: 2, alreadyThere: 0, failed: 1 },
    leftOut: { empty: 1, links: 1, others: 0, unfinished: 1 },
  });
  assert.equal(renamed.code, 0, renamed.stderr);
  assert.deepEqual(await root.list(), ['2026', 'c.txt', 'copies']);
  assert.ok((await readFile(path.join(root.path, 'copies/other/more/b.jpg'))).length > 0);
});
