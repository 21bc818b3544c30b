/**
 * One TCP connection between neighbours: reading with owned buffers, writing with backpressure, one idle deadline.
 *
 * Owns the socket and what has arrived on it. Knows nothing about what the bytes mean.
 * Reading goes through `onread` into blocks that the leg owns, which costs about half of what a stream's own buffers do.
 *
 * Invariant: after `closed` has settled there is no socket, timer or waiting reader.
 */

import type { Socket } from 'node:net';
import type { HoplineError } from '../../core/errors.ts';
import type { Signal } from '../../core/signal.ts';
import type { SocketReader } from '../kernel/socket-reader.ts';
import { type Arrivals, memoryOf, type ReadMemory } from './arrivals.ts';
import type { Chunk } from './blocks.ts';
import { descriptorOf, onTimeout, restartTimeout } from './descriptor.ts';
import { readPastFailedWrites } from './failed-writes.ts';
import type { LegOptions, OpenReader } from './leg-options.ts';
import { idled, lost } from './loss.ts';

/** Less than this is not worth a descriptor of its own. */
const minDirectBytes = 64 * 1024;

/** What is left of a leg whose connection someone else carries on. */
export interface Detached {
  /** What was read from the connection and goes before what is still in it. */
  readonly unread: readonly Chunk[];
  /** Must be called once the connection is closed, with the failure that ended it. */
  settle(failure?: HoplineError): void;
}

export class Leg {
  /** The address of the peer, `host:port`. */
  readonly peer: string;
  /** Settles, and never rejects, once the socket is closed. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #arrivals: Arrivals;
  readonly #openReader: OpenReader | undefined;
  /** Once something large was asked for, all that comes is taken by it; null where that cannot be. */
  #reader: SocketReader | null | undefined;
  #isDetached = false;
  #isHeldUp = () => this.hasUnread;
  #settleClosed = () => {};
  #abort: ((error: HoplineError) => void) | undefined;

  /** Of a socket that reads by the `onread` of `arrivals`, and has the options of its connection. */
  constructor(socket: Socket, peer: string, arrivals: Arrivals, options: LegOptions) {
    const { idleMs, openReader } = options;
    this.#socket = socket;
    this.#arrivals = arrivals;
    this.#openReader = openReader;
    this.peer = peer;
    arrivals.comeFrom(socket);
    socket.setTimeout(idleMs);
    onTimeout(socket, () => this.#idle(idleMs));
    socket.on('end', () => arrivals.end());
    socket.on('error', (cause) => arrivals.fail(lost(peer, cause)));
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
      socket.on('close', () => {
        if (this.#isDetached) return;
        this.#reader?.close();
        if (!arrivals.isEnded) arrivals.fail(lost(peer));
        resolve();
      });
    });
  }

  /** Of the peer; undefined once the socket is closed. */
  get address(): { readonly host: string; readonly port: number } | undefined {
    const { remoteAddress: host, remotePort: port } = this.#socket;
    return host === undefined || port === undefined ? undefined : { host, port };
  }

  /** Why the leg broke; undefined while it is open and after a clean end. */
  get failure(): HoplineError | undefined {
    return this.#arrivals.failure;
  }

  /** Whether it is open both ways, and nothing that came waits to be read: so it is between an answer and a question. */
  get isQuiet(): boolean {
    const { isEnded, failure, isEmpty } = this.#arrivals;
    return !isEnded && !failure && isEmpty && !this.#reader?.isReady && this.#socket.writable;
  }

  /**
   * The next bytes, at most `maxBytes` of them, or null once the peer has ended. One reader at a time.
   * Throws `PEER_LOST`, `TIMEOUT_IDLE`, or the signal's reason; after that the leg can be read again.
   */
  read(maxBytes = Number.POSITIVE_INFINITY, signal?: Signal): Promise<Chunk | null> {
    return this.#arrivals.next(maxBytes, signal);
  }

