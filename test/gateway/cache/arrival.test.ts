import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rename } from 'node:fs/promises';
import type http from 'node:http';
import { type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { systemClock } from '../../../src/core/clock.ts';
import { defaultLimits, type Limits } from '../../../src/core/limits.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { listHttpCache } from '../../../src/gateway/cache/admin/inspect.ts';
import { createHttpCache } from '../../../src/gateway/cache/cache.ts';
import { makeCache } from '../../support/caches.ts';
import { ask, startBackend, startTestGateway } from '../../support/http.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const fresh = { 'Cache-Control': 'max-age=60' };

/** A gateway with a cache before a real server. */
async function startCaching(t: TestContext, answer: http.RequestListener, changed: Partial<Limits> = {}) {
  const { path: directory } = await makeTempRoot(t);
  const limits = { ...defaultLimits, ...changed };
  const cache = await createHttpCache({ directory, limits, log: silentLogger });
  const backend = await startBackend(t, answer);
  const site = { host: '*', backend: { members: [backend.address] }, wrap: cache.wrap };
  const gateway = await startTestGateway(t, { sites: [site] });
  t.after(() => cache.close());
  return { directory, cache, backend, gateway };
}

test('has a small answer on disk when the client has it, and the connection that it came by goes on', async (t) => {
  const content = 'x'.repeat(1000);
  const { directory, backend, gateway } = await startCaching(t, (_request, response) => {
    response.writeHead(200, { ...fresh, 'Content-Length': '1000' }).end(content);
  });
  for (const path of ['/a', '/b', '/c']) {
    assert.equal((await ask(gateway.port, { path })).body, content);
    const stored = (await listHttpCache(directory)).map(({ url }) => new URL(url).pathname);
    assert.ok(stored.includes(path), path);
  }
  for (const path of ['/a', '/b', '/c']) {
    const { body, headers } = await ask(gateway.port, { path });
    assert.equal(body, content);
    assert.match(String(headers['cache-status']), /hit/);
  }
  assert.equal(new Set(backend.requests.map(({ socket }) => socket)).size, 1);
  assert.equal(backend.requests.length, 3);
});

test('takes the same content whole, in pieces, in chunks, empty and with trailers', async (t) => {
  const content = randomBytes(3000).toString('hex');
  const answers: Readonly<Record<string, http.RequestListener>> = {
    '/whole': (_request, response) => response.writeHead(200, { ...fresh, 'Content-Length': 6000 }).end(content),
    '/pieces': async (_request, response) => {
      response.writeHead(200, { ...fresh, 'Content-Length': 6000 }).flushHeaders();
      for (let at = 0; at < 6000; at += 2000) {
        await wait(5);
        response.write(content.slice(at, at + 2000));
      }
      response.end();
    },
    '/chunks': (_request, response) => {
      response.writeHead(200, fresh).write(content.slice(0, 10));
      response.end(content.slice(10));
    },
    '/empty': (_request, response) => response.writeHead(200, { ...fresh, 'Content-Length': 0 }).end(),
    '/none': (_request, response) => response.writeHead(204, fresh).end(),
    '/trailers': (_request, response) => {
      response.writeHead(200, { ...fresh, Trailer: 'X-Sum' }).write(content);
      response.addTrailers({ 'X-Sum': '1' });
      response.end();
    },
  };
  const { backend, gateway } = await startCaching(t, (request, response) =>
    answers[request.url ?? '']?.(request, response),
  );
  for (const path of Object.keys(answers)) {
    const first = await ask(gateway.port, { path });
    assert.match(String(first.headers['cache-status']), /stored/, path);
    assert.equal(first.trailers['x-sum'], path === '/trailers' ? '1' : undefined, path);
    const second = await ask(gateway.port, { path });
    assert.match(String(second.headers['cache-status']), /hit/, path);
    for (const { body } of [first, second]) assert.equal(body, /empty|none/.test(path) ? '' : content, path);
  }
  assert.equal(backend.requests.length, Object.keys(answers).length);
});

test('stores nothing of a small answer that breaks off', async (t) => {
  const { cache, gateway } = await startCaching(t, (_request, response) => {
    response.writeHead(200, { ...fresh, 'Content-Length': 1000 }).write('half', () => response.destroy());
  });
  await assert.rejects(ask(gateway.port), { code: 'ECONNRESET' });
  assert.equal(cache.stat().entries, 0);
});

test('passes on a small answer that cannot be written, says so once, and stores again when it can', async (t) => {
  const lines: string[] = [];
  const setup = await makeCache(t, { onWarning: (line) => lines.push(line) });
  setup.script = () => ({ fields: fresh, body: 'small' });
  const away = `${setup.directory}-away`;
  await rename(setup.directory, away);
  for (const target of ['/a', '/b']) assert.equal((await setup.ask({ target })).text, 'small');
  assert.equal(setup.cache.stat().entries, 0);
  await rename(away, setup.directory);
  assert.deepEqual(lines, ['answers are passed on without being stored']);
  await setup.ask({ target: '/c' });
  assert.equal(setup.cache.stat().entries, 1);
});

test('removes the file of each small answer that makes room for another', async (t) => {
  const { directory, gateway } = await startCaching(
    t,
    (_request, response) => response.writeHead(200, { ...fresh, 'Content-Length': 2 }).end('ok'),
    { maxCacheEntries: 3 },
  );
  for (let count = 0; count < 10; count += 1) await ask(gateway.port, { path: `/${count}` });
  const stored = (await listHttpCache(directory)).map(({ url }) => new URL(url).pathname);
  assert.deepEqual(stored.sort(), ['/7', '/8', '/9']);
});

test('leaves small answers to other threads for a while when the disk is slow, and fetches each once all the same', async (t) => {
  let nowMs = 0;
  let stepMs = 0;
  const now = () => {
    nowMs += stepMs;
    return nowMs;
  };
  const setup = await makeCache(t, { limits: { maxCachePutUs: 100 }, clock: { ...systemClock, now } });
  setup.script = () => ({ status: 204, fields: fresh });
  const isStoredAtOnce = async (target: string) => {
    await setup.start({ target });
    const isAtOnce = setup.cache.stat().entries > 0;
    const again = await Promise.all([setup.ask({ target }), setup.ask({ target })]);
    for (const { verdict } of again) assert.match(verdict ?? '', /hit|collapsed/);
    await setup.cache.flush();
    return isAtOnce;
  };
  assert.equal(await isStoredAtOnce('/quick'), true);
  stepMs = 10;
  assert.equal(await isStoredAtOnce('/found-slow'), true);
  stepMs = 0;
  assert.equal(await isStoredAtOnce('/slow'), false);
  nowMs += defaultLimits.cacheSlowMs;
  assert.equal(await isStoredAtOnce('/quick-again'), true);
  assert.equal(setup.reached.length, 4);
});
