/**
 * The content of a request as its client sends it: held to a bound before a server is taken for it, and watched on its way.
 *
 * Owns how much a client may send, and how long it may take while it is waited for; where the
 * content goes, and how fast it is taken there, it does not know.
 * Invariant: it ends only behind the last byte that the client sent. Content that breaks off, that is given up, or that
 * nobody wants any more is destroyed, so that whoever passes it on breaks off as well.
 */

import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { type Clock, systemClock } from '../../core/clock.ts';
import { HoplineError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';

export interface RequestContentOptions {
  readonly limits: Pick<Limits, 'httpBodyMs' | 'minHttpBodyRate' | 'maxHttpBodyAheadBytes' | 'lingerMs'>;
  readonly maxBytes: number;
  /** What was announced of it, if anything was. */
  readonly length?: number | undefined;
  /** Whether the client waits for a word before it sends anything. @default false */
  readonly isHeldBack?: boolean;
  /** Told at most once that there is nothing more to wait for. */
  readonly onFailed?: ((failure: HoplineError) => void) | undefined;
  readonly clock?: Clock;
}

export class RequestContent extends Readable {
  readonly #request: IncomingMessage;
  readonly #options: RequestContentOptions;
  readonly #clock: Clock;
  #failure: HoplineError | undefined;
  #bytes = 0;
  /** For the client, in all. */
  #waitedMs = 0;
  #waitingSince: number | undefined;
  #cancelWait = () => {};
  #isOver = false;
  #isDropped = false;
  #wake = () => {};

  constructor(request: IncomingMessage, options: RequestContentOptions) {
    super({ highWaterMark: options.limits.maxHttpBodyAheadBytes });
    this.#request = request;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    // What went wrong is told to whoever reads, and to `onFailed`; nobody need listen.
    this.on('error', () => {});
    request.on('data', (chunk: Buffer) => this.#take(chunk));
    request.on('end', () => this.#end());
    request.on('error', () => {}).on('close', () => this.#fail(brokenOff()));
    if ((options.length ?? 0) > options.maxBytes) this.#fail(tooLong(options.maxBytes));
    else if (!options.isHeldBack) this.expect();
  }

  /** What was wrong with it; undefined while nothing is. */
  get failure(): HoplineError | undefined {
    return this.#failure;
  }

  /** Settles once all of it is here, or as much as is held. Throws `LIMIT_BODY`, `TIMEOUT_IDLE`, `TIMEOUT_SLOW`, `PEER_LOST`. */
  async ready(): Promise<void> {
    const { maxHttpBodyAheadBytes } = this.#options.limits;
    while (!this.#failure && !this.#isOver && this.readableLength < maxHttpBodyAheadBytes) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#failure) throw this.#failure;
  }

  /** From now on the client is waited for. */
  expect(): void {
    if (this.#isOver || this.#waitingSince !== undefined) return;
    const { httpBodyMs, minHttpBodyRate } = this.#options.limits;
    const allowedMs = httpBodyMs + (this.#bytes / minHttpBodyRate) * 1000 - this.#waitedMs;
    this.#waitingSince = this.#clock.now();
    this.#cancelWait = this.#clock.after(Math.min(httpBodyMs, allowedMs), () =>
      this.#fail(allowedMs < httpBodyMs ? tooSlow(minHttpBodyRate) : silent(httpBodyMs)),
    );
  }

  /** Nobody wants what is still to come: it is read, or else the next request could not be, and forgotten. */
  forget(): void {
    if (this.#isDropped) return;
    this.#isDropped = true;
    this.destroy();
    if (this.#isOver) return;
    this.#request.resume();
    this.expect();
  }

  override _read(): void {
    if (this.#isOver) return;
    this.#request.resume();
    this.expect();
  }

  #take(chunk: Buffer): void {
    this.#stopWaiting();
    this.#bytes += chunk.length;
    if (this.#isOver) return;
    if (this.#bytes > this.#options.maxBytes) this.#fail(tooLong(this.#options.maxBytes));
    else if (this.#isDropped || this.push(chunk)) this.expect();
    else {
      this.#request.pause();
      this.#wake();
    }
  }

  #end(): void {
    this.#settle();
    this.push(null);
  }

  #fail(failure: HoplineError): void {
    if (this.#isOver) return;
    this.#failure = failure;
    this.#settle();
    this.destroy(failure);
    this.#options.onFailed?.(failure);
    const { socket } = this.#request;
    // Its answer has left already, so there is nothing to wait for.
    if (this.#isDropped) return void socket.destroy();
    if (socket.destroyed) return;
    // Closing on unread bytes could cut off the answer that says so.
    this.#request.resume();
    const cancel = this.#clock.after(this.#options.limits.lingerMs, () => socket.destroy());
    socket.once('close', cancel);
  }

  #settle(): void {
    this.#stopWaiting();
    this.#isOver = true;
    this.#wake();
  }

  #stopWaiting(): void {
    if (this.#waitingSince === undefined) return;
    this.#waitedMs += this.#clock.now() - this.#waitingSince;
    this.#waitingSince = undefined;
    this.#cancelWait();
  }
}

function tooLong(maxBytes: number): HoplineError {
  return new HoplineError('LIMIT_BODY', `the content of a request is longer than ${maxBytes} bytes`, {
    reason: 'maxHttpBodyBytes',
  });
}

function silent(ms: number): HoplineError {
  return new HoplineError('TIMEOUT_IDLE', `the client sent nothing of its content for ${ms / 1000} s`);
}

function tooSlow(rate: number): HoplineError {
  return new HoplineError('TIMEOUT_SLOW', `the client sent less than ${rate} bytes of its content a second`);
}

function brokenOff(): HoplineError {
  return new HoplineError('PEER_LOST', 'the client broke its request off');
}