  /**
   * The next bytes into the memory of `place`, at least one of them: how many, 0 once the peer has ended. One reader at a time.
   * Those of something large come straight from the connection, where there is a way. Throws as `read`.
   */
  readInto(place: ReadMemory, signal?: Signal): Promise<number> {
    if (this.#reader === undefined && memoryOf(place).length >= minDirectBytes) this.#readDirectly();
    return this.#arrivals.nextInto(place, signal);
  }

  /** Makes the read that waits now throw `reason`; the leg can be read again. False if none waits. */
  interrupt(reason: unknown): boolean {
    return this.#arrivals.interrupt(reason);
  }

  /** What has arrived and was not read yet, without waiting for it; undefined if there is nothing. */
  readNow(): Chunk | undefined {
    return this.#arrivals.nextNow();
  }

  /** Puts back what was read too far; the next read returns it first. */
  unread(chunk: Chunk): void {
    this.#arrivals.putBack(chunk);
  }

  /** Settles when the kernel has taken the bytes, so that their buffer is free. Throws `PEER_LOST`, `TIMEOUT_IDLE`. */
  write(bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (cause) => {
        // A write that was cut off by closing the socket reports no error of its own.
        if (cause || this.#socket.destroyed) reject(this.failure ?? lost(this.peer, cause));
        else resolve();
      });
    });
  }

  /** Writes without waiting: for a few bytes whose failure the next read or write will tell. */
  post(bytes: Buffer): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  /** Lets what is written until `uncork` leave in as few segments as possible. */
  cork(): void {
    this.#socket.cork();
  }

  uncork(): void {
    this.#socket.uncork();
  }

  /** Sends the end of the stream; reading goes on. */
  end(): void {
    if (!this.#socket.destroyed) this.#socket.end();
  }

  /** Ends both directions at once; with an error, the peer sees a reset and this side's reads and writes throw it. */
  destroy(error?: HoplineError): void {
    if (this.#isDetached) this.#abort?.(error ?? lost(this.peer));
    if (this.#socket.destroyed) return;
    if (error) {
      this.#arrivals.fail(error);
      this.#resetOnClose();
    }
    this.#socket.destroy();
    // A second descriptor would keep the connection open.
    this.#reader?.close();
  }

  #readDirectly(): void {
    const reader = this.failure ? undefined : this.#openReader?.(descriptorOf(this.#socket), this.peer);
    this.#reader = reader ?? null;
    if (reader)
      this.#arrivals.takeBy(reader, { onTaken: () => this.touch(), onBroken: (error) => this.destroy(error) });
  }

  /**
   * `resetAndDestroy()` ends the stream before it resets it; a `destroy()` that comes in between then fails to reset
   * and never closes the socket. While an end is on its way, no reset can be sent.
   */
  #resetOnClose(): void {
    if (this.#socket.writableEnded && !this.#socket.writableFinished) return;
    (this.#socket as unknown as { resetAndClosing: boolean }).resetAndClosing = true;
  }

  /** Ends politely: sends the end, then reads on for up to `lingerMs`, since closing on unread bytes would reset what was sent. */
  async linger(lingerMs: number): Promise<void> {
    this.end();
    const late = setTimeout(() => this.destroy(), lingerMs);
    try {
      for (let chunk = await this.read(); chunk; chunk = await this.read()) chunk.release();
    } catch {
      // The peer is gone, which is all that was waited for.
    } finally {
      clearTimeout(late);
      this.destroy();
    }
  }

  /** Stops reading until the next `read`; where writes have not left yet, settles when they have. Throws `PEER_LOST`, `TIMEOUT_IDLE`. */
  quiesce(): Promise<void> | undefined {
    this.#arrivals.pause();
    // An empty write completes after all that were made before it.
    return this.#socket.writableLength > 0 ? this.write(Buffer.alloc(0)) : undefined;
  }

  /** Whether something has arrived that was not read yet. */
  get hasUnread(): boolean {
    return !this.#arrivals.isEmpty || this.#reader?.hasBytes === true;
  }

  /** From now on a write that fails waits until what has arrived was read: for whoever does not know what the peer will say. */
  readPastFailedWrites(): void {
    readPastFailedWrites(this.#socket);
  }

  /** From now on whoever uses the leg keeps watch over silence. */
  neverIdle(): void {
    this.#socket.setTimeout(0);
  }

  /** Counts as a byte moved: for who writes to the connection past this leg. */
  touch(): void {
    restartTimeout(this.#socket);
  }

  /** For who reads ahead of somebody else: while it `isHeldUp`, silence is not the peer's. */
  holdUpBy(isHeldUp: () => boolean): void {
    this.#isHeldUp = () => this.hasUnread || isHeldUp();
  }

  /** Where bytes wait to be read and none to be taken, it is not the peer that keeps silent. */
  #idle(idleMs: number): void {
    if (this.#isHeldUp() && this.#socket.writableLength === 0) this.touch();
    else this.destroy(idled(this.peer, idleMs));
  }

  /** The descriptor of a leg that could be detached now: unbroken, open for writing, with no write on its way. */
  get descriptor(): number | undefined {
    const { destroyed, writable, writableLength } = this.#socket;
    if (destroyed || this.failure || !writable || writableLength > 0) return undefined;
    return descriptorOf(this.#socket);
  }

  /**
   * Lets go of the socket without ending the connection, of which the caller holds a duplicate of the descriptor.
   *
   * From here on the leg only stands for the connection: `destroy` is passed to `abort`,
   * and `closed` settles when the caller calls `settle`.
   */
  detach(abort: (error: HoplineError) => void): Detached {
    this.#isDetached = true;
    this.#abort = abort;
    this.#reader?.close();
    this.#socket.destroy();
    const settle = (failure?: HoplineError) => {
      this.#abort = undefined;
      if (failure) this.#arrivals.fail(failure);
      this.#settleClosed();
    };
    return { unread: this.#arrivals.takeAll(), settle };
  }
}
