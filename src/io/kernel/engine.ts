/**
 * Moves the bytes of circuits inside the kernel, without one copy into this process.
 *
 * Owns the tunnels with their pipes, the senders and the readers. The event loop is the
 * scheduler: a socket that stays ready is reported again after all others, so
 * a fast circuit cannot starve a slow one.
 * How it works: docs/kernel-path.md; what was measured: docs/performance.md
 *
 * Invariant: an engine without tunnels does not keep the process alive; once
 * closed, it holds no descriptor and takes none.
 */

import { type Clock, systemClock } from '../../core/clock.ts';
import { asHoplineError, HoplineError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { RateLimit } from '../rates/rate.ts';
import { type Dialled, dialSocket, type SocketOptions } from './dialling/dial-socket.ts';
import { FileSender } from './file-sender.ts';
import { type Libc, loadLibc } from './libc.ts';
import { KernelSocket } from './socket.ts';
import { SocketReader } from './socket-reader.ts';
import { Pipes } from './splicing/pipes.ts';
import { RunningSplice, type Splice, type SplicedEnd, type SpliceOptions } from './splicing/splice.ts';

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

function stopping(): HoplineError {
  return new HoplineError('NODE_STOPPING', 'the node is stopping');
}
