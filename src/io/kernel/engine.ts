/**
 * Moves the bytes of circuits inside the kernel, without one copy into this process.
 *
 * Owns the tunnels with their pipes, the senders and the readers. The event loop is the
 * scheduler: a socket that stays ready is reported again after all others, so
 * a fast circuit cannot starve a slow one.
 * How it works, and what was measured: docs/kernel-path.md
 *
 * Invariant: an engine without tunnels does not keep the process alive; once
 * closed, it holds no descriptor and takes none.
 */

import { type Clock, systemClock } from '../../core/clock.ts';
import { asHoplineError, HoplineError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { failedCall, idled, lost } from '../legs/loss.ts';
import type { RateLimit, Rates } from '../rates/rate.ts';
import { type Dialled, dialSocket, type SocketOptions } from './dialling/dial-socket.ts';
import type { Breakage, Side } from './direction.ts';
import { FileSender } from './file-sender.ts';
import { type Libc, loadLibc, type PollEvents } from './libc.ts';
import { Pipes } from './pipes.ts';
import { KernelSocket } from './socket.ts';
import { SocketReader } from './socket-reader.ts';
import { Tunnel, type TunnelEnd } from './tunnel.ts';

const both = ['near', 'far'] as const;

interface SplicedEnd extends TunnelEnd {
  /** The address of the peer, for messages. */
  readonly peer: string;
}

interface SpliceOptions {
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
interface Splice {
  /** So far. */
  readonly bytesForward: number;
  readonly bytesBack: number;
  /** Settles, and never rejects, once both sockets are closed. */
  readonly done: Promise<SpliceResult>;
  /** Resets both connections; the result has this failure. */
  abort(failure: HoplineError): void;
}

export interface KernelEngine {
  /** A second descriptor for an open socket, if it has one; whoever gets it closes it or hands it on. */
  duplicate(fd: number | undefined): KernelSocket | undefined;
  /** Opens a connection for `splice`, to an address without a zone. Throws `PEER_UNREACHABLE`, or the signal's reason. */
  dial(host: string, port: number, options: SocketOptions): Promise<Dialled>;
  /** Joins two non-blocking sockets and closes them in the end. */
  splice(near: SplicedEnd, far: SplicedEnd, options: SpliceOptions): Splice;
  /** What sends files to the socket, which it owns from now on. */
  openSender(socket: KernelSocket, peer: string, rate?: RateLimit): FileSender;
  /** Reads into `bytes` what memory has of an open file, at once; how many bytes that were. The rest is the disk's, and for others to read. */
  readCached(file: number, bytes: Buffer, position: number): number;
  /** What reads from an open socket, if it has a descriptor; whoever gets it closes it. */
  openReader(fd: number | undefined, peer: string, clock?: Clock): SocketReader | undefined;
  /** Ends what still runs. */
  close(): void;
}

/** Starts an engine, or says why there is none, in one line of `log` that begins with `otherwise`. */
export function openKernelEngine(log: Logger, otherwise: string): KernelEngine | undefined {
  try {
    return startKernelEngine();
  } catch (error) {
    log.info({ reason: asHoplineError(error).message }, `${otherwise}, not inside the kernel`);
    return undefined;
  }
}

/** Starts an engine. Throws, with the reason as its message, where the kernel path cannot be used. */
export function startKernelEngine(libc: Libc = loadLibc()): KernelEngine {
  return new PollEngine(libc);
}

/** What opens readers by an engine that is started for the first of them; none where the kernel path cannot be used. */
export function openReadersLater(): KernelEngine['openReader'] {
  let engine: KernelEngine | null | undefined;
  const start = () => {
    try {
      return startKernelEngine();
    } catch {
      return null;
    }
  };
  return (fd, peer, clock) => {
    if (engine === undefined) engine = start();
    return engine?.openReader(fd, peer, clock);
  };
}

class PollEngine implements KernelEngine {
  readonly #libc: Libc;
  readonly #pipes: Pipes;
  readonly #running = new Set<Splice>();
  readonly #senders = new Set<FileSender>();
  readonly #readers = new Set<SocketReader>();
  #isClosed = false;

  constructor(libc: Libc) {
    this.#libc = libc;
    this.#pipes = new Pipes(libc);
  }

  duplicate(fd = -1): KernelSocket | undefined {
    return this.#isClosed ? undefined : KernelSocket.duplicate(this.#libc, fd);
  }

  dial = (host: string, port: number, options: SocketOptions) => dialSocket(this.#libc, host, port, options);

  splice(near: SplicedEnd, far: SplicedEnd, options: SpliceOptions): Splice {
    const splice = new RunningSplice(this.#libc, this.#pipes, { near, far }, options);
    this.#running.add(splice);
    void splice.done.then(() => this.#running.delete(splice));
    if (this.#isClosed) splice.abort(stopping());
    return splice;
  }

  openSender(socket: KernelSocket, peer: string, rate?: RateLimit): FileSender {
    const onClose = () => this.#senders.delete(sender);
    const sender = new FileSender(this.#libc, { socket, peer, rate, onClose });
    this.#senders.add(sender);
    if (this.#isClosed) sender.close();
    return sender;
  }

  readCached(file: number, bytes: Buffer, position: number): number {
    return Math.max(0, this.#libc.readCached(file, bytes, position));
  }

  openReader(fd: number | undefined, peer: string, clock = systemClock): SocketReader | undefined {
    const socket = this.duplicate(fd);
    if (!socket) return undefined;
    const onClose = () => this.#readers.delete(reader);
    const reader = new SocketReader(this.#libc, { socket, peer, clock, onClose });
    this.#readers.add(reader);
    return reader;
  }

  close(): void {
    this.#isClosed = true;
    for (const reader of this.#readers) reader.close();
    for (const sender of this.#senders) sender.close();
    for (const splice of this.#running) splice.abort(stopping());
    this.#pipes.close();
  }
}

class RunningSplice implements Splice {
  readonly done: Promise<SpliceResult>;
  readonly #tunnel: Tunnel;
  readonly #peers: Readonly<Record<Side, string>>;
  readonly #wakes: Readonly<Record<Side, (events: PollEvents | undefined) => void>>;
  readonly #options: SpliceOptions;
  #settle = (_result: SpliceResult) => {};
  #cancelIdle = () => {};
  #isFinished = false;
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
    this.#turn(both.filter((side) => this.#tunnel.hasHead(side)));
  }

  get bytesForward(): number {
    return this.#tunnel.bytesForward;
  }

  get bytesBack(): number {
    return this.#tunnel.bytesBack;
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
    for (const from of directions) tunnel.turn(from);
    if (broken) tunnel.takeBreakage(broken);
    if (tunnel.isOver) this.#finish(tunnel.breakage && failureOf(tunnel.breakage, this.#peers));
    else this.#awaitMore();
  }

  #awaitMore(): void {
    const tunnel = this.#tunnel;
    try {
      for (const side of both) tunnel.socket(side).await(tunnel.interest(side), this.#wakes[side]);
    } catch (error) {
      this.#finish(asHoplineError(error));
    }
    const total = tunnel.bytesForward + tunnel.bytesBack;
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
    this.#tunnel.close();
    const { bytesForward, bytesBack } = this.#tunnel;
    const broken = failure && this.#tunnel.breakage?.side;
    const result = { bytesForward, bytesBack, failure, broken };
    // Behind a poll callback nobody looks after promises; behind this one somebody does.
    setImmediate(() => this.#settle(result));
  }
}

function stopping(): HoplineError {
  return new HoplineError('NODE_STOPPING', 'the node is stopping');
}

function failureOf({ side, errno, call }: Breakage, peers: Readonly<Record<Side, string>>): HoplineError {
  const cause = failedCall(call, errno);
  if (side !== undefined) return lost(peers[side], cause);
  const { code } = cause;
  return new HoplineError('INTERNAL', `the kernel path failed at ${call} (${code})`, { reason: code, cause });
}
