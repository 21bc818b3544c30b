/** Results that stdout does not take: the command says so in the end. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { mainFile } from '../../support/program.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

test('results that do not fit on the disk are a failure, and what was done besides is done', {
  skip: !existsSync('/dev/full') && 'no /dev/full',
}, async (t) => {
  const root = await makeTempRoot(t);
  const full = openSync('/dev/full', 'w');
  t.after(() => closeSync(full));
  const args = [mainFile, 'key', 'new', '-o', path.join(root.path, 'a.key')];
  const { status, stderr } = spawnSync(process.execPath, args, { stdio: ['ignore', full, 'pipe'], encoding: 'utf8' });
  assert.equal(status, 8, stderr);
  assert.match(stderr, /^hopline: cannot write the output: the disk is full\n {2}hint: /m);
  assert.deepEqual(await root.list(), ['a.key']);
});
