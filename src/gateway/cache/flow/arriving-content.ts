/**
 * One answer's content on its way into the cache, with any number of readers who follow it.
 *
 * Content goes to the store as fast as it comes; each reader reads what is there
 * already, at its own pace, so that a slow one holds nobody up. A small content stays in
 * memory. When it cannot be stored any further (a full disk, a content beyond the cap)
 * it passes from chunk to chunk, all readers at one pace.
 * Invariant: what is published is complete; nothing is published that had to be passed on.
 */

import { Readable } from 'node:stream';
import { asHoplineError, HoplineError } from '../../../core/errors.ts';
import type { Turns } from '../../../core/work/turns.ts';
import type { EntryWriter } from '../disk/entry-file.ts';

export interface FillingOptions {
  readonly source: Readable;
  /** Bytes that Content-Length promises, if it is there. */
  readonly length: number | undefined;
  /** Up to so many bytes stay in memory. */
  readonly smallBytes: number;
  /** Larger content is not stored. */
  readonly maxBytes: number;
  /** What may be left of content that nobody waits for, to be fetched all the same. */
  readonly maxAbandonedBytes: number;
  /** At the disk, with all others. */
  readonly turns: Turns;
  /** Makes the file, once content is not small any more. */
  readonly create: () => Promise<EntryWriter>;
  /** Takes the complete content, in its file. */
  readonly publish: (writer: EntryWriter) => Promise<void>;
  /** Takes what there is of content that broke off, if that may be of use; false if not. */
  readonly keep: (writer: EntryWriter) => boolean;
  /** Takes the complete content, if it is small. */
  readonly put: (content: Buffer) => Promise<void> | void;
  readonly onUnstored: (error: unknown) => undefined;
}

interface Reader {
  position: number;
  readonly end: number;
}

const chunkBytes = 64 * 1024;

export class Filling {
  /** Settles, and never rejects, when the answer has been published or never will be. */
  readonly settled: Promise<void>;
  readonly #options: FillingOptions;
  readonly #readers = new Set<Reader>();
  #memory: Buffer[] = [];
  /** There once the content is in it, too, and not in memory alone. */
  #writer: EntryWriter | undefined;
  #isWriterDone = false;
  #isClosed = false;
  #isPublished = false;
  #isAbandoned = false;
  /** Bytes that are in memory or in the file. */
  #stored = 0;
  /** The chunk behind them that is passed on. */
  #passed: { readonly at: number; readonly bytes: Buffer } | undefined;
  #isPassing = false;
  #total = 0;
  #isEnded = false;
  #error: HoplineError | undefined;
  #waiting: (() => void)[] = [];

  constructor(options: FillingOptions) {
    this.#options = options;
    this.settled = this.#run();
  }

  /** Whether all of it is here, and stored in a moment. */
  get isComplete(): boolean {
    return this.#isEnded && this.isJoinable;
  }

  /** Whether a reader can still begin at the first byte. */
  get isJoinable(): boolean {
    return !this.#isPassing && !this.#isClosed && !this.#isAbandoned && this.#error === undefined;
  }

  /** A reader of `length` bytes from `offset` on, or of all there will be. */
  follow(offset = 0, length = Number.POSITIVE_INFINITY): Readable {
    const reader: Reader = { position: offset, end: offset + length };
    this.#readers.add(reader);
    const next = () => this.#next(reader);
    const leave = () => this.#leave(reader);
    return new Readable({
      highWaterMark: chunkBytes,
      read() {
        next().then(
          (bytes) => this.push(bytes ?? null),
          (error: Error) => this.destroy(error),
        );
      },
      destroy(error, done) {
        leave();
        done(error);
      },
    });
  }

  async #run(): Promise<void> {
    const { length } = this.#options;
    try {
      for await (const chunk of this.#options.source) {
        await this.#take(chunk as Buffer);
        this.#wake();
      }
      if (length !== undefined && this.#total !== length) {
        throw new HoplineError('PEER_LOST', `the content ended after ${this.#total} of ${length} bytes`);
      }
    } catch (error) {
      this.#error = asHoplineError(error);
    }
    this.#isEnded = true;
    this.#wake();
    if (!this.#error && !this.#isPassing) await this.#publish();
    this.#isWriterDone = true;
    await this.#closeUnused();
  }

