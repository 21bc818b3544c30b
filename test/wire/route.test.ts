import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ErrorCode, HoplineError } from '../../src/core/errors.ts';
import { formatRoute, parseRoute, parseVia } from '../../src/wire/route.ts';

const parsed = (text: string) => {
  const { file, hops } = parseRoute(text, { source: 'in.txt' });
  return [file, ...hops.map((hop) => `${hop.host} ${hop.port}`)];
};

function assertRefused(parse: () => unknown, code: ErrorCode, message: string): void {
  assert.throws(parse, (error) => {
    assert.ok(error instanceof HoplineError);
    assert.deepEqual([error.code, error.message], [code, message]);
    return true;
  });
}

const hopLines = (count: number) => Array.from({ length: count }, (_, index) => `10.0.0.1 ${index + 1}`);

const good: [what: string, text: string, expected: string[]][] = [
  ['the original form', 'a.pdf\nh1 1\nh2 2', ['a.pdf', 'h1 1', 'h2 2']],
  ['a colon', 'a\nh1:1\n', ['a', 'h1 1']],
  ['IPv6 in brackets', 'a\n[::1]:7001\n', ['a', '::1 7001']],
  ['IPv6 in two words', 'a\n::1 7001\n', ['a', '::1 7001']],
  ['comments and blank lines', '# c\n\na\n\n  # c\nh1 1 # near\n\n#h9 9\nh2 2\n\n', ['a', 'h1 1', 'h2 2']],
  ['CRLF', 'a\r\nh1 1\r\nh2 2\r\n', ['a', 'h1 1', 'h2 2']],
  ['lone CR', 'a\rh1 1\r', ['a', 'h1 1']],
  ['a byte order mark', '\uFEFFa\nh1 1', ['a', 'h1 1']],
  ['spaces and other scripts in the name', '  Бюджет 2026 – 予算.pdf \nh1 1', ['Бюджет 2026 – 予算.pdf', 'h1 1']],
  ['a path', 'x/y z/a.pdf\nh1 1', ['x/y z/a.pdf', 'h1 1']],
  ['a number sign within the name', 'a #1.pdf\nh1 1', ['a #1.pdf', 'h1 1']],
  ['32 hops', ['a', ...hopLines(32)].join('\n'), ['a', ...hopLines(32)]],
  ['the same host on two ports', 'a\nh 1\nh 2', ['a', 'h 1', 'h 2']],
];
for (const [what, text, expected] of good) {
  test(`a route file with ${what} is read`, () => {
    assert.deepEqual(parsed(text), expected);
  });
}

const name = "the name of a file below the origin's root";
const hop = 'a hop, HOST PORT or HOST:PORT, such as 127.0.0.1 7001';
const noHop = 'read the end of the file, expected a hop, HOST PORT, such as 127.0.0.1 7001';
const wrong: [what: string, text: string, code: ErrorCode, message: string][] = [
  ['no text', '', 'ROUTE_SYNTAX', 'in.txt:1: read nothing, expected the name of the file to get'],
  ['comments alone', '\n# a\n', 'ROUTE_SYNTAX', 'in.txt:1: read nothing, expected the name of the file to get'],
  ['only a name', 'a\n', 'ROUTE_SYNTAX', `in.txt:2: ${noHop}`],
  ['only a name, low down', '\n\na', 'ROUTE_SYNTAX', `in.txt:4: ${noHop}`],
  ['port 0', 'a\nh 0', 'ROUTE_SYNTAX', 'in.txt:2: read "h 0", expected a port from 1 to 65535'],
  ['port 70000', 'a\n\nh 70000', 'ROUTE_SYNTAX', 'in.txt:3: read "h 70000", expected a port from 1 to 65535'],
  ['a port by name', 'a\nh:http', 'ROUTE_SYNTAX', 'in.txt:2: read "h:http", expected a port from 1 to 65535'],
  ['no port', 'a\nh 1\nh2', 'ROUTE_SYNTAX', `in.txt:3: read "h2", expected ${hop}`],
  ['a third word', 'a\r\nh 1 2\r\n', 'ROUTE_SYNTAX', `in.txt:2: read "h 1 2", expected ${hop}`],
  [
    'a host that is none',
    'a\nh! 1',
    'ROUTE_SYNTAX',
    'in.txt:2: read "h! 1", expected a host name or an IP address (IPv6 with a port after a colon goes in brackets)',
  ],
  [
    'a name above the root',
    '../a\nh 1',
    'ROUTE_SYNTAX',
    `in.txt:1: read "../a", expected ${name}: the name climbs out of the root with ".."`,
  ],
  [
    'an absolute name',
    '\n/a\nh 1',
    'ROUTE_SYNTAX',
    `in.txt:2: read "/a", expected ${name}: the name is an absolute path; names are relative to the root`,
  ],
  [
    'a line too long to show',
    `a\n${'h'.repeat(100)}`,
    'ROUTE_SYNTAX',
    `in.txt:2: read "${'h'.repeat(77)}...", expected ${hop}`,
  ],
  ['33 hops', ['a', ...hopLines(33)].join('\n'), 'ROUTE_TOO_LONG', 'in.txt:34: read hop 33, expected at most 32 hops'],
  [
    'a repeated hop',
    'a\nHost 1\nh 2\nhost:1',
    'ROUTE_LOOP',
    'in.txt:4: read "host:1", expected a hop that is not on the route already (it is hop 1)',
  ],
];
for (const [what, text, code, message] of wrong) {
  test(`a route file with ${what} is refused with its line`, () => {
    assertRefused(() => parsed(text), code, message);
  });
}

test('--via takes the same hops, separated by commas, and names the hop that is wrong', () => {
  const { file, hops } = parseVia('h1:1, [::1]:2,h3 3', 'a');
  assert.deepEqual([file, hops.length, hops[1]], ['a', 3, { host: '::1', port: 2 }]);
  assertRefused(() => parseVia('h1:1,', 'a'), 'ROUTE_SYNTAX', `--via, hop 2: read "", expected ${hop}`);
  assertRefused(() => parseVia('h:1', ''), 'ROUTE_SYNTAX', `FILE: read "", expected ${name}: the name is empty`);
});

test('the caps on hops and names are the caller’s to set', () => {
  assert.throws(() => parseRoute('a\nh 1\nh 2', { maxHops: 1 }), { code: 'ROUTE_TOO_LONG' });
  assert.throws(() => parseRoute('abc\nh 1', { maxNameBytes: 2 }), { code: 'ROUTE_SYNTAX' });
});

test('a route that was written parses to the same route', () => {
  const part = fc.stringMatching(/^[a-zа-я0-9_ #-]{1,20}$/).filter((text) => text.trim() === text && text[0] !== '#');
  const hosts = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain());
  const hopSet = fc.uniqueArray(fc.tuple(hosts, fc.integer({ min: 1, max: 65535 })), {
    minLength: 1,
    maxLength: 32,
    selector: ([host]) => host.toLowerCase(),
  });
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), hopSet, (parts, hops) => {
      const route = parseRoute([parts.join('/'), ...hops.map((pair) => pair.join(' '))].join('\n'));
      assert.deepEqual(parseRoute(formatRoute(route)), route);
    }),
  );
});

test('a name that begins like a comment is written so that it is not one', () => {
  assert.equal(parseRoute(formatRoute(parseVia('h:1', '#a'))).file, './#a');
});

test('any text is a route or a HoplineError', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
      try {
        parseRoute(`a\n${text}`);
      } catch (error) {
        assert.ok(error instanceof HoplineError);
      }
    }),
  );
});
