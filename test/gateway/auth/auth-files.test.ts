import assert from 'node:assert/strict';
import { chmod, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { defaultLimits } from '../../../src/core/limits.ts';
import { type Logger, silentLogger } from '../../../src/core/log.ts';
import { AuthFiles } from '../../../src/gateway/auth/auth-files.ts';
import { until } from '../../support/chain.ts';
import { ask } from '../../support/http.ts';
import { basic, hash, password, startGuarded, token } from '../../support/site-auth.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const alice = { headers: { Authorization: basic('alice', password) } };

test('a user who is taken out of the file is refused a moment later, though the password was known to be right', async (t) => {
  const { port, clock, replace } = await startGuarded(t, { rules: { basic: 'users' } });
  assert.equal((await ask(port, alice)).status, 200);
  await replace('users', `bob:${await hash}\n`);
  await until(async () => {
    clock.advance(1000);
    return (await ask(port, alice)).status === 401;
  });
  const headers = { Authorization: basic('bob', password) };
  clock.advance(defaultLimits.loginFailedMs);
  assert.equal((await ask(port, { headers })).status, 200);
});

test('with a mistake in the file the lines go on that still stand there as they were, and nothing is added', async (t) => {
  const { port, replace, reread } = await startGuarded(t, { rules: { bearer: 'tokens' } });
  const status = async (one: string) => (await ask(port, { headers: { Authorization: `Bearer ${one}` } })).status;
  const added = 'b'.repeat(32);
  await replace('tokens', `${token}\n${added}\nshort\n`);
  await reread();
  assert.equal(await status(added), 401);
  assert.equal(await status(token), 200);
});

test('a file that others may read lets nobody in, and says so without a word of it', async (t) => {
  const root = await makeTempRoot(t);
  const said: string[] = [];
  const log: Logger = { ...silentLogger, error: (_fields, message) => said.push(message) };
  const files = new AuthFiles({ limits: defaultLimits, log });
  t.after(() => files.close());
  const tokens = path.join(root.path, 'tokens');
  await writeFile(tokens, `${token}\n`, { mode: 0o600 });
  await chmod(tokens, 0o640);
  const auth = await files.open('a.test', { bearer: tokens });
  const request = { method: 'GET', fields: ['Authorization', `Bearer ${token}`], client: '127.0.0.1' };
  assert.equal((await auth.judge(request)).kind, 'refused');
  assert.match(said[0] ?? '', /tokens has mode 0640, so others may use it: chmod 600; nobody is let in/);
  await chmod(tokens, 0o600);
  await files.keep([{ bearer: tokens }]);
  assert.equal((await auth.judge(request)).kind, 'admitted');
  assert.ok(said.every((line) => !line.includes(token)));
});

test('two sites of one file read it once, and it is let go when no site names it', async (t) => {
  const root = await makeTempRoot(t);
  const read: string[] = [];
  const log: Logger = { ...silentLogger, info: (_fields, message) => read.push(message) };
  const files = new AuthFiles({ limits: defaultLimits, log });
  t.after(() => files.close());
  const tokens = path.join(root.path, 'tokens');
  await writeFile(tokens, `${token}\n`, { mode: 0o600 });
  for (const host of ['a.test', 'b.test']) await files.open(host, { bearer: tokens });
  assert.equal(read.length, 1);
  await files.keep([undefined]);
  await files.open('a.test', { bearer: tokens });
  assert.equal(read.length, 2);
});
