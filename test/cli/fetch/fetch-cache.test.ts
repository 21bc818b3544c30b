import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { runProgram } from '../../support/program.ts';
import { makeTempRoot } from '../../support/temp-root.ts';
import { startWebServer } from '../../support/web-server.ts';

/** A server whose answers are fresh for an hour, and a way to fetch with a cache of its own. */
async function startCached(t: TestContext, variable = 'HOPLINE_CACHE') {
  const root = await makeTempRoot(t);
  const server = await startWebServer(t, (request, response) => {
    response.setHeader('Cache-Control', 'private, max-age=3600').setHeader('Content-Type', 'text/plain');
    response.end(`content of ${request.url}\n`);
  });
  const env = { HOPLINE_CACHE: '', XDG_CACHE_HOME: '', [variable]: path.join(root.path, 'cache') };
  return { root, server, fetch: (...args: string[]) => runProgram(t, ['fetch', ...args], { env, cwd: root.path }) };
}

test('what is fresh is not asked for again, whether it is printed or saved, unless --no-cache says so', async (t) => {
  const { root, server, fetch } = await startCached(t);
  for (const args of [[], ['-q'], ['-o', 'x']]) {
    const { code, stderr } = await fetch(`${server.url}/a`, ...args);
    assert.deepEqual([code, stderr], [0, '']);
  }
  assert.equal(server.requests.length, 1);
  assert.equal(await readFile(path.join(root.path, 'x'), 'utf8'), 'content of /a\n');
  const fresh = await fetch(`${server.url}/a`, '--no-cache');
  assert.equal(fresh.stdout, 'content of /a\n');
  assert.equal(server.requests.length, 2);
});

test('--cache-ttl is how long an answer is fresh that does not say', async (t) => {
  const root = await makeTempRoot(t);
  const server = await startWebServer(t, (_request, response) => {
    response.setHeader('Content-Type', 'text/plain').end('content\n');
  });
  const env = { HOPLINE_CACHE: path.join(root.path, 'cache') };
  const fetch = (...args: string[]) => runProgram(t, ['fetch', `${server.url}/a`, ...args], { env });
  for (const count of [1, 1]) {
    assert.equal((await fetch('--cache-ttl', '1h')).stdout, 'content\n');
    assert.equal(server.requests.length, count);
  }
  await runProgram(t, ['fetch', '--flush'], { env });
  for (const count of [2, 3]) {
    await fetch();
    assert.equal(server.requests.length, count);
  }
});

test('--flush removes a URL, or everything, and fetches nothing', async (t) => {
  const { server, fetch } = await startCached(t);
  assert.equal((await fetch('--flush')).stdout, '0 answers removed\n');
  for (const name of ['a', 'b', 'c']) await fetch(`${server.url}/${name}`);
  assert.equal((await fetch('--flush', `${server.url}/a`)).stdout, '1 answer removed\n');
  await fetch(`${server.url}/b`);
  assert.equal(server.requests.length, 3);
  assert.equal((await fetch('--flush')).stdout, '2 answers removed\n');
  await fetch(`${server.url}/b`);
  assert.equal(server.requests.length, 4);
  assert.equal((await fetch()).code, 2);
});

test("the cache is in the user's directory for caches", { skip: process.platform === 'win32' && 'XDG' }, async (t) => {
  const { root, server, fetch } = await startCached(t, 'XDG_CACHE_HOME');
  await fetch(server.url);
  await fetch(server.url);
  assert.equal(server.requests.length, 1);
  assert.deepEqual(await root.list(), ['cache']);
});

test('a cache that cannot be opened is done without', async (t) => {
  const { root, server, fetch } = await startCached(t);
  await mkdir(root.path, { recursive: true });
  await writeFile(path.join(root.path, 'cache'), 'in the way');
  const { code, stdout, stderr } = await fetch(`${server.url}/a`);
  assert.deepEqual([code, stdout], [0, 'content of /a\n']);
  assert.match(stderr, /^going on without the cache: /);
});

test('fetches at once do not wait for each other', async (t) => {
  const { server, fetch } = await startCached(t);
  const ended = await Promise.all(['a', 'b', 'c', 'd'].map((name) => fetch(`${server.url}/${name}`)));
  for (const { code, stderr } of ended) assert.deepEqual([code, stderr], [0, '']);
});
