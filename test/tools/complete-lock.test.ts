import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { repository } from '../support/repository.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const run = promisify(execFile);
const tool = fileURLToPath(new URL('tools/complete-lock.mjs', repository));

function lockWith(optionalDependencies: object, dev?: true) {
  return {
    lockfileVersion: 3,
    packages: {
      '': { name: 'x' },
      'node_modules/a': { version: '1.0.0', ...(dev ? { dev } : {}), optionalDependencies },
      'node_modules/a/node_modules/a-linux-x64-gnu': { version: '1.0.0', optional: true },
      'node_modules/z': { version: '2.0.0' },
    },
  };
}

test('an absent optional package is added with the platform that its name says, and the keys stay sorted', async (t) => {
  const root = await makeTempRoot(t);
  const file = path.join(root.path, 'lock.json');
  const wanted = { 'a-linux-x64-gnu': '1.0.0', 'a-linux-arm64-musl': '1.0.0', 'a-win32-ia32-msvc': '1.0.0' };
  await writeFile(file, JSON.stringify(lockWith({ ...wanted, 'a-linux-arm-gnueabihf': '1.0.0' }, true)));
  await run(process.execPath, [tool, file]);
  const { packages } = JSON.parse(await readFile(file, 'utf8')) as { packages: Record<string, object> };
  assert.deepEqual(packages['node_modules/a-linux-arm64-musl'], {
    version: '1.0.0',
    cpu: ['arm64'],
    dev: true,
    libc: ['musl'],
    optional: true,
    os: ['linux'],
  });
  assert.deepEqual(packages['node_modules/a-win32-ia32-msvc'], {
    version: '1.0.0',
    cpu: ['ia32'],
    dev: true,
    optional: true,
    os: ['win32'],
  });
  assert.deepEqual(Object.keys(packages), [
    '',
    'node_modules/a',
    'node_modules/a-linux-arm-gnueabihf',
    'node_modules/a-linux-arm64-musl',
    'node_modules/a-win32-ia32-msvc',
    'node_modules/a/node_modules/a-linux-x64-gnu',
    'node_modules/z',
  ]);
});

test('a lock file that lacks nothing is left as it is', async (t) => {
  const root = await makeTempRoot(t);
  const file = path.join(root.path, 'lock.json');
  const text = JSON.stringify(lockWith({ 'a-linux-x64-gnu': '1.0.0' }));
  await writeFile(file, text);
  await run(process.execPath, [tool, file]);
  assert.equal(await readFile(file, 'utf8'), text);
});

test('an optional package that does not say its platform is left to a person', async (t) => {
  const root = await makeTempRoot(t);
  const file = path.join(root.path, 'lock.json');
  await writeFile(file, JSON.stringify(lockWith({ mystery: '1.0.0' })));
  await assert.rejects(run(process.execPath, [tool, file]), /mystery@1\.0\.0 does not say its platform/);
});
