import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { HoplineError } from '../../../src/core/errors.ts';
import { makeCache } from '../../support/caches.ts';

const fresh = { 'Cache-Control': 'max-age=60' };

test('answers a second time from the cache, and says how old the answer is', async (t) => {
  const setup = await makeCache(t);
  setup.script = () => ({ fields: { ...fresh, 'X-Kept': 'yes' } });
  const first = await setup.ask();
  assert.equal(first.verdict, 'hopline; fwd=uri-miss; ttl=60; stored');
  assert.equal(first.field('age'), undefined);
  setup.advance(7);
  const second = await setup.ask();
  assert.equal(second.text, 'content');
  assert.equal(second.field('x-kept'), 'yes');
  assert.equal(second.field('age'), '7');
  assert.equal(second.verdict, 'hopline; hit; ttl=53');
  assert.equal(setup.reached.length, 1);
});

test('keeps hosts, queries and what Vary names apart', async (t) => {
  const setup = await makeCache(t);
  setup.script = ({ authority, target, fields }) => ({
    fields: { ...fresh, Vary: 'Accept-Language' },
    body: `${authority}${target}${fields}`,
  });
  const askings = [
    { authority: 'a.example' },
    { authority: 'b.example' },
    { authority: 'a.example', target: '/?q' },
    { authority: 'a.example', fields: { 'Accept-Language': 'de' } },
  ];
  const texts: string[] = [];
  for (const asking of askings) texts.push((await setup.ask(asking)).text);
  assert.equal(new Set(texts).size, askings.length);
  for (const [index, asking] of askings.entries()) assert.equal((await setup.ask(asking)).text, texts[index]);
  assert.equal(setup.reached.length, askings.length);
  const missed = await setup.ask({ authority: 'a.example', fields: { 'Accept-Language': 'fr' } });
  assert.match(missed.verdict ?? '', /fwd=vary-miss/);
});

test('asks the origin whether a stale answer still holds, and keeps it if so', async (t) => {
  const setup = await makeCache(t);
  setup.script = () => ({ fields: { ...fresh, ETag: '"one"', 'X-State': 'old' } });
  await setup.ask();
  await setup.ask();
  setup.advance(61);
  setup.script = () => ({ status: 304, fields: { ...fresh, ETag: '"one"', 'X-State': 'new' } });
  const confirmed = await setup.ask();
  assert.equal(confirmed.status, 200);
  assert.equal(confirmed.text, 'content');
  assert.equal(confirmed.field('x-state'), 'new');
  assert.equal(confirmed.verdict, 'hopline; fwd=stale; fwd-status=304; ttl=60; stored');
  assert.deepEqual(setup.reached[1]?.fields, ['If-None-Match', '"one"']);
  assert.match((await setup.ask()).verdict ?? '', /hit/);
  assert.equal(setup.reached.length, 2);
});

test('puts a new answer in place of a stale one', async (t) => {
  const setup = await makeCache(t);
  setup.script = () => ({ fields: { ...fresh, ETag: '"one"' }, body: 'one' });
  await setup.ask();
  await setup.ask();
  setup.advance(61);
  setup.script = () => ({ fields: { ...fresh, ETag: '"two"' }, body: 'two' });
  assert.equal((await setup.ask()).text, 'two');
  const again = await setup.ask();
  assert.equal(again.text, 'two');
  assert.match(again.verdict ?? '', /hit/);
  assert.equal(setup.cache.stat().entries, 1);
});

test('gives a confirmed answer to no one that its new Vary tells apart', async (t) => {
  const setup = await makeCache(t);
  setup.script = () => ({ fields: { ...fresh, ETag: '"one"' } });
  await setup.ask();
  await setup.restart();
  setup.advance(61);
  setup.script = () => ({ status: 304, fields: { ...fresh, ETag: '"one"', Vary: 'Accept' } });
  await setup.ask({ fields: { Accept: 'text/html' } });
  assert.match((await setup.ask({ fields: { Accept: 'text/html' } })).verdict ?? '', /hit/);
  assert.match((await setup.ask({ fields: { Accept: 'image/png' } })).verdict ?? '', /fwd=vary-miss/);
});

test('asks without conditions when the origin confirms another state than the stored one', async (t) => {
  const setup = await makeCache(t);
  setup.script = () => ({ fields: { ...fresh, ETag: '"one"' }, body: 'one' });
  await setup.ask();
  await setup.ask();
  setup.advance(61);
  setup.script = ({ fields }) =>
    fields.includes('If-None-Match') ? { status: 304, fields: { ETag: '"two"' } } : { fields: fresh, body: 'two' };
  assert.equal((await setup.ask()).text, 'two');
});

