import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HoplineError } from '../../../src/core/errors.ts';
import { parseAuthorizedKeys, stillNamed } from '../../../src/node/authority/authorized-keys.ts';
import { isNarrower } from '../../../src/node/authority/rights.ts';
import { newKey } from '../../../src/wire/keys/key.ts';

const [alice, bob] = [newKey().key.public.text, newKey().key.public.text];

function problemsOf(text: string): readonly string[] {
  try {
    parseAuthorizedKeys(text, 'keys');
    return [];
  } catch (error) {
    assert.ok(error instanceof HoplineError, String(error));
    assert.equal(error.code, 'CONFIG_INVALID');
    return error.problems ?? [];
  }
}

test('lines give rights to keys, to clients without one, and to plain ones', () => {
  const keys = parseAuthorizedKeys(
    [
      '# who may come',
      '',
      `read="docs/**,a b?.txt",write="in/**",no-replace,expires="2027-01-31",limit-rate="10M",max-circuits="8",max-upload="10G" ${alice} Alice, at work`,
      `  all\t${bob}\r`,
      'read="pub/**" anonymous',
      'read="pub/x",expires="2027-01-31T12:00:00.5+01:00" plain',
    ].join('\n'),
    'keys',
  );
  const { read, write, ...rest } = keys.get(alice) ?? assert.fail();
  assert.deepEqual(read.texts, ['docs/**', 'a b?.txt']);
  assert.deepEqual(write.texts, ['in/**']);
  assert.deepEqual(rest, {
    register: new Set(),
    mayReplace: false,
    expires: Date.UTC(2027, 0, 31),
    limitRate: 10 * 1024 ** 2,
    maxCircuits: 8,
    maxUploadBytes: 10 * 1024 ** 3,
  });
  assert.ok(keys.get(bob)?.read.isEverything && keys.get(bob)?.write.isEverything && keys.get(bob)?.mayReplace);
  assert.deepEqual(keys.get('anonymous')?.read.texts, ['pub/**']);
  assert.deepEqual(keys.get('anonymous')?.write.texts, []);
  assert.equal(keys.get('plain')?.expires, Date.UTC(2027, 0, 31, 11, 0, 0, 500));
  assert.equal(keys.size, 4);
  assert.equal(parseAuthorizedKeys('', 'keys').size, 0);
});

test('every mistake is told with its line', () => {
  const wrong = `${alice.slice(0, 20)}${alice[20] === 'q' ? 'p' : 'q'}${alice.slice(21)}`;
  const cases: readonly (readonly [line: string, problem: RegExp])[] = [
    [alice, /keys:1: read no right, expected read=/],
    [`no-replace ${alice}`, /no right/],
    [`reed="**" ${alice}`, /read "reed="\*\*"", expected one of all, read/],
    [`register="PP" plain`, /keys:1: read register before plain, expected a key behind it/],
    [`register="PP" anonymous`, /read register before anonymous/],
    [`register="" ${alice}`, /names of pools separated by commas/],
    [`register="PP,,P" ${alice}`, /names of pools/],
    [`register ${alice}`, /expected register="PP_1"/],
    [`read=docs ${alice}`, /read read=docs, expected read="docs\/\*\*"/],
    [`read ${alice}`, /read read, expected read=/],
    [`read="" ${alice}`, /an empty glob/],
    [`read="a//b" ${alice}`, /globs separated by commas/],
    [`read="a",read="b" ${alice}`, /read read twice/],
    [`all="x" ${alice}`, /read all="x", expected all/],
    [`all,read="a" ${alice}`, /all beside read/],
    [`all, ${alice}`, /read "", expected one of/],
    [`read="${Array(65).fill('a').join(',')}" ${alice}`, /more than 64 globs/],
    [`all,expires="2027-02-31" ${alice}`, /a day such as/],
    [`all,expires="2027-01-31T25:00:00Z" ${alice}`, /a day such as/],
    [`all,expires="tomorrow" ${alice}`, /a day such as/],
    [`all,limit-rate="9" ${alice}`, /at least 1K/],
    [`all,max-circuits="0" ${alice}`, /a number from 1/],
    [`all,max-upload="0" ${alice}`, /expected bytes/],
    [`all,limit-rate="10 ${alice}`, /read limit-rate="10/],
    ['all', /read no key, expected one behind the options/],
    [`all nobody`, /keys:1: read "nobody", expected a key/],
    [`all ${alice.toUpperCase()}`, /upper case/],
    [`all ${wrong}`, /a character is wrong: checksum, the 21st character/],
    [`all ${newKey().secretText}`, /read a secret key/],
  ];
  for (const [line, problem] of cases) assert.match(problemsOf(line).join('\n'), problem, line);
  const found = problemsOf(`all ${alice}\n\nall ${alice}\nnothing ${bob}`);
  assert.match(found[0] ?? '', /^keys:3: read hop1\w{8} again, expected it once; it stands in line 1$/);
  assert.match(found[1] ?? '', /^keys:4: read "nothing", expected one of/);
  assert.equal(found.length, 2, 'a misspelt right is not a missing one as well');
});

test('more keys than are kept are a mistake', () => {
  const known = new Map(Array.from({ length: 10_001 }, (_, index) => [`hop1${index}`, {} as never]));
  const lines = [...known.keys()].map((key) => `all ${key}`);
  assert.throws(() => parseAuthorizedKeys(lines.join('\n'), 'keys', known), /keys:10001: read more than 10000 keys/);
  assert.equal(parseAuthorizedKeys(lines.slice(1).join('\n'), 'keys', known).size, 10_000);
});

test('a server registers for the pools that its line names, and all is none of them', () => {
  const keys = parseAuthorizedKeys(`register="PP_1, eu files" ${alice}\nall ${bob}`, 'keys');
  assert.deepEqual([...(keys.get(alice)?.register ?? [])], ['PP_1', 'eu files']);
  assert.equal(keys.get(alice)?.read.match('x'), false);
  assert.equal(keys.get(bob)?.register.size, 0);
});

test('of a text with mistakes it is known whom it still names', () => {
  const known = parseAuthorizedKeys(`all ${alice}\nall ${bob}\nall plain`, 'keys');
  assert.deepEqual([...stillNamed(`rubbish ${alice}`, known).keys()], [alice]);
  assert.deepEqual([...stillNamed(`# ${alice}\nal ${bob.slice(0, 30)}`, known).keys()], []);
  assert.deepEqual([...stillNamed(`${bob} plain`, known).keys()], [bob, 'plain']);
});

test('what is narrower than before is known', () => {
  const rights = (options: string) => parseAuthorizedKeys(`${options} ${alice}`, 'keys').get(alice) ?? assert.fail();
  for (const [before, now, narrower] of [
    ['all', 'all', false],
    ['read="a"', 'all', false],
    ['read="a"', 'read="b,a"', false],
    ['all', 'read="**"', true],
    ['read="a,b"', 'read="a"', true],
    ['all', 'all,no-replace', true],
    ['all', 'all,expires="2027-01-31"', true],
    ['all,expires="2027-01-31"', 'all,expires="2027-02-01"', false],
    ['all,limit-rate="2K"', 'all,limit-rate="1K"', true],
    ['all,max-circuits="2"', 'all', false],
    ['all,max-upload="2"', 'all,max-upload="1"', true],
    ['register="A,B"', 'register="A"', true],
    ['register="A"', 'all', true],
    ['all', 'register="A",all', false],
  ] as const)
    assert.equal(isNarrower(rights(now), rights(before)), narrower, `${before} -> ${now}`);
});
