import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import type { HttpRequest } from '../../../src/http/exchange.ts';
import { fieldValue } from '../../../src/http/fields.ts';
import { type CacheSetup, makeCache, type Scripted } from '../../support/caches.ts';

const content = randomBytes(400_000);
const limits = { maxCacheAbandonedBytes: 1000 };
const fresh = { 'Cache-Control': 'max-age=60', ETag: '"one"' };

/** An origin of one file, in ranges if they are asked for. */
function file(fields: Readonly<Record<string, string>> = fresh, bytes = content): (request: HttpRequest) => Scripted {
  return (request) => {
    const [, from = '', to = ''] = /^bytes=(\d*)-(\d*)$/.exec(fieldValue(request.fields, 'range') ?? '') ?? [];
    if (from === '' && to === '') return { fields, body: bytes };
    const offset = from === '' ? bytes.length - Number(to) : Number(from);
    const end = from === '' || to === '' ? bytes.length : Math.min(bytes.length, Number(to) + 1);
    const range = { 'Content-Range': `bytes ${offset}-${end - 1}/${bytes.length}` };
    return { status: 206, fields: { ...fields, ...range }, body: bytes.subarray(offset, end) };
  };
}

async function range(setup: CacheSetup, value: string, bytes = content): Promise<void> {
  const [, from = '', to = ''] = /(\d*)-(\d*)/.exec(value) ?? [];
  const part = await setup.ask({ fields: { Range: `bytes=${value}` } });
  assert.equal(part.status, 206, value);
  assert.ok(part.body.equals(bytes.subarray(Number(from), to === '' ? bytes.length : Number(to) + 1)), value);
}

/** A download of the whole whose client leaves behind 200,000 bytes. */
async function breakOff(setup: CacheSetup, fields: Readonly<Record<string, string>> = fresh): Promise<void> {
  const broken = new Readable({ read() {} });
  broken.push(content.subarray(0, 250_000));
  setup.script = () => ({ fields: { ...fields, 'Content-Length': String(content.length) }, body: broken });
  const { body } = await setup.start();
  assert.ok(body instanceof Readable);
  let came = 0;
  for await (const chunk of body) {
    came += chunk.length;
    if (came >= 200_000) break;
  }
}

/** Settles when one answer is stored: it is looked for each time that something else had its turn. */
async function stored(setup: CacheSetup): Promise<void> {
  while (setup.cache.stat().entries === 0) await new Promise(setImmediate);
}

async function isHit(setup: CacheSetup, bytes = content): Promise<boolean> {
  const before = setup.reached.length;
  const whole = await setup.ask();
  assert.equal(whole.status, 200);
  assert.ok(whole.body.equals(bytes));
  return setup.reached.length === before && /; hit/.test(whole.verdict ?? '');
}

test('asks for the whole when a range begins where it does, and the next download is a hit', async (t) => {
  for (const value of ['0-', '1000-', `0-${content.length - 1}`]) {
    const setup = await makeCache(t, { limits });
    setup.script = file();
    await range(setup, value);
    await stored(setup);
    assert.equal(fieldValue(setup.reached[0]?.fields ?? [], 'range'), undefined);
    assert.ok(await isHit(setup), value);
  }
});

test('puts the ranges of a parallel download together, in any order', async (t) => {
  const setup = await makeCache(t, { limits });
  setup.script = file();
  for (const value of ['300000-', '100000-199999', '150000-300010', '0-100000']) await range(setup, value);
  await stored(setup);
  assert.ok(await isHit(setup));
  assert.ok(await setup.restart().then(() => isHit(setup)), 'it is stored as any other');
});

test('puts a broken download and the rest of it together', async (t) => {
  const setup = await makeCache(t, { limits });
  await breakOff(setup);
  setup.script = file();
  await range(setup, '200000-');
  await stored(setup);
  assert.ok(await isHit(setup));
});

test('never puts together what has no strong validator, or another one', async (t) => {
  const other = randomBytes(content.length);
  const cases: [Readonly<Record<string, string>>, Readonly<Record<string, string>>][] = [
    [
      { ...fresh, ETag: 'W/"one"' },
      { ...fresh, ETag: 'W/"one"' },
    ],
    [{ 'Cache-Control': 'max-age=60' }, { 'Cache-Control': 'max-age=60' }],
    [fresh, { ...fresh, ETag: '"two"' }],
  ];
  for (const [first, second] of cases) {
    const setup = await makeCache(t, { limits });
    await breakOff(setup, first);
    setup.script = file(second, other);
    await range(setup, '200000-', other);
    assert.equal(await isHit(setup, other), false);
    await setup.restart();
    assert.deepEqual(
      readdirSync(setup.directory).filter((name) => name.endsWith('.entry')).length,
      setup.cache.stat().entries,
      'nothing is left of parts',
    );
  }
});

test('stores nothing of parts that came before their URL was flushed', async (t) => {
  const setup = await makeCache(t, { limits });
  await breakOff(setup);
  await setup.cache.flush();
  setup.script = file();
  await range(setup, '200000-');
  assert.equal(await isHit(setup), false);
});

test('passes ranges on as they are where the whole is not for the cache', async (t) => {
  const setup = await makeCache(t, { limits });
  setup.script = file({ 'Cache-Control': 'no-store', ETag: '"one"' });
  await range(setup, '0-99');
  await range(setup, '0-99');
  const ranges = setup.reached.map(({ fields }) => fieldValue(fields, 'range'));
  assert.deepEqual(ranges, [undefined, 'bytes=0-99', 'bytes=0-99'], 'the whole is asked for once');
  assert.equal(setup.cache.stat().entries, 0);
});

test('fetches what is small behind any range of it', async (t) => {
  const setup = await makeCache(t);
  setup.script = file();
  await range(setup, '-100', content.subarray(content.length - 100)).catch(() => {});
  await stored(setup);
  assert.ok(await isHit(setup));
});

test('gives up the parts used longest ago when there are too many', async (t) => {
  const setup = await makeCache(t, { limits: { ...limits, maxCacheGathered: 1 } });
  await breakOff(setup);
  setup.script = file();
  const part = await setup.start({ target: '/other', fields: { Range: 'bytes=100000-' } });
  assert.ok(part.body instanceof Readable);
  part.body.destroy();
  await once(part.body, 'close');
  await range(setup, '200000-');
  assert.equal(await isHit(setup), false);
});
