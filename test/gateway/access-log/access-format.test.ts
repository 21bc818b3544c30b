import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type AccessRecord, createAccessFormat } from '../../../src/gateway/access-log/access-format.ts';

const record: AccessRecord = {
  time: Date.UTC(2026, 10, 21, 9, 5, 7, 250),
  client: '192.0.2.7',
  site: 'www.example.org',
  backend: '10.0.0.5:80',
  method: 'GET',
  target: '/a?b=c',
  version: '1.1',
  status: 200,
  bytes: 1234,
  firstByteMs: 1.23456,
  totalMs: 2,
  cache: 'hit',
  retries: 1,
  id: '0123456789abcdef0123456789abcdef',
  referer: 'http://example.org/?token=x',
  userAgent: 'curl/8.5',
};

test('a combined line has the fields that log readers know, in UTC', () => {
  assert.equal(
    createAccessFormat('combined')(record),
    '192.0.2.7 - - [21/Nov/2026:09:05:07 +0000] "GET /a?b=c HTTP/1.1" 200 1234 "http://example.org/?token=x" "curl/8.5"\n',
  );
});

test('a user in a combined line is one word, whatever the name', () => {
  const line = createAccessFormat('combined')({ ...record, user: 'zo\u00eb "x" - [y]\\' });
  assert.match(line, /^192\.0\.2\.7 - zo\\xc3\\xab\\x20\\"x\\"\\x20-\\x20\[y\]\\\\ \[21\/Nov/);
});

test('a combined line says what is missing with a dash', () => {
  const line = createAccessFormat('combined')({ ...record, bytes: 0, referer: undefined, userAgent: undefined });
  assert.match(line, / 200 - "-" "-"\n$/);
});

test('a combined line changes its second with the clock', () => {
  const format = createAccessFormat('combined');
  format(record);
  assert.match(format({ ...record, time: record.time + 1000 }), /09:05:08 \+0000/);
});

test('a JSON line has everything that is known of a request', () => {
  const line = JSON.parse(createAccessFormat('json')({ ...record, error: 'PEER_LOST' }));
  assert.deepEqual(line, {
    time: '2026-11-21T09:05:07.250Z',
    client: '192.0.2.7',
    site: 'www.example.org',
    backend: '10.0.0.5:80',
    method: 'GET',
    target: '/a?b=c',
    version: '1.1',
    status: 200,
    bytes: 1234,
    firstByteMs: 1.235,
    totalMs: 2,
    cache: 'hit',
    retries: 1,
    id: record.id,
    referer: record.referer,
    userAgent: record.userAgent,
    error: 'PEER_LOST',
  });
});

test('quotes, backslashes, control bytes and bytes above ASCII are escaped in a combined line', () => {
  const userAgent = 'a"b\\c\n\x1b[31m\x7f\xe9';
  const line = createAccessFormat('combined')({ ...record, userAgent });
  assert.ok(line.endsWith(' "a\\"b\\\\c\\x0a\\x1b[31m\\x7f\\xe9"\n'), line);
});

test('whatever a client sends, a record is one line without control bytes', () => {
  const bytes = fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array).toString('latin1'));
  const check = (target: string, userAgent: string, referer: string) => {
    for (const format of ['combined', 'json'] as const) {
      const line = createAccessFormat(format, ['a'])({ ...record, target, userAgent, referer });
      assert.equal(line.indexOf('\n'), line.length - 1);
      const codes = [...line.slice(0, -1)].map((character) => character.charCodeAt(0));
      assert.ok(codes.every((code) => code >= 0x20 && (format === 'json' || code <= 0x7e)));
    }
  };
  fc.assert(fc.property(bytes, bytes, bytes, check));
});

for (const [target, mask, masked] of [
  ['/a?token=s3cret&x=1', ['token'], '/a?token=***&x=1'],
  ['/a?x=1&TOKEN=s&token=t', ['Token'], '/a?x=1&TOKEN=***&token=***'],
  ['/a?to%6ben=s', ['token'], '/a?to%6ben=***'],
  ['/a?token=a=b&%zz=1', ['token'], '/a?token=***&%zz=1'],
  ['/a?x=1&y=2&z', 'all', '/a?x=***&y=***&***'],
  ['/token=1', ['token'], '/token=1'],
  ['/a?', 'all', '/a?'],
] as const) {
  test(`the query of ${target} is written as ${masked} where ${mask} is masked`, () => {
    const format = createAccessFormat('json', mask);
    assert.equal(JSON.parse(format({ ...record, target })).target, masked);
  });
}

test('secrets are masked in the referer as well', () => {
  const format = createAccessFormat('combined', ['token']);
  assert.match(format(record), /"http:\/\/example\.org\/\?token=\*\*\*"/);
});
