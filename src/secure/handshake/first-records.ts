/**
 * The two records that hold messages of a handshake, and what both ends mix into it before anything else.
 *
 * Invariant: a length is judged before anything of it is waited for.
 * Format: docs/protocol/encryption.md#records
 */

import { bad, type Decoded, more, ok } from '../../wire/decoded.ts';
import { tagBytes } from '../records/aead.ts';
import { decodeRecordHeader, recordHeaderBytes, recordKinds } from '../records/record.ts';
import { type Pattern, publicBytes } from './noise.ts';

/** Of one message, by the specification of Noise. */
const maxMessageBytes = 65_535;
const patternsByNumber: readonly Pattern[] = ['NK', 'IK'];

export interface FirstRecord {
  readonly header: Buffer;
  readonly pattern: Pattern;
  readonly message: Buffer;
}

/** As it stands in the header of a first message. */
export function patternNumber(pattern: Pattern): number {
  return patternsByNumber.indexOf(pattern);
}

/** Bytes of a first message around its payload. */
export function firstOverhead(pattern: Pattern): number {
  return publicBytes + tagBytes + (pattern === 'IK' ? publicBytes + tagBytes : 0);
}

/** What binds a handshake to this protocol, to one circuit and to the header of its first message. */
export function prologueOf(trace: string, header: Buffer): Buffer {
  return Buffer.concat([Buffer.from('hopline secure 1'), Buffer.from(trace, 'hex'), header]);
}

/** Decodes a record of `kind` whole, as a copy. Bad: `SECURE_FAILED`. */
export function decodeFirstRecord(bytes: Buffer, kind: number): Decoded<FirstRecord> {
  if (bytes.length < recordHeaderBytes) return more;
  const header = decodeRecordHeader(bytes.subarray(0, recordHeaderBytes));
  const pattern = header && patternsByNumber[header.pattern];
  const isAnswer = kind === recordKinds.answer;
  if (!header || !pattern || header.kind !== kind || (isAnswer && header.pattern !== 0)) {
    return bad('SECURE_FAILED', 'the peer sent something else where a message of the handshake was due');
  }
  const { length } = header;
  const least = isAnswer ? publicBytes + tagBytes : firstOverhead(pattern);
  if (length < least || length > maxMessageBytes) {
    return bad('SECURE_FAILED', `the peer sent a message of ${length} bytes in a handshake`);
  }
  const end = recordHeaderBytes + length;
  if (bytes.length < end) return more;
  const copy = Buffer.from(bytes.subarray(0, end));
  return ok({ header: copy.subarray(0, recordHeaderBytes), pattern, message: copy.subarray(recordHeaderBytes) }, end);
}
