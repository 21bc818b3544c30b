import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { repository } from '../support/repository.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const run = promisify(execFile);
const tool = fileURLToPath(new URL('tools/check-lock.mjs', repository));

async function check(t: TestContext, entry: object) {
  const root = await makeTempRoot(t);
  const file = path.join(root.path, 'lock.json');
  await writeFile(file, JSON.stringify({ packages: { '': { name: 'x' }, 'node_modules/a': entry } }));
  return run(process.execPath, [tool, file]);
}

test('what users install needs an integrity hash', async (t) => {
  await check(t, { version: '1.0.0', integrity: 'sha512-x' });
  await assert.rejects(check(t, { version: '1.0.0', optional: true }), {
    code: 1,
    stderr: /node_modules\/a: has no integrity hash/,
  });
});

test('a tool may lack one, since nobody installs it with the program', async (t) => {
  await check(t, { version: '1.0.0', dev: true });
});

test('no entry names the registry that it came from', async (t) => {
  const entry = { version: '1.0.0', integrity: 'sha512-x', resolved: 'https://registry.example/a.tgz' };
  await assert.rejects(check(t, entry), { code: 1, stderr: /names the registry/ });
});
