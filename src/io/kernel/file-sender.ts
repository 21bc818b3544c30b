/**
 * Sends ranges of files to one socket inside the kernel, by sendfile(2), and bytes past Node's stream.
 *
 * Owns the socket that it is given, a duplicate. What else is written to the
 * connection must have left before a range is begun.
 * What goes out each time the event loop comes round is bounded, so that neither
 * a quick peer nor a file that is not in memory holds others up for long.
 * Invariant: at most one range is being sent; closed, it holds no descriptor.
 */

import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { asHoplineError, HoplineError } from '../../core/errors.ts';
import { lost } from '../legs/loss.ts';
import type { RateLimit } from '../rates/rate.ts';
import { Allowance } from './allowance.ts';
import type { Libc } from './libc.ts';
import type { KernelSocket } from './socket.ts';
import type { PollEvents } from './watches.ts';

/** Each time the event loop comes round. */
const turnBytes = 2 * 1024 * 1024;
const room: PollEvents = { readable: false, writable: true };

export interface OpenRange {
  /** Whoever opened it says at each slice which descriptor it has; none once it is closed, as a FileHandle does. */
  readonly file: { readonly fd: number };
  readonly offset: number;
  readonly length: number;
  /** What goes first; it must not change before the range has left. @default nothing */
  readonly head?: Buffer | undefined;
}

interface SenderOptions {
  readonly socket: KernelSocket;
  /** The address of the peer, for messages. */
  readonly peer: string;
  /** How fast bytes may leave. @default as fast as the peer takes them */
  readonly rate?: RateLimit | undefined;
  readonly onClose: () => void;
}

/**
 * Says which range of the file follows one that has left whole; none at the end. What it throws is what sending throws.
 * `isNewTurn`: whether that is the first since the event loop came round.
 */
type NextRange = (isNewTurn: boolean) => Omit<OpenRange, 'file'> | undefined;

interface Sending {
  /** None where there are only bytes to send. */
  readonly file: OpenRange['file'] | undefined;
  offset: number;
  length: number;
  readonly onSlice: (bytes: number) => void;
  readonly next: NextRange | undefined;
  head: Buffer | undefined;
  /** Whether something follows the head at once. */
  readonly hasMore: boolean;
  /** Of the range. */
  sent: number;
  isNewTurn: boolean;
  settle(failure?: HoplineError): void;
}

export class FileSender {
  readonly #libc: Libc;
  readonly #socket: KernelSocket;
  readonly #peer: string;
  readonly #onClose: () => void;
  readonly #allowance: Allowance | undefined;
  #sending: Sending | undefined;

  constructor(libc: Libc, { socket, peer, rate, onClose }: SenderOptions) {
    this.#libc = libc;
    this.#socket = socket;
    this.#peer = peer;
    this.#onClose = onClose;
    this.#allowance = rate && new Allowance(rate, () => this.#turn());
  }

  /**
   * Sends a range, and those that `next` says follow it: with no promise between them, and no turn of the event loop.
   * Settles with how many bytes of the last one the kernel has taken: all of it, or fewer if the file ended before
   * or could not be read.
   * `onSlice` is called with how many whenever some have gone. Throws `PEER_LOST`, what `next` throws, and `INTERNAL` where
   * the file was closed meanwhile or another range is under way.
   */
  send(range: OpenRange, onSlice: (bytes: number) => void, next?: NextRange): Promise<number> {
    const { file, offset, length, head } = range;
    return this.#begin({ file, offset, length, onSlice, next, head, hasMore: true });
  }

