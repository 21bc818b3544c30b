/**
 * A circuit that the engine moves: its tunnel, turned whenever one of the two sockets is ready.
 *
 * Owns the tunnel, its idle deadline, and what lets streams gather. Does not know how bytes pass through a tunnel.
 * Invariant: once finished, both sockets are closed, no timer is left, and nothing turns the tunnel any more.
 */

import type { Clock } from '../../../core/clock.ts';
import { asHoplineError, HoplineError } from '../../../core/errors.ts';
import { failedCall, idled, lost } from '../../legs/loss.ts';
import type { Rates } from '../../rates/rate.ts';
import type { Libc } from '../libc.ts';
import type { PollEvents } from '../watches.ts';
import type { Breakage, Side } from './direction.ts';
import { Gathering } from './gathering.ts';
import type { Pipes } from './pipes.ts';
import { Tunnel, type TunnelEnd } from './tunnel.ts';

const both = ['near', 'far'] as const;
/** What moves so many bytes in one turn may be a stream. */
const streamBytes = 64 * 1024;

export interface SplicedEnd extends TunnelEnd {
  /** The address of the peer, for messages. */
  readonly peer: string;
}

export interface SpliceOptions {
  readonly clock: Clock;
  /** Milliseconds without a byte in either direction before the circuit is given up. */
  readonly idleMs: number;
  /** How fast bytes may pass. @default as fast as they come */
  readonly rates?: Rates | undefined;
}

interface SpliceResult {
  readonly bytesForward: number;
  readonly bytesBack: number;
  readonly failure: HoplineError | undefined;
  readonly broken: Side | undefined;
}

/** A circuit that the engine moves. */
export interface Splice {
  /** So far. */
  readonly bytesForward: number;
  readonly bytesBack: number;
  /** Settles, and never rejects, once both sockets are closed. */
  readonly done: Promise<SpliceResult>;
  /** Resets both connections; the result has this failure. */
  abort(failure: HoplineError): void;
}

export class RunningSplice implements Splice {
  readonly done: Promise<SpliceResult>;
  readonly #tunnel: Tunnel;
  readonly #peers: Readonly<Record<Side, string>>;
  readonly #wakes: Readonly<Record<Side, (events: PollEvents | undefined) => void>>;
  readonly #options: SpliceOptions;
  #settle = (_result: SpliceResult) => {};
  #cancelIdle = () => {};
  #isFinished = false;
  readonly #gatherings: Partial<Record<Side, Gathering | undefined>> = {};
  #moved = 0;
  #movedAt: number;

  constructor(libc: Libc, pipes: Pipes, ends: Readonly<Record<Side, SplicedEnd>>, options: SpliceOptions) {
    this.done = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.#tunnel = new Tunnel(libc, pipes, ends, options.rates, (from) => this.#turn([from]));
    this.#peers = { near: ends.near.peer, far: ends.far.peer };
    this.#options = options;
    this.#movedAt = options.clock.now();
    this.#wakes = { near: (events) => this.#wake('near', events), far: (events) => this.#wake('far', events) };
    this.#cancelIdle = options.clock.after(options.idleMs, () => this.#checkIdle());
    this.#turn(both.filter((side) => this.#tunnel.isHolding(side)));
  }

  get bytesForward(): number {
    return this.#tunnel.bytes('near');
  }

  get bytesBack(): number {
    return this.#tunnel.bytes('far');
  }

  abort(failure: HoplineError): void {
    this.#finish(failure);
  }

  /** One side is ready, or broken when there are no events. */
  #wake(side: Side, events: PollEvents | undefined): void {
    const other = side === 'near' ? 'far' : 'near';
    if (!events) this.#turn(both, side);
    else this.#turn(both.filter((from) => (from === side && events.readable) || (from === other && events.writable)));
  }

  /** Must not throw, as it runs in a poll callback. */
  #turn(directions: readonly Side[], broken?: Side): void {
    if (this.#isFinished) return;
    const tunnel = this.#tunnel;
    for (const from of directions) if (tunnel.turn(from) >= streamBytes) this.#gather(from);
    if (broken) tunnel.takeBreakage(broken);
    if (tunnel.isOver) this.#finish(tunnel.breakage && failureOf(tunnel.breakage, this.#peers));
    else this.#awaitMore();
  }

  /** Goes on until the stream from that side is over. */
  #gather(from: Side): void {
    this.#gatherings[from] ??= new Gathering({
      clock: this.#options.clock,
      socket: this.#tunnel.socket(from),
      moved: this.#tunnel.bytes(from),
      turn: () => {
        // What waits for its receiver goes on by itself.
        if (!this.#tunnel.isHolding(from)) this.#turn([from]);
        return this.#tunnel.bytes(from);
      },
      onOver: () => {
        this.#gatherings[from] = undefined;
      },
    });
  }

  #awaitMore(): void {
    const tunnel = this.#tunnel;
    try {
      for (const side of both) tunnel.socket(side).await(tunnel.interest(side), this.#wakes[side]);
    } catch (error) {
      this.#finish(asHoplineError(error));
    }
    const total = this.bytesForward + this.bytesBack;
    if (total !== this.#moved) this.#movedAt = this.#options.clock.now();
    this.#moved = total;
  }

  #checkIdle(): void {
    const { clock, idleMs } = this.#options;
    const left = this.#movedAt + idleMs - clock.now();
    if (left <= 0) this.abort(idled(this.#peers[this.#tunnel.awaited], idleMs));
    else this.#cancelIdle = clock.after(Math.ceil(left), () => this.#checkIdle());
  }

  #finish(failure: HoplineError | undefined): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    this.#cancelIdle();
    for (const side of both) this.#gatherings[side]?.close();
    this.#tunnel.close();
    const { bytesForward, bytesBack } = this;
    const broken = failure && this.#tunnel.breakage?.side;
    const result = { bytesForward, bytesBack, failure, broken };
    // Behind a poll callback nobody looks after promises; behind this one somebody does.
    setImmediate(() => this.#settle(result));
  }
}

function failureOf({ side, errno, call }: Breakage, peers: Readonly<Record<Side, string>>): HoplineError {
  const cause = failedCall(call, errno);
  if (side !== undefined) return lost(peers[side], cause);
  const { code } = cause;
  return new HoplineError('INTERNAL', `the kernel path failed at ${call} (${code})`, { reason: code, cause });
}
