import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { nameProblem } from '../../src/wire/name.ts';

for (const name of [
  'a',
  'a b.txt',
  'Бюджет – 予算.pdf',
  'a/b/c',
  './a',
  '..a',
  'a..',
  '...',
  '#a',
  'a.part',
  '.part',
  '.a.parts',
  '.a.journal',
  'x'.repeat(255),
]) {
  test(`${JSON.stringify(name.slice(0, 20))} may be asked for`, () => {
    assert.equal(nameProblem(name, 4096), undefined);
  });
}

const wrong: [name: string, problem: RegExp][] = [
  ['', /empty/],
  ['.a.part', /unfinished/],
  ['a/.b.part.journal', /unfinished/],
  ['.a.PART.journal.NEW', /unfinished/],
  ['.a.part/b', /unfinished/],
  ['..', /climbs out/],
  ['../a', /climbs out/],
  ['a/../b', /climbs out/],
  ['/etc/passwd', /absolute/],
  ['a/', /directory/],
  ['a\0b', /control character/],
  ['a\nb', /control character/],
  ['a\u001b[2J', /control character/],
  ['a\u0085', /control character/],
  ['a\ud800b', /half of a character/],
  ['.a.part', /unfinished files/],
  ['a/.B.PART.journal.new/c', /unfinished files/],
  ['x'.repeat(256), /a part of the name is longer than 255 bytes/],
  ['é'.repeat(128), /a part of the name is longer than 255 bytes/],
  ['a/'.repeat(2048).concat('b'), /longer than 4096 bytes/],
];
for (const [name, problem] of wrong) {
  test(`${JSON.stringify(name.slice(0, 20))} of ${name.length} characters may not be asked for`, () => {
    assert.match(nameProblem(name, 4096) ?? '', problem);
  });
}

test('no name that is let through leaves the root', () => {
  const part = fc.constantFrom('..', '.', '', 'a', '/', '\\', 'b c', '\0');
  fc.assert(
    fc.property(fc.array(part), (parts) => {
      const name = parts.join('/');
      if (nameProblem(name, 4096) !== undefined) return;
      assert.ok(!name.startsWith('/') && !name.split('/').includes('..') && !name.includes('\0'));
    }),
  );
});
