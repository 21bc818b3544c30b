/** What every decoder must hold to, whatever it decodes. */

import assert from 'node:assert/strict';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { type ErrorCode, HoplineError } from '../../src/core/errors.ts';
import type { Decoded } from '../../src/wire/decoded.ts';

export type Decoder<T> = (bytes: Buffer) => Decoded<T>;

/** Decodes `bytes` whole and checks that each strict prefix is one of `prefixKinds`; returns the value. */
export function decodeEveryWay<T>(decode: Decoder<T>, bytes: Buffer, prefixKinds: readonly string[] = ['more']): T {
  for (let length = 0; length < bytes.length; length += 1) {
    const { kind } = decode(bytes.subarray(0, length));
    assert.ok(prefixKinds.includes(kind), `the first ${length} of ${bytes.length} bytes are ${kind}`);
  }
  const whole = decode(bytes);
  if (whole.kind === 'bad') throw whole.error;
  assert.equal(whole.kind, 'ok');
  if (whole.kind !== 'ok') throw new Error('unreachable');
  return whole.value;
}

/** Checks that `decode` answers `bad` with `code`. */
export function assertBad(decode: Decoder<unknown>, bytes: Buffer, code: ErrorCode, message?: RegExp): void {
  const decoded = decode(bytes);
  assert.equal(decoded.kind, 'bad');
  if (decoded.kind !== 'bad') return;
  assert.ok(decoded.error instanceof HoplineError);
  assert.equal(decoded.error.code, code);
  if (message) assert.match(decoded.error.message, message);
}

/** Feeds `decode` arbitrary bytes, and arbitrary bytes behind each of `starts`, so that they get past the first check. */
export function fuzzDecoder(decode: Decoder<unknown>, starts: readonly Buffer[] = []): void {
  const start = fc.constantFrom(Buffer.alloc(0), ...starts);
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 300 }), (head, tail) => {
      const bytes = Buffer.concat([head, tail]);
      const decoded = decode(bytes);
      assert.ok(['more', 'ok', 'bad'].includes(decoded.kind));
      if (decoded.kind === 'ok') assert.ok(decoded.used >= 0 && decoded.used <= bytes.length);
      if (decoded.kind === 'bad') assert.ok(decoded.error instanceof HoplineError);
    }),
    { numRuns: 500 },
  );
}

/** A frame around bytes that need not be JSON. */
export function rawFrame(json: string | Buffer, length = Buffer.byteLength(json), version = 1): Buffer {
  const prefix = Buffer.from([0xff, 0x48, 0x4c, version, 0, 0, 0, 0, 0, 0, 0, 0]);
  prefix.writeUInt32BE(length, 4);
  prefix.writeUInt32BE(crc32(json), 8);
  return Buffer.concat([prefix, Buffer.from(json)]);
}
