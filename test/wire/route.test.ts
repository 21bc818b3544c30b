import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ErrorCode, HoplineError } from '../../src/core/errors.ts';
import { formatHop, type Hop, isPoolHop, type Port } from '../../src/wire/address.ts';
import { formatRoute, parseRoute, parseVia, preferredRoute, type RoutePlan } from '../../src/wire/route.ts';
import { anyCharacter } from '../support/foreign-text.ts';

const plain = (hop: Hop) => (isPoolHop(hop) ? formatHop(hop) : `${hop.host} ${hop.port}`);

/** The name, then each place as its hops with `|` between them, then `---` and the next route. */
const shown = ({ file, routes }: RoutePlan) => [
  file,
  ...routes.flatMap((places, route) => [
    ...(route > 0 ? ['---'] : []),
    ...places.map((place) => place.map(plain).join('|')),
  ]),
];
const parsed = (text: string) => shown(parseRoute(text, { source: 'in.txt' }));

function assertRefused(parse: () => unknown, code: ErrorCode, message: string): void {
  assert.throws(parse, (error) => {
    assert.ok(error instanceof HoplineError);
    assert.deepEqual([error.code, error.message], [code, message]);
    return true;
  });
}

const hopLines = (count: number) => Array.from({ length: count }, (_, index) => `10.0.0.1 ${index + 1}`);
const alternates = (count: number) => hopLines(count).join('|');
const manyRoutes = (count: number) => `a\n${hopLines(count).join('\n---\n')}`;

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
  ['alternates', 'a\nh1 1 | h2 2\nh3 3', ['a', 'h1 1|h2 2', 'h3 3']],
  ['alternates in every form of a hop', 'a\nh1:1|[::1]:2 |::2 3|\t[::3] 4 # c | d', ['a', 'h1 1|::1 2|::2 3|::3 4']],
  ['16 alternates', `a\n${alternates(16)}`, ['a', alternates(16)]],
  ['two routes', 'a\nh1 1\nh2 2\n---\nh3 3\n', ['a', 'h1 1', 'h2 2', '---', 'h3 3']],
  [
    'separators, comments and blank lines',
    'a\n\nh1 1\n# c\n\n  ------\t# two\n\n# c\nh2 2\n--- \r\nh1 1|h2 2\n\n# end',
    ['a', 'h1 1', '---', 'h2 2', '---', 'h1 1|h2 2'],
  ],
  ['the same hop on two routes', 'a\nh1 1\nh2 2\n---\nh1 1', ['a', 'h1 1', 'h2 2', '---', 'h1 1']],
  [
    '16 routes',
    manyRoutes(16),
    [
      'a',
      ...hopLines(16)
        .flatMap((line) => [line, '---'])
        .slice(0, -1),
    ],
  ],
  ['dashes for a name', '---\nh1 1', ['---', 'h1 1']],
  ['the name of a directory', 'photos/2026/\nh1 1', ['photos/2026', 'h1 1']],
  ['the root itself for a name', './\nh1 1', ['.', 'h1 1']],
];
for (const [what, text, expected] of good) {
  test(`a route file with ${what} is read`, () => {
    assert.deepEqual(parsed(text), expected);
  });
}

