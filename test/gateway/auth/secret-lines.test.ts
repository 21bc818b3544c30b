import assert from 'node:assert/strict';
import { scryptSync } from 'node:crypto';
import { test } from 'node:test';
import { HoplineError } from '../../../src/core/errors.ts';
import { isPassword, parsePasswordHash } from '../../../src/gateway/auth/password-hash.ts';
import { createKeyedDigest, parseTokens, parseUsers } from '../../../src/gateway/auth/secret-lines.ts';
import { hash, password } from '../../support/site-auth.ts';

const digest = createKeyedDigest();

function problemsOf(parse: () => unknown): readonly string[] {
  try {
    parse();
  } catch (error) {
    if (error instanceof HoplineError && error.code === 'CONFIG_INVALID') return error.problems ?? [];
    throw error;
  }
  return [];
}

test('a hash is scrypt by the parameters that it names, in NFC', async () => {
  const text = await hash;
  const [, , parameters, salt = '', made] = text.split('$');
  assert.equal(parameters, 'ln=15,r=8,p=3');
  const cost = { N: 2 ** 15, r: 8, p: 3, maxmem: 2 ** 26 };
  const again = scryptSync(password, Buffer.from(salt, 'base64'), 32, cost).toString('base64');
  assert.equal(made, again.replace(/=+$/, ''));
  const kept = parsePasswordHash(text) ?? assert.fail();
  assert.equal(await isPassword(password.normalize('NFD'), kept), true);
  assert.equal(await isPassword(`${password} `, kept), false);
});

test('users are read with comments and blank lines, by their names in NFC', async () => {
  const users = parseUsers(`# x\n\n  zo\u0065\u0308:${await hash}\r\n`, 'users', digest);
  assert.deepEqual([...users.keys()], ['zo\u00eb']);
});

test('one who stands there as before stays who he was', async () => {
  const text = `alice:${await hash}`;
  const known = parseUsers(text, 'users', digest);
  assert.equal(parseUsers(`# more\n${text}`, 'users', digest, known).get('alice'), known.get('alice'));
  const other = parseUsers(
    text.replace(/.$/, (last) => (last === 'A' ? 'E' : 'A')),
    'users',
    digest,
    known,
  );
  assert.notEqual(other.get('alice'), known.get('alice'));
});

test('every mistake of a file of users is told with its line, and with nothing secret of it', async () => {
  const kept = await hash;
  const lines = [
    `alice:${kept}`,
    'bob:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=',
    'carol:$apr1$x$y',
    `dan:${kept.replace('ln=15', 'ln=5')}`,
    'erin:in-the-clear',
    `:${kept}`,
    'nothing-secret-here',
    `alice:${kept}`,
    `${'x'.repeat(256)}:${kept}`,
    `a\u0001b:${kept}`,
  ];
  const problems = problemsOf(() => parseUsers(lines.join('\n'), 'users', digest));
  assert.deepEqual(
    problems.map((problem) => problem.split(': ')[0]),
    [2, 3, 4, 5, 6, 7, 8, 9, 10].map((line) => `users:${line}`),
  );
  assert.match(problems[0] ?? '', /users:2: expected a hash behind "bob" as `hopline password` makes it/);
  assert.ok(problems.every((problem) => !/W6ph|apr1|in-the-clear|nothing-secret|scrypt/.test(problem)));
});

test('a token has 32 characters that a client may send, and stands there once', () => {
  const token = `${'aZ9-._~+/'.repeat(4)}==`;
  assert.equal(parseTokens(`# x\n${token}\n${'b'.repeat(32)}`, 'tokens', digest).size, 2);
  const wrong = ['c'.repeat(31), `${'c'.repeat(32)} name`, `${'c'.repeat(32)}é`, token, 'c'.repeat(1025)];
  const problems = problemsOf(() => parseTokens([token, ...wrong].join('\n'), 'tokens', digest));
  assert.equal(problems.length, wrong.length);
  assert.ok(problems.every((problem) => !problem.includes('ccc') && !problem.includes('aZ9')));
});

test('more lines than are kept are a mistake', () => {
  const lines = Array.from({ length: 10_001 }, (_, index) => String(index).padStart(32, 'x'));
  assert.match(problemsOf(() => parseTokens(lines.join('\n'), 'tokens', digest))[0] ?? '', /tokens:10001: read more/);
});
