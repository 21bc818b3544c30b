import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkFraming, isFramed } from '../../src/http/framing.ts';

const length = (value = '5') => ['Content-Length', value];
const coding = (value = 'chunked') => ['Transfer-Encoding', value];

/** Nobody may rely on the parser alone: another one, or a later version of it, may let these through. */
const doubtful: readonly (readonly [what: string, fields: readonly string[], status: number])[] = [
  ['a coding behind a length', [...length(), ...coding()], 400],
  ['a length behind a coding', [...coding(), ...length()], 400],
  ['a length of nothing beside a coding', [...coding(), ...length('0')], 400],
  ['a length in other letters beside a coding', [...coding(), 'content-LENGTH', '5'], 400],
  ['a coding in other letters beside a length', ['transfer-ENCODING', 'chunked', ...length()], 400],
  ['two lengths that agree', [...length(), ...length()], 400],
  ['two lengths that differ', [...length(), ...length('6')], 400],
  ['a length that is no number', length('5a'), 400],
  ['a coding that does not end in chunked', coding('chunked, gzip'), 400],
  ['a coding before chunked', coding('gzip, chunked'), 501],
];

for (const [what, fields, status] of doubtful) {
  test(`a request with ${what} is refused, whatever the parser let through`, () => {
    assert.equal(checkFraming({ method: 'POST', isOldest: false, fields }, 100)?.status, status);
  });
}

test('a request whose end is beyond doubt is not refused', () => {
  for (const fields of [[], length(), length('0'), coding(), coding('Chunked')]) {
    assert.equal(checkFraming({ method: 'POST', isOldest: false, fields }, 100), undefined, fields.join(' '));
  }
  assert.equal(checkFraming({ method: 'POST', isOldest: true, fields: coding() }, 100)?.status, 400);
});

test('an answer with both a coding and a length, or two of either, is not passed on', () => {
  for (const fields of [
    [...coding(), ...length()],
    [...length(), ...coding()],
    [...length(), ...length()],
    [...coding(), ...coding()],
    coding('gzip'),
  ]) {
    assert.equal(isFramed('1.1', fields), false, fields.join(' '));
  }
  assert.equal(isFramed('1.0', coding()), false);
  assert.equal(isFramed('2.0', length()), false);
  for (const fields of [[], length(), coding()]) assert.equal(isFramed('1.1', fields), true, fields.join(' '));
});
