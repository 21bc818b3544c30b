import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { diffieHellman } from 'node:crypto';
import path from 'node:path';
import { test } from 'node:test';
import { HoplineError } from '../../../src/core/errors.ts';
import { encodeBech32 } from '../../../src/wire/keys/bech32.ts';
import { keyOfBytes, newKey, PublicKey, parsePublicKey, parseSecretKey } from '../../../src/wire/keys/key.ts';

const hex = (text: string) => Buffer.from(text, 'hex');

/** RFC 7748, section 6.1. */
const alice = keyOfBytes(hex('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a'));
const bob = keyOfBytes(hex('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb'));
const shared = hex('4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742');

const prime = 2n ** 255n - 19n;

function littleEndian(value: bigint): Buffer {
  return hex(value.toString(16).padStart(64, '0')).reverse();
}

function assertInvalid(parse: () => unknown, message: RegExp): void {
  assert.throws(parse, (error) => {
    assert.ok(error instanceof HoplineError);
    assert.equal(error.code, 'KEY_INVALID');
    assert.match(error.message, message);
    return true;
  });
}

test('keys are made for as long as one likes, whatever the collector does meanwhile', () => {
  const source = new URL(`../../../src/wire/keys/key${path.extname(import.meta.url)}`, import.meta.url);
  // As little new space as can be had, and waste of many sizes, so that it is collected at any place of a key's making.
  const space = ['--semi-space-growth-factor=1', '--max-semi-space-size=1'];
  const program = `import { newEphemeral } from '${source}';
    for (let made = 0; made < 20_000; made++) newEphemeral(new Array(made % 509));`;
  const { status } = spawnSync(process.execPath, [...space, '--input-type=module', '--eval', program], {
    timeout: 90_000,
  });
  assert.equal(status, 0);
});

test('the keys of RFC 7748 have its public keys and give its shared secret', () => {
  assert.deepEqual(alice.public.bytes, hex('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a'));
  assert.deepEqual(bob.public.bytes, hex('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f'));
  assert.deepEqual(diffieHellman({ privateKey: alice.secret, publicKey: bob.public.handle }), shared);
  assert.deepEqual(diffieHellman({ privateKey: bob.secret, publicKey: alice.public.handle }), shared);
});

test('a new key comes back from its text, and so does what the world knows of it', () => {
  const { key, secretText } = newKey();
  assert.match(secretText, /^HOP-SECRET-KEY-1[A-Z0-9]{58}$/);
  assert.match(key.public.text, /^hop1[a-z0-9]{58}$/);
  assert.ok(parseSecretKey(secretText, 'id.key:3').public.equals(key.public));
  assert.ok(parsePublicKey(key.public.text, 'routes.txt:2').equals(key.public));
  assert.equal(key.public.short, key.public.text.slice(0, 12));
});

test('a mistyped character is told at its place, and with it where the key stands', () => {
  const { text } = alice.public;
  const mistyped = `${text.slice(0, 20)}${text[20] === 'q' ? 'p' : 'q'}${text.slice(21)}`;
  const parse = (key: string) => () => parsePublicKey(key, 'routes.txt:2');
  assertInvalid(parse(mistyped), /^routes\.txt:2: read "hop1.*", expected a key: .*checksum, the 21st character\)$/);
  assertInvalid(parse(`${text.slice(0, 11)}o${text.slice(12)}`), /no key has, the 12th character/);
  assertInvalid(parse(text.slice(0, -1)), /57 characters behind hop1/);
  assertInvalid(parse(`${text}q`), /59 characters behind hop1/);
  assertInvalid(parse(text.toUpperCase()), /upper case/);
  assertInvalid(parse(`${text.slice(0, 30)}${text.slice(30).toUpperCase()}`), /upper and lower/);
  assertInvalid(parse(encodeBech32('hup', alice.public.bytes)), /another beginning/);
  assertInvalid(parse(''), /another beginning/);
});

test('a number that is not below 2^255 - 19 is no key, nor is a point of low order', () => {
  const low = [0n, 1n, prime - 1n, prime, prime + 1n, 2n ** 255n - 1n];
  const order8 = [
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  ];
  const highBit = Buffer.from(alice.public.bytes);
  highBit[31] = (highBit[31] as number) | 0x80;
  for (const bytes of [...low.map(littleEndian), ...order8.map(hex), highBit]) {
    assert.equal(PublicKey.ofBytes(bytes), undefined, bytes.toString('hex'));
    assertInvalid(() => parsePublicKey(encodeBech32('hop', bytes), 'a'), /no point/);
  }
  for (const length of [0, 31, 33]) assert.equal(PublicKey.ofBytes(Buffer.alloc(length, 9)), undefined);
});

test('a secret key is never in a message', () => {
  const { secretText } = newKey();
  const place = 40;
  const wrong = `${secretText.slice(0, place)}${secretText[place] === 'Q' ? 'P' : 'Q'}${secretText.slice(place + 1)}`;
  for (const text of [
    secretText.toLowerCase(),
    wrong,
    secretText.slice(0, -1),
    `${secretText.slice(0, 30)}*${secretText.slice(31)}`,
  ]) {
    assert.throws(
      () => parseSecretKey(text, 'id.key:1'),
      (error) =>
        error instanceof HoplineError && !error.message.toLowerCase().includes(secretText.slice(20, 30).toLowerCase()),
    );
  }
  assertInvalid(() => parsePublicKey(secretText, '--via'), /^--via: read a secret key, expected/);
});
