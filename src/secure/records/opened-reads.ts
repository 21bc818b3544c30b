/**
 * What comes on a secure circuit, out of its records, for whoever reads it.
 *
 * Reads the leg below and opens its records as they come. Does not know what the bytes mean, or how records are made.
 * Invariant: at most two records that came wait to be read; before the client's first record, which confirms and is empty,
 * nothing of its records is passed on.
 */

import { asHoplineError, type HoplineError } from '../../core/errors.ts';
import type { Signal } from '../../core/signal.ts';
import { Arrivals, memoryOf, type ReadMemory } from '../../io/legs/arrivals.ts';
import { type Chunk, restOf } from '../../io/legs/blocks.ts';
import type { Leg } from '../../io/legs/leg.ts';
import { lost } from '../../io/legs/loss.ts';
import { altered, type RecordOpener } from './record.ts';

/** Of a record that has less to come, it comes by way of the leg's own memory: a circuit of small records needs no more. */
const minSealedBytes = 16 * 1024;
const sealedBytes = 512 * 1024;

interface OpenedReadsOptions {
  readonly leg: Leg;
  /** Breaks the circuit. */
  readonly fail: (error: HoplineError) => void;
  /** The client has shown that it is there. */
  readonly onConfirmed: () => void;
}

export class OpenedReads {
  /** What was opened and not read yet. */
  readonly arrivals = new Arrivals(0);
  readonly #leg: Leg;
  readonly #options: OpenedReadsOptions;
  #opener: RecordOpener | undefined;
  /** What records without a place of their own, and what is behind them, are read into before they are opened. */
  #sealed: Buffer | undefined;
  /** What was read and is not opened yet. */
  #rest: Chunk | undefined;
  /** Requests that wait for the client to show that it is there. */
  #held: Buffer | undefined;
  /** Whoever waits to read, for whom nothing has come yet, and the memory that it reads into. */
  #asked: { readonly memory?: Buffer } | undefined;
  #isConfirmed = false;
  #isPaused = false;
  #isPumping = false;

  constructor(options: OpenedReadsOptions) {
    this.#leg = options.leg;
    this.#options = options;
    this.arrivals.comeFrom({ pause: () => this.#pause(), resume: () => this.#resume() });
    this.#leg.holdUpBy(() => !this.arrivals.isEmpty || this.#rest !== undefined || (!this.#asked && this.#isWaiting));
  }

  /** There is a key. `unconfirmed` is what a client asked for that has yet to show that it is there. */
  begin(opener: RecordOpener, unconfirmed?: { readonly early: Buffer; readonly isEarly: boolean }): void {
    this.#opener = opener;
    this.#isConfirmed = unconfirmed === undefined;
    if (unconfirmed?.isEarly) this.#give(unconfirmed.early);
    else this.#held = unconfirmed?.early;
    void this.#pump();
  }

  /** As `Leg.read`. */
  async read(maxBytes: number, signal?: Signal): Promise<Chunk | null> {
    this.#ask({});
    try {
      return await this.arrivals.next(maxBytes, signal);
    } finally {
      this.#asked = undefined;
    }
  }

  /** As `Leg.readInto`. A record that fits is opened into `memory`, without other memory before it. */
  async readInto(memory: Buffer, signal?: Signal): Promise<number> {
    this.#ask({ memory });
    try {
      return await this.arrivals.nextInto(memory, signal);
    } finally {
      this.#asked = undefined;
      this.#opener?.keep();
    }
  }

  /** Whether nothing waits to be read, and no record has begun to arrive. */
  get isBetween(): boolean {
    return this.arrivals.isEmpty && !this.#rest && !this.arrivals.isEnded && this.#opener?.filled === 0;
  }

  /** Of the record at hand. */
  get partialBytes(): number {
    return this.#opener?.filled ?? 0;
  }

  /** Nothing comes any more. */
  forget(): void {
    this.#opener?.forget();
  }

  #ask(asked: { readonly memory?: Buffer }): void {
    // Into the memory of one who is served at once goes what is here, and nothing else.
    if (!this.arrivals.isEmpty) return;
    this.#asked = asked;
    if (this.#isWaiting) void this.#pump();
  }

  /** Whether a record waits for somebody to say where its content goes. */
  get #isWaiting(): boolean {
    return this.#opener !== undefined && this.#opener.unplaced > 0;
  }

  /** Whether it is known where the content of the record at hand goes: into the memory of who reads, if it is the next thing to be read. */
  #hasPlace(opener: RecordOpener): boolean {
    const length = opener.unplaced;
    if (length === 0) return true;
    if (!this.#asked || !this.arrivals.isEmpty) return false;
    const { memory } = this.#asked;
    opener.place(memory && memory.length >= length ? memory.subarray(0, length) : undefined);
    return true;
  }

  #pause(): void {
    this.#isPaused = true;
  }

