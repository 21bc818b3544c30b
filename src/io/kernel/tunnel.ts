/**
 * One circuit between two sockets, as a machine that the engine turns: bytes pass through pipes inside the kernel.
 *
 * Owns the two sockets and the pipes that hold their bytes. Knows nothing of
 * epoll: the engine says what changed, `turn` moves what can be moved.
 *
 * A direction either fills an empty pipe or drains it, never both, so that
 * "try again" has one meaning: nothing to read, or no room to write.
 * Invariant: once over, both sockets are closed and no pipe is held.
 */

import { constants } from 'node:os';
import type { Libc } from './libc.ts';
import type { Pipe, Pipes } from './pipes.ts';

/** Bytes that a direction may move before others have their turn. */
const turnBytes = 1024 * 1024;

/** One socket of a tunnel. */
export interface Side {
  readonly fd: number;
  readonly name: 'near' | 'far';
  /** What is known since the last change: false after a call that had nothing to do. */
  readable: boolean;
  writable: boolean;
  broken: boolean;
}

/** Which socket failed, with what errno; none when the failure is this machine's. */
export interface Breakage {
  readonly side?: Side['name'];
  readonly errno: number;
  readonly call: string;
}

export interface TunnelEnd {
  readonly fd: number;
  /** Bytes that were read from this socket already, and go first. */
  readonly head: readonly Buffer[];
}

export class Tunnel {
  readonly near: Side;
  readonly far: Side;
  readonly #libc: Libc;
  readonly #pipes: Pipes;
  readonly #forward: Direction;
  readonly #back: Direction;
  #breakage: Breakage | undefined;
  #isOver = false;

  constructor(libc: Libc, pipes: Pipes, near: TunnelEnd, far: TunnelEnd) {
    this.#libc = libc;
    this.#pipes = pipes;
    this.near = { fd: near.fd, name: 'near', readable: true, writable: true, broken: false };
    this.far = { fd: far.fd, name: 'far', readable: true, writable: true, broken: false };
    this.#forward = new Direction(this.near, this.far, near.head);
    this.#back = new Direction(this.far, this.near, far.head);
  }

  get bytesForward(): number {
    return this.#forward.bytes;
  }

  get bytesBack(): number {
    return this.#back.bytes;
  }

  /** Why a turn ended the tunnel; undefined while it runs and after a clean end. */
  get breakage(): Breakage | undefined {
    return this.#breakage;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** The side that a silent tunnel waits for: the one that does not take its bytes, else the one that should answer. */
  get awaited(): Side['name'] {
    return this.#back.isHolding || (this.#back.isDone && !this.#forward.isHolding) ? 'near' : 'far';
  }

  /** Moves what can be moved, a bounded amount. Says whether there is more to do at once. */
  turn(): boolean {
    if (this.#isOver) return false;
    const more = [this.#forward, this.#back].map((direction) => direction.turn(this.#libc, this.#pipes));
    this.#breakage = this.#forward.breakage ?? this.#back.breakage ?? this.#silentBreakage();
    if (this.#breakage) this.reset();
    else if (this.#forward.isDone && this.#back.isDone) this.#close();
    return !this.#isOver && more.includes(true);
  }

  /** Ends both connections with a reset. */
  reset(): void {
    if (this.#isOver) return;
    for (const { fd } of [this.near, this.far]) this.#libc.resetOnClose(fd);
    this.#close();
  }

  #close(): void {
    this.#isOver = true;
    for (const direction of [this.#forward, this.#back]) direction.letGo(this.#pipes);
    for (const { fd } of [this.near, this.far]) this.#libc.close(fd);
  }

  /** The failure of a socket that has nothing left to be read, so that no read will tell of it. */
  #silentBreakage(): Breakage | undefined {
    for (const { from, isDone } of [this.#forward, this.#back]) {
      if (!from.broken || !isDone) continue;
      from.broken = false;
      const errno = this.#libc.takeError(from.fd);
      if (errno !== 0) return { side: from.name, errno, call: 'poll' };
    }
    return undefined;
  }
}

class Direction {
  readonly from: Side;
  readonly to: Side;
  readonly #head: Buffer[];
  #pipe: Pipe | undefined;
  #held = 0;
  #isDone = false;
  bytes = 0;
  breakage: Breakage | undefined;

  constructor(from: Side, to: Side, head: readonly Buffer[]) {
    this.from = from;
    this.to = to;
    this.#head = [...head];
  }

  /** Whether the end of the stream was passed on. */
  get isDone(): boolean {
    return this.#isDone;
  }

  get isHolding(): boolean {
    return this.#held > 0 || this.#head.length > 0;
  }

  turn(libc: Libc, pipes: Pipes): boolean {
    const limit = this.bytes + turnBytes;
    while (this.bytes < limit) {
      if (!this.#step(libc, pipes)) {
        // Only an empty pipe may serve another circuit.
        if (this.#held === 0) this.letGo(pipes);
        return false;
      }
    }
    if (this.#held === 0) this.letGo(pipes);
    return true;
  }

  letGo(pipes: Pipes): void {
    if (!this.#pipe) return;
    if (this.#held === 0) pipes.give(this.#pipe);
    else pipes.discard(this.#pipe);
    this.#pipe = undefined;
  }

  /** One call to the kernel; false when the direction has to wait, or is done. */
  #step(libc: Libc, pipes: Pipes): boolean {
    if (this.#isDone || this.breakage) return false;
    const [head] = this.#head;
    if (head) return this.to.writable && this.#sendHead(libc, head);
    if (this.#held > 0 && this.#pipe) return this.to.writable && this.#drain(libc, this.#pipe);
    return this.from.readable && this.#fill(libc, pipes);
  }

  #sendHead(libc: Libc, head: Buffer): boolean {
    const sent = libc.send(this.to.fd, head);
    if (sent < 0) return this.#wait(this.to, 'writable', sent, 'send');
    this.bytes += sent;
    if (sent === head.length) this.#head.shift();
    else this.#head[0] = head.subarray(sent);
    return true;
  }

  #fill(libc: Libc, pipes: Pipes): boolean {
    const pipe = this.#pipe ?? pipes.take();
    if (typeof pipe === 'number') {
      this.breakage = { errno: -pipe, call: 'pipe' };
      return false;
    }
    this.#pipe = pipe;
    const taken = libc.splice(this.from.fd, pipe.into, turnBytes);
    if (taken < 0) return this.#wait(this.from, 'readable', taken, 'splice');
    if (taken === 0) {
      this.#isDone = true;
      // A peer that is gone already is told by the other direction, or does not matter any more.
      libc.shutdownWrites(this.to.fd);
      return false;
    }
    this.#held = taken;
    return true;
  }

  #drain(libc: Libc, pipe: Pipe): boolean {
    const given = libc.splice(pipe.out, this.to.fd, this.#held);
    if (given < 0) return this.#wait(this.to, 'writable', given, 'splice');
    this.#held -= given;
    this.bytes += given;
    return true;
  }

  #wait(side: Side, what: 'readable' | 'writable', result: number, call: string): boolean {
    if (result === -constants.errno.EINTR) return true;
    if (result === -constants.errno.EAGAIN) side[what] = false;
    else this.breakage = { side: side.name, errno: -result, call };
    return false;
  }
}
