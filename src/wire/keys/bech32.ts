/**
 * Bech32 (BIP 173): bytes as text that is typed and read aloud, with a checksum over both of its parts.
 *
 * Owns the alphabet and the checksum. Does not know what the bytes are.
 * Invariant: what decodes encodes to the same text; up to four wrong characters in 89 never decode.
 */

const alphabet = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const generators = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
const checksumLength = 6;

export type Bech32 =
  | { readonly kind: 'ok'; readonly prefix: string; readonly bytes: Buffer }
  /** `at` is the place of the wrong character, from 0, where one alone explains it. */
  | { readonly kind: 'bad'; readonly problem: string; readonly at?: number };

/** In lower case, as is `prefix`. */
export function encodeBech32(prefix: string, bytes: Buffer): string {
  const values = regroup(bytes, 8, 5, true) as number[];
  const sum = checksum([...expand(prefix), ...values, ...Array<number>(checksumLength).fill(0)]) ^ 1;
  const check = Array.from({ length: checksumLength }, (_, index) => (sum >> (5 * (5 - index))) & 31);
  return `${prefix}1${[...values, ...check].map((value) => alphabet[value]).join('')}`;
}

/** Text of one case, with a checksum that is right and padding that is zero. */
export function decodeBech32(text: string): Bech32 {
  if (text.length > 90) return { kind: 'bad', problem: 'more than 90 characters' };
  const strange = text.search(/[^\x21-\x7e]/);
  if (strange >= 0) return { kind: 'bad', problem: 'a character that is not ASCII, or a space', at: strange };
  const lower = text.toLowerCase();
  if (text !== lower && text !== text.toUpperCase()) return { kind: 'bad', problem: 'upper and lower case in one' };
  const separator = lower.lastIndexOf('1');
  if (separator < 1) return { kind: 'bad', problem: 'nothing in front of a 1' };
  const start = separator + 1;
  if (lower.length - start < checksumLength) return { kind: 'bad', problem: 'too short for its checksum' };
  const values = [...lower.slice(start)].map((character) => alphabet.indexOf(character));
  const unknown = values.indexOf(-1);
  if (unknown >= 0) return { kind: 'bad', problem: 'a character that no key has', at: start + unknown };
  const prefix = lower.slice(0, separator);
  const wrong = checksum([...expand(prefix), ...values]) ^ 1;
  if (wrong !== 0)
    return { kind: 'bad', problem: 'a character is wrong: checksum', ...locate(wrong, values.length, start) };
  const bytes = regroup(values.slice(0, -checksumLength), 5, 8, false);
  if (!bytes) return { kind: 'bad', problem: 'padding that is not zero' };
  return { kind: 'ok', prefix, bytes: Buffer.from(bytes) };
}

/**
 * Where one wrong character alone would leave this checksum: what the code promises to tell apart from any other place.
 * Where it is, and not what it should be: whoever types looks again, rather than trusting a guess (BIP 173).
 */
function locate(wrong: number, length: number, start: number): { readonly at?: number } {
  for (let place = 0; place < length; place += 1) {
    for (let difference = 1; difference < 32; difference += 1) {
      const single = Array<number>(length - place).fill(0);
      single[0] = difference;
      if (checksum(single, 0) === wrong) return { at: start + place };
    }
  }
  return {};
}

function checksum(values: readonly number[], start = 1): number {
  let sum = start;
  for (const value of values) {
    const top = sum >>> 25;
    sum = ((sum & 0x1ffffff) << 5) ^ value;
    for (const [bit, generator] of generators.entries()) if ((top >>> bit) & 1) sum ^= generator;
  }
  return sum;
}

/** The prefix as the checksum sees it. */
function expand(prefix: string): number[] {
  const codes = [...Buffer.from(prefix)];
  return [...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31)];
}

/** Numbers of `from` bits as numbers of `to` bits; undefined where what is left over is not zero, or a whole group. */
function regroup(values: Iterable<number>, from: number, to: number, pad: boolean): number[] | undefined {
  const groups: number[] = [];
  let held = 0;
  let bits = 0;
  for (const value of values) {
    held = ((held << from) | value) & 0xfff;
    bits += from;
    while (bits >= to) {
      bits -= to;
      groups.push((held >> bits) & ((1 << to) - 1));
    }
  }
  const rest = (held << (to - bits)) & ((1 << to) - 1);
  if (pad) return bits > 0 ? [...groups, rest] : groups;
  return bits < from && rest === 0 ? groups : undefined;
}
