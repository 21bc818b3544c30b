/**
 * Foreign text, made safe to show in a terminal, in a log, or in a line of JSON.
 *
 * Names, reasons and fields come from other machines, and a terminal obeys the control characters in them. Every
 * character that cannot be seen is written out as JSON would write it: control characters, line ends, characters that
 * turn the direction or have no width, halves of surrogate pairs.
 * Invariant: the result is one line, and escaping it again changes nothing.
 */

/** Characters of one message or field: longer than any that we make, and no more than a screen. */
export const maxTextLength = 2000;

const shortForms: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** Text in one line with nothing unseen in it. JSON stays the same JSON. */
export function escapeText(text: string): string {
  // Made when it is needed, as that takes a part of a millisecond.
  const unseen = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;
  return text.replace(unseen, (character) => shortForms[character] ?? [...units(character)].join(''));
}

/** The same, cut to `maxLength` characters. */
export function safeText(text: string, maxLength: number = maxTextLength): string {
  const escaped = escapeText(text.slice(0, maxLength));
  if (escaped.length <= maxLength && text.length <= maxLength) return escaped;
  return `${escaped.slice(0, maxLength - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}

function* units(character: string): Generator<string> {
  for (let index = 0; index < character.length; index += 1) {
    yield `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`;
  }
}
