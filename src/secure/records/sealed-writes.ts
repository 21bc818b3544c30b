/**
 * What is written to a secure circuit, on its way into records: in its order, one write of the leg at a time.
 *
 * What is written while records are on their way, or before there is a key, goes into the next one together. The first records are
 * short, each twice as long as the one before: nothing of a record counts before its end is there, and on a long leg the first
 * megabyte takes several round trips.
 * Invariant: a write settles when all of it is with the kernel, or never will be; nothing follows the end.
 */

import { HoplineError } from '../../core/errors.ts';
import type { Leg } from '../../io/legs/leg.ts';
import { lost } from '../../io/legs/loss.ts';
import type { RecordSealer } from './record.ts';

/** Bytes of content in the first record at most. */
const firstContentBytes = 64 * 1024;
/** Bytes of small records that are sealed and written in one go. */
const togetherBytes = 512 * 1024;

interface Write {
  left: Buffer;
  readonly done?: { resolve(): void; reject(error: HoplineError): void };
}

export class SealedWrites {
  /** Settles, and never rejects, once the end is with the kernel or the circuit is gone. */
  readonly ended: Promise<void>;
  readonly #leg: Leg;
  readonly #fail: (error: HoplineError) => void;
  readonly #queue: Write[] = [];
  #sealer: RecordSealer | undefined;
  /** Bytes of content in the next record, as far as the sealer takes so many. */
  #contentBytes = firstContentBytes;
  /** Bytes that may still be written. */
  #allowed = Number.POSITIVE_INFINITY;
  #corks = 0;
  #isOut = false;
  #isEnding = false;
  #failure: HoplineError | undefined;
  #settleEnded = () => {};

  /** `fail` is told what goes wrong with sealing. */
  constructor(leg: Leg, fail: (error: HoplineError) => void) {
    this.#leg = leg;
    this.#fail = fail;
    this.ended = new Promise((resolve) => {
      this.#settleEnded = resolve;
    });
  }

  /** The same for a client, whose first record is empty and shows the node that it is there. */
  beginWithConfirmation(sealer: RecordSealer): void {
    this.#sealer = sealer;
    this.#send(sealer.seal([]), [], false);
  }

  /** From now on there are keys; `maxBytes` may be written, and what `allow` adds. */
  begin(sealer: RecordSealer, maxBytes: number): void {
    this.#sealer = sealer;
    this.#allowed = maxBytes;
    this.#flush();
  }

  /** So many bytes more may be written. */
  allow(bytes: number): void {
    this.#allowed += bytes;
    this.#flush();
  }

  get isIdle(): boolean {
    return this.#queue.length === 0 && !this.#isOut && !this.#isEnding;
  }

  write(bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure || this.#isEnding) return reject(this.#failure ?? lost(this.#leg.peer));
      this.#queue.push({ left: bytes, done: { resolve, reject } });
      this.#flush();
    });
  }

  post(bytes: Buffer): void {
    if (this.#failure || this.#isEnding) return;
    this.#queue.push({ left: bytes });
    this.#flush();
  }

  cork(): void {
    this.#corks += 1;
  }

  uncork(): void {
    this.#corks -= 1;
    this.#flush();
  }

  end(): void {
    if (this.#isEnding || this.#failure) return;
    this.#isEnding = true;
    this.#flush();
  }

  /** The end, if nothing is on its way: a small record that the kernel takes at once, before the connection is closed. */
  endAtOnce(): void {
    if (!this.#sealer || this.#isOut || this.#isEnding || this.#failure || this.#queue.length > 0) return;
    this.#isEnding = true;
    this.#leg.post(this.#sealer.seal([]));
  }

  /** Whether the sealer may be lent for `bytes`: all that was written is with the leg, and nothing holds back what comes. */
  isFreeFor(bytes: number): boolean {
    const isHeld = this.#corks > 0 || this.#allowed < bytes;
    return this.#sealer !== undefined && this.isIdle && !isHeld && !this.#failure;
  }

  /**
   * Lends the sealer to whoever sends records of `bytes` past the leg; until `takeBack`, what is written waits. Throws `INTERNAL`
   * unless `isFreeFor` them.
   */
  lend(bytes: number): RecordSealer {
    if (!this.#sealer || !this.isFreeFor(bytes)) throw new HoplineError('INTERNAL', 'a sealer was lent that is in use');
    this.#allowed -= bytes;
    this.#isOut = true;
    return this.#sealer;
  }

  takeBack(): void {
    this.#isOut = false;
    if (this.#failure) this.#sealer?.forget();
    else this.#flush();
  }

  /** Bytes of content in the next record; each is twice as long as the one before. */
  nextContentBytes(): number {
    const bytes = Math.min(this.#sealer?.maxContent ?? 0, this.#contentBytes);
    this.#contentBytes = bytes * 2;
    return bytes;
  }

  /** Nothing leaves any more. */
  close(failure: HoplineError): void {
    this.#failure ??= failure;
    for (const { done } of this.#queue.splice(0)) done?.reject(this.#failure);
    if (!this.#isOut) this.#sealer?.forget();
    this.#settleEnded();
  }

  #flush(): void {
    const sealer = this.#sealer;
    if (!sealer || this.#isOut || this.#corks > 0 || this.#failure) return;
    const { records, written } = this.#gather(sealer);
    const isEnd = records.length === 0 && this.#queue.length === 0 && this.#isEnding;
    for (const { done } of records.length === 0 ? written : []) done?.resolve();
    if (records.length === 0 && !isEnd) return;
    try {
      this.#send(isEnd ? sealer.seal([]) : sealer.seal(...records), written, isEnd);
    } catch (error) {
      for (const { done } of written) done?.reject(error as HoplineError);
      this.#fail(error as HoplineError);
    }
  }

  /** The content of the records that leave together, and which writes are done with them. */
  #gather(sealer: RecordSealer): { records: Buffer[][]; written: Write[] } {
    const records: Buffer[][] = [];
    const written: Write[] = [];
    for (let room = togetherBytes; room > 0; ) {
      const most = Math.min(sealer.maxContent, this.#contentBytes);
      if (records.length > 0 && most > room) break;
      const next = this.#next(Math.min(most, this.#allowed));
      written.push(...next.written);
      if (next.parts.length === 0) break;
      records.push(next.parts);
      room -= most;
      this.#contentBytes = Math.min(sealer.maxContent, this.#contentBytes * 2);
    }
    return { records, written };
  }

  /** What goes into the next record, at most `most` bytes, and which writes are done with it. */
  #next(most: number): { parts: Buffer[]; written: Write[] } {
    const parts: Buffer[] = [];
    const written: Write[] = [];
    let room = most;
    for (let write = this.#queue[0]; write && (room > 0 || write.left.length === 0); write = this.#queue[0]) {
      const part = write.left.subarray(0, room);
      if (part.length > 0) parts.push(part);
      room -= part.length;
      this.#allowed -= part.length;
      write.left = write.left.subarray(part.length);
      if (write.left.length > 0) break;
      written.push(write);
      this.#queue.shift();
    }
    return { parts, written };
  }

  #send(record: Buffer, written: readonly Write[], isEnd: boolean): void {
    this.#isOut = true;
    this.#leg.write(record).then(
      () => {
        this.#isOut = false;
        for (const { done } of written) done?.resolve();
        if (!isEnd) return this.#flush();
        this.#failure ??= lost(this.#leg.peer);
        this.#leg.end();
        this.#settleEnded();
      },
      (error: HoplineError) => {
        this.#isOut = false;
        for (const { done } of written) done?.reject(error);
        this.close(error);
      },
    );
  }
}