  #resume(): void {
    this.#isPaused = false;
    void this.#pump();
  }

  /** Opens records as they come, and reads on when there is room. Never throws. */
  async #pump(): Promise<void> {
    const opener = this.#opener;
    if (this.#isPumping || !opener) return;
    this.#isPumping = true;
    try {
      while (!this.#isPaused && this.#hasPlace(opener)) {
        const chunk = await this.#readNext(opener).catch((error) => this.#passOn(error));
        if (chunk === undefined) continue;
        if (chunk === null) return this.arrivals.isEnded ? undefined : this.#options.fail(lost(this.#leg.peer));
        this.#openRecords(opener, chunk);
      }
    } catch (error) {
      this.#options.fail(asHoplineError(error));
    } finally {
      this.#isPumping = false;
    }
  }

  /**
   * A large record comes into the place that its content has, and is opened there. While it has none, or smaller ones come many at
   * a time, all that comes goes into memory that is opened out of.
   */
  async #readNext(opener: RecordOpener): Promise<Chunk | null> {
    const rest = this.#rest;
    this.#rest = undefined;
    if (rest) return rest;
    if (opener.room.length > 0) return this.#readInto(() => opener.room);
    if (opener.due < minSealedBytes) return this.#leg.read();
    this.#sealed ??= Buffer.allocUnsafeSlow(sealedBytes);
    return this.#readInto(this.#sealed);
  }

  /** The reader whose memory it is may have left between the bytes' arrival and this one's turn, and they are elsewhere. */
  async #readInto(place: ReadMemory): Promise<Chunk | null> {
    const count = await this.#leg.readInto(place);
    return count === 0 ? null : { bytes: memoryOf(place).subarray(0, count), release: () => {} };
  }

  /** Who interrupts the leg below means whoever reads here. */
  #passOn(error: unknown): undefined {
    if (this.#leg.failure || !this.arrivals.interrupt(error)) throw error;
  }

  #openRecords(opener: RecordOpener, chunk: Chunk): void {
    let at = 0;
    while (at < chunk.bytes.length && !this.#isPaused && this.#hasPlace(opener)) {
      if (this.arrivals.isEnded) throw altered('it stands behind the end');
      const { used, content } = opener.take(chunk.bytes.subarray(at));
      at += used;
      if (content) this.#takeContent(content);
    }
    if (at < chunk.bytes.length) this.#rest = restOf(chunk, at);
    else chunk.release();
  }

  #takeContent(content: Chunk): void {
    const isEmpty = content.bytes.length === 0;
    if (!isEmpty && !this.#isConfirmed) throw altered('it is not the one that confirms');
    if (!isEmpty) {
      this.#asked = undefined;
      if (!this.arrivals.take(content)) this.#isPaused = true;
      return;
    }
    content.release();
    if (this.#isConfirmed) this.arrivals.end();
    else this.#takeConfirmation();
  }

  #takeConfirmation(): void {
    this.#isConfirmed = true;
    this.#options.onConfirmed();
    if (this.#held) this.#give(this.#held);
    this.#held = undefined;
  }

  #give(bytes: Buffer): void {
    if (bytes.length > 0 && !this.arrivals.take({ bytes, release: () => {} })) this.#isPaused = true;
  }
}
