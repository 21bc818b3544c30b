/** Text as another machine might send it, and what none of it may do where it is shown. */

import assert from 'node:assert/strict';
import fc from 'fast-check';

const hostile = ['\u001b]0;x\u0007', '\u001b[2J', '\nhopline: verified  yes\n', '\u009b', '\u202e', '\u2028', '\ud800'];

/** One character, any that Unicode has room for. The library's own `unit: 'binary'` takes a second to build, in each process. */
export const anyCharacter: fc.Arbitrary<string> = fc
  .integer({ min: 0, max: 0x10ffff - 0x800 })
  // Behind the halves of pairs, which are no characters.
  .map((point) => String.fromCodePoint(point < 0xd800 ? point : point + 0x800));

/** Any text at all, and often what does harm. */
export const anyText: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      fc.constantFrom(...hostile),
      fc.string({ unit: anyCharacter, maxLength: 40 }),
      fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
      fc.string({ minLength: 2000, maxLength: 2100 }),
    ),
    { maxLength: 6 },
  )
  .map((parts) => parts.join(''));

/** Fails if a text has a line end or anything else that is not seen. */
export function assertSeen(text: string | undefined): void {
  assert.ok(text !== undefined);
  const found = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u.exec(text);
  assert.equal(found, null, `${JSON.stringify(found?.[0])} in ${JSON.stringify(text.slice(0, 300))}`);
}

/** The same for every line of a text, which must be `count` lines if that is given. */
export function assertLines(text: string, count?: number): void {
  assert.ok(text === '' || text.endsWith('\n'));
  const lines = text.split('\n').slice(0, -1);
  for (const line of lines) assertSeen(line);
  if (count !== undefined) assert.equal(lines.length, count, JSON.stringify(text.slice(0, 300)));
}
