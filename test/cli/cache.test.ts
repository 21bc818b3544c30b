import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeCache } from '../support/caches.ts';
import { startProgram } from '../support/program.ts';

test('prints what is in a cache that is in use, and flushes a host and a URL of it', async (t) => {
  const setup = await makeCache(t);
  setup.script = ({ target }) => ({ fields: { 'Cache-Control': 'max-age=60' }, body: target });
  for (const target of ['/a', '/b']) await setup.ask({ target });
  await setup.restart();
  const run = async (...args: readonly string[]) => {
    const { code, stdout } = await startProgram(t, ['cache', ...args, '--cache', setup.directory]).finished;
    assert.equal(code, 0);
    return stdout;
  };
  assert.match(await run('stat'), /^2 answers, 0 of them fresh, [0-9.]+ KiB\n$/);
  assert.deepEqual(JSON.parse(await run('stat', '--json')).entries, 2);
  const lines = (await run('ls')).trim().split('\n');
  assert.match(lines[0] ?? '', /^200 .* stale http:\/\/example\.org\/a$/);
  assert.equal(lines.length, 2);
  assert.match(await run('ls', 'http://example.org/b'), /\/b\n$/);
  assert.equal(await run('flush', 'http://example.org/a'), '1 answer removed\n');
  assert.match((await setup.ask({ target: '/a' })).verdict ?? '', /fwd/);
  assert.equal(await run('flush', 'http://example.org/a'), '1 answer removed\n');
  assert.match(await run('stat'), /^1 answer, /);
  assert.equal(await run('flush', 'other.example'), '0 answers removed\n');
});

test('says which directory is not a cache', async (t) => {
  const { code, stderr } = await startProgram(t, ['cache', 'ls', '--cache', '/nowhere/at/all']).finished;
  assert.equal(code, 2);
  assert.match(stderr, /--cache: read "\/nowhere\/at\/all"/);
});
