/** What the Debian package is made of: a unit that systemd takes and that is shut in well, a configuration, scripts. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { readConfig } from '../../src/config/config-files.ts';
import { repository } from '../support/repository.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const run = promisify(execFile);
const skip = !existsSync('/usr/bin/systemd-analyze') && 'there is no systemd';
const unit = fileURLToPath(new URL('packaging/hopline.service', repository));

test('systemd takes the units, and rates its exposure below 2', { skip }, async (t) => {
  const folder = (await makeTempRoot(t)).path;
  const files = ['hopline.service', 'hopline.socket'].map((name) => path.join(folder, name));
  // systemd looks whether the program is there.
  const [service = '', socket = ''] = files;
  await writeFile(service, (await readFile(unit, 'utf8')).replace('/usr/bin/hopline', process.execPath));
  await copyFile(fileURLToPath(new URL('packaging/hopline.socket', repository)), socket);
  const { stderr } = await run('systemd-analyze', ['--man=no', 'verify', ...files]);
  assert.equal(stderr, '');
  const { stdout } = await run('systemd-analyze', ['security', '--offline=true', '--no-pager', unit]);
  const [, exposure = '10'] = /Overall exposure level for hopline.service: ([\d.]+)/.exec(stdout) ?? [];
  assert.ok(Number(exposure) < 2, stdout);
});

test('the configuration that a package brings serves this machine alone, and documents alone', async (t) => {
  const file = path.join((await makeTempRoot(t)).path, 'hopline.yaml');
  const docs = fileURLToPath(new URL('docs', repository));
  // Where the package puts them there is nothing here.
  const text = await readFile(new URL('packaging/hopline.yaml', repository), 'utf8');
  await writeFile(file, text.replace('/usr/lib/hopline/docs', docs));
  const { node } = await readConfig(file);
  assert.deepEqual([node.listen, node.root], [{ host: '127.0.0.1', port: 7001 }, docs]);
  const socket = await readFile(new URL('packaging/hopline.socket', repository), 'utf8');
  assert.match(socket, /^ListenStream=127\.0\.0\.1:7001$/m, 'the socket is where the configuration says');
});

test('the scripts of the package are what a shell reads', { skip: process.platform === 'win32' }, async () => {
  for (const name of ['build-deb.sh', 'postinst', 'prerm', 'postrm'])
    await run('sh', ['-n', fileURLToPath(new URL(`packaging/${name}`, repository))]);
});
