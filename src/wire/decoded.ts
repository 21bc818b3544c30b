/**
 * What every decoder returns: wait for more bytes, a value and the bytes it used, or why it never can be one.
 *
 * Invariant: a decoder given a prefix of a valid input says `more`, never `bad`.
 */

import { type ErrorCode, HoplineError } from '../core/errors.ts';

export type Decoded<T> =
  | { readonly kind: 'more' }
  | { readonly kind: 'ok'; readonly value: T; readonly used: number }
  | { readonly kind: 'bad'; readonly error: HoplineError };

export const more = { kind: 'more' } as const;

export function ok<T>(value: T, used: number): Decoded<T> {
  return { kind: 'ok', value, used };
}

export function bad(code: ErrorCode, message: string, cause?: unknown): Decoded<never> {
  return { kind: 'bad', error: new HoplineError(code, message, { cause }) };
}
