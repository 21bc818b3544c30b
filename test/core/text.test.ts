import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { errorCodes, HoplineError } from '../../src/core/errors.ts';
import { escapeText, maxTextLength, safeText } from '../../src/core/text.ts';
import { anyText, assertSeen } from '../support/foreign-text.ts';

test('any text comes out as one line without anything unseen, and the same a second time', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const escaped = escapeText(text);
      assertSeen(escaped);
      assert.equal(escapeText(escaped), escaped);
      const safe = safeText(text, 50);
      assertSeen(safe);
      assert.ok(safe.length <= 50);
      assert.equal(safeText(safe, 50), safe);
    }),
  );
});

test('JSON stays the same JSON', () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const value = { [text]: [text] };
      assert.deepEqual(JSON.parse(escapeText(JSON.stringify(value))), value);
    }),
  );
});

test('what can be seen stays as it is', () => {
  for (const text of ['report.pdf', 'C:\\files\\a b', 'Überblick – 2026', '日本語.txt', 'שלום', '🙂🚀', '"{}"', '']) {
    assert.equal(safeText(text), text);
  }
});

for (const [what, text, expected] of [
  ['an escape sequence', '\u001b[2J', '\\u001b[2J'],
  ['a title for the terminal', '\u001b]0;x\u0007', '\\u001b]0;x\\u0007'],
  ['the eight-bit form of an escape', '\u009b31m', '\\u009b31m'],
  ['line ends', 'a\r\nb\u2028c\u2029d\u0085', 'a\\r\\nb\\u2028c\\u2029d\\u0085'],
  ['a turn of direction', 'a\u202efdp.exe\u2066', 'a\\u202efdp.exe\\u2066'],
  ['what has no width', 'a\u200bb\ufeff\u00ad\u2060', 'a\\u200bb\\ufeff\\u00ad\\u2060'],
  ['a tag', '\u{e0041}', '\\udb40\\udc41'],
  ['half a surrogate pair', 'a\ud800b', 'a\\ud800b'],
] as const) {
  test(`${what} is written out`, () => assert.equal(safeText(text), expected));
}

test('text that is too long is cut, never within a character', () => {
  assert.equal(safeText('a'.repeat(maxTextLength)).length, maxTextLength);
  assert.equal(safeText('a'.repeat(maxTextLength + 1)), `${'a'.repeat(maxTextLength - 1)}…`);
  assert.equal(safeText('🙂'.repeat(5), 4), '🙂…');
});

test('whatever an error quotes, it is safe to show', () => {
  fc.assert(
    fc.property(anyText, fc.constantFrom(...errorCodes), (text, code) => {
      const error = new HoplineError(code, text, { reason: text, problems: [text] });
      for (const shown of [error.message, error.reason, ...(error.problems ?? [])]) assertSeen(shown);
    }),
  );
});