const name = "the name of a file below the origin's root";
const hop = 'a hop, HOST PORT or HOST:PORT, such as 127.0.0.1 7001';
const aHop = 'a hop, HOST PORT, such as 127.0.0.1 7001';
const aName = 'the name of the file, and this is a hop: add a line above it with that name, such as report.pdf';
const noHop = `read the end of the file, expected ${aHop}`;
const bothSides = 'a hop on both sides of each "|"';
const wrong: [what: string, text: string, code: ErrorCode, message: string][] = [
  ['no text', '', 'ROUTE_SYNTAX', 'in.txt:1: read nothing, expected the name of the file to get'],
  ['comments alone', '\n# a\n', 'ROUTE_SYNTAX', 'in.txt:1: read nothing, expected the name of the file to get'],
  [
    'an address in place of the name',
    '127.0.0.1 1 # c\nh 2',
    'ROUTE_SYNTAX',
    `in.txt:1: read "127.0.0.1 1 # c", expected ${aName}`,
  ],
  [
    'alternates in place of the name',
    '\n[::1]:1 | localhost 2\nh 2',
    'ROUTE_SYNTAX',
    `in.txt:2: read "[::1]:1 | localhost 2", expected ${aName}`,
  ],
  ['a hop alone', 'host:1', 'ROUTE_SYNTAX', `in.txt:1: read "host:1", expected ${aName}`],
  ['a pool alone', '@files', 'ROUTE_SYNTAX', `in.txt:1: read "@files", expected ${aName}`],
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
  ['17 alternates', `a\n${alternates(17)}`, 'ROUTE_TOO_LONG', 'in.txt:2: read 17 alternates, expected at most 16'],
  ['17 routes', manyRoutes(17), 'ROUTE_TOO_LONG', 'in.txt:34: read route 17, expected at most 16 routes'],
  ['an alternate that is none', 'a\nh 1 | h2 | h 3', 'ROUTE_SYNTAX', `in.txt:2: read "h2", expected ${hop}`],
  ['an empty alternate', 'a\nh 1 | | h 2', 'ROUTE_SYNTAX', `in.txt:2: read "h 1 | | h 2", expected ${bothSides}`],
  ['a bar at the end', 'a\nh 1\nh 2 |', 'ROUTE_SYNTAX', `in.txt:3: read "h 2 |", expected ${bothSides}`],
  ['a bar before a comment', 'a\nh 1 | # c', 'ROUTE_SYNTAX', `in.txt:2: read "h 1 |", expected ${bothSides}`],
  ['a bar at the start', 'a\n| h 2', 'ROUTE_SYNTAX', `in.txt:2: read "| h 2", expected ${bothSides}`],
  ['a bar alone', 'a\n|', 'ROUTE_SYNTAX', `in.txt:2: read "|", expected ${bothSides}`],
  ['a first route without hops', 'a\n---\nh 1', 'ROUTE_SYNTAX', `in.txt:2: read "---", expected ${aHop}`],
  [
    'a route without hops in the middle',
    'a\nh 1\n---\n\n# c\n----\nh 2',
    'ROUTE_SYNTAX',
    `in.txt:6: read "---", expected ${aHop}`,
  ],
  ['a separator at the end', 'a\nh 1\n\n---\n\n', 'ROUTE_SYNTAX', `in.txt:5: ${noHop}`],
  ['two dashes', 'a\nh 1\n--\nh 2', 'ROUTE_SYNTAX', `in.txt:3: read "--", expected ${hop}`],
  [
    'a name that ends in two slashes',
    'photos//\nh 1',
    'ROUTE_SYNTAX',
    `in.txt:1: read "photos//", expected ${name}: the name ends in "/" and so names a directory`,
  ],
  [
    'a slash for a name',
    '/\nh 1',
    'ROUTE_SYNTAX',
    `in.txt:1: read "/", expected ${name}: the name is an absolute path; names are relative to the root`,
  ],
  [
    'a repeated alternate',
    'a\nh 1 | h 2 | H 1',
    'ROUTE_LOOP',
    'in.txt:2: read "H:1", expected a hop that is not on the route already (it is alternate 1 of hop 1)',
  ],
  [
    'a hop that is an alternate elsewhere',
    'a\nh 9\n---\nh 1\nh 2 | h 3\nh 4 | h 3',
    'ROUTE_LOOP',
    'in.txt:6: read "h:3", expected a hop that is not on the route already (it is alternate 2 of hop 2)',
  ],
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
  assert.deepEqual(shown(parseVia('h1:1, [::1]:2,h3 3', 'a')), ['a', 'h1 1', '::1 2', 'h3 3']);
  assert.deepEqual(parseVia(['h1:1'], 'a'), parseVia('h1:1', 'a'));
  assertRefused(() => parseVia('h1:1,', 'a'), 'ROUTE_SYNTAX', `--via, hop 2: read "", expected ${hop}`);
  assertRefused(() => parseVia('', 'a'), 'ROUTE_SYNTAX', `--via, hop 1: read "", expected ${hop}`);
  assertRefused(() => parseVia('h:1', ''), 'ROUTE_SYNTAX', `FILE: read "", expected ${name}: the name is empty`);
  assert.equal(parseVia('h:1', 'photos/').file, 'photos');
});

test('--via takes alternates, and several of them are several routes', () => {
  const plan = parseVia(['h1:1 |h2:2,h3:3|[::1]:4', 'h5:5'], 'a');
  assert.deepEqual(shown(plan), ['a', 'h1 1|h2 2', 'h3 3|::1 4', '---', 'h5 5']);
  const empty = `--via, hop 1: read "h1:1|", expected ${bothSides}`;
  assertRefused(() => parseVia('h1:1|,h2:2', 'a'), 'ROUTE_SYNTAX', empty);
  const second = `--via 2, hop 1: read "h2", expected ${hop}`;
  assertRefused(() => parseVia(['h1:1', 'h2'], 'a'), 'ROUTE_SYNTAX', second);
  assertRefused(() => parseVia([], 'a'), 'ROUTE_SYNTAX', `--via: read nothing, expected ${aHop}`);
  const tooMany = '--via 17, hop 1: read route 17, expected at most 16 routes';
  assertRefused(() => parseVia(Array(17).fill('h:1'), 'a'), 'ROUTE_TOO_LONG', tooMany);
});

