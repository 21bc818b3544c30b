/**
 * The word that lets a server register from anywhere, where front and server have the same.
 *
 * Invariant: it is in no log, no error and no refusal, and how long a comparison takes says nothing about it.
 * Documentation: docs/pools.md#registration
 */

import { createHash, timingSafeEqual } from 'node:crypto';
import { HoplineError } from '../../core/errors.ts';

/** Throws `USAGE_INVALID` for a token that is too short to be a secret, or that a packet does not hold. */
export function checkRegisterToken(token: string | undefined): void {
  if (token === undefined || /^[\x21-\x7e]{16,200}$/.test(token)) return;
  throw new HoplineError(
    'USAGE_INVALID',
    `the registration token: read ${token.length} characters, expected 16 to 200 of ASCII without a space`,
  );
}

/** Whether what a server sent is the token of this front. Without one, nothing is. */
export function createTokenCheck(token: string | undefined): (given: string | undefined) => boolean {
  if (token === undefined) return () => false;
  const expected = digest(token);
  return (given) => given !== undefined && timingSafeEqual(digest(given), expected);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