  /**
   * Sends bytes that this process has; with `hasMore`, what follows at once may leave in the same segment. Settles when the kernel
   * has taken all of them, so that their memory is free; undefined where it has already. Throws as `send`.
   */
  sendBytes(bytes: Buffer, hasMore: boolean): Promise<unknown> | undefined {
    const isFree = this.#socket.isOpen && !this.#sending;
    const taken = isFree ? Math.max(0, this.#libc.send(this.#socket.fd, bytes, hasMore)) : 0;
    if (taken === bytes.length) return undefined;
    const head = bytes.subarray(taken);
    return this.#begin({ file: undefined, offset: 0, length: 0, onSlice: () => {}, next: undefined, head, hasMore });
  }

  /** Ends a range that is under way; the socket itself stays as it is. */
  close(): void {
    if (!this.#socket.isOpen) return;
    this.#allowance?.close();
    this.#socket.close();
    this.#sending?.settle(lost(this.#peer));
    this.#onClose();
  }

  #begin(what: Omit<Sending, 'sent' | 'isNewTurn' | 'settle'>): Promise<number> {
    return new Promise((resolve, reject) => {
      const sending: Sending = {
        ...what,
        sent: 0,
        isNewTurn: true,
        settle: (failure) => {
          this.#sending = undefined;
          this.#socket.rest();
          // Behind a poll callback nobody looks after promises; behind this one somebody does.
          setImmediate(() => (failure ? reject(failure) : resolve(sending.sent)));
        },
      };
      if (!this.#socket.isOpen) return sending.settle(lost(this.#peer));
      if (this.#sending) return reject(new HoplineError('INTERNAL', 'a range was begun before the end of another'));
      this.#sending = sending;
      this.#turn();
    });
  }

  /** Must not throw, as it runs in a poll callback. */
  #turn(): void {
    const sending = this.#sending;
    if (!sending) return;
    sending.isNewTurn = true;
    for (let left = turnBytes; left > 0; ) {
      const sent = this.#sendSome(sending, left);
      // It has ended, or waits already.
      if (sent === 0) return;
      left -= sent;
    }
    this.#awaitRoom(sending);
  }

  /** How many bytes of content have gone, at most `most`; 0 where no more will in this turn. */
  #sendSome(sending: Sending, most: number): number {
    const { file } = sending;
    // The number that it had may be another file's by now.
    if (file && file.fd < 0) {
      sending.settle(new HoplineError('INTERNAL', 'the file was closed while it was sent'));
      return 0;
    }
    if (sending.head && !this.#sendHead(sending, sending.head)) return 0;
    if (file) return this.#sendSlice(sending, file.fd, most);
    sending.settle();
    return 0;
  }

  #sendSlice(sending: Sending, file: number, most: number): number {
    const { offset, length, sent } = sending;
    const wanted = Math.min(length - sent, most);
    const slice = this.#allowance && wanted > 0 ? this.#allowance.take(wanted) : wanted;
    if (this.#allowance?.isWaiting) {
      this.#socket.rest();
      return 0;
    }
    const result = slice === 0 ? 0 : this.#libc.sendFile(this.#socket.fd, file, offset + sent, slice);
    this.#allowance?.spend(result);
    if (result > 0) {
      sending.sent += result;
      sending.onSlice(result);
      if (sending.sent === length) return this.#goOn(sending) ? result : 0;
      // The socket is full: what little is free by the next call is not worth it.
      if (result === slice) return result;
      this.#awaitRoom(sending);
    } else if (result === 0 || result === -constants.errno.EIO) {
      sending.settle();
    } else {
      this.#retry(sending, result, 'sendfile');
    }
    return 0;
  }

  /** Whether another range follows. */
  #goOn(sending: Sending): boolean {
    try {
      const range = sending.next?.(sending.isNewTurn);
      sending.isNewTurn = false;
      if (range) {
        sending.offset = range.offset;
        sending.length = range.length;
        sending.head = range.head;
        sending.sent = 0;
        return true;
      }
      sending.settle();
    } catch (error) {
      sending.settle(asHoplineError(error));
    }
    return false;
  }

  /** Whether all of it has left. */
  #sendHead(sending: Sending, head: Buffer): boolean {
    const result = this.#libc.send(this.#socket.fd, head, sending.hasMore);
    if (result === head.length) {
      sending.head = undefined;
      return true;
    }
    if (result >= 0) sending.head = head.subarray(result);
    this.#retry(sending, result < 0 ? result : -constants.errno.EAGAIN, 'send');
    return false;
  }

  /** Any failure but "not now" ends the range. */
  #retry(sending: Sending, result: number, call: string): void {
    const { EAGAIN, EINTR } = constants.errno;
    if (result === -EAGAIN || result === -EINTR) this.#awaitRoom(sending);
    else sending.settle(failureOf(this.#peer, -result, call));
  }

  #awaitRoom(sending: Sending): void {
    try {
      this.#socket.await(room, this.#wake);
    } catch (cause) {
      sending.settle(new HoplineError('INTERNAL', 'the kernel path cannot watch a socket', { cause }));
    }
  }

  readonly #wake = (events: PollEvents | undefined) => {
    if (events) this.#turn();
    else this.#sending?.settle(lost(this.#peer));
  };
}

function failureOf(peer: string, errno: number, call: string): HoplineError {
  const code = getSystemErrorName(-errno);
  return lost(peer, Object.assign(new Error(`${call} ${code}`), { errno: -errno, code, syscall: call }));
}
