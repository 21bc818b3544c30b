/**
 * A socket that the kernel path works on: a descriptor of its own, and the event loop's watch on that.
 *
 * Owns both, and closes them in the one order that is safe: the number of a closed descriptor may be another's at once.
 * What is moved through it is the business of a tunnel or of a sender.
 *
 * Invariant: it is open or closed, and closed it stays. Then it has neither a number nor a watch, so that whatever
 * is done to it reaches no file that got the number since, and no memory that was freed.
 */

import type { Libc } from './libc.ts';
import type { PollEvents, PollHandle } from './watches.ts';

/** Told what the socket is ready for, or nothing if it is broken. */
type Wake = (events: PollEvents | undefined) => void;

const nothing: PollEvents = { readable: false, writable: false };

export class KernelSocket {
  readonly #libc: Libc;
  #fd: number;
  #watch: PollHandle | undefined;
  #awaited = nothing;
  #mark = 1;
  #wake: Wake = () => {};

  private constructor(libc: Libc, fd: number) {
    this.#libc = libc;
    this.#fd = fd;
  }

  /** A second descriptor for an open socket, which outlives the first; undefined where there is none to be had. */
  static duplicate(libc: Libc, fd: number): KernelSocket | undefined {
    const own = fd < 0 ? -1 : libc.duplicate(fd);
    return own < 0 ? undefined : new KernelSocket(libc, own);
  }

  /** For a socket that nobody else has a number of. */
  static own(libc: Libc, fd: number): KernelSocket {
    return new KernelSocket(libc, fd);
  }

  get isOpen(): boolean {
    return this.#fd >= 0;
  }

  /** The number of the descriptor; once closed it is one that no call takes. */
  get fd(): number {
    return this.#fd;
  }

  /** Calls `wake` whenever the socket is ready for one of `events`, until something else is awaited. Throws where that cannot be. */
  await(events: PollEvents, wake: Wake): void {
    if (!this.isOpen) return;
    this.#wake = wake;
    const { readable, writable } = events;
    if (readable === this.#awaited.readable && writable === this.#awaited.writable) return;
    this.#awaited = events;
    if (!readable && !writable) this.#watch?.stop();
    else if (this.#watch) this.#watch.start(events, this.#call);
    else this.#watch = this.#libc.poll(this.#fd, events, this.#call);
  }

  /** Bytes that must have come before the socket counts as readable; its end and a failure always do. */
  get mark(): number {
    return this.#mark;
  }

  setMark(bytes: number): void {
    if (bytes === this.#mark || !this.isOpen) return;
    this.#mark = bytes;
    this.#libc.setReceiveMark(this.#fd, bytes);
  }

  /** Keeps the descriptor, and is not woken any more. */
  rest(): void {
    this.await(nothing, () => {});
  }

  close(): void {
    if (this.isOpen) this.#libc.close(this.release());
  }

  /** The number, which is the caller's to close from now on. */
  release(): number {
    const fd = this.#fd;
    this.#watch?.close();
    this.#watch = undefined;
    this.#fd = -1;
    return fd;
  }

  readonly #call = (status: number, events: PollEvents) => {
    if (!this.isOpen) return;
    // The event loop stops a watch that it reports as broken.
    if (status < 0) this.#awaited = nothing;
    try {
      this.#wake(status < 0 ? undefined : events);
    } catch (error) {
      // Behind a poll callback an exception is lost, and all that runs before the next one fails with it.
      setImmediate(() => {
        throw error;
      });
    }
  };
}
