/**
 * Sends ranges of files to one socket inside the kernel, by sendfile(2).
 *
 * Owns a duplicate of the socket's descriptor and the event loop's watch on
 * it. What else is written to the socket must have left before a range is begun.
 * A range goes out in slices, one for each time the event loop comes round, so
 * that a file that is not in memory holds nobody up for longer than one slice.
 * Invariant: at most one range is being sent; closed, it holds no descriptor.
 */

import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { HoplineError } from '../../core/errors.ts';
import { lost } from '../loss.ts';
import type { RateLimit } from '../rate.ts';
import { Allowance } from './allowance.ts';
import type { Libc, PollHandle } from './libc.ts';

const sliceBytes = 512 * 1024;

export interface FileRange {
  readonly fd: number;
  readonly offset: number;
  readonly length: number;
}

interface SenderOptions {
  readonly socket: number;
  /** The address of the peer, for messages. */
  readonly peer: string;
  /** How fast bytes may leave. @default as fast as the peer takes them */
  readonly rate?: RateLimit | undefined;
  readonly onClose: () => void;
}

interface Sending {
  readonly range: FileRange;
  readonly onSlice: (bytes: number) => void;
  sent: number;
  settle(failure?: HoplineError): void;
}

export class FileSender {
  readonly #libc: Libc;
  readonly #socket: number;
  readonly #peer: string;
  readonly #onClose: () => void;
  readonly #allowance: Allowance | undefined;
  #watch: PollHandle | undefined;
  #sending: Sending | undefined;
  #isClosed = false;

  constructor(libc: Libc, { socket, peer, rate, onClose }: SenderOptions) {
    this.#libc = libc;
    this.#socket = socket;
    this.#peer = peer;
    this.#onClose = onClose;
    this.#allowance = rate && new Allowance(rate, () => this.#turn());
  }

  /**
   * Settles with how many bytes the kernel has taken: all of the range, or fewer if the file ended before
   * or could not be read.
   * `onSlice` is called with how many whenever some have gone. Throws `PEER_LOST`.
   */
  send(range: FileRange, onSlice: (bytes: number) => void): Promise<number> {
    return new Promise((resolve, reject) => {
      const sending: Sending = {
        range,
        onSlice,
        sent: 0,
        settle: (failure) => {
          this.#sending = undefined;
          this.#watch?.stop();
          // Behind a poll callback nobody looks after promises; behind this one somebody does.
          setImmediate(() => (failure ? reject(failure) : resolve(sending.sent)));
        },
      };
      if (this.#isClosed) return sending.settle(lost(this.#peer));
      this.#sending = sending;
      this.#turn();
    });
  }

  /** Ends a range that is under way; the socket itself stays as it is. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#allowance?.close();
    this.#watch?.close();
    this.#libc.close(this.#socket);
    this.#sending?.settle(lost(this.#peer));
    this.#onClose();
  }

  /** Must not throw, as it runs in a poll callback. */
  #turn(): void {
    const sending = this.#sending;
    if (!sending) return;
    const { range, sent } = sending;
    const wanted = Math.min(range.length - sent, sliceBytes);
    const slice = this.#allowance && wanted > 0 ? this.#allowance.take(wanted) : wanted;
    if (this.#allowance?.isWaiting) {
      this.#watch?.stop();
      return;
    }
    const result = slice === 0 ? 0 : this.#libc.sendFile(this.#socket, range.fd, range.offset + sent, slice);
    this.#allowance?.spend(result);
    if (result > 0) {
      sending.sent += result;
      sending.onSlice(result);
      if (sending.sent < range.length) this.#awaitRoom(sending);
      else sending.settle();
    } else if (result === 0 || result === -constants.errno.EIO) {
      sending.settle();
    } else if (result === -constants.errno.EAGAIN || result === -constants.errno.EINTR) {
      this.#awaitRoom(sending);
    } else {
      sending.settle(failureOf(this.#peer, -result));
    }
  }

  #awaitRoom(sending: Sending): void {
    const events = { readable: false, writable: true };
    const wake = (status: number) => {
      if (status < 0) this.#sending?.settle(lost(this.#peer));
      else this.#turn();
    };
    try {
      if (this.#watch) this.#watch.start(events, wake);
      else this.#watch = this.#libc.poll(this.#socket, events, wake);
    } catch (cause) {
      sending.settle(new HoplineError('INTERNAL', 'the kernel path cannot watch a socket', { cause }));
    }
  }
}

function failureOf(peer: string, errno: number): HoplineError {
  const code = getSystemErrorName(-errno);
  return lost(peer, Object.assign(new Error(`sendfile ${code}`), { errno: -errno, code, syscall: 'sendfile' }));
}