test('obeys what a request asks of the cache', async (t) => {
  const setup = await makeCache(t);
  setup.script = () => ({ fields: fresh });
  await setup.ask();
  await setup.ask();
  setup.advance(10);
  const control = async (text: string) => (await setup.ask({ fields: { 'Cache-Control': text } })).verdict ?? '';
  assert.match(await control('max-age=10'), /hit/);
  assert.match(await control('min-fresh=50'), /hit/);
  assert.match(await control('min-fresh=51'), /fwd=request/);
  setup.advance(10);
  assert.match(await control('max-age=9'), /fwd=request/);
  assert.match(await control('no-cache'), /fwd=request/);
  assert.match(await control('no-store'), /fwd=bypass/);
  assert.match((await setup.ask({ fields: { Pragma: 'no-cache' } })).verdict ?? '', /fwd=request/);
  await setup.restart();
  setup.advance(65);
  assert.match(await control('max-stale=5'), /hit; ttl=-5; detail=stale-allowed/);
  assert.match(await control('only-if-cached'), /only-if-cached/);
  assert.equal((await setup.ask({ fields: { 'Cache-Control': 'only-if-cached' } })).status, 504);
});

test('answers HEAD from a stored GET', async (t) => {
  const setup = await makeCache(t);
  setup.script = () => ({ fields: fresh });
  await setup.ask();
  await setup.ask();
  const head = await setup.ask({ method: 'HEAD' });
  assert.equal(head.body.length, 0);
  assert.equal(head.field('content-length'), '7');
  assert.match(head.verdict ?? '', /hit/);
  assert.equal(setup.reached.length, 1);
});

test('learns from the answer to HEAD whether the stored content still holds', async (t) => {
  const setup = await makeCache(t);
  setup.script = () => ({ fields: { ...fresh, ETag: '"one"' } });
  await setup.ask();
  await setup.ask();
  setup.advance(61);
  await setup.ask({ method: 'HEAD' });
  assert.match((await setup.ask()).verdict ?? '', /hit/);
  setup.advance(61);
  setup.script = () => ({ fields: { ...fresh, ETag: '"two"' } });
  await setup.ask({ method: 'HEAD' });
  assert.match((await setup.ask()).verdict ?? '', /fwd=uri-miss/);
});

test('answers conditions of a client from what is stored, and If-None-Match before If-Modified-Since', async (t) => {
  const setup = await makeCache(t);
  const modified = 'Tue, 01 Jul 2025 00:00:00 GMT';
  setup.script = () => ({ fields: { ...fresh, ETag: 'W/"one"', 'Last-Modified': modified, 'X-Other': '1' } });
  await setup.ask();
  await setup.ask();
  const same = await setup.ask({ fields: { 'If-None-Match': '"zero", "one"' } });
  assert.equal(same.status, 304);
  assert.equal(same.body.length, 0);
  assert.equal(same.field('etag'), 'W/"one"');
  assert.equal(same.field('x-other'), undefined);
  assert.equal((await setup.ask({ fields: { 'If-Modified-Since': modified } })).status, 304);
  const both = { 'If-None-Match': '"zero"', 'If-Modified-Since': modified };
  assert.equal((await setup.ask({ fields: both })).status, 200);
  assert.equal(setup.reached.length, 1);
});

