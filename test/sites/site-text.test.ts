import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatHop, HoplineError, parseSite } from '../../src/index.ts';

const table: readonly [text: string, expected: string][] = [
  ['www.example.org=10.0.0.5:8080,10.0.0.6', 'www.example.org: http 10.0.0.5:8080 10.0.0.6:80'],
  ['*=[::1],[::1]:81', '*: http [::1]:80 [::1]:81'],
  ['a=http://web/', 'a: http web:80'],
  ['a=https://web, https://web:8443', 'a: https web:443 web:8443'],
  [
    'a=10.0.0.5 via 10.0.0.1:7001,10.0.0.2:7001|10.0.0.3:7001',
    'a: http 10.0.0.5:80 via 10.0.0.1:7001,10.0.0.2:7001|10.0.0.3:7001',
  ],
  ['*.a=route:10.0.0.1:7001, 10.0.0.2:7001', '*.a: route 10.0.0.1:7001,10.0.0.2:7001'],
  ['a=root:/srv/a=b c', 'a: root /srv/a=b c'],
];

for (const [text, expected] of table) {
  test(`the site "${text}" is read`, () => {
    const { host, backend } = parseSite(text);
    const via =
      'routes' in backend
        ? backend.routes?.map((places) => places.map((place) => place.map(formatHop).join('|')).join(','))
        : undefined;
    const parts =
      backend.kind === 'servers'
        ? [backend.isTls ? 'https' : 'http', ...backend.members.map(formatHop), ...(via ? ['via', ...via] : [])]
        : [backend.kind, ...(backend.kind === 'root' ? [backend.directory] : (via ?? []))];
    assert.equal(`${host}: ${parts.join(' ')}`, expected);
  });
}

for (const text of [
  '',
  'a',
  '=b:80',
  'a=',
  'a=root:',
  'a=https://b,c',
  'a=b:80 via c:1 via d:1',
  'a=b:0',
  'a=b/path',
  'a=user@b',
]) {
  test(`the site "${text}" is refused, with what was expected`, () => {
    assert.throws(
      () => parseSite(text),
      (error) => {
        assert.ok(error instanceof HoplineError);
        assert.equal(error.code, 'USAGE_INVALID');
        assert.match(error.message, /^--site: read ".*", expected /);
        return true;
      },
    );
  });
}

test('hops that are none are refused as everywhere', () => {
  assert.throws(() => parseSite('a=route:'), { code: 'ROUTE_SYNTAX' });
  assert.throws(() => parseSite('a=b via c'), { code: 'ROUTE_SYNTAX' });
});