test('the preferred route is the first alternate everywhere in the first route', () => {
  const { file, hops } = preferredRoute(parseRoute('a\nh1 1|h2 2\nh3 3|h4 4\n---\nh5 5'));
  assert.deepEqual([file, ...hops.map(formatHop)], ['a', 'h1:1', 'h3:3']);
});

test('the caps are the caller’s to set', () => {
  assert.throws(() => parseRoute('a\nh 1\nh 2', { maxHops: 1 }), { code: 'ROUTE_TOO_LONG' });
  assert.throws(() => parseRoute('a\nh 1|h 2', { maxAlternates: 1 }), { code: 'ROUTE_TOO_LONG' });
  assert.throws(() => parseRoute('a\nh 1\n---\nh 2', { maxRoutes: 1 }), { code: 'ROUTE_TOO_LONG' });
  assert.throws(() => parseRoute('abc\nh 1', { maxNameBytes: 2 }), { code: 'ROUTE_SYNTAX' });
});

test('a plan that was written parses to the same plan', () => {
  const part = fc.stringMatching(/^[a-zа-я0-9_ #|-]{1,20}$/).filter((text) => text.trim() === text && text[0] !== '#');
  const file = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
  const port = fc.integer({ min: 1, max: 65535 }) as fc.Arbitrary<Port>;
  const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain());
  const hop = fc.record({ host, port }, { noNullPrototype: true });
  const places = fc
    .uniqueArray(hop, { minLength: 1, maxLength: 40, selector: ({ host }) => host.toLowerCase() })
    .chain((hops) => fc.array(fc.nat(4), { minLength: 32, maxLength: 32 }).map((sizes) => dealOut(hops, sizes)));
  fc.assert(
    fc.property(file, fc.array(places, { minLength: 1, maxLength: 16 }), (name, routes) => {
      const plan = { file: name, routes };
      assert.deepEqual(parseRoute(formatRoute(plan)), plan);
    }),
  );
});

/** Places of one hop and as many alternates as `sizes` says, as long as there are hops. */
function dealOut(hops: readonly Hop[], sizes: readonly number[]): Hop[][] {
  const left = [...hops];
  return sizes.map((size) => left.splice(0, size + 1)).filter((place) => place.length > 0);
}

test('a name that begins like a comment is written so that it is not one', () => {
  assert.equal(parseRoute(formatRoute(parseVia('h:1', '#a'))).file, './#a');
});

test('any text is a plan or a HoplineError, and a plan is never empty anywhere', () => {
  const piece = fc.constantFrom('h 1', 'h:2', '[::1]:3', '|', ' | ', '\n', '\n---\n', '---', '#', ' # ', ',', '/', 'x');
  const text = fc.oneof(
    fc.string({ unit: anyCharacter, maxLength: 200 }),
    fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join('')),
  );
  fc.assert(
    fc.property(text, (read) => {
      for (const parse of [() => parseRoute(`a\n${read}`), () => parseVia(read.split('\n'), 'a')]) {
        try {
          const { routes } = parse();
          assert.ok(routes.length > 0);
          for (const places of routes) assert.ok(places.length > 0 && places.every(({ length }) => length > 0));
        } catch (error) {
          assert.ok(error instanceof HoplineError, String(error));
        }
      }
    }),
  );
});

test('white space without end costs no time', () => {
  const text = `a\nh${' '.repeat(500_000)}1${' '.repeat(500_000)}x`;
  assert.throws(() => parseRoute(text), { code: 'ROUTE_SYNTAX' });
});

test('a pool may stand wherever a hop may, also as an alternate, and once in a route', () => {
  const text = 'report.pdf\n10.0.0.2 7001 | @front\n@eu-files # the origin\n';
  assert.deepEqual(parsed(text), ['report.pdf', '10.0.0.2 7001|@front', '@eu-files']);
  assert.deepEqual(shown(parseVia('@front,a:1|@eu', 'x')), ['x', '@front', 'a 1|@eu']);
  assert.deepEqual(parsed(formatRoute(parseRoute(text))), parsed(text));
  assertRefused(
    () => parseVia('@eu,@eu', 'x'),
    'ROUTE_LOOP',
    '--via, hop 2: read "@eu", expected a hop that is not on the route already (it is hop 1)',
  );
});
