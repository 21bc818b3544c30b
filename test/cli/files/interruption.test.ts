/** Several files that are interrupted: what is kept of those that were under way is said. */

import assert from 'node:assert/strict';
import { mkdir, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { addressOf, startChain } from '../../support/chain.ts';
import { startProgram } from '../../support/program.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const mib = 1_048_576;

for (const [command, place] of [
  [['get', 'tree'], ''],
  [['get', 'tree/large', 'tree/small'], ''],
  [['put', 'tree'], ' at the origin'],
] as const) {
  test(`an interrupted \`${command.join(' ')}\` says what of a file is kept`, {
    skip: process.platform === 'win32' && 'no signals',
  }, async (t) => {
    const [root, home] = [await makeTempRoot(t), await makeTempRoot(t)];
    const tree = path.join((place === '' ? root : home).path, 'tree');
    await mkdir(tree);
    await writeFile(path.join(tree, 'small'), 'small');
    await writeFile(path.join(tree, 'large'), '');
    await truncate(path.join(tree, 'large'), 64 * mib);
    const chain = await startChain(t, 1, root.path, { uploads: {} });
    const via = chain.nodes.map(addressOf).join(',');
    const flags = ['--via', via, '--limit-rate', '4M', '--progress', 'json'];
    const { child, finished, saw } = startProgram(t, [...command, ...flags], { cwd: home.path });
    // More than a piece has come, and far less than all.
    await saw(/"bytes":[3-9]\d{6},/);
    child.kill('SIGINT');
    const { code, stderr } = await finished;
    assert.equal(code, 130, stderr);
    assert.match(
      stderr,
      new RegExp(`\nkept \\d.* of 1 unfinished file${place}; the same command goes on from there\n`),
    );
  });
}
