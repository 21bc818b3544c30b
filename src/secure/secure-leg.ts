/**
 * The records of a circuit as a leg: what is written is sealed, what is read was opened.
 *
 * Stands on the leg that the records pass on, and has of a leg what frames are read and written by. Until it is
 * begun with the keys of a handshake, what is written waits. Does not know handshakes, or what the bytes mean.
 * Invariant: one record at a time is on its way out, and at most two that came wait to be read; a circuit whose
 * records do not hold is reset, and says SECURE_FAILED to whoever reads or writes.
 * Format: docs/protocol/encryption.md#records
 */

import { asHoplineError, type HoplineError } from '../core/errors.ts';
import { Arrivals } from '../io/legs/arrivals.ts';
import { type Chunk, restOf } from '../io/legs/blocks.ts';
import type { Leg } from '../io/legs/leg.ts';
import type { LegLike } from '../io/legs/leg-like.ts';
import { lost } from '../io/legs/loss.ts';
import type { PublicKey } from '../wire/keys/key.ts';
import { altered, type RecordOpener, type RecordSealer } from './records/record.ts';
import { SealedWrites } from './records/sealed-writes.ts';

/** Of a record that has less to come, it comes with whatever is behind it. */
const minSealedBytes = 64 * 1024;
const sealedBytes = 256 * 1024;

export interface Beginning {
  readonly sealer: RecordSealer;
  readonly opener: RecordOpener;
  /**
   * Of a node: what its client asked for with the first message, whether it may be read before the client has shown that it
   * is there, and how many bytes may be written before. The client's first record shows it, and is empty.
   */
  readonly unconfirmed?: { readonly early: Buffer; readonly isEarly: boolean; readonly maxBytes: number };
}

export class SecureLeg implements LegLike {
  readonly peer: string;
  readonly sealedBy: string;
  readonly closed: Promise<void>;
  /** Settles, and never rejects, once the client has shown that it is there; at once for the client itself. */
  readonly confirmed: Promise<void>;
  readonly #leg: Leg;
  readonly #arrivals = new Arrivals(0);
  readonly #writes: SealedWrites;
  #opener: RecordOpener | undefined;
  /** What large records are read into before they are opened. */
  #sealed: Buffer | undefined;
  /** Requests that wait for the client to show that it is there. */
  #held: Buffer | undefined;
  #isConfirmed = false;
  #confirm = () => {};
  #isPaused = false;
  #isPumping = false;