test('answers ranges out of stored content, small or large, whole again if If-Range names another state', async (t) => {
  const setup = await makeCache(t, { limits: { maxCacheSmallBytes: 4 } });
  setup.script = ({ target }) => ({
    fields: { ...fresh, ETag: '"one"' },
    body: target === '/small' ? 'abcd' : 'abcdefghij',
  });
  for (const target of ['/small', '/large']) {
    await setup.ask({ target });
    await setup.ask({ target });
    const ranged = (fields: Readonly<Record<string, string>>) => setup.ask({ target, fields });
    const part = await ranged({ Range: 'bytes=1-2' });
    assert.equal(part.status, 206);
    assert.equal(part.text, 'bc');
    assert.equal(part.field('content-length'), '2');
    assert.match(part.field('content-range') ?? '', /^bytes 1-2\//);
    const parts = await ranged({ Range: 'bytes=0-0,3-3' });
    assert.match(parts.field('content-type') ?? '', /^multipart\/byteranges/);
    assert.equal(parts.field('content-length'), String(parts.body.length));
    assert.match(parts.text, /\r\n\r\na\r\n--.*\r\n\r\nd\r\n--/s);
    assert.equal((await ranged({ Range: 'bytes=99-' })).status, 416);
    assert.equal((await ranged({ Range: 'bytes=0-1', 'If-Range': '"one"' })).status, 206);
    assert.equal((await ranged({ Range: 'bytes=0-1', 'If-Range': '"two"' })).status, 200);
  }
  assert.equal(setup.reached.length, 2);
});

test('passes a range on when nothing is stored, and does not store the part', async (t) => {
  const setup = await makeCache(t);
  setup.script = () => ({ status: 206, fields: { ...fresh, 'Content-Range': 'bytes 0-1/9' }, body: 'ab' });
  for (let time = 0; time < 2; time += 1) {
    const part = await setup.ask({ fields: { Range: 'bytes=0-1' } });
    assert.equal(part.status, 206);
    assert.match(part.verdict ?? '', /fwd=uri-miss/);
  }
  assert.equal(setup.cache.stat().entries, 0);
});

test('forgets what an unsafe method may have changed, and what the answer names on the same host', async (t) => {
  const setup = await makeCache(t);
  setup.script = ({ method }) =>
    method === 'GET' ? { fields: fresh } : { fields: { Location: '/b', 'Content-Location': 'http://other.example/c' } };
  const targets = [{ target: '/a' }, { target: '/b' }, { target: '/c', authority: 'other.example' }];
  for (const asking of [...targets, ...targets]) await setup.ask(asking);
  await setup.ask({ target: '/a', method: 'POST' });
  const verdicts: string[] = [];
  for (const asking of targets) verdicts.push((await setup.ask(asking)).verdict ?? '');
  assert.match(verdicts[0] ?? '', /fwd/);
  assert.match(verdicts[1] ?? '', /fwd/);
  assert.match(verdicts[2] ?? '', /hit/);
});

test('keeps what is stored when an unsafe method fails', async (t) => {
  const setup = await makeCache(t);
  setup.script = ({ method }) => (method === 'GET' ? { fields: fresh } : { status: 500 });
  await setup.ask();
  await setup.ask();
  await setup.ask({ method: 'DELETE' });
  assert.match((await setup.ask()).verdict ?? '', /hit/);
});

test('stores nothing that an unsafe method overtook', async (t) => {
  const setup = await makeCache(t);
  const body = new Readable({ read() {} });
  setup.script = ({ method }) => (method === 'GET' ? { fields: fresh, body } : {});
  const early = await setup.start();
  await setup.ask({ method: 'PUT' });
  body.push('old');
  body.push(null);
  assert.ok(early.body instanceof Readable);
  for await (const _ of early.body);
  setup.script = () => ({ fields: fresh, body: 'new' });
  assert.equal((await setup.ask()).text, 'new');
  assert.equal((await setup.ask()).text, 'new');
});

test('serves a stale answer at once while it fetches a new one, where it may', async (t) => {
  const setup = await makeCache(t);
  setup.script = () => ({ fields: { 'Cache-Control': 'max-age=5, stale-while-revalidate=60' }, body: 'old' });
  await setup.ask();
  await setup.ask();
  setup.advance(10);
  setup.script = () => ({ fields: fresh, body: 'new' });
  const stale = await setup.ask();
  assert.equal(stale.text, 'old');
  assert.match(stale.verdict ?? '', /hit; ttl=-5; detail=stale-while-revalidate/);
  await setup.restart();
  assert.equal((await setup.ask()).text, 'new');
  assert.equal(setup.reached.length, 2);
});

test('serves a stale answer in place of an error only where and as long as it may', async (t) => {
  const broken = () => ({ status: 503, body: 'broken' });
  const ask = async (control: string, seconds: number, script = broken) => {
    const setup = await makeCache(t, { limits: { maxCacheStaleMs: 100_000 } });
    setup.script = () => ({ fields: { 'Cache-Control': control, ETag: '"one"' } });
    await setup.ask();
    await setup.ask();
    setup.advance(seconds);
    setup.script = script;
    return setup.ask();
  };
  assert.match((await ask('max-age=5, stale-if-error=60', 30)).verdict ?? '', /fwd-status=503.*stale-if-error/);
  assert.equal((await ask('max-age=5, stale-if-error=60', 66)).text, 'broken');
  assert.equal((await ask('max-age=5', 30)).text, 'broken');
  const lost = () => {
    throw new HoplineError('PEER_LOST', 'gone');
  };
  assert.match((await ask('max-age=5', 30, lost)).verdict ?? '', /origin-unreachable/);
  await assert.rejects(ask('max-age=5', 106, lost), { code: 'PEER_LOST' });
  for (const never of ['must-revalidate', 'proxy-revalidate', 's-maxage=5', 'no-cache']) {
    await assert.rejects(ask(`max-age=5, stale-if-error=60, ${never}`, 30, lost), { code: 'PEER_LOST' }, never);
  }
});

test('passes trailers on to whom the answer is fetched for', async (t) => {
  const setup = await makeCache(t);
  setup.script = () => ({ fields: fresh, trailers: { 'X-Sum': '1' } });
  const answer = await setup.start();
  assert.ok(answer.body instanceof Readable);
  for await (const _ of answer.body);
  assert.deepEqual(answer.trailers?.(), ['X-Sum', '1']);
});

test('lets the answer out of the cache of one user that a shared one must not keep', async (t) => {
  const setup = await makeCache(t, { shared: false });
  setup.script = () => ({ fields: { 'Cache-Control': 'private, max-age=60' } });
  await setup.ask({ fields: { Authorization: 'Basic eA==' } });
  await setup.ask();
  assert.equal(setup.reached.length, 1);
});

test('goes on without the cache for what the origin must judge or what has content', async (t) => {
  const setup = await makeCache(t);
  setup.script = () => ({ fields: fresh });
  await setup.ask();
  await setup.ask();
  assert.match((await setup.ask({ fields: { 'If-Match': '"one"' } })).verdict ?? '', /fwd=bypass/);
  assert.match((await setup.ask({ body: Readable.from(['x']) })).verdict ?? '', /fwd=bypass/);
  assert.equal(setup.reached.length, 3);
});

test('tells how many answers a host or a URL loses by a flush', async (t) => {
  const setup = await makeCache(t);
  setup.script = () => ({ fields: fresh });
  const askings = [{ target: '/a' }, { target: '/b' }, { authority: 'other.example:81', target: '/a' }];
  for (const asking of [...askings, ...askings]) await setup.ask(asking);
  assert.equal(setup.cache.list().length, 3);
  assert.equal(await setup.cache.flush('http://example.org/a'), 1);
  assert.equal(await setup.cache.flush('OTHER.example:81'), 1);
  assert.equal(await setup.cache.flush(), 1);
  assert.equal(setup.cache.stat().bytes, 0);
});

test('RFC 9111, 4.4: a method that nobody calls safe makes what is stored invalid, one that is safe does not', async (t) => {
  for (const [method, reached] of [
    ['M-SEARCH', 3],
    ['PURGE', 3],
    ['LINK', 3],
    ['SEARCH', 2],
    ['QUERY', 2],
    ['PROPFIND', 2],
  ] as const) {
    const setup = await makeCache(t);
    setup.script = () => ({ fields: fresh });
    await setup.ask();
    await setup.ask({ method });
    await setup.ask();
    assert.equal(setup.reached.length, reached, method);
  }
});

test('RFC 9111, 3.3: a part is passed on and not stored, and neither is one that is shorter than it says', async (t) => {
  const setup = await makeCache(t);
  const fields = { ...fresh, ETag: '"one"', 'Content-Range': 'bytes 4-9/10' };
  setup.script = () => ({ status: 206, fields, body: '01234' });
  for (let times = 0; times < 2; times += 1) {
    const part = await setup.ask({ fields: { Range: 'bytes=4-9' } });
    assert.equal(part.status, 206);
    assert.match(part.verdict ?? '', /fwd=uri-miss; detail=part/);
  }
  assert.equal(setup.cache.stat().entries, 0);
});

test('RFC 9111, 4.3.2: a stored 204 stays one, whatever a client has already', async (t) => {
  const setup = await makeCache(t);
  setup.script = () => ({ status: 204, fields: { ...fresh, ETag: '"one"' } });
  for (let times = 0; times < 2; times += 1) assert.equal((await setup.ask()).status, 204);
  const later = { 'If-Modified-Since': new Date(Date.UTC(2026, 0, 2)).toUTCString() };
  assert.equal((await setup.ask({ fields: later })).status, 204);
  assert.equal((await setup.ask({ fields: { 'If-None-Match': '"one"' } })).status, 204);
  assert.equal(setup.reached.length, 1);
});
