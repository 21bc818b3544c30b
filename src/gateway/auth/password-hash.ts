/**
 * A password as it is kept: scrypt (RFC 7914) with a salt of its own, written as other programs write it, in the PHC string format.
 *
 * There is one cost, and it is part of the format: so no password takes longer to judge than another, and no file says how much
 * memory that takes.
 * Invariant: a password is compared in NFC, and how long that takes says nothing about it.
 * Format: docs/http/auth.md
 */

import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

export interface PasswordHash {
  readonly salt: Buffer;
  readonly hash: Buffer;
}

const saltBytes = 16;
const hashBytes = 32;
/** One of the settings that OWASP names for keeping passwords: 32 MiB of memory. */
const cost = { N: 2 ** 15, r: 8, p: 3, maxmem: 64 * 1024 * 1024 };
const head = '$scrypt$ln=15,r=8,p=3$';
const form = /^\$scrypt\$ln=15,r=8,p=3\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})$/;

const derive: (password: string, salt: Buffer, length: number, options: typeof cost) => Promise<Buffer> =
  promisify(scrypt);

/** Makes what is kept of a password. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(saltBytes);
  const hash = await derive(password.normalize('NFC'), salt, hashBytes, cost);
  return head + [salt, hash].map((bytes) => bytes.toString('base64').replace(/=+$/, '')).join('$');
}

/** Undefined for what is no such text. */
export function parsePasswordHash(text: string): PasswordHash | undefined {
  const [, salt, hash] = form.exec(text) ?? [];
  if (salt === undefined || hash === undefined) return undefined;
  return { salt: Buffer.from(salt, 'base64'), hash: Buffer.from(hash, 'base64') };
}

/** What no password has, to compare those of users with who are not there. */
export function noPasswordHash(): PasswordHash {
  return { salt: randomBytes(saltBytes), hash: randomBytes(hashBytes) };
}

/** Takes a fifth of a second of another thread. */
export async function isPassword(password: string, kept: PasswordHash): Promise<boolean> {
  return timingSafeEqual(await derive(password.normalize('NFC'), kept.salt, hashBytes, cost), kept.hash);
}
