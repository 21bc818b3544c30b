/**
 * One circuit between two sockets, as a machine that the engine turns: bytes pass through pipes inside the kernel.
 *
 * Owns the two sockets and the pipes that hold their bytes. Waits for nothing
 * itself: the engine says which socket is ready, and is told what to wait for.
 *
 * A direction either fills an empty pipe or drains it, never both, so that
 * "try again" has one meaning: nothing to read, or no room to write.
 * Invariant: once closed, it holds neither socket nor pipe, and takes none.
 */

import { constants } from 'node:os';
import type { RateLimit, Rates } from '../rates/rate.ts';
import { Allowance } from './allowance.ts';
import type { Libc, PollEvents } from './libc.ts';
import type { Pipe, Pipes } from './pipes.ts';
import type { KernelSocket } from './socket.ts';

/** Bytes that a direction may move before others have their turn. */
const turnBytes = 1024 * 1024;

export type Side = 'near' | 'far';

/** Which socket failed, with what errno; none when the failure is this machine's. */
export interface Breakage {
  readonly side?: Side;
  readonly errno: number;
  readonly call: string;
}

export interface TunnelEnd {
  /** One that does not block. */
  readonly socket: KernelSocket;
  /** Bytes that were read from this socket already, and go first. */
  readonly head: readonly Buffer[];
}

export class Tunnel {
  readonly #libc: Libc;
  readonly #pipes: Pipes;
  readonly #sockets: Readonly<Record<Side, KernelSocket>>;
  /** By the side that it reads from. */
  readonly #directions: Readonly<Record<Side, Direction>>;
  #breakage: Breakage | undefined;
  #isClosed = false;

