import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Globs, globProblem, plainName } from '../../src/wire/globs.ts';

const match = (glob: string, name: string) => new Globs([glob]).match(name);
const lead = (glob: string, name: string) => new Globs([glob]).leadThrough(name);

test('a glob means names from their beginning to their end', () => {
  const cases: readonly (readonly [glob: string, yes: readonly string[], no: readonly string[]])[] = [
    ['**', ['', 'a', 'a/b/c', '.hidden', 'e\u0301'], []],
    ['docs/**', ['docs/a', 'docs/a/b', 'docs/.x'], ['', 'docs', 'docsx/a', 'a/docs/b']],
    ['*', ['a', '.a'], ['', 'a/b']],
    ['*.txt', ['a.txt', '.txt'], ['a.txt.gz', 'd/a.txt']],
    ['**/*.txt', ['a.txt', 'd/a.txt', 'd/e/a.txt'], ['a.tx', 'd/txt']],
    ['a/**/b', ['a/b', 'a/x/b', 'a/x/y/b', 'a/b/b'], ['ab', 'a/bb', 'a/x/c']],
    ['a/**/b/**', ['a/b/c', 'a/x/b/c/d'], ['a/b', 'a/x/c']],
    ['**/**', ['a', 'a/b'], []],
    ['a?c', ['abc', 'aéc', 'a😀c'], ['ac', 'a/c', 'abbc']],
    ['*a*b', ['ab', 'xaxb', 'aabb', 'abab'], ['ba', 'a/b', 'abx']],
    ['\u00e9', ['\u00e9'], ['e\u0301', 'e']],
    ['e\u0301', ['\u00e9'], ['e\u0301']],
    ['[a].$^', ['[a].$^'], ['a.$^']],
  ];
  for (const [glob, yes, no] of cases) {
    assert.equal(globProblem(glob), undefined, glob);
    for (const name of yes) assert.ok(match(glob, name), `${glob} ${name}`);
    for (const name of no) assert.ok(!match(glob, name), `${glob} not ${name}`);
  }
});

test('a directory leads to names where some name in it could match', () => {
  for (const [glob, name] of [
    ['docs/**', ''],
    ['docs/**', 'docs'],
    ['docs/**', 'docs/a'],
    ['docs/*/x', 'docs/a'],
    ['**/*.txt', 'a/b'],
    ['a/**/b', 'a/x'],
  ] as const)
    assert.ok(lead(glob, name), `${glob} ${name}`);
  for (const [glob, name] of [
    ['docs/**', 'doc'],
    ['docs', 'docs'],
    ['docs/*', 'docs/a'],
    ['*', 'a'],
    ['docs/**', 'other'],
    ['**/x', 'e\u0301'],
  ] as const)
    assert.ok(!lead(glob, name), `${glob} not ${name}`);
  assert.ok(!new Globs([]).leadThrough(''));
});

test('a hostile name costs no more than its length', () => {
  const globs = new Globs(['**/*a*a*a*b', ...Array.from({ length: 63 }, (_, index) => `**/*a*a*${index}`)]);
  const name = 'a'.repeat(4096);
  const started = performance.now();
  assert.equal(globs.match(name), false);
  // Backtracking would take longer than anybody waits.
  assert.ok(performance.now() - started < 5000);
});

test('what is no glob is told as such', () => {
  for (const text of ['', '/a', 'a/', 'a//b', 'a/./b', '../a', 'a/**b', '***', 'a\nb', 'x'.repeat(4097)]) {
    assert.notEqual(globProblem(text), undefined, text);
  }
});

test('names are seen without what does not matter in them', () => {
  for (const [name, plain] of [
    ['.', ''],
    ['./a//b/./c', 'a/b/c'],
    ['a', 'a'],
  ] as const)
    assert.equal(plainName(name), plain);
});
