/**
 * One TCP connection between neighbours: reading with owned buffers, writing with backpressure, one idle deadline.
 *
 * Owns the socket and its buffers. Knows nothing about what the bytes mean.
 *
 * Reading goes through `onread` into blocks that the leg owns, which costs about
 * half of what a stream's own buffers do. A block belongs to whoever read a chunk
 * of it until `release()`; then the leg fills it again. At most `blocksAhead`
 * chunks wait unread: past that the leg stops reading, and so the peer stops sending.
 *
 * Invariant: after `closed` has settled there is no socket, timer or waiting reader.
 */

import net from 'node:net';
import type { HoplineError } from '../../core/errors.ts';
import { formatHop } from '../../wire/address.ts';
import type { SetUserTimeout } from '../kernel/libc.ts';
import { Blocks, type Chunk, splitChunk } from './blocks.ts';
import { descriptorOf } from './descriptor.ts';
import { readPastFailedWrites } from './failed-writes.ts';
import { idled, lost, unreachable } from './loss.ts';

const blocksAhead = 2;
const keepAliveDelayMs = 15_000;

export interface LegOptions {
  /** Milliseconds without a byte in either direction before the leg is given up. */
  readonly idleMs: number;
  /** Bytes that the leg's blocks grow to while it is busy. */
  readonly maxBlockBytes: number;
  /** Sets `idleMs` for what was sent as well: a peer that vanished in between acknowledges nothing. @default not set */
  readonly setUserTimeout?: SetUserTimeout | undefined;
}

