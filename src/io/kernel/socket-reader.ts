/**
 * Reads from one socket straight into memory that it is given: into the block that is hashed and written, without another before it.
 *
 * Owns the socket that it is given, a duplicate. Nobody else may read from the connection meanwhile.
 * While bytes come quickly, the system is told to wake the reader only once there are many (SO_RCVLOWAT): to be woken for each
 * segment costs more than to take it.
 * Invariant: bytes that have come wake a reader within `maxWithheldMs`, however few they are; closed, it holds neither descriptor
 * nor timer, and whoever waits is woken.
 */

import { constants } from 'node:os';
import type { Clock } from '../../core/clock.ts';
import { failedCall, lost } from '../legs/loss.ts';
import type { Libc } from './libc.ts';
import type { KernelSocket } from './socket.ts';
import type { PollEvents } from './watches.ts';

/** Bytes to be woken for at most: what the other end sends while these are taken is the next wake's. */
const maxMark = 512 * 1024;
const minMark = 16 * 1024;
/** A wait that was shorter is for more bytes the next time, one that was longer for fewer. */
const shortMs = 10;
const longMs = 40;
const maxWithheldMs = 100;
const arrival: PollEvents = { readable: true, writable: false };

export interface ReaderOptions {
  readonly socket: KernelSocket;
  /** The address of the peer, for messages. */
  readonly peer: string;
  readonly clock: Clock;
  readonly onClose: () => void;
}

export class SocketReader {
  readonly #libc: Libc;
  readonly #socket: KernelSocket;
  readonly #peer: string;
  readonly #clock: Clock;
  readonly #onClose: () => void;
  /** Bytes to be woken for, as far as so many are wanted. */
  #aim = minMark;
  #waiting: { readonly wake: () => void; readonly sinceMs: number; readonly cancel: () => void } | undefined;

  constructor(libc: Libc, { socket, peer, clock, onClose }: ReaderOptions) {
    this.#libc = libc;
    this.#socket = socket;
    this.#peer = peer;
    this.#clock = clock;
    this.#onClose = onClose;
  }

  /** Whether bytes are there to be taken. */
  get hasBytes(): boolean {
    return this.#socket.isOpen && this.#libc.peek(this.#socket.fd) > 0;
  }

  /** Whether bytes, the end or a failure are there to be taken. */
  get isReady(): boolean {
    return this.#socket.isOpen && this.#libc.peek(this.#socket.fd) !== -constants.errno.EAGAIN;
  }

  /** Takes what is there: how many bytes, 0 at the end of the stream, undefined if there is nothing yet. Throws `PEER_LOST`. */
  take(memory: Buffer): number | undefined {
    const { EAGAIN, EINTR } = constants.errno;
    if (!this.#socket.isOpen) throw lost(this.#peer);
    const taken = this.#libc.receive(this.#socket.fd, memory);
    if (taken >= 0) return taken;
    if (taken === -EAGAIN || taken === -EINTR) return undefined;
    throw lost(this.#peer, failedCall('recv', -taken));
  }

  /** Calls `wake` once: when some of `wanted` bytes, the end or a failure can be taken. One at a time. Throws `INTERNAL`. */
  await(wanted: number, wake: () => void): void {
    this.rest();
    const mark = wanted < minMark ? 1 : Math.min(this.#aim, wanted);
    this.#socket.setMark(mark);
    const cancel = mark > 1 ? this.#clock.after(maxWithheldMs, this.#lowerMark) : () => {};
    this.#waiting = { wake, sinceMs: this.#clock.now(), cancel };
    this.#socket.await(arrival, this.#onReady);
  }

  /** Wakes nobody any more. */
  rest(): void {
    this.#waiting?.cancel();
    this.#waiting = undefined;
    this.#socket.rest();
  }

  close(): void {
    if (!this.#socket.isOpen) return;
    const waiting = this.#waiting;
    this.rest();
    this.#socket.close();
    this.#onClose();
    waiting?.wake();
  }

  /** Must not throw, as it runs in a poll callback. */
  readonly #onReady = () => {
    const waiting = this.#waiting;
    if (!waiting) return;
    const waitedMs = this.#clock.now() - waiting.sinceMs;
    this.rest();
    if (this.#socket.mark > 1 && waitedMs < shortMs) this.#aim = Math.min(maxMark, this.#aim * 4);
    else if (waitedMs > longMs) this.#aim = Math.max(minMark, this.#aim / 4);
    // Behind a poll callback nobody looks after promises; behind this one somebody does.
    setImmediate(waiting.wake);
  };

  readonly #lowerMark = () => {
    this.#aim = minMark;
    this.#socket.setMark(1);
  };
}
