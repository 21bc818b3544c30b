import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDirectives, secondsOf } from '../../../src/http/caching/directives.ts';
import { type CacheRules, judgeArrival } from '../../../src/http/caching/storing-rules.ts';

const arrivedMs = Date.UTC(2026, 0, 1, 12);
const date = new Date(arrivedMs).toUTCString();

interface Given {
  readonly status?: number;
  readonly request?: Readonly<Record<string, string>>;
  readonly rules?: Partial<CacheRules>;
  /** Between the request and its answer. */
  readonly delayMs?: number;
}

function judge(
  fields: Readonly<Record<string, string>>,
  { status = 200, request = {}, rules = {}, delayMs = 0 }: Given = {},
) {
  return judgeArrival(
    {
      method: 'GET',
      requestFields: Object.entries(request).flat(),
      requestedMs: arrivedMs - delayMs,
      status,
      fields: Object.entries({ Date: date, ...fields }).flat(),
      arrivedMs,
    },
    { shared: true, ...rules },
  );
}

function lifetime(fields: Readonly<Record<string, string>>, given?: Given): number | string {
  const verdict = judge(fields, given);
  return verdict.kind === 'store' ? verdict.terms.lifetimeS : verdict.reason;
}

test('reads directives in any case, quoted or not, and nothing inside quoted strings', () => {
  assert.equal(secondsOf(parseDirectives('MAX-AGE="60"'), 'max-age'), 60);
  assert.equal(secondsOf(parseDirectives('x="max-age=9, no-store", max-age=1'), 'max-age'), 1);
  assert.equal(parseDirectives('x="a, no-store"').has('no-store'), false);
  assert.equal(parseDirectives('x="never ends, no-store').has('no-store'), false);
});

test('takes a lifetime that cannot be read for none, and the shorter one of two', () => {
  for (const text of ["max-age='60'", 'max-age=-1', 'max-age=1.5', 'max-age = 60', 'max-age', 'max-age=60a']) {
    assert.equal(secondsOf(parseDirectives(text), 'max-age'), 0, text);
  }
  assert.equal(secondsOf(parseDirectives('max-age=60, max-age=5'), 'max-age'), 5);
  assert.equal(secondsOf(parseDirectives('max-age=99999999999999999999'), 'max-age'), 2 ** 31);
});

test('takes s-maxage before max-age before Expires, in a shared cache', () => {
  const expires = new Date(arrivedMs + 30_000).toUTCString();
  assert.equal(lifetime({ Expires: expires }), 30);
  assert.equal(lifetime({ Expires: expires, 'Cache-Control': 'max-age=20' }), 20);
  assert.equal(lifetime({ Expires: expires, 'Cache-Control': 'max-age=20, s-maxage=10' }), 10);
  assert.equal(lifetime({ 'Cache-Control': 'max-age=20, s-maxage=10' }, { rules: { shared: false } }), 20);
});

test('takes an Expires that is no date, or has passed, for no lifetime', () => {
  for (const Expires of ['0', '-1', 'tomorrow', new Date(arrivedMs - 1000).toUTCString()]) {
    assert.equal(lifetime({ Expires, ETag: '"a"' }), 0, Expires);
  }
});

test('an answer is as old as it says, and older by the time that it took to come', () => {
  const age = (fields: Readonly<Record<string, string>>, delayMs: number) => {
    const verdict = judge({ 'Cache-Control': 'max-age=60', ...fields }, { delayMs });
    return verdict.kind === 'store' ? verdict.terms.ageS : verdict.reason;
  };
  assert.equal(age({}, 0), 0);
  assert.equal(age({}, 3500), 3.5);
  assert.equal(age({ Age: '10' }, 0), 10);
  assert.equal(age({ Age: '10' }, 3500), 13.5);
  // Its date may say that it is older still.
  const earlier = { Date: new Date(arrivedMs - 20_000).toUTCString() };
  assert.equal(age({ ...earlier, Age: '10' }, 3500), 20);
  assert.equal(age({ ...earlier, Age: '30' }, 3500), 33.5);
});

test('gives an answer without a lifetime a tenth of its age, or the ttl of the site', () => {
  const modified = { 'Last-Modified': new Date(arrivedMs - 1_000_000).toUTCString() };
  assert.equal(lifetime(modified), 100);
  assert.equal(lifetime(modified, { rules: { ttlS: 7 } }), 7);
  assert.equal(lifetime({}, { rules: { ttlS: 7 } }), 7);
  assert.equal(lifetime({}), 'no-lifetime');
  assert.equal(lifetime(modified, { status: 500 }), 'not-storable');
  assert.equal(lifetime({ 'Cache-Control': 'max-age=5' }, { rules: { ttlS: 7 } }), 5);
});

test('gives every answer that may be stored the lifetime that overrides', () => {
  const rules = { overrideS: 9 };
  assert.equal(lifetime({ 'Cache-Control': 'max-age=5, no-cache' }, { rules }), 9);
  assert.equal(lifetime({ 'Cache-Control': 'no-store' }, { rules }), 'no-store');
  assert.equal(lifetime({ 'Cache-Control': 'private' }, { rules }), 'private');
});

