/**
 * The key of one direction of a circuit, and the number of its next record.
 *
 * Invariant: no key is given out twice for one number; one that is replaced is zeroed.
 * Format: docs/protocol/encryption.md#records
 */

import { type Aead, keyBytes, nodeAead, tagBytes } from './aead.ts';

/** Records after which a key is changed: the most content under one key is far below what GCM is good for. */
const rekeyRecords = 65_536;
const lastCounter = 2n ** 64n - 1n;

export interface DirectionOptions {
  readonly aead: Aead;
  /** Zeroed when it is done with. */
  readonly key: Buffer;
  /** Bytes of content in one record. */
  readonly maxContent: number;
  /** @default what the format says; a test takes fewer */
  readonly rekeyRecords?: number;
}

export class SealedDirection {
  readonly aead: Aead;
  #key: Buffer;
  #counter = 0n;
  readonly #rekeyRecords: bigint;

  constructor(options: DirectionOptions) {
    this.aead = options.aead;
    this.#key = options.key;
    this.#rekeyRecords = BigInt(options.rekeyRecords ?? rekeyRecords);
  }

  /** For the next record. */
  next(): { readonly key: Buffer; readonly counter: bigint } {
    const counter = this.#counter++;
    if (counter > 0n && counter % this.#rekeyRecords === 0n) this.#rekey();
    return { key: this.#key, counter };
  }

  forget(): void {
    this.#key.fill(0);
  }

  /** REKEY of Noise. */
  #rekey(): void {
    const box = Buffer.alloc(keyBytes + tagBytes);
    nodeAead.seal(this.#key, lastCounter, Buffer.alloc(0), [Buffer.alloc(keyBytes)], box);
    this.#key.fill(0);
    this.#key = box.subarray(0, keyBytes);
  }
}
