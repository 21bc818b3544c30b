/**
 * A leg as a stream, for those who speak over a connection what hopline does not know: HTTP, TLS.
 *
 * Has of a socket what Node's HTTP and TLS clients and servers use, and nothing else.
 * Invariant: holds one chunk that is not read yet; a reader that stops, stops the peer.
 */

import { Duplex } from 'node:stream';
import type { Clock } from '../../core/clock.ts';
import { asHoplineError } from '../../core/errors.ts';
import type { LegLike } from './leg-like.ts';

export class LegStream extends Duplex {
  readonly #leg: LegLike;
  readonly #clock: Clock;
  /** Milliseconds without a byte after which `timeout` is emitted; 0 for never. */
  timeout = 0;
  #cancelTimeout = () => {};
  #isReading = false;

  /** Takes the leg over. Without `allowHalfOpen` an end that comes ends the other direction too, as it does with a socket. */
  constructor(leg: LegLike, clock: Clock, { allowHalfOpen = false } = {}) {
    super({ allowHalfOpen });
    this.#leg = leg;
    this.#clock = clock;
    leg.readPastFailedWrites();
    // A leg that breaks while nobody reads would not be noticed; whoever reads gets what it said before, and then the failure.
    void leg.closed.then(() => leg.failure && !this.#isReading && !leg.hasUnread && this.destroy(leg.failure));
  }

  get remoteAddress(): string | undefined {
    return this.#leg.address?.host;
  }

  get remotePort(): number | undefined {
    return this.#leg.address?.port;
  }

  override _read(): void {
    this.#isReading = true;
    this.#leg.read().then(
      (chunk) => {
        this.#isReading = false;
        this.#touch();
        // The block goes back to the leg, so what is read later must be a copy.
        const bytes = chunk && Buffer.from(chunk.bytes);
        chunk?.release();
        this.push(bytes);
      },
      (error) => this.destroy(asHoplineError(error)),
    );
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: (error?: Error) => void): void {
    this.#touch();
    this.#leg.write(bytes).then(() => done(), done);
  }

  override _writev(parts: readonly { chunk: Buffer }[], done: (error?: Error) => void): void {
    this.#touch();
    this.#leg.cork();
    const written = Promise.all(parts.map(({ chunk }) => this.#leg.write(chunk)));
    this.#leg.uncork();
    written.then(() => done(), done);
  }

  override _final(done: () => void): void {
    this.#leg.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#cancelTimeout();
    this.#leg.destroy(error ? asHoplineError(error) : undefined);
    void this.#leg.closed.then(() => done(error));
  }

  /** Closes as soon as all that was written has left: HTTP servers do so behind their last answer. */
  destroySoon(): void {
    this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  /** Emits `timeout` after `ms` milliseconds without a byte; 0 never does. */
  setTimeout(ms: number, onTimeout?: () => void): this {
    this.timeout = ms;
    if (onTimeout) this.once('timeout', onTimeout);
    this.#touch();
    return this;
  }

  /** A leg has keep-alive, and Nagle off, from its beginning. */
  setKeepAlive(): this {
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  /** Whoever keeps tunnels for later closes them: none is kept behind the program's back. */
  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  #touch(): void {
    this.#cancelTimeout();
    if (this.timeout > 0 && !this.destroyed) {
      this.#cancelTimeout = this.#clock.after(this.timeout, () => this.emit('timeout'));
    }
  }
}