test('stores nothing that is private, partial, varies by everything, or must not be stored', () => {
  assert.equal(lifetime({ 'Cache-Control': 'max-age=5, private' }), 'private');
  assert.equal(lifetime({ 'Cache-Control': 'max-age=5, private' }, { rules: { shared: false } }), 5);
  assert.equal(lifetime({ 'Cache-Control': 'max-age=5' }, { status: 206 }), 'status');
  assert.equal(lifetime({ 'Cache-Control': 'max-age=5', Vary: 'Accept, *' }), 'vary');
});

test('stores a status that it does not know if the answer names a lifetime and does not ask for understanding', () => {
  assert.equal(lifetime({ 'Cache-Control': 'max-age=5' }, { status: 599 }), 5);
  assert.equal(lifetime({ 'Cache-Control': 'max-age=5, must-understand' }, { status: 599 }), 'must-understand');
  assert.equal(lifetime({ 'Cache-Control': 'max-age=5, must-understand, no-store' }), 5);
});

test('stores the answer to a request with credentials only if it says so', () => {
  const request = { Authorization: 'Basic eA==' };
  assert.equal(lifetime({ 'Cache-Control': 'max-age=5' }, { request }), 'not-storable');
  assert.equal(lifetime({ 'Cache-Control': 'max-age=5' }, { request, rules: { shared: false } }), 5);
  for (const more of ['public', 's-maxage=5', 'must-revalidate']) {
    assert.equal(lifetime({ 'Cache-Control': `max-age=5, ${more}` }, { request }), 5, more);
  }
});

test('gives a cookie to others only if the answer says public, or its site has a lifetime for all', () => {
  const modified = { 'Last-Modified': new Date(arrivedMs - 1_000_000).toUTCString() };
  const cookie = { 'Set-Cookie': 'a=b' };
  assert.equal(lifetime({ ...cookie, ...modified }), 'set-cookie');
  assert.equal(lifetime(cookie, { rules: { ttlS: 60 } }), 'set-cookie');
  assert.equal(lifetime({ ...cookie, 'Cache-Control': 'max-age=5' }), 'set-cookie');
  assert.equal(lifetime({ ...cookie, 'Cache-Control': 'public, max-age=5' }), 5);
  assert.equal(lifetime({ ...cookie, 'Cache-Control': 'max-age=5' }, { rules: { overrideS: 7 } }), 7);
  assert.equal(lifetime({ ...cookie, 'Cache-Control': 'max-age=5' }, { rules: { shared: false } }), 5);
});

test('obeys the field for shared caches alone in place of Cache-Control and Expires', () => {
  const fields = { 'Cache-Control': 'no-store', 'CDN-Cache-Control': 'max-age=8' };
  assert.equal(lifetime(fields), 8);
  assert.equal(lifetime(fields, { rules: { shared: false } }), 'no-store');
  assert.equal(lifetime({ 'Cache-Control': 'max-age=5', 'CDN-Cache-Control': 'no-store' }), 'no-store');
});

test('leaves out the fields that private and no-cache name, and those of one connection', () => {
  const verdict = judge({
    'Cache-Control': 'max-age=5, private="Set-Cookie", no-cache="X-User"',
    'Set-Cookie': 'a=b',
    'X-User': 'me',
    Connection: 'X-Hop',
    'X-Hop': '1',
    'X-Kept': '2',
  });
  assert.ok(verdict.kind === 'store');
  const names = verdict.fields.filter((_, index) => index % 2 === 0);
  assert.deepEqual(names, ['Date', 'Cache-Control', 'X-Kept']);
});

test('counts the age on arrival from Age, Date and the time that the answer took', () => {
  const aged = (fields: Readonly<Record<string, string>>) => {
    const verdict = judge({ 'Cache-Control': 'max-age=5', ...fields });
    return verdict.kind === 'store' ? verdict.terms.ageS : undefined;
  };
  assert.equal(aged({ Age: '3' }), 3);
  assert.equal(aged({ Date: new Date(arrivedMs - 4000).toUTCString(), Age: '3' }), 4);
});

test('RFC 9111, 5.1: the first of several ages counts, and one that is no number does not', () => {
  const aged = (Age: string) => {
    const verdict = judge({ 'Cache-Control': 'max-age=5', Age });
    return verdict.kind === 'store' ? verdict.terms.ageS : undefined;
  };
  for (const [Age, seconds] of [
    ['3, 0', 3],
    ['0, 7200', 0],
    ['3,3', 3],
    ['2147483649', 2 ** 31],
    ['-1', 0],
    ['x', 0],
    ['3.5', 0],
    ['3;a=1', 0],
    ['x, 7200', 0],
    ['', 0],
  ] as const) {
    assert.equal(aged(Age), seconds, Age);
  }
});

test('RFC 9213, 2.1: a targeted field that is no dictionary is ignored, and so is a value of another type', () => {
  const chosen = (targeted: string) => lifetime({ 'Cache-Control': 'max-age=5', 'CDN-Cache-Control': targeted });
  assert.equal(chosen('foobar, max-age=8'), 8);
  assert.equal(chosen('max-age=8;a="x";b, max-age=9'), 9);
  for (const broken of [
    'max-age=8, &&&&&',
    'max-age =8',
    'max-age= 8',
    'MAX-AGE=8',
    'max-age=8,',
    'a="x',
    '',
    'no-store;A',
  ]) {
    assert.equal(chosen(broken), 5, broken);
  }
  assert.equal(chosen('no-store=?0, max-age=8'), 8);
  assert.equal(chosen('no-store=?1'), 'no-store');
  assert.equal(chosen('max-age="8"'), 'no-lifetime');
});
