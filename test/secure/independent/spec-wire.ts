/**
 * Frames, headers of records, sealed directions and the text of keys, written from docs/protocol/, docs/security.md and BIP 173
 * alone. Knows nothing of src/. Any failure is thrown.
 */

import assert from 'node:assert/strict';
import { crc32 } from 'node:zlib';
import { specOpen, specRekey, specSeal } from './spec-noise.ts';

export type SpecMessage = { readonly type: string } & Readonly<Record<string, unknown>>;

/** One frame: docs/protocol/circuits.md#frames. */
export function specFrame(message: SpecMessage): Buffer {
  const json = Buffer.from(JSON.stringify(message));
  const head = Buffer.from('ff484c010000000000000000', 'hex');
  head.writeUInt32BE(json.length, 4);
  head.writeUInt32BE(crc32(json), 8);
  return Buffer.concat([head, json]);
}

/** The bytes that a whole frame has, once its head is there. */
export function specFrameLength(head: Buffer): number {
  assert.equal(head.subarray(0, 4).toString('hex'), 'ff484c01');
  const length = head.readUInt32BE(4);
  assert.ok(length <= 65_536);
  return 12 + length;
}

export function specMessage(frame: Buffer): SpecMessage {
  const json = frame.subarray(12, specFrameLength(frame));
  assert.equal(crc32(json), frame.readUInt32BE(8));
  return JSON.parse(json.toString());
}

/** All messages of bytes that are nothing but frames. */
export function specMessages(bytes: Buffer): SpecMessage[] {
  const messages: SpecMessage[] = [];
  for (let at = 0; at < bytes.length; at += specFrameLength(bytes.subarray(at)))
    messages.push(specMessage(bytes.subarray(at)));
  return messages;
}

/** Header of a record: docs/protocol/encryption.md#records. */
export function specHeader(kind: 1 | 2 | 3, pattern: 'IK' | 'NK' | undefined, length: number): Buffer {
  const header = Buffer.of(0xfe, kind, pattern === 'IK' ? 1 : 0, 0, 0, 0, 0, 0);
  header.writeUInt32BE(length, 4);
  return header;
}

/** What the handshake is bound to: docs/protocol/encryption.md#handshake. */
export function specPrologue(trace: string, header: Buffer): Buffer {
  return Buffer.concat([Buffer.from('hopline secure 1', 'ascii'), Buffer.from(trace, 'hex'), header]);
}

/** One direction of records. Its owner seals, or opens, one after the other. */
export class SpecDirection {
  #key: Buffer;
  #count = 0n;

  constructor(key: Buffer) {
    this.#key = key;
  }

  /** A whole record. */
  seal(content: Buffer): Buffer {
    const header = specHeader(3, undefined, content.length + 16);
    return Buffer.concat([header, specSeal(this.#nextKey(), this.#count++, header, content)]);
  }

  /** The content of a whole record. */
  open(record: Buffer): Buffer {
    const header = record.subarray(0, 8);
    assert.deepEqual(header, specHeader(3, undefined, record.length - 8));
    return specOpen(this.#nextKey(), this.#count++, header, record.subarray(8));
  }

  /** Of the last record. */
  get key(): Buffer {
    return this.#key;
  }

  #nextKey(): Buffer {
    if (this.#count > 0n && this.#count % 65_536n === 0n) this.#key = specRekey(this.#key);
    return this.#key;
  }
}

const letters = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';

/** BIP 173. */
function checksum(values: readonly number[]): number {
  let sum = 1;
  for (const value of values) {
    const top = sum >>> 25;
    sum = ((sum & 0x1ffffff) << 5) ^ value;
    for (const [bit, term] of [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3].entries())
      if ((top >>> bit) & 1) sum ^= term;
  }
  return sum;
}

function expand(prefix: string): number[] {
  const codes = [...Buffer.from(prefix)];
  return [...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31)];
}

/** Groups of bits of one size as groups of another. */
function regroup(values: Iterable<number>, from: number, to: number): number[] {
  const bits = [...values].map((value) => value.toString(2).padStart(from, '0')).join('');
  return (bits.match(new RegExp(`.{1,${to}}`, 'g')) ?? []).map((group) => Number.parseInt(group.padEnd(to, '0'), 2));
}

/** The text of a key of 32 bytes; `hop`, or `hop-secret-key-`, which is then written in capitals. */
export function specKeyText(prefix: string, key: Buffer): string {
  const groups = regroup(key, 8, 5);
  const sum = checksum([...expand(prefix), ...groups, 0, 0, 0, 0, 0, 0]) ^ 1;
  const tail = [25, 20, 15, 10, 5, 0].map((shift) => (sum >>> shift) & 31);
  return `${prefix}1${[...groups, ...tail].map((group) => letters[group]).join('')}`;
}

/** The 32 bytes of the text of a key. */
export function specKeyBytes(text: string): Buffer {
  const lower = text.toLowerCase();
  const split = lower.lastIndexOf('1');
  const groups = [...lower.slice(split + 1)].map((letter) => letters.indexOf(letter));
  assert.equal(checksum([...expand(lower.slice(0, split)), ...groups]), 1);
  return Buffer.from(regroup(groups.slice(0, -6), 5, 8).slice(0, 32));
}
