/** Sites that ask who may: the command that makes a user, what a check says, and what a hangup does. */

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { until } from '../support/chain.ts';
import { ask, startBackend } from '../support/http.ts';
import { runProgram, startProgram } from '../support/program.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const skip = process.platform === 'win32' && 'Windows has no signals';
const authorization = `Basic ${Buffer.from('alice:s3cret word').toString('base64')}`;

test('a line of hopline password lets its user in, until it is taken away', { skip }, async (t) => {
  const root = await makeTempRoot(t);
  const at = (name: string) => path.join(root.path, name);
  const made = await runProgram(t, ['password', 'alice'], { input: 's3cret word\n' });
  assert.equal(made.code, 0, made.stderr);
  assert.match(made.stdout, /^alice:\$scrypt\$ln=15,r=8,p=3\$[\w+/]{22}\$[\w+/]{43}\n$/);
  await writeFile(at('users'), made.stdout, { mode: 0o600 });
  const { address, requests } = await startBackend(t);
  const site = `{servers: ["${address.host}:${address.port}"], auth: {basic: users}}`;
  const log = '{access-log: {file: access.log}}';
  await writeFile(at('hopline.yaml'), `listen: 127.0.0.1:0\nsites: {"*": ${site}}\ngateway: ${log}\n`);
  const checked = await runProgram(t, ['check', at('hopline.yaml')]);
  assert.equal(checked.code, 0, checked.stderr);
  assert.doesNotMatch(checked.stdout, /scrypt/);
  const node = startProgram(t, ['node', '--config', at('hopline.yaml')]);
  const port = Number(/listening on \S+:(\d+)/.exec(await node.saw(/listening on \S+\n/))?.[1]);
  assert.equal((await ask(port)).status, 401);
  assert.equal((await ask(port, { headers: { Authorization: authorization } })).status, 200);
  assert.equal(requests[0]?.headers.authorization, undefined);
  await until(async () => /^127\.0\.0\.1 - alice \[/m.test(await readFile(at('access.log'), 'utf8')));
  await writeFile(at('users'), '# nobody\n');
  node.child.kill('SIGHUP');
  await until(async () => (await ask(port, { headers: { Authorization: authorization } })).status === 401);
});

test('a site does not start with a file of users that has a mistake, or is served itself', { skip }, async (t) => {
  const root = await makeTempRoot(t);
  const config = path.join(root.path, 'hopline.yaml');
  await writeFile(path.join(root.path, 'users'), 'bob:{SHA}x\n', { mode: 0o600 });
  const start = async (text: string, command: readonly string[]) => {
    await writeFile(config, text);
    return runProgram(t, [...command, config], { cwd: root.path });
  };
  const guarded = (more: string) => `listen: 127.0.0.1:0\n${more}sites: {"*": {servers: [a], auth: {basic: users}}}\n`;
  for (const command of [['check'], ['node', '--config']]) {
    const { code, stderr } = await start(guarded('root: /usr/share\n'), command);
    assert.equal(code, 13, stderr);
    assert.match(stderr, /users:1: expected a hash behind "bob" as `hopline password` makes it/);
  }
  for (const text of [
    guarded('root: .\n'),
    guarded(''),
    guarded('root: /usr/share\n').replace('}}}', '}}, b.test: {root: .}}'),
  ]) {
    const { code, stderr } = await start(text, ['node', '--config']);
    assert.equal(code, 2, stderr);
    assert.match(stderr, /site \*: auth\.basic: read ".*users", expected a file outside the root, which is served/);
  }
});

for (const [what, user, input] of [
  ['a colon in its name', 'a:b', 'x\n'],
  ['the mark of a comment in front', '#a', 'x\n'],
  ['no password', 'alice', '\n'],
  ['a password with a control character', 'alice', 'a\u0007\n'],
] as const) {
  test(`a user with ${what} is refused`, async (t) => {
    const { code, stdout } = await runProgram(t, ['password', user], { input });
    assert.equal(code, 2);
    assert.equal(stdout, '');
  });
}
