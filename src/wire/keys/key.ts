/**
 * The keys of nodes and clients: X25519, as text that people copy, `hop1...` and `HOP-SECRET-KEY-1...`.
 *
 * Owns both forms and what makes a key one. Does not know files, or whom a key belongs to.
 * Invariant: a key has one text and one number, so that two texts that differ are two keys; a secret is in no message.
 * Documentation: docs/security.md#keys
 */

import { createPrivateKey, createPublicKey, diffieHellman, type KeyObject, randomBytes } from 'node:crypto';
import { HoplineError } from '../../core/errors.ts';
import { decodeBech32, encodeBech32 } from './bech32.ts';

const publicPrefix = 'hop';
const secretPrefix = 'hop-secret-key-';
const keyBytes = 32;
/** 256 bits and six characters of checksum, behind the prefix and its 1. */
const dataLength = 58;
const pkcs8Head = Buffer.from('302e020100300506032b656e04220420', 'hex');
const okp = { kty: 'OKP', crv: 'X25519' };
/**
 * Whether a secret may be taken from a JWK whose public half is not known yet: Node 24 does that still, 26 refuses it. With
 * OpenSSL 3.0, which Node 20 has, DER takes ten times as long, half of what a handshake costs (measured); later ones are quick.
 */
const ignoresPublicHalf =
  process.versions.openssl.startsWith('3.0.') && Number.parseInt(process.versions.node, 10) <= 24;
const noPublicHalf = Buffer.alloc(keyBytes).toString('base64url');
/** 2^255 - 19, of which a coordinate is what is left. */
const fieldPrime = 2n ** 255n - 19n;
/** The coordinates of points with which every secret gives the same: nothing (RFC 7748, section 6.1). */
const lowOrder: ReadonlySet<bigint> = new Set([
  0n,
  1n,
  325606250916557431795983626356110631294008115727848805560023387167927233504n,
  39382357235489614581723060781553021112529911719440698176882885853963445705823n,
  fieldPrime - 1n,
]);

/** Of somebody: 32 bytes. Its text is its fingerprint, too. */
export class PublicKey {
  readonly bytes: Buffer;
  #handle: KeyObject | undefined;
  #text: string | undefined;

  private constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /** Undefined for what is no key: not 32 bytes, not the one way to write its number, or of low order. */
  static ofBytes(bytes: Buffer): PublicKey | undefined {
    if (bytes.length !== keyBytes) return undefined;
    const coordinate = BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
    return coordinate >= fieldPrime || lowOrder.has(coordinate) ? undefined : new PublicKey(Buffer.from(bytes));
  }

  /** For node:crypto. Made when it is needed: a list of keys has many that never are. */
  get handle(): KeyObject {
    this.#handle ??= publicHandle(this.bytes);
    return this.#handle;
  }

  get text(): string {
    this.#text ??= encodeBech32(publicPrefix, this.bytes);
    return this.#text;
  }

  /** Enough to tell keys apart in a log. */
  get short(): string {
    return this.text.slice(0, publicPrefix.length + 1 + 8);
  }

  equals(other: PublicKey): boolean {
    return this.bytes.equals(other.bytes);
  }
}

/** A secret and what the world may know of it. */
export interface KeyPair {
  /** For node:crypto. */
  readonly secret: KeyObject;
  readonly public: PublicKey;
}

/** With it a secret agrees on its own public half (RFC 7748, section 6.1). */
const basePoint = publicHandle(Buffer.from('09'.padEnd(2 * keyBytes, '0'), 'hex'));

/** A new key, from the system's random numbers, and what its file says. */
export function newKey(): { readonly key: KeyPair; readonly secretText: string } {
  const secret = randomBytes(keyBytes);
  return { key: keyOfBytes(secret), secretText: encodeBech32(secretPrefix, secret).toUpperCase() };
}

/**
 * A new key that is never written down. Not by `generateKeyPairSync`, though that takes half of the time: in Node 20 its job
 * holds the pair until it is collected, and to be collected while the public half is exported it waits for a lock that the
 * export has, for ever.
 */
export function newEphemeral(): KeyPair {
  return keyOfBytes(randomBytes(keyBytes));
}