  /** `remote` is the other end's key, where it has one. */
  constructor(leg: Leg, remote?: PublicKey) {
    this.#leg = leg;
    this.peer = leg.peer;
    this.sealedBy = remote?.text ?? '';
    this.closed = leg.closed;
    this.confirmed = new Promise((resolve) => {
      this.#confirm = resolve;
    });
    this.#writes = new SealedWrites(leg, (error) => this.destroy(error));
    this.#arrivals.comeFrom({ pause: () => this.#pause(), resume: () => this.#resume() });
    leg.holdUpBy(() => !this.#arrivals.isEmpty);
    void leg.closed.then(() => this.#close());
  }

  /** Both ends have keys. */
  begin({ sealer, opener, unconfirmed }: Beginning): void {
    this.#opener = opener;
    if (this.#leg.failure) {
      this.#close();
      return;
    }
    this.#isConfirmed = unconfirmed === undefined;
    if (this.#isConfirmed) this.#confirm();
    if (unconfirmed?.isEarly) this.#give(unconfirmed.early);
    else this.#held = unconfirmed?.early;
    if (unconfirmed) this.#writes.begin(sealer, unconfirmed.maxBytes);
    else this.#writes.beginWithConfirmation(sealer);
    void this.#pump();
  }

  get address(): Leg['address'] {
    return this.#leg.address;
  }

  get failure(): HoplineError | undefined {
    return this.#arrivals.failure ?? this.#leg.failure;
  }

  get isQuiet(): boolean {
    const isBetween = this.#arrivals.isEmpty && !this.#arrivals.isEnded && this.#opener?.isWithin === false;
    return isBetween && !this.failure && this.#writes.isIdle && this.#leg.isQuiet;
  }

  get hasUnread(): boolean {
    return !this.#arrivals.isEmpty;
  }

  /** None: bytes that pass by this process would not be sealed. */
  get descriptor(): undefined {
    return undefined;
  }

  read(maxBytes = Number.POSITIVE_INFINITY, signal?: AbortSignal): Promise<Chunk | null> {
    return this.#arrivals.next(maxBytes, signal);
  }

  readInto(memory: Buffer, signal?: AbortSignal): Promise<number> {
    return this.#arrivals.nextInto(memory, signal);
  }

  readNow(): Chunk | undefined {
    return this.#arrivals.nextNow();
  }

  unread(chunk: Chunk): void {
    this.#arrivals.putBack(chunk);
  }

  interrupt(reason: unknown): boolean {
    return this.#arrivals.interrupt(reason);
  }

  write(bytes: Buffer): Promise<void> {
    return this.#writes.write(bytes);
  }

  post(bytes: Buffer): void {
    this.#writes.post(bytes);
  }

  cork(): void {
    this.#writes.cork();
  }

  uncork(): void {
    this.#writes.uncork();
  }

  /** Says, behind all that was written, that nothing more comes; reading goes on. */
  end(): void {
    this.#writes.end();
  }

  async linger(lingerMs: number): Promise<void> {
    this.end();
    const late = setTimeout(() => this.destroy(), lingerMs);
    try {
      for (let chunk = await this.read(); chunk; chunk = await this.read()) chunk.release();
      await this.#writes.ended;
    } catch {
      // The peer is gone, which is all that was waited for.
    } finally {
      clearTimeout(late);
      this.destroy();
    }
  }

  /** Without an error, it is the end to the other side too, as closing a connection is. */
  destroy(error?: HoplineError): void {
    if (error) this.#arrivals.fail(error);
    else this.#writes.endAtOnce();
    this.#leg.destroy(error);
  }

  readPastFailedWrites(): void {
    this.#leg.readPastFailedWrites();
  }

  touch(): void {
    this.#leg.touch();
  }

  #close(): void {
    const failure = this.failure ?? (this.#arrivals.isEnded ? undefined : lost(this.peer));
    if (failure) this.#arrivals.fail(failure);
    this.#writes.close(failure ?? lost(this.peer));
    this.#opener?.forget();
    this.#confirm();
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
      while (!this.#isPaused) {
        const chunk = await this.#readNext(opener).catch((error) => this.#passOn(error));
        if (chunk === undefined) continue;
        if (chunk === null) return this.#arrivals.isEnded ? undefined : this.destroy(lost(this.peer));
        this.#openRecords(opener, chunk);
      }
    } catch (error) {
      this.destroy(asHoplineError(error));
    } finally {
      this.#isPumping = false;
    }
  }

  /** What a large record has yet to bring comes into memory that is opened out of while it is near the processor. */
  async #readNext({ due }: RecordOpener): Promise<Chunk | null> {
    if (due < minSealedBytes) return this.#leg.read();
    this.#sealed ??= Buffer.allocUnsafeSlow(sealedBytes);
    const count = await this.#leg.readInto(due < sealedBytes ? this.#sealed.subarray(0, due) : this.#sealed);
    return count === 0 ? null : { bytes: this.#sealed.subarray(0, count), release: () => {} };
  }

  /** Who interrupts the leg below means whoever reads here. */
  #passOn(error: unknown): undefined {
    if (this.#leg.failure || !this.#arrivals.interrupt(error)) throw error;
  }

  #openRecords(opener: RecordOpener, chunk: Chunk): void {
    let at = 0;
    while (at < chunk.bytes.length && !this.#isPaused) {
      if (this.#arrivals.isEnded) throw altered('it stands behind the end');
      const { used, content } = opener.take(chunk.bytes.subarray(at));
      at += used;
      if (content) this.#takeContent(content);
    }
    this.#leg.unread(restOf(chunk, at));
  }

  #takeContent(content: Chunk): void {
    const isEmpty = content.bytes.length === 0;
    if (!isEmpty && !this.#isConfirmed) throw altered('it is not the one that confirms');
    if (!isEmpty) {
      if (!this.#arrivals.take(content)) this.#isPaused = true;
      return;
    }
    content.release();
    if (this.#isConfirmed) this.#arrivals.end();
    else this.#takeConfirmation();
  }

  #takeConfirmation(): void {
    this.#isConfirmed = true;
    this.#confirm();
    this.#writes.allowAll();
    if (this.#held) this.#give(this.#held);
    this.#held = undefined;
  }

  #give(bytes: Buffer): void {
    if (bytes.length > 0 && !this.#arrivals.take({ bytes, release: () => {} })) this.#isPaused = true;
  }
}
