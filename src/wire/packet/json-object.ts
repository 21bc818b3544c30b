/**
 * Finds the end of one JSON object in bytes that arrive piece by piece, with nothing but itself to end it, and in a whole
 * one the values of its members as they are written.
 *
 * Looks at each byte once, and at backslashes twice, however the bytes are cut: braces count outside
 * strings alone, and all that decides is ASCII, so UTF-8 may be cut anywhere.
 * Whether it is JSON is for the parser; what is not ends somewhere or nowhere.
 */

const [tab, lineFeed, carriageReturn, space] = [0x09, 0x0a, 0x0d, 0x20];
const [quote, backslash, openBrace, closeBrace] = [0x22, 0x5c, 0x7b, 0x7d];
const [openBracket, closeBracket, comma] = [0x5b, 0x5d, 0x2c];

export type Scanned =
  | { readonly kind: 'object'; readonly start: number; readonly end: number }
  /** Nothing but white space. */
  | { readonly kind: 'blank' }
  | { readonly kind: 'more'; readonly start: number }
  | { readonly kind: 'other' };

/** For one object; each call gets all bytes since its beginning. */
export class ObjectScanner {
  #at = 0;
  #start = -1;
  #depth = 0;
  #isInString = false;

  scan(bytes: Buffer): Scanned {
    if (this.#start < 0) {
      this.#at = skipSpace(bytes, this.#at);
      if (this.#at >= bytes.length) return { kind: 'blank' };
      if (bytes[this.#at] !== openBrace) return { kind: 'other' };
      this.#start = this.#at;
    }
    if (!canBegin(bytes, this.#start)) return { kind: 'other' };
    while (this.#at < bytes.length) {
      if (this.#isInString) this.#passString(bytes);
      else if (this.#passStructure(bytes)) return { kind: 'object', start: this.#start, end: this.#at };
    }
    return { kind: 'more', start: this.#start };
  }

  #passString(bytes: Buffer): void {
    const end = bytes.indexOf(quote, this.#at);
    this.#at = end < 0 ? bytes.length : end + 1;
    if (end >= 0 && !isEscaped(bytes, end)) this.#isInString = false;
  }

  /** Says whether the object has ended. */
  #passStructure(bytes: Buffer): boolean {
    while (this.#at < bytes.length && !this.#isInString) {
      const byte = bytes[this.#at];
      this.#at += 1;
      if (byte === quote) this.#isInString = true;
      else if (byte === openBrace) this.#depth += 1;
      else if (byte === closeBrace) {
        this.#depth -= 1;
        if (this.#depth === 0) return true;
      }
    }
    return false;
  }
}

/** Where the value of a member stands; `end` is behind it. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/**
 * The members of a whole object by their names, in their order; of two with one name the last counts, as it does for
 * parsers. The bytes must be one object in JSON and nothing else.
 */
export function findMembers(object: Buffer): Map<string, Span> {
  const members = new Map<string, Span>();
  let at = skipSpace(object, skipSpace(object, 0) + 1);
  while (object[at] === quote) {
    const nameEnd = stringEnd(object, at);
    const start = skipSpace(object, skipSpace(object, nameEnd) + 1);
    const end = valueEnd(object, start);
    members.set(nameIn(object, at, nameEnd), { start, end });
    at = skipSpace(object, end);
    if (object[at] === comma) at = skipSpace(object, at + 1);
  }
  return members;
}

/** A name without escapes says itself. */
function nameIn(object: Buffer, start: number, end: number): string {
  const name = object.toString('utf8', start + 1, end - 1);
  return name.includes('\\') ? JSON.parse(object.toString('utf8', start, end)) : name;
}

/** A whole object in JSON, and where the values of its members stand in it. */
export interface MembersOf {
  readonly bytes: Buffer;
  readonly members: ReadonlyMap<string, Span>;
}

/**
 * An object with other values, in JSON, for some members, and with those that it has not got; every other byte is as it
 * came. The object must have a member.
 */
export function replaceMembers({ bytes, members }: MembersOf, values: Readonly<Record<string, string>>): Buffer {
  const edits: { readonly start: number; readonly end: number; readonly value: string }[] = [];
  for (const name of Object.keys(values)) {
    const [span, value] = [members.get(name), values[name] as string];
    if (span) edits.push({ start: span.start, end: span.end, value });
    else {
      const end = bytes.lastIndexOf(closeBrace);
      edits.push({ start: end, end, value: `,${JSON.stringify(name)}:${value}` });
    }
  }
  // A character for each byte: to join buffers costs three times as much.
  let text = '';
  let done = 0;
  for (const { start, end, value } of edits.sort((a, b) => a.start - b.start)) {
    text += bytes.toString('latin1', done, start) + bytewise(value);
    done = end;
  }
  return Buffer.from(text + bytes.toString('latin1', done), 'latin1');
}

/** Text with a character for each byte that it has in UTF-8. */
function bytewise(text: string): string {
  return isAscii(text) ? text : Buffer.from(text).toString('latin1');
}

function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length;
}

/** Behind the brace that opens an object is a name, or nothing at all. */
function canBegin(bytes: Buffer, start: number): boolean {
  const first = bytes[skipSpace(bytes, start + 1)];
  return first === undefined || first === quote || first === closeBrace;
}

function valueEnd(bytes: Buffer, start: number): number {
  let depth = 0;
  let at = start;
  do {
    const byte = bytes[at];
    if (byte === quote) {
      at = stringEnd(bytes, at);
      continue;
    }
    if (byte === openBrace || byte === openBracket) depth += 1;
    else if (byte === closeBrace || byte === closeBracket) depth -= 1;
    at += 1;
  } while (depth > 0 || !isBehindValue(bytes[at]));
  return at;
}

/** What may stand behind a value in an object. */
function isBehindValue(byte: number | undefined): boolean {
  return byte === undefined || byte === comma || byte === closeBrace || isSpace(byte);
}

function stringEnd(bytes: Buffer, start: number): number {
  let end = bytes.indexOf(quote, start + 1);
  while (isEscaped(bytes, end)) end = bytes.indexOf(quote, end + 1);
  return end + 1;
}

/** Whether an odd number of backslashes is before `at`, which is in a string. */
function isEscaped(bytes: Buffer, at: number): boolean {
  let before = at;
  while (bytes[before - 1] === backslash) before -= 1;
  return (at - before) % 2 === 1;
}

/** The first place from `at` on that is not white space. */
export function skipSpace(bytes: Buffer, at: number): number {
  let place = at;
  while (place < bytes.length && isSpace(bytes[place])) place += 1;
  return place;
}

function isSpace(byte: number | undefined): boolean {
  return byte === space || byte === lineFeed || byte === carriageReturn || byte === tab;
}