/** The pair of a secret; any 32 bytes are one. */
export function keyOfBytes(secretBytes: Buffer): KeyPair {
  const secret = secretHandle(secretBytes);
  const key = PublicKey.ofBytes(diffieHellman({ privateKey: secret, publicKey: basePoint }));
  if (!key) throw noPublicKey();
  return { secret, public: key };
}

/** No secret has such a public key: clamping sees to that. */
function noPublicKey(): HoplineError {
  return new HoplineError('INTERNAL', 'a secret key without a public one');
}

/** For node:crypto; any 32 bytes, which may be no key. As JWK, since OpenSSL 3.0 takes five times as long for DER (measured). */
function publicHandle(bytes: Buffer): KeyObject {
  return createPublicKey({ key: { ...okp, x: bytes.toString('base64url') }, format: 'jwk' });
}

function secretHandle(bytes: Buffer): KeyObject {
  if (!ignoresPublicHalf) {
    return createPrivateKey({ key: Buffer.concat([pkcs8Head, bytes]), format: 'der', type: 'pkcs8' });
  }
  return createPrivateKey({ key: { ...okp, x: noPublicHalf, d: bytes.toString('base64url') }, format: 'jwk' });
}

/** Throws `KEY_INVALID`; `source` is where the text stands, as in `routes.txt:3`. */
export function parsePublicKey(text: string, source: string): PublicKey {
  const expected = `a key: ${publicPrefix}1 and ${dataLength} characters`;
  if (/^hop-secret-key-/i.test(text)) {
    throw new HoplineError(
      'KEY_INVALID',
      `${source}: read a secret key, expected ${expected}; that one is no secret now`,
    );
  }
  const bytes = parseKey(text, { source, prefix: publicPrefix, expected, shown: `"${text}"` });
  const key = text === text.toLowerCase() ? PublicKey.ofBytes(bytes) : undefined;
  if (key) return key;
  const why = text === text.toLowerCase() ? 'no point that a secret leads to' : 'upper case';
  throw new HoplineError('KEY_INVALID', `${source}: read "${text}", expected ${expected} (${why})`);
}

/** Throws `KEY_INVALID`, without a word of what was read. */
export function parseSecretKey(text: string, source: string): KeyPair {
  const expected = `a secret key: ${secretPrefix.toUpperCase()}1 and ${dataLength} characters`;
  if (text !== text.toUpperCase() && /^hop-secret-key-/i.test(text)) {
    throw new HoplineError('KEY_INVALID', `${source}: expected ${expected}, in upper case`);
  }
  return keyOfBytes(parseKey(text, { source, prefix: secretPrefix, expected, shown: 'something else' }));
}

/** Text that may be shown, whatever somebody pasted into it. */
export function withoutSecrets(text: string): string {
  return text.replace(/hop-secret-key-1?\S*/gi, '(a secret key)');
}

interface Expected {
  readonly source: string;
  readonly prefix: string;
  readonly expected: string;
  /** What was read, if it may be shown. */
  readonly shown: string;
}

function parseKey(text: string, { source, prefix, expected, shown }: Expected): Buffer {
  const refuse = (why: string, at?: number) => {
    const place = at === undefined ? '' : `, the ${ordinal(at + 1)} character`;
    return new HoplineError('KEY_INVALID', `${source}: read ${shown}, expected ${expected} (${why}${place})`);
  };
  if (!text.toLowerCase().startsWith(`${prefix}1`)) throw refuse('another beginning');
  const length = text.length - prefix.length - 1;
  if (length !== dataLength) throw refuse(`${length} characters behind ${text.slice(0, prefix.length + 1)}`);
  const decoded = decodeBech32(text);
  if (decoded.kind === 'bad') throw refuse(decoded.problem, decoded.at);
  if (decoded.prefix !== prefix || decoded.bytes.length !== keyBytes) throw refuse('another beginning');
  return decoded.bytes;
}

function ordinal(place: number): string {
  const suffix = place % 100 >= 11 && place % 100 <= 13 ? 'th' : (['th', 'st', 'nd', 'rd'][place % 10] ?? 'th');
  return `${place}${suffix}`;
}
