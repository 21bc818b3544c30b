/**
 * AES-256-GCM over records: what sealing and opening promise, and the way by node:crypto.
 *
 * The other way, openssl.ts, calls the same cipher in place at a fraction of the cost; both make the same bytes.
 * Neither takes a length beside the memory that it is of, so none can be wrong.
 * Invariant: what does not authenticate is never left in memory that was handed in: it is zeroed.
 */

import { type CipherGCM, createCipheriv, createDecipheriv, type DecipherGCM } from 'node:crypto';
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
  /** For whoever seals one box after the other, each as its content comes; to be closed. */
  newSealer(): BoxSealer;
  /** For whoever opens one box after the other; to be closed. */
  newOpener(): BoxOpener;
}

/** Seals boxes whose content comes in parts. */
export interface BoxSealer {
  /** Begins a box, whatever became of the one before. No key seals twice under one `counter`. Throws `SECURE_FAILED`. */
  begin(key: Buffer, counter: bigint, header: Buffer): void;
  /** Seals what comes next of the content into `to`, of its length, which may be the same memory. Throws `SECURE_FAILED`, with `to` zeroed. */
  update(from: Buffer, to: Buffer): void;
  /** Writes the tag. Throws `SECURE_FAILED`, with it zeroed. */
  finish(tag: Buffer): void;
  /** It seals nothing more. */
  close(): void;
}

/** Opens boxes whose bytes come in parts. What it has opened says nothing before `finish` did. */
export interface BoxOpener {
  /** Begins a box whose content goes into `to` and fills it. Throws `SECURE_FAILED`. */
  begin(key: Buffer, counter: bigint, header: Buffer, to: Buffer): void;
  /** Opens what comes next of the content; `from` may be its place in `to`. Throws `SECURE_FAILED`, with `to` zeroed. */
  update(from: Buffer): void;
  /** From now on all of the content is in `to`, of the same length, with what stood in its place; where it was before is zeroed. */
  moveTo(to: Buffer): void;
  /** Whether the content is whole and the tag right; otherwise all of `to` is zeroed. */
  finish(tag: Buffer): boolean;
  /** A box that had begun is zeroed. It opens nothing more. */
  close(): void;
}

/** Opens `box` in place, all but its tag; false, with all of it zeroed, where the tag is wrong. Throws `SECURE_FAILED`. */
export function openBox(aead: Aead, key: Buffer, counter: bigint, header: Buffer, box: Buffer): boolean {
  if (box.length < tagBytes) throw misfit();
  const content = box.subarray(0, -tagBytes);
  const opener = aead.newOpener();
  let isRight = false;
  try {
    opener.begin(key, counter, header, content);
    if (content.length > 0) opener.update(content);
    isRight = opener.finish(box.subarray(-tagBytes));
    return isRight;
  } finally {
    if (!isRight) box.fill(0);
    opener.close();
  }
}

/** Is there wherever Node is. */
export const nodeAead: Aead = {
  name: 'node',

  seal: (...box) => sealParts(nodeAead.newSealer(), ...box),

  newSealer() {
    let cipher: CipherGCM | undefined;
    let isClosed = false;
    return {
      begin(key, counter, header) {
        if (isClosed || key.length !== keyBytes) throw misfit();
        cipher = createCipheriv(algorithm, key, nonceOf(counter), { authTagLength: tagBytes }).setAAD(header);
      },
      update(from, to) {
        if (!cipher || from.length !== to.length) throw unsealed(to);
        let at = 0;
        for (const step of steps(from)) at += cipher.update(step).copy(to, at);
      },
      finish(tag) {
        if (!cipher || tag.length !== tagBytes) throw unsealed(tag);
        cipher.final();
        cipher.getAuthTag().copy(tag);
        cipher = undefined;
      },
      close() {
        cipher = undefined;
        isClosed = true;
      },
    };
  },

  newOpener() {
    let decipher: DecipherGCM | undefined;
    const place = new BoxPlace();
    return {
      begin(key, counter, header, to) {
        place.begin(key, to);
        decipher = createDecipheriv(algorithm, key, nonceOf(counter), { authTagLength: tagBytes }).setAAD(header);
      },
      update(from) {
        const to = place.take(from);
        let at = 0;
        for (const step of steps(from)) at += (decipher as DecipherGCM).update(step).copy(to, at);
      },
      finish(tag) {
        try {
          if (tag.length !== tagBytes || !place.isFull) throw misfit();
          decipher?.setAuthTag(tag).final();
          place.done();
          return true;
        } catch {
          place.clear();
          return false;
        }
      },
      moveTo: (to) => place.moveTo(to),
      close: () => place.close(),
    };
  },
};

/** The memory that a box is opened into, and how far: the last look before C, which looks at nothing. */
export class BoxPlace {
  #to: Buffer | undefined;
  #at = 0;
  #isClosed = false;

  /** Throws `SECURE_FAILED` for a key that is none. */
  begin(key: Buffer, to: Buffer): void {
    this.clear();
    if (this.#isClosed || key.length !== keyBytes) throw misfit();
    this.#to = to;
    this.#at = 0;
  }

  get isFull(): boolean {
    return this.#at === this.#to?.length;
  }

  /** The place for what `from` says. Throws `SECURE_FAILED` where there is none, with all of the memory zeroed. */
  take(from: Buffer): Buffer {
    const to = this.#to;
    if (!to || this.#at + from.length > to.length) {
      this.clear();
      throw misfit();
    }
    this.#at += from.length;
    return to.subarray(this.#at - from.length, this.#at);
  }

  /** Takes along all that is there, opened or not, and zeroes it where it was. Throws `SECURE_FAILED` for memory of another length. */
  moveTo(to: Buffer): void {
    if (to.length !== this.#to?.length) throw misfit();
    this.#to.copy(to);
    this.#to.fill(0);
    this.#to = to;
  }

  /** The content is another's from now on. */
  done(): void {
    this.#to = undefined;
  }

  /** Zeroes what was not done. */
  clear(): void {
    this.#to?.fill(0);
    this.#to = undefined;
  }

  /** There is no place any more. */
  close(): void {
    this.clear();
    this.#isClosed = true;
  }
}

/** As Noise has it for AESGCM: 4 bytes of zero, and the counter. */
export function nonceOf(counter: bigint): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeBigUInt64BE(counter, 4);
  return nonce;
}

/** What `seal` of an AEAD promises, by a sealer of its. */
export function sealParts(sealer: BoxSealer, ...[key, counter, header, parts, to]: Parameters<Aead['seal']>): void {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  if (key.length !== keyBytes || to.length !== length + tagBytes) throw misfit();
  try {
    sealer.begin(key, counter, header);
    let at = 0;
    for (const part of parts) {
      sealer.update(part, to.subarray(at, at + part.length));
      at += part.length;
    }
    sealer.finish(to.subarray(at));
  } catch (error) {
    to.fill(0);
    throw error;
  }
}

/** The error for memory that nothing was sealed into; nothing is left there that could be sent in plain. */
function unsealed(memory: Buffer): HoplineError {
  memory.fill(0);
  return misfit();
}

export function misfit(): HoplineError {
  return new HoplineError('SECURE_FAILED', 'a record and the memory for it do not fit');
}

function* steps(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += stepBytes) yield bytes.subarray(at, at + stepBytes);
}
