/**
 * Moves the bytes of circuits inside the kernel, without one copy into this process.
 *
 * Owns one epoll set, which the event loop watches as a single descriptor, the
 * tunnels in it, and their pipes. Tunnels that have more to do wait in a queue
 * for their next turn, and between rounds the event loop runs.
 * How it works, and what was measured: docs/kernel-path.md
 *
 * Invariant: an engine without tunnels does not keep the process alive; once closed, it holds no descriptor.
 */

import { getSystemErrorName } from 'node:util';
import type { Clock } from '../../core/clock.ts';
import { HoplineError } from '../../core/errors.ts';
import { idled, lost } from '../loss.ts';
import { type Libc, loadLibc, type PollHandle } from './libc.ts';
import { Pipes } from './pipes.ts';
import { type Breakage, type Side, Tunnel, type TunnelEnd } from './tunnel.ts';

/** Turns in a round before the event loop runs. */
const turnsInRound = 8;

export interface SplicedEnd extends TunnelEnd {
  /** The address of the peer, for messages. */
  readonly peer: string;
}

export interface SpliceOptions {
  readonly clock: Clock;
  /** Milliseconds without a byte in either direction before the circuit is given up. */
  readonly idleMs: number;
}

export interface SpliceResult {
  readonly bytesForward: number;
  readonly bytesBack: number;
  readonly failure?: HoplineError;
}

/** A circuit that the engine moves. */
export interface Splice {
  /** Settles, and never rejects, once both sockets are closed. */
  readonly done: Promise<SpliceResult>;
  /** Resets both connections; the result has this failure. */
  abort(failure: HoplineError): void;
}

export interface KernelEngine {
  /** A second descriptor for an open socket, which outlives the first. Negative where that fails. */
  duplicate(fd: number): number;
  /** Closes a duplicate that is not needed after all. */
  discard(fd: number): void;
  /** Joins two non-blocking sockets and closes them in the end. */
  splice(near: SplicedEnd, far: SplicedEnd, options: SpliceOptions): Splice;
  /** Ends what still runs. */
  close(): void;
}

/** Starts an engine. Throws, with the reason as its message, where the kernel path cannot be used. */
export function startKernelEngine(): KernelEngine {
  return new EpollEngine(loadLibc());
}

interface Entry {
  readonly tunnel: Tunnel;
  /** Called after each turn. */
  readonly onTurn: () => void;
  readonly abort: (failure: HoplineError) => void;
  isQueued: boolean;
}

class EpollEngine implements KernelEngine {
  readonly #libc: Libc;
  readonly #pipes: Pipes;
  readonly #epoll: number;
  readonly #watch: PollHandle;
  readonly #sides = new Map<number, { readonly side: Side; readonly entry: Entry }>();
  readonly #queue: Entry[] = [];
  #isRoundDue = false;
  #isClosed = false;

  constructor(libc: Libc) {
    this.#libc = libc;
    this.#pipes = new Pipes(libc);
    this.#epoll = libc.epollCreate();
    if (this.#epoll < 0) throw new Error(`epoll_create1 failed (${getSystemErrorName(this.#epoll)})`);
    this.#watch = libc.poll(this.#epoll, () => this.#callRound());
    this.#watch.unref();
  }

  duplicate(fd: number): number {
    return this.#libc.duplicate(fd);
  }

  discard(fd: number): void {
    this.#libc.close(fd);
  }

  splice(near: SplicedEnd, far: SplicedEnd, { clock, idleMs }: SpliceOptions): Splice {
    const tunnel = new Tunnel(this.#libc, this.#pipes, near, far);
    const peers = { near: near.peer, far: far.peer };
    let settle = (_result: SpliceResult) => {};
    const done = new Promise<SpliceResult>((resolve) => {
      settle = resolve;
    });
    let movedAt = clock.now();
    let moved = 0;
    const finish = (failure?: HoplineError) => {
      cancelIdle();
      this.#remove(tunnel);
      const { bytesForward, bytesBack } = tunnel;
      settle({ bytesForward, bytesBack, ...(failure ? { failure } : {}) });
    };
    const abort = (failure: HoplineError) => {
      if (tunnel.isOver) return;
      tunnel.reset();
      finish(failure);
    };
    const onTurn = () => {
      if (tunnel.isOver) return finish(tunnel.breakage && failureOf(tunnel.breakage, peers));
      const total = tunnel.bytesForward + tunnel.bytesBack;
      if (total !== moved) movedAt = clock.now();
      moved = total;
    };
    const checkIdle = () => {
      const left = movedAt + idleMs - clock.now();
      if (left <= 0) abort(idled(peers[tunnel.awaited], idleMs));
      else cancelIdle = clock.after(Math.ceil(left), checkIdle);
    };
    let cancelIdle = clock.after(idleMs, checkIdle);
    this.#add({ tunnel, onTurn, abort, isQueued: false });
    return { done, abort };
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const stopped = new HoplineError('NODE_STOPPING', 'the node is stopping');
    for (const { entry } of [...this.#sides.values()]) entry.abort(stopped);
    this.#pipes.close();
    this.#watch.close();
    this.#libc.close(this.#epoll);
  }

  #add(entry: Entry): void {
    this.#watch.ref();
    this.#enqueue(entry);
    for (const side of [entry.tunnel.near, entry.tunnel.far]) {
      this.#sides.set(side.fd, { side, entry });
      const result = this.#libc.epollAdd(this.#epoll, side.fd);
      if (result < 0) entry.abort(failureOf({ errno: -result, call: 'epoll_ctl' }, { near: '', far: '' }));
    }
  }

  /** The epoll set forgets a socket by itself when its last descriptor is closed. */
  #remove(tunnel: Tunnel): void {
    for (const { fd } of [tunnel.near, tunnel.far]) {
      if (this.#sides.get(fd)?.entry.tunnel === tunnel) this.#sides.delete(fd);
    }
    if (this.#sides.size === 0) this.#watch.unref();
  }

  #enqueue(entry: Entry): void {
    if (!entry.isQueued) this.#queue.push(entry);
    entry.isQueued = true;
    this.#callRound();
  }

  /** A round runs as a callback of its own, since promises are not looked after behind a poll callback. */
  #callRound(): void {
    if (this.#isRoundDue || this.#isClosed) return;
    this.#isRoundDue = true;
    setImmediate(() => {
      this.#isRoundDue = false;
      if (!this.#isClosed) this.#round();
    });
  }

  #round(): void {
    for (const { fd, readable, writable, broken } of this.#libc.epollTake(this.#epoll)) {
      const found = this.#sides.get(fd);
      if (!found) continue;
      found.side.readable ||= readable;
      found.side.writable ||= writable;
      found.side.broken ||= broken;
      this.#enqueue(found.entry);
    }
    for (const entry of this.#queue.splice(0, turnsInRound)) {
      entry.isQueued = false;
      if (entry.tunnel.isOver) continue;
      if (entry.tunnel.turn()) this.#enqueue(entry);
      entry.onTurn();
    }
    if (this.#queue.length > 0) this.#callRound();
  }
}

function failureOf({ side, errno, call }: Breakage, peers: Readonly<Record<Side['name'], string>>): HoplineError {
  const code = getSystemErrorName(-errno);
  const cause = Object.assign(new Error(`${call} ${code}`), { errno: -errno, code, syscall: call });
  if (side !== undefined) return lost(peers[side], cause);
  return new HoplineError('INTERNAL', `the kernel path failed at ${call} (${code})`, { reason: code, cause });
}