  async #take(chunk: Buffer): Promise<void> {
    if (!this.#isPassing) {
      try {
        await this.#store(chunk);
        this.#total += chunk.length;
        return;
      } catch (error) {
        this.#isPassing = true;
        this.#options.onUnstored(error);
      }
    }
    this.#passed = { at: this.#total, bytes: chunk };
    this.#total += chunk.length;
    this.#wake();
    while ([...this.#readers].some(({ position, end }) => position < Math.min(end, this.#total))) await this.#change();
    if (this.#readers.size === 0) this.#abandon();
  }

  async #store(chunk: Buffer): Promise<void> {
    const { maxBytes, smallBytes } = this.#options;
    const total = this.#stored + chunk.length;
    if (total > maxBytes) throw new HoplineError('LIMIT_PAYLOAD', `the content is larger than ${maxBytes} bytes`);
    if (!this.#writer && total <= smallBytes) this.#memory.push(chunk);
    else await this.#inTurn(this.#stored, async () => (await this.#openWriter()).write(chunk));
    this.#stored = total;
  }

  /** Whoever has had less of the disk goes first: so an answer that is new is not kept waiting by many that are long. */
  async #inTurn<T>(had: number, work: () => Promise<T>): Promise<T> {
    const endTurn = await this.#options.turns.take({ had });
    return work().finally(endTurn);
  }

  async #openWriter(): Promise<EntryWriter> {
    if (this.#writer) return this.#writer;
    const writer = await this.#options.create();
    try {
      if (this.#memory.length > 0) await writer.write(Buffer.concat(this.#memory));
    } catch (error) {
      await writer.discard();
      await writer.close();
      throw error;
    }
    this.#writer = writer;
    return writer;
  }

  async #publish(): Promise<void> {
    const { publish, put, onUnstored } = this.#options;
    try {
      if (this.#writer) await publish(this.#writer);
      this.#isPublished = true;
      if (!this.#writer) await put(Buffer.concat(this.#memory));
    } catch (error) {
      onUnstored(error);
    }
  }

  async #next(reader: Reader): Promise<Buffer | undefined> {
    while (reader.position < reader.end) {
      const bytes = await this.#available(reader);
      if (bytes) {
        reader.position += bytes.length;
        if (this.#isPassing) this.#wake();
        return bytes;
      }
      if (this.#error) throw this.#error;
      if (this.#isEnded) return undefined;
      await this.#change();
    }
    return undefined;
  }

  /** What is there for a reader at this moment. */
  async #available({ position, end }: Reader): Promise<Buffer | undefined> {
    const length = Math.min(chunkBytes, end - position);
    if (position < this.#stored) {
      const here = Math.min(length, this.#stored - position);
      if (!this.#writer) return this.#inMemory(position, here);
      return await this.#inTurn(position, async () => this.#writer?.read(position, here));
    }
    const passed = this.#passed;
    if (!passed || position < passed.at) return undefined;
    const bytes = passed.bytes.subarray(position - passed.at, position - passed.at + length);
    return bytes.length > 0 ? bytes : undefined;
  }

  #inMemory(position: number, length: number): Buffer | undefined {
    let at = 0;
    for (const chunk of this.#memory) {
      if (position < at + chunk.length) return chunk.subarray(position - at, position - at + length);
      at += chunk.length;
    }
    return undefined;
  }

  #leave(reader: Reader): void {
    if (!this.#readers.delete(reader)) return;
    this.#wake();
    if (this.#readers.size > 0) return;
    void this.#closeUnused();
    if (this.#isEnded) return;
    const { length, maxAbandonedBytes } = this.#options;
    const left = (length ?? Number.POSITIVE_INFINITY) - this.#total;
    if (left > maxAbandonedBytes || this.#isPassing) this.#abandon();
  }

  #abandon(): void {
    this.#isAbandoned = true;
    this.#options.source.destroy(new HoplineError('INTERRUPTED', 'nobody waits for the content any more'));
  }

  async #closeUnused(): Promise<void> {
    if (this.#readers.size > 0 || !this.#isWriterDone) return;
    this.#isClosed = true;
    const writer = this.#writer;
    this.#writer = undefined;
    this.#memory = [];
    if (!writer) return;
    const isBroken = !this.#isPublished && !this.#isPassing && this.#error !== undefined;
    if (isBroken && this.#options.keep(writer)) return;
    if (!this.#isPublished) await writer.discard();
    await writer.close();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
