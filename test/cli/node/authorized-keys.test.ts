/** `hopline node --authorized-keys`: what its start says, and that a hangup has the file read again. */

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { createKeyFile } from '../../../src/secure/keys/key-file.ts';
import { newKey } from '../../../src/wire/keys/key.ts';
import { runProgram, startProgram } from '../../support/program.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const key = newKey().key.public.text;
const skip = process.platform === 'win32';

test('a node reads its authorized keys again at a hangup, also in its workers', { skip }, async (t) => {
  const root = await makeTempRoot(t);
  const file = path.join(root.path, 'authorized_keys');
  const identity = path.join(root.path, 'node.key');
  await createKeyFile(identity, new Date());
  for (const workers of [1, 2]) {
    await writeFile(file, `all ${key}\n`, { mode: 0o600 });
    const keys = ['--identity', identity, '--authorized-keys', file];
    const args = ['node', '--listen', '127.0.0.1:0', '--root', root.path, ...keys, '--workers', `${workers}`];
    const node = startProgram(t, args);
    await node.saw(/listening on /);
    await node.saw(new RegExp(Array(workers).fill('authorized keys read').join('[^]*')));
    await writeFile(file, `all ${key}\nnobody\n`);
    node.child.kill('SIGHUP');
    await node.saw(new RegExp(Array(workers).fill('authorized_keys:2: .*the old list goes on').join('[^]*')));
    node.child.kill('SIGTERM');
    assert.equal((await node.finished).code, 0);
  }
});

test('a node does not start by authorized keys with a mistake', { skip }, async (t) => {
  const root = await makeTempRoot(t);
  const file = path.join(root.path, 'authorized_keys');
  await writeFile(file, `${key}\nall ${key}\n`, { mode: 0o600 });
  const args = ['node', '--listen', '127.0.0.1:0', '--root', root.path, '--authorized-keys', file];
  const { code, stderr } = await runProgram(t, args, { env: { XDG_STATE_HOME: root.path } });
  assert.equal(code, 13);
  assert.match(stderr, /authorized_keys:1: read no right/);
  assert.match(stderr, /authorized_keys:2: read hop1\w{8} again/);
});
