/** `hopline node --authorized-keys`: what its start says, and that a hangup has the file read again. */

import assert from 'node:assert/strict';
import { symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { createKeyFile } from '../../../src/secure/keys/key-file.ts';
import { newKey } from '../../../src/wire/keys/key.ts';
import { runProgram, startProgram } from '../../support/program.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const key = newKey().key.public.text;
const skip = process.platform === 'win32';

test('a node reads its authorized keys again at a hangup, also in its workers', { skip }, async (t) => {
  const [root, home] = [await makeTempRoot(t), await makeTempRoot(t)];
  const file = path.join(home.path, 'authorized_keys');
  const identity = path.join(home.path, 'node.key');
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
  const [root, home] = [await makeTempRoot(t), await makeTempRoot(t)];
  const file = path.join(home.path, 'authorized_keys');
  await writeFile(file, `${key}\nall ${key}\n`, { mode: 0o600 });
  const args = ['node', '--listen', '127.0.0.1:0', '--root', root.path, '--authorized-keys', file];
  const { code, stderr } = await runProgram(t, args, { env: { XDG_STATE_HOME: home.path } });
  assert.equal(code, 13);
  assert.match(stderr, /authorized_keys:1: read no right/);
  assert.match(stderr, /authorized_keys:2: read hop1\w{8} again/);
});

test('a node does not start with a root in which its key or its authorized keys are', { skip }, async (t) => {
  const [root, home] = [await makeTempRoot(t), await makeTempRoot(t)];
  const inPlace = (place: string) => ({
    identity: path.join(place, 'node.key'),
    keys: path.join(place, 'authorized_keys'),
  });
  const [served, kept] = [inPlace(root.path), inPlace(home.path)];
  await createKeyFile(served.identity, new Date());
  await createKeyFile(kept.identity, new Date());
  await symlink(path.join(home.path, 'none'), served.keys);
  await symlink(served.identity, path.join(home.path, 'link.key'));
  for (const [flag, ...files] of [
    ['--identity', served.identity],
    ['--identity', path.join(home.path, 'link.key')],
    ['--authorized-keys', served.keys, '--identity', kept.identity],
  ] as [string, ...string[]][]) {
    const args = ['node', '--listen', '127.0.0.1:0', '--root', root.path, flag, ...files];
    const { code, stderr } = await runProgram(t, args);
    assert.equal(code, 2);
    assert.match(stderr, new RegExp(`^hopline: ${flag}: read ".*", expected a file outside the root`));
  }
});
