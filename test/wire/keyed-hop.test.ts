import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ErrorCode, HoplineError } from '../../src/core/errors.ts';
import { type Hop, nodeName } from '../../src/wire/address.ts';
import { newKey } from '../../src/wire/keys/key.ts';
import { formatRoute, parseRoute, parseVia } from '../../src/wire/route.ts';

const [one, two, three, four, five] = Array.from({ length: 5 }, () => newKey().key.public.text) as [
  string,
  string,
  string,
  string,
  string,
];
const textsOf = ({ key, formerKeys = [] }: Hop) => key && [key, ...formerKeys].map(({ text }) => text);
const keysIn = (text: string) =>
  parseRoute(text, { source: 'in.txt' }).routes.map((places) => places.map((place) => place.map(textsOf)));

function assertRefused(parse: () => unknown, code: ErrorCode, message: string | RegExp): void {
  assert.throws(parse, (error) => {
    assert.ok(error instanceof HoplineError, String(error));
    assert.equal(error.code, code);
    if (typeof message === 'string') assert.equal(error.message, message);
    else assert.match(error.message, message);
    return true;
  });
}

test('keys stand behind each alternate, behind pools, and in --via behind a #', () => {
  assert.deepEqual(keysIn(`a\nh1 1\nh2:2 key=${one} # c | h3 3 key=${two}`), [[[undefined], [[one]]]]);
  assert.deepEqual(keysIn(`a\nh2:2 key=${one} | h3 3 key=${two},${three}|@eu   key=${four}`), [
    [[[one], [two, three], [four]]],
  ]);
  assert.deepEqual(keysIn(`a\nh1:1#${one}\n---\n[::1]:7 key=${two}`), [[[[one]]], [[[two]]]]);
  const via = parseVia(`h1:1,h2:2#${one}#${two}|@eu#${three}|[::1] 3#${four}`, 'a').routes;
  assert.deepEqual(via[0]?.[1]?.map(textsOf), [[one, two], [three], [four]]);
});

test('a route with keys is written as a line that says the same', () => {
  const plan = parseRoute(`a\nh1 1 | @eu key=${one}\n::1 7 key=${two},${three}`);
  const text = formatRoute(plan);
  assert.equal(text, `a\nh1 1 | @eu key=${one}\n::1 7 key=${two},${three}\n`);
  assert.deepEqual(parseRoute(text), plan);
});

test('a key that is none is told with its line, and where a character is wrong', () => {
  const wrong = `${one.slice(0, 20)}${one[20] === 'q' ? 'p' : 'q'}${one.slice(21)}`;
  assertRefused(
    () => keysIn(`a\nh1 1\nh2 2 key=${wrong}`),
    'KEY_INVALID',
    `in.txt:3: read "${wrong}", expected a key: hop1 and 58 characters (a character is wrong: checksum, the 21st character)`,
  );
  assertRefused(() => parseVia(`h1:1#${wrong}`, 'a'), 'KEY_INVALID', /^--via, hop 1: read "hop1/);
  assertRefused(
    () => keysIn('a\nh1 1 key='),
    'KEY_INVALID',
    'in.txt:2: read "", expected a key: hop1 and 58 characters (another beginning)',
  );
});

test('what else stands behind a hop is a mistake', () => {
  const syntax = (text: string, message: string | RegExp) => assertRefused(() => keysIn(text), 'ROUTE_SYNTAX', message);
  syntax(
    `a\nh1 1 kee=${one}`,
    new RegExp(`^in.txt:2: read "kee=${one}", expected nothing, or key=hop1\\.\\.\\., behind a hop$`),
  );
  syntax(`a\nh1 1 key=${one} 2`, 'in.txt:2: read "2", expected nothing, or key=hop1..., behind a hop');
  syntax(`a\nh1 1 key=${one},${one}`, `in.txt:2: read "${one}", expected each key of a hop once`);
  syntax(`a\nh1 1 key=${[one, two, three, four, five].join()}`, 'in.txt:2: read "5 keys", expected at most 4');
  syntax(`a\nkey=${one}`, 'in.txt:2: read "", expected a hop, HOST PORT or HOST:PORT, such as 127.0.0.1 7001');
});

test('a key that would be a comment is a mistake, and so is one whose hop is the first line', () => {
  assertRefused(
    () => keysIn(`a\nh1 1 #${one}`),
    'ROUTE_SYNTAX',
    /expected key=hop1\.\.\., since a "#" behind a space begins a comment$/,
  );
  assertRefused(
    () => keysIn(`10.0.0.1 7001 key=${one}\nh2 2`),
    'ROUTE_SYNTAX',
    /expected the name of the file, and this is a hop/,
  );
});

test('no message shows a secret', () => {
  const { secretText } = newKey();
  const texts = [
    `key=${secretText}`,
    secretText,
    `#${secretText}`,
    `sec=${secretText}`,
    `x,${secretText}`,
    `| ${secretText}`,
  ];
  for (const behind of texts) {
    for (const text of [behind, behind.toLowerCase()]) {
      for (const parse of [
        () => keysIn(`a\nh1 1 ${text}`),
        () => keysIn(`a\n${text}`),
        () => parseVia(`h1:1 ${text}`, 'a'),
      ]) {
        try {
          parse();
        } catch (error) {
          assert.ok(error instanceof HoplineError);
          const shown = error.message.toLowerCase();
          assert.ok(!shown.includes(secretText.slice(20, 40).toLowerCase()), error.message);
        }
      }
    }
  }
});

test('whatever is written, a hop has its keys or there is an error', () => {
  const junk = fc.stringMatching(/^[ |#=,a-z0-9:@\t]{0,20}$/);
  fc.assert(
    fc.property(junk, junk, (before, behind) => {
      try {
        const keys = keysIn(`a\nh1 1${before}key=${one}${behind}`).flat(3);
        // What a comment holds is nobody's key, and a comment is what begins behind a space.
        if (!/\s#/.test(`h1 1${before}`)) assert.ok(keys.includes(one));
      } catch (error) {
        assert.ok(error instanceof HoplineError, String(error));
      }
    }),
  );
});

test('hops that are written alike are two where their keys are', () => {
  const ways = parseVia([`h:1#${one}`, `H:1#${two}`, 'h:1', `h:1#${one}`], 'a').routes.map(([place]) => place?.[0]);
  const names = ways.map((hop) => hop && nodeName(hop));
  assert.equal(new Set(names).size, 3);
  assert.equal(names[0], names[3]);
});
