/**
 * One circuit between two sockets, as a machine that the engine turns: bytes pass through pipes inside the kernel.
 *
 * Owns the two sockets and the pipes that hold their bytes. Waits for nothing
 * itself: the engine says which socket is ready, and is told what to wait for.
 * Invariant: once closed, it holds neither socket nor pipe, and takes none.
 */

import { constants } from 'node:os';
import type { Rates } from '../../rates/rate.ts';
import type { Libc } from '../libc.ts';
import type { KernelSocket } from '../socket.ts';
import type { PollEvents } from '../watches.ts';
import { type Breakage, Direction, type Side } from './direction.ts';
import type { Pipes } from './pipes.ts';

export interface TunnelEnd {
  /** One that does not block. */
  readonly socket: KernelSocket;
  /** Bytes that were read from this socket already, and go first. */
  readonly head: readonly Buffer[];
  /** What goes before those, and is not of what passes. */
  readonly lead?: Buffer | undefined;
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
      near: new Direction(ends.near, ends.far, near.head, near.lead),
      far: new Direction(ends.far, ends.near, far.head, far.lead),
    };
    if (rates?.forward) this.#directions.near.limit(rates.forward, () => allowed('near'));
    if (rates?.back) this.#directions.far.limit(rates.back, () => allowed('far'));
  }

  socket(side: Side): KernelSocket {
    return this.#sockets[side];
  }

  /** That came from a side and were taken by the other. */
  bytes(from: Side): number {
    return this.#directions[from].bytes;
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

  /** Moves a bounded amount in one direction, named by the side that it reads from; how many bytes that were. */
  turn(from: Side): number {
    const direction = this.#directions[from];
    if (this.isOver || direction.isDone) return 0;
    const before = direction.bytes;
    const breakage = direction.turn(this.#libc, this.#pipes);
    if (breakage) this.#break(breakage);
    else if (direction.isDone) this.#passEnd(from);
    return direction.bytes - before;
  }

  /** Where the other direction has ended as well, closing does it. */
  #passEnd(from: Side): void {
    if (this.isOver) return;
    // A receiver that is gone already is told by the other direction, or does not matter any more.
    this.#libc.shutdownWrites(this.#sockets[from === 'near' ? 'far' : 'near'].fd);
  }

  /** Whether bytes from a side wait for the other to take them. */
  isHolding(from: Side): boolean {
    return this.#directions[from].isHolding;
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
