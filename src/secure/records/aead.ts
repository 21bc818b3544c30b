/**
 * AES-256-GCM over records: what sealing and opening promise, and the way by node:crypto.
 *
 * The other way, openssl.ts, calls the same cipher in place at a fraction of the cost; both make the same bytes.
 * Neither takes a length beside the memory that it is of, so none can be wrong.
 * Invariant: what does not authenticate is never left in memory that was handed in: it is zeroed.
 */

import { createCipheriv, createDecipheriv } from 'node:crypto';
import { HoplineError } from '../../core/errors.ts';

export const keyBytes = 32;
export const tagBytes = 16;
const algorithm = 'aes-256-gcm';
/** What node:crypto takes at once: memory of this size is reused, and any larger costs twice as much (measured). */
const stepBytes = 64 * 1024;

export interface Aead {
  readonly name: 'node' | 'openssl';
  /**
   * Seals `parts`, one behind the other, into `to`, with the tag behind them; `header` is authenticated too.
   * No key seals twice under one `counter`. Throws `SECURE_FAILED`, with `to` zeroed.
   */
  seal(key: Buffer, counter: bigint, header: Buffer, parts: readonly Buffer[], to: Buffer): void;
  /** Opens `box` in place, all but its tag; false, with all of it zeroed, where the tag is wrong. Throws `SECURE_FAILED`. */
  open(key: Buffer, counter: bigint, header: Buffer, box: Buffer): boolean;
}

/** Is there wherever Node is. */
export const nodeAead: Aead = {
  name: 'node',

  seal(key, counter, header, parts, to) {
    checkSeal(key, parts, to);
    const cipher = createCipheriv(algorithm, key, nonceOf(counter), { authTagLength: tagBytes }).setAAD(header);
    let at = 0;
    for (const part of parts) {
      for (const step of steps(part)) at += cipher.update(step).copy(to, at);
    }
    cipher.final();
    cipher.getAuthTag().copy(to, at);
  },

  open(key, counter, header, box) {
    checkOpen(key, box);
    const content = box.subarray(0, -tagBytes);
    const decipher = createDecipheriv(algorithm, key, nonceOf(counter), { authTagLength: tagBytes });
    decipher.setAAD(header).setAuthTag(box.subarray(-tagBytes));
    let at = 0;
    for (const step of steps(content)) at += decipher.update(step).copy(box, at);
    try {
      decipher.final();
      return true;
    } catch {
      box.fill(0);
      return false;
    }
  },
};

/** As Noise has it for AESGCM: 4 bytes of zero, and the counter. */
export function nonceOf(counter: bigint): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeBigUInt64BE(counter, 4);
  return nonce;
}

/** Throws for memory that does not fit what is asked for: the last look before C, which looks at nothing. */
export function checkSeal(key: Buffer, parts: readonly Buffer[], to: Buffer): void {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  if (key.length !== keyBytes || to.length !== length + tagBytes) throw misfit();
}

/** The same for opening. */
export function checkOpen(key: Buffer, box: Buffer): void {
  if (key.length !== keyBytes || box.length < tagBytes) throw misfit();
}

function misfit(): HoplineError {
  return new HoplineError('SECURE_FAILED', 'a record and the memory for it do not fit');
}

function* steps(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += stepBytes) yield bytes.subarray(at, at + stepBytes);
}
