import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeBech32, encodeBech32 } from '../../../src/wire/keys/bech32.ts';

/** BIP 173, "Test vectors": all that are valid. */
const valid = [
  'A12UEL5L',
  'a12uel5l',
  'an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs',
  'abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw',
  `11${'q'.repeat(82)}c8247j`,
  'split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w',
  '?1ezyfcl',
];

/** BIP 173, "Test vectors": all that are invalid, each with its reason there. */
const invalid = [
  ['\u00201nwldj5', /ASCII/],
  ['\u007f1axkwrx', /ASCII/],
  ['\u00801eym55h', /ASCII/],
  ['an84characterslonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1569pvx', /90/],
  ['pzry9x0s0muk', /in front/],
  ['1pzry9x0s0muk', /in front/],
  ['x1b4n0q5v', /no key has/],
  ['li1dgmt3', /too short/],
  ['de1lg7wt\u00ff', /ASCII/],
  ['A1G7SGD8', /checksum/],
  ['10a06t8', /in front/],
  ['1qzzfhee', /in front/],
  ['a12UEL5L', /case/],
] as const;

test('the valid examples of BIP 173 that are of whole bytes decode, and encode to the same', () => {
  for (const text of valid) {
    const decoded = decodeBech32(text);
    if (decoded.kind === 'bad') {
      // The checksum is right in all of them, but not all are of whole bytes.
      assert.match(decoded.problem, /padding/, text);
      continue;
    }
    assert.equal(encodeBech32(decoded.prefix, decoded.bytes), text.toLowerCase());
  }
  assert.ok(valid.filter((text) => decodeBech32(text).kind === 'ok').length >= 5);
});

test('the invalid examples of BIP 173 are refused, with their reason', () => {
  for (const [text, reason] of invalid) {
    const decoded = decodeBech32(text);
    assert.equal(decoded.kind, 'bad', text);
    if (decoded.kind === 'bad') assert.match(decoded.problem, reason, text);
  }
});

test('the examples of age decode to 32 bytes and back', () => {
  const text = 'age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj';
  const decoded = decodeBech32(text);
  assert.equal(decoded.kind === 'ok' && decoded.bytes.length, 32);
  assert.equal(decoded.kind === 'ok' && encodeBech32('age', decoded.bytes), text);
});

test('any bytes come back, and one wrong character is found at its place', () => {
  const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 });
  fc.assert(
    fc.property(bytes, fc.nat(57), fc.integer({ min: 1, max: 31 }), (value, place, difference) => {
      const text = encodeBech32('hop', Buffer.from(value));
      const decoded = decodeBech32(text);
      assert.ok(decoded.kind === 'ok' && decoded.bytes.equals(value));
      const alphabet = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
      const at = 'hop1'.length + place;
      const wrong = alphabet[alphabet.indexOf(text[at] as string) ^ difference];
      const mistyped = decodeBech32(text.slice(0, at) + wrong + text.slice(at + 1));
      assert.deepEqual(mistyped, { kind: 'bad', problem: 'a character is wrong: checksum', at });
    }),
    { numRuns: 60 },
  );
});

test('two characters that changed places are refused without a place', () => {
  const text = encodeBech32('hop', Buffer.alloc(32, 0x5a));
  const swapped = `${text.slice(0, 10)}${text[11]}${text[10]}${text.slice(12)}`;
  assert.notEqual(swapped, text);
  assert.deepEqual(decodeBech32(swapped), { kind: 'bad', problem: 'a character is wrong: checksum' });
});

/** The text of numbers of five bits, by the reference of BIP 173, bit by bit. */
function textOf(prefix: string, values: readonly number[]): string {
  const alphabet = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
  const generators = [0x3b6a57b2n, 0x26508e6dn, 0x1ea119fan, 0x3d4233ddn, 0x2a1462b3n];
  const codes = [...Buffer.from(prefix)];
  const all = [...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31), ...values, 0, 0, 0, 0, 0, 0];
  let sum = 1n;
  for (const value of all) {
    const top = sum >> 25n;
    sum = ((sum & 0x1ffffffn) << 5n) ^ BigInt(value);
    for (const [bit, generator] of generators.entries()) sum ^= (top >> BigInt(bit)) & 1n ? generator : 0n;
  }
  const check = [25n, 20n, 15n, 10n, 5n, 0n].map((shift) => Number(((sum ^ 1n) >> shift) & 31n));
  return `${prefix}1${[...values, ...check].map((value) => alphabet[value]).join('')}`;
}

test('bits behind the last byte that are not zero, and whole groups of them, are refused', () => {
  const values = Array.from({ length: 52 }, () => 0);
  assert.equal(textOf('hop', values), encodeBech32('hop', Buffer.alloc(32)));
  for (const last of [1, 8, 15]) {
    const decoded = decodeBech32(textOf('hop', [...values.slice(0, -1), last]));
    assert.deepEqual(decoded, { kind: 'bad', problem: 'padding that is not zero' });
  }
  const longer = decodeBech32(textOf('hop', [...values, 0, 0]));
  assert.deepEqual(longer, { kind: 'bad', problem: 'padding that is not zero' });
});