  /** With `rates`, `allowed` is called with the side whose direction had to wait for its limit and may turn again. */
  constructor(
    libc: Libc,
    pipes: Pipes,
    { near, far }: Readonly<Record<Side, TunnelEnd>>,
    rates: Rates | undefined,
    allowed: (from: Side) => void,
  ) {
    this.#libc = libc;
    this.#pipes = pipes;
    this.#sockets = { near: near.socket, far: far.socket };
    const ends = { near: { side: 'near', socket: near.socket }, far: { side: 'far', socket: far.socket } } as const;
    this.#directions = {
      near: new Direction(ends.near, ends.far, near.head),
      far: new Direction(ends.far, ends.near, far.head),
    };
    if (rates?.forward) this.#directions.near.limit(rates.forward, () => allowed('near'));
    if (rates?.back) this.#directions.far.limit(rates.back, () => allowed('far'));
  }

  socket(side: Side): KernelSocket {
    return this.#sockets[side];
  }

  get bytesForward(): number {
    return this.#directions.near.bytes;
  }

  get bytesBack(): number {
    return this.#directions.far.bytes;
  }

  /** Why the tunnel broke; undefined while it runs and after a clean end. */
  get breakage(): Breakage | undefined {
    return this.#breakage;
  }

  /** Whether both directions have ended or one has broken, so that there is nothing left but to close. */
  get isOver(): boolean {
    return (
      this.#isClosed || this.#breakage !== undefined || (this.#directions.near.isDone && this.#directions.far.isDone)
    );
  }

  /** The side that a silent tunnel waits for: the one that does not take its bytes, else the one that should answer. */
  get awaited(): Side {
    const { near, far } = this.#directions;
    return far.isHolding || (far.isDone && !near.isHolding) ? 'near' : 'far';
  }

  /** What there is to wait for on a side; nothing at all where only the other side can go on. */
  interest(side: Side): PollEvents {
    const from = this.#directions[side];
    const to = this.#directions[side === 'near' ? 'far' : 'near'];
    return {
      readable: !from.isDone && !from.isHolding && !from.isHeldBack,
      writable: to.isHolding && !to.isHeldBack,
    };
  }

  /** Moves a bounded amount in one direction, named by the side that it reads from. */
  turn(from: Side): void {
    if (this.isOver) return;
    const breakage = this.#directions[from].turn(this.#libc, this.#pipes);
    if (breakage) this.#break(breakage);
  }

  /** The failure of a side on which the event loop saw one, though no read or write has told of it. */
  takeBreakage(side: Side): void {
    if (this.isOver) return;
    const errno = this.#libc.takeError(this.#sockets[side].fd) || constants.errno.ECONNRESET;
    this.#break({ side, errno, call: 'poll' });
  }

  /** What a side said before it failed goes first: to a server that refuses an upload and closes, a write fails while its answer waits. */
  #break(breakage: Breakage): void {
    const said = breakage.side && this.#directions[breakage.side];
    said?.passRest(this.#libc, this.#pipes);
    this.#breakage = breakage;
  }

  /** Closes both sockets, with a reset unless both directions have ended. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { near, far } = this.#directions;
    const isClean = near.isDone && far.isDone && !this.#breakage;
    const sockets = Object.values(this.#sockets);
    if (!isClean) for (const { fd } of sockets) this.#libc.resetOnClose(fd);
    for (const direction of Object.values(this.#directions)) direction.close(this.#pipes);
    for (const socket of sockets) socket.close();
  }
}

interface End {
  readonly side: Side;
  readonly socket: KernelSocket;
}

class Direction {
  readonly #from: End;
  readonly #to: End;
  readonly #head: Buffer[];
  #pipe: Pipe | undefined;
  #held = 0;
  #isDone = false;
  #isBroken = false;
  #bytes = 0;
  #breakage: Breakage | undefined;
  #allowance: Allowance | undefined;

  constructor(from: End, to: End, head: readonly Buffer[]) {
    this.#from = from;
    this.#to = to;
    this.#head = [...head];
  }

  /** Bytes that the receiving socket has taken. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether the end of the stream was passed on. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** Whether bytes wait for the receiving socket. */
  get isHolding(): boolean {
    return this.#held > 0 || this.#head.length > 0;
  }

  /** Whether bytes wait for the limit. */
  get isHeldBack(): boolean {
    return this.#allowance?.isWaiting ?? false;
  }

  /** Called at most once, before the first turn. */
  limit(rate: RateLimit, allowed: () => void): void {
    this.#allowance = new Allowance(rate, allowed);
  }

  turn(libc: Libc, pipes: Pipes): Breakage | undefined {
    const limit = this.#bytes + turnBytes;
    while (this.#bytes < limit && this.#step(libc, pipes));
    // Only an empty pipe may serve another circuit.
    if (this.#held === 0) this.letGo(pipes);
    return this.#breakage;
  }

  /** Passes on what has arrived, as far as it is taken, and no end: the side that it reads from broke. */
  passRest(libc: Libc, pipes: Pipes): void {
    this.#isBroken = true;
    for (let before = -1; this.#bytes > before; ) {
      before = this.#bytes;
      this.turn(libc, pipes);
    }
  }

  close(pipes: Pipes): void {
    this.#allowance?.close();
    this.letGo(pipes);
  }

  letGo(pipes: Pipes): void {
    const pipe = this.#pipe;
    this.#pipe = undefined;
    if (!pipe) return;
    if (this.#held === 0) pipes.give(pipe);
    else pipes.discard(pipe);
  }

  /** One call to the kernel; false when the direction has to wait, or is done. */
  #step(libc: Libc, pipes: Pipes): boolean {
    if (this.#held > 0 && this.#pipe) return this.#drain(libc, this.#pipe);
    if (this.#isDone) return false;
    const allowed = this.#allowance ? this.#allowance.take(turnBytes) : turnBytes;
    if (allowed === 0) return false;
    const [head] = this.#head;
    return head ? this.#sendHead(libc, head, allowed) : this.#fill(libc, pipes, allowed);
  }

  #sendHead(libc: Libc, head: Buffer, allowed: number): boolean {
    const sent = libc.send(this.#to.socket.fd, allowed < head.length ? head.subarray(0, allowed) : head);
    this.#allowance?.spend(sent);
    if (sent < 0) return this.#retry(this.#to, sent, 'send');
    this.#bytes += sent;
    if (sent === head.length) this.#head.shift();
    else this.#head[0] = head.subarray(sent);
    return true;
  }

  #fill(libc: Libc, pipes: Pipes, allowed: number): boolean {
    const pipe = this.#pipe ?? pipes.take();
    if (typeof pipe === 'number') {
      this.#breakage = { errno: -pipe, call: 'pipe' };
      return false;
    }
    this.#pipe = pipe;
    const taken = libc.splice(this.#from.socket.fd, pipe.into, allowed);
    this.#allowance?.spend(taken);
    if (taken < 0) return this.#retry(this.#from, taken, 'splice');
    this.#held = taken;
    if (taken > 0) return true;
    this.#isDone = true;
    // A receiver that is gone already is told by the other direction, or does not matter any more.
    if (!this.#isBroken) libc.shutdownWrites(this.#to.socket.fd);
    return false;
  }

  #drain(libc: Libc, pipe: Pipe): boolean {
    const given = libc.splice(pipe.out, this.#to.socket.fd, this.#held);
    if (given < 0) return this.#retry(this.#to, given, 'splice');
    this.#held -= given;
    this.#bytes += given;
    return true;
  }

  /** Whether to try again at once; any failure but "not now" breaks the direction. */
  #retry({ side }: End, result: number, call: string): boolean {
    if (result === -constants.errno.EINTR) return true;
    if (result !== -constants.errno.EAGAIN) this.#breakage = { side, errno: -result, call };
    return false;
  }
}
