/**
 * The records of a circuit as a leg: what is written is sealed, what is read was opened.
 *
 * Stands on the leg that the records pass on, and has of a leg what frames are read and written by; what comes and what goes are
 * of records/. Until it is begun with the keys of a handshake, what is written waits. Does not know handshakes, or what the
 * bytes mean.
 * Invariant: one record at a time is on its way out, and at most two that came wait to be read; a circuit whose
 * records do not hold is reset, and says SECURE_FAILED to whoever reads or writes.
 * Format: docs/protocol/encryption.md#records
 */

import type { HoplineError } from '../core/errors.ts';
import type { KernelEngine } from '../io/kernel/engine.ts';
import type { Arrivals } from '../io/legs/arrivals.ts';
import type { Chunk } from '../io/legs/blocks.ts';
import type { Leg } from '../io/legs/leg.ts';
import type { LegLike } from '../io/legs/leg-like.ts';
import { lost } from '../io/legs/loss.ts';
import type { PublicKey } from '../wire/keys/key.ts';
import { OpenedReads } from './records/opened-reads.ts';
import type { RecordOpener, RecordSealer } from './records/record.ts';
import { SealedWrites } from './records/sealed-writes.ts';
import { SealedContent } from './sealed-content.ts';

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
  readonly #reads: OpenedReads;
  readonly #arrivals: Arrivals;
  readonly #writes: SealedWrites;
  #content: SealedContent | undefined;
  #confirm = () => {};

  /** `remote` is the other end's key, where it has one. */
  constructor(leg: Leg, remote?: PublicKey) {
    this.#leg = leg;
    this.peer = leg.peer;
    this.sealedBy = remote?.text ?? '';
    this.closed = leg.closed;
    this.confirmed = new Promise((resolve) => {
      this.#confirm = resolve;
    });
    const fail = (error: HoplineError) => this.destroy(error);
    const onConfirmed = () => {
      this.#confirm();
      this.#writes.allow(Number.POSITIVE_INFINITY);
    };
    this.#writes = new SealedWrites(leg, fail);
    this.#reads = new OpenedReads({ leg, fail, onConfirmed });
    this.#arrivals = this.#reads.arrivals;
    void leg.closed.then(() => this.#close());
  }

  /** Both ends have keys. */
  begin({ sealer, opener, unconfirmed }: Beginning): void {
    if (this.#leg.failure) {
      opener.forget();
      this.#close();
      return;
    }
    if (!unconfirmed) this.#confirm();
    if (unconfirmed) this.#writes.begin(sealer, unconfirmed.maxBytes);
    else this.#writes.beginWithConfirmation(sealer);
    this.#reads.begin(opener, unconfirmed);
  }

  get address(): Leg['address'] {
    return this.#leg.address;
  }

  get failure(): HoplineError | undefined {
    return this.#arrivals.failure ?? this.#leg.failure;
  }

  get isQuiet(): boolean {
    return this.#reads.isBetween && !this.failure && this.#writes.isIdle && this.#leg.isQuiet;
  }

  get hasUnread(): boolean {
    return !this.#arrivals.isEmpty;
  }

  get partialBytes(): number {
    return this.#reads.partialBytes;
  }

  /** None: bytes that pass by this process would not be sealed. */
  get descriptor(): undefined {
    return undefined;
  }

  /** Of a node whose client has not shown yet that it is there: so many bytes more may be written before. */
  allowUnconfirmed(bytes: number): void {
    this.#writes.allow(bytes);
  }

  openContent(kernel: KernelEngine, bytes: number): SealedContent | undefined {
    const leg = this.#leg;
    if (leg.descriptor === undefined || !this.#writes.isFreeFor(bytes)) return undefined;
    const fail = (error: HoplineError) => this.destroy(error);
    this.#content ??= SealedContent.open(kernel, { leg, writes: this.#writes, fail });
    return this.#content;
  }

  read(maxBytes = Number.POSITIVE_INFINITY, signal?: AbortSignal): Promise<Chunk | null> {
    return this.#reads.read(maxBytes, signal);
  }

  readInto(memory: Buffer, signal?: AbortSignal): Promise<number> {
    return this.#reads.readInto(memory, signal);
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
    this.#reads.forget();
    this.#confirm();
  }
}
