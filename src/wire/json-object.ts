/**
 * Finds the end of one JSON object in bytes that arrive piece by piece, with nothing but itself to end it.
 *
 * Looks at each byte once, and at backslashes twice, however the bytes are cut: braces count outside
 * strings alone, and all that decides is ASCII, so UTF-8 may be cut anywhere.
 * Whether it is JSON is for the parser; what is not ends somewhere or nowhere.
 */

const [tab, lineFeed, carriageReturn, space] = [0x09, 0x0a, 0x0d, 0x20];
const [quote, backslash, openBrace, closeBrace] = [0x22, 0x5c, 0x7b, 0x7d];

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

/** Whether an odd number of backslashes is before `at`, which is in a string. */
function isEscaped(bytes: Buffer, at: number): boolean {
  let before = at;
  while (bytes[before - 1] === backslash) before -= 1;
  return (at - before) % 2 === 1;
}

/** The first place from `at` on that is not white space. */
export function skipSpace(bytes: Buffer, at: number): number {
  let place = at;
  for (; place < bytes.length; place += 1) {
    const byte = bytes[place];
    if (byte !== space && byte !== lineFeed && byte !== carriageReturn && byte !== tab) break;
  }
  return place;
}
