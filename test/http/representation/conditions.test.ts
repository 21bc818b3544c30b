import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  evaluateConditions,
  isRangeCurrent,
  parseDate,
  type Validators,
} from '../../../src/http/representation/conditions.ts';

const modified = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
const same = 'Fri, 02 Jan 2026 03:04:05 GMT';
const before = 'Fri, 02 Jan 2026 03:04:04 GMT';
const after = 'Fri, 02 Jan 2026 03:04:06 GMT';
const strong: Validators = { etag: '"a"', lastModified: modified };
const weak: Validators = { etag: 'W/"a"', lastModified: modified };

const table: readonly [
  rule: string,
  fields: string[],
  current: Validators | undefined,
  method: string,
  verdict: string,
][] = [
  ['13.1.1: If-Match with the tag', ['If-Match', '"b", "a"'], strong, 'GET', 'perform'],
  ['13.1.1: If-Match with other tags', ['If-Match', '"b"'], strong, 'PUT', 'failed'],
  ['13.1.1: If-Match compares strongly', ['If-Match', 'W/"a"'], weak, 'PUT', 'failed'],
  ['13.1.1: If-Match: * with a representation', ['If-Match', '*'], strong, 'PUT', 'perform'],
  ['13.1.1: If-Match: * without one', ['If-Match', '*'], undefined, 'PUT', 'failed'],
  ['13.1.2: If-None-Match with the tag, of a read', ['If-None-Match', '"b","a"'], strong, 'GET', 'not-modified'],
  ['13.1.2: If-None-Match with the tag, of HEAD', ['If-None-Match', '"a"'], strong, 'HEAD', 'not-modified'],
  ['13.1.2: If-None-Match with the tag, of a write', ['If-None-Match', '"a"'], strong, 'PUT', 'failed'],
  ['13.1.2: If-None-Match compares weakly', ['If-None-Match', 'W/"a"'], strong, 'GET', 'not-modified'],
  ['13.1.2: If-None-Match with a comma in a tag', ['If-None-Match', '"b,a"'], strong, 'GET', 'perform'],
  [
    '13.1.2: If-None-Match in two lines',
    ['If-None-Match', '"b"', 'if-none-match', '"a"'],
    strong,
    'GET',
    'not-modified',
  ],
  ['13.1.2: If-None-Match: * without a representation', ['If-None-Match', '*'], undefined, 'PUT', 'perform'],
  ['13.1.2: If-None-Match: * with one', ['If-None-Match', '*'], strong, 'PUT', 'failed'],
  ['13.1.3: If-Modified-Since at the time', ['If-Modified-Since', same], strong, 'GET', 'not-modified'],
  ['13.1.3: If-Modified-Since later', ['If-Modified-Since', after], strong, 'GET', 'not-modified'],
  ['13.1.3: If-Modified-Since earlier', ['If-Modified-Since', before], strong, 'GET', 'perform'],
  ['13.1.3: If-Modified-Since is ignored for a write', ['If-Modified-Since', after], strong, 'POST', 'perform'],
  ['13.1.3: If-Modified-Since that is no date', ['If-Modified-Since', 'yesterday'], strong, 'GET', 'perform'],
  ['13.1.3: If-Modified-Since twice', ['If-Modified-Since', same, 'If-Modified-Since', same], strong, 'GET', 'perform'],
  [
    '13.1.3: If-None-Match goes before it',
    ['If-Modified-Since', after, 'If-None-Match', '"b"'],
    strong,
    'GET',
    'perform',
  ],
  ['13.1.3: without a known time', ['If-Modified-Since', after], { etag: '"a"' }, 'GET', 'perform'],
  ['13.1.4: If-Unmodified-Since at the time', ['If-Unmodified-Since', same], strong, 'GET', 'perform'],
  ['13.1.4: If-Unmodified-Since earlier', ['If-Unmodified-Since', before], strong, 'GET', 'failed'],
  ['13.1.4: If-Match goes before it', ['If-Match', '"a"', 'If-Unmodified-Since', before], strong, 'GET', 'perform'],
  ['13.2.2: If-Match fails before If-None-Match', ['If-None-Match', '"a"', 'If-Match', '"b"'], strong, 'GET', 'failed'],
  ['13.2.2: both hold', ['If-Match', '"a"', 'If-None-Match', '"a"'], strong, 'GET', 'not-modified'],
  ['13.2.2: no condition', ['Accept', '*/*'], strong, 'GET', 'perform'],
];

for (const [rule, fields, current, method, verdict] of table) {
  test(`RFC 9110, ${rule}: ${verdict}`, () => {
    assert.equal(evaluateConditions(method, fields, current), verdict);
  });
}

const later = modified + 60_000;
const ifRange: readonly [
  rule: string,
  value: string | undefined,
  current: Validators,
  date: number,
  counts: boolean,
][] = [
  ['without it', undefined, strong, later, true],
  ['the same strong tag', '"a"', strong, later, true],
  ['another tag', '"b"', strong, later, false],
  ['a weak tag never', 'W/"a"', weak, later, false],
  ['the same date', same, strong, later, true],
  ['a later date is another one', after, strong, later, false],
  ['a date that is not a second old yet', same, strong, modified, false],
  ['a date where none is known', same, { etag: '"a"' }, later, false],
  ['what is neither', 'a', strong, later, false],
];

for (const [rule, value, current, date, counts] of ifRange) {
  test(`RFC 9110, 13.1.5: If-Range, ${rule}: the range ${counts ? 'counts' : 'is ignored'}`, () => {
    const fields = value === undefined ? [] : ['if-range', value];
    assert.equal(isRangeCurrent(fields, current, date), counts);
  });
}

test('RFC 9110, 5.6.7: the three forms of a date, and no other', () => {
  const expected = Date.UTC(1994, 10, 6, 8, 49, 37);
  assert.equal(parseDate('Sun, 06 Nov 1994 08:49:37 GMT'), expected);
  assert.equal(parseDate('Sunday, 06-Nov-94 08:49:37 GMT'), expected);
  assert.equal(parseDate('Sun Nov  6 08:49:37 1994'), expected);
  for (const text of ['1994-11-06', 'Sun, 06 Nov 1994 08:49:37 +0100', 'Sun, 36 Nov 1994 08:49:37 GMT', '0']) {
    assert.equal(parseDate(text), undefined);
  }
});

test('RFC 9111, 4.2: a date counts in any case of letters, and in no zone but GMT', () => {
  const expected = Date.UTC(1994, 10, 6, 8, 49, 37);
  for (const text of [
    'SUN, 06 Nov 1994 08:49:37 GMT',
    'Sun, 06 nOV 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 08:49:37 gMT',
  ]) {
    assert.equal(parseDate(text), expected, text);
  }
  for (const text of ['Sun, 06 Nov 1994 08:49:37 UTC', 'Sun, 06 Nov 1994 08:49:37 AEST']) {
    assert.equal(parseDate(text), undefined, text);
  }
});

test('RFC 9110, 5.6.7: a year of two digits is at most 50 years from now', () => {
  const now = Date.UTC(2026, 5, 1);
  const yearOf = (digits: string) =>
    new Date(parseDate(`Sunday, 06-Nov-${digits} 08:49:37 GMT`, now) ?? 0).getUTCFullYear();
  assert.deepEqual(['26', '50', '76', '77', '94', '00'].map(yearOf), [2026, 2050, 2076, 1977, 1994, 2000]);
});