export interface DialOptions extends LegOptions {
  readonly signal?: AbortSignal | undefined;
}

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
  readonly #socket: net.Socket;
  readonly #unread: Chunk[] = [];
  #ended = false;
  #failure: HoplineError | undefined;
  #wake: (() => void) | undefined;
  #interrupt: ((reason: unknown) => void) | undefined;
  #paused = false;
  #isDetached = false;
  #settleClosed = () => {};
  #abort: ((error: HoplineError) => void) | undefined;

  private constructor(socket: net.Socket, peer: string, { idleMs, setUserTimeout }: LegOptions) {
    this.#socket = socket;
    this.peer = peer;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, keepAliveDelayMs);
    const fd = descriptorOf(socket);
    if (fd !== undefined) setUserTimeout?.(fd, idleMs);
    socket.setTimeout(idleMs);
    socket.on('timeout', () => this.#idle(idleMs));
    socket.on('end', () => {
      this.#ended = true;
      this.#wake?.();
    });
    socket.on('error', (cause) => {
      this.#failure ??= lost(peer, cause);
      this.#wake?.();
    });
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
      socket.on('close', () => {
        if (this.#isDetached) return;
        if (!this.#ended) this.#failure ??= lost(peer);
        this.#wake?.();
        resolve();
      });
    });
  }

  /**
   * Takes over a connection that a server accepted with `pauseOnConnect`.
   *
   * A server gives no way to ask for `onread`, so the handle is moved to a socket
   * that has it; the old socket is closed empty, which keeps the server's count right.
   */
  static accept(accepted: net.Socket, options: LegOptions): Leg {
    const blocks = new Blocks(options.maxBlockBytes);
    const peer = formatHop({ host: accepted.remoteAddress ?? 'unknown', port: accepted.remotePort ?? 0 });
    const inner = accepted as unknown as { _handle: unknown };
    const handle = inner._handle;
    inner._handle = null;
    accepted.destroy();
    let leg: Leg | undefined;
    const init = { handle, allowHalfOpen: true, onread: blocks.onread((chunk) => leg?.take(chunk) ?? false) };
    leg = new Leg(new net.Socket(init as net.SocketConstructorOpts), peer, options);
    return leg;
  }

  /**
   * Opens a connection to an address, never to a name.
   * Throws `PEER_UNREACHABLE`, or the signal's reason once it aborts.
   */
  static dial(address: string, port: number, options: DialOptions): Promise<Leg> {
    const blocks = new Blocks(options.maxBlockBytes);
    const peer = formatHop({ host: address, port });
    return new Promise((resolve, reject) => {
      let leg: Leg | undefined;
      options.signal?.throwIfAborted();
      const socket = net.connect({
        host: address,
        port,
        allowHalfOpen: true,
        autoSelectFamily: false,
        onread: blocks.onread((chunk) => leg?.take(chunk) ?? false),
      });
      const abort = () => socket.destroy(options.signal?.reason);
      options.signal?.addEventListener('abort', abort, { once: true });
      const fail = (cause: Error) => reject(options.signal?.aborted ? options.signal.reason : unreachable(peer, cause));
      socket.once('error', fail);
      socket.once('close', () => options.signal?.removeEventListener('abort', abort));
      socket.once('connect', () => {
        options.signal?.removeEventListener('abort', abort);
        socket.off('error', fail);
        leg = new Leg(socket, peer, options);
        resolve(leg);
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
    return this.#failure;
  }

  /** Whether it is open both ways, and nothing that came waits to be read: so it is between an answer and a question. */
  get isQuiet(): boolean {
    return !this.#ended && !this.#failure && this.#unread.length === 0 && this.#socket.writable;
  }

  /**
   * The next bytes, at most `maxBytes` of them, or null once the peer has ended. One reader at a time.
   * Throws `PEER_LOST`, `TIMEOUT_IDLE`, or the signal's reason; after that the leg can be read again.
   */
  async read(maxBytes = Number.POSITIVE_INFINITY, signal?: AbortSignal): Promise<Chunk | null> {
    for (;;) {
      const chunk = this.#unread.shift();
      if (chunk) return this.#serve(chunk, maxBytes);
      if (this.#failure) throw this.#failure;
      if (this.#ended) return null;
      this.#goOn();
      await this.#change(signal);
    }
  }

  /** Makes the read that waits now throw `reason`; the leg can be read again. False if none waits. */
  interrupt(reason: unknown): boolean {
    if (!this.#interrupt) return false;
    this.#interrupt(reason);
    return true;
  }

  /** What has arrived and was not read yet, without waiting for it; undefined if there is nothing. */
  readNow(): Chunk | undefined {
    const chunk = this.#unread.shift();
    return chunk && this.#serve(chunk, Number.POSITIVE_INFINITY);
  }

  /** Puts back what was read too far; the next read returns it first. */
  unread(chunk: Chunk): void {
    if (chunk.bytes.length > 0) this.#unread.unshift(chunk);
    else chunk.release();
  }

  /** Settles when the kernel has taken the bytes, so that their buffer is free. Throws `PEER_LOST`, `TIMEOUT_IDLE`. */
  write(bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (cause) => {
        // A write that was cut off by closing the socket reports no error of its own.
        if (cause || this.#socket.destroyed) reject(this.#failure ?? lost(this.peer, cause));
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
      this.#failure ??= error;
      this.#resetOnClose();
    }
    this.#socket.destroy();
    this.#wake?.();
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

  /** Stops reading until the next `read`, and settles when every write so far has left. Throws `PEER_LOST`, `TIMEOUT_IDLE`. */
  async quiesce(): Promise<void> {
    this.#paused = true;
    this.#socket.pause();
    // An empty write completes after all that were made before it.
    if (this.#socket.writableLength > 0) await this.write(Buffer.alloc(0));
  }

  /** Whether something has arrived that was not read yet. */
  get hasUnread(): boolean {
    return this.#unread.length > 0;
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
    this.#socket.setTimeout(this.#socket.timeout ?? 0);
  }

  /** Where bytes wait to be read and none to be taken, it is not the peer that keeps silent. */
  #idle(idleMs: number): void {
    if (this.#unread.length > 0 && this.#socket.writableLength === 0) this.touch();
    else this.destroy(idled(this.peer, idleMs));
  }

  /** The descriptor of a leg that could be detached now: unbroken, open for writing, with no write on its way. */
  get descriptor(): number | undefined {
    const { destroyed, writable, writableLength } = this.#socket;
    if (destroyed || this.#failure || !writable || writableLength > 0) return undefined;
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
    this.#socket.destroy();
    const settle = (failure?: HoplineError) => {
      this.#abort = undefined;
      this.#failure ??= failure;
      this.#settleClosed();
    };
    return { unread: this.#unread.splice(0), settle };
  }

  /** Called with each chunk read; says whether to read on. */
  private take(chunk: Chunk): boolean {
    this.#unread.push(chunk);
    this.#wake?.();
    this.#paused = this.#unread.length >= blocksAhead;
    return !this.#paused;
  }

  #serve(chunk: Chunk, maxBytes: number): Chunk {
    if (this.#unread.length < blocksAhead) this.#goOn();
    if (chunk.bytes.length <= maxBytes) return chunk;
    const [head, tail] = splitChunk(chunk, maxBytes);
    this.#unread.unshift(tail);
    return head;
  }

  #goOn(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket.resume();
  }

  #change(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (then: () => void) => {
        this.#wake = undefined;
        this.#interrupt = undefined;
        signal?.removeEventListener('abort', abort);
        then();
      };
      const abort = () => settle(() => reject(signal?.reason));
      this.#wake = () => settle(resolve);
      this.#interrupt = (reason) => settle(() => reject(reason));
      if (signal?.aborted) abort();
      else signal?.addEventListener('abort', abort);
    });
  }
}
