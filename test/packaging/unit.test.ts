/** The unit for systemd: that systemd takes it, and how well it is shut in. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { repository } from '../support/repository.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const run = promisify(execFile);
const skip = !existsSync('/usr/bin/systemd-analyze') && 'there is no systemd';
const unit = fileURLToPath(new URL('packaging/hopline.service', repository));

test('systemd takes the unit, and rates its exposure below 2', { skip }, async (t) => {
  const file = path.join((await makeTempRoot(t)).path, 'hopline.service');
  // systemd looks whether the program is there.
  await writeFile(file, (await readFile(unit, 'utf8')).replace('/usr/bin/hopline', process.execPath));
  const { stderr } = await run('systemd-analyze', ['--man=no', 'verify', file]);
  assert.equal(stderr, '');
  const { stdout } = await run('systemd-analyze', ['security', '--offline=true', '--no-pager', unit]);
  const [, exposure = '10'] = /Overall exposure level for hopline.service: ([\d.]+)/.exec(stdout) ?? [];
  assert.ok(Number(exposure) < 2, stdout);
});
