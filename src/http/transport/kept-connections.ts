/**
 * The connections to servers: kept after a request for the next one, and opened where none is left.
 *
 * Node's HTTP client asks it for sockets, as it would ask its own agent, which costs three times as much a request.
 * How a connection is opened is a function that is passed in.
 * Invariant: a connection on which anything came between two requests is not used again; none is being opened for a request that
 * was given up.
 */

import http from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../core/clock.ts';
import { HoplineError } from '../../core/errors.ts';
import type { Address } from '../../wire/address.ts';

/** More than these are not kept for one server. */
const maxIdle = 256;

export interface KeptConnectionsOptions {
  /** Opens a connection that is ready for requests. */
  readonly open: (address: Address, signal: AbortSignal, traceparent?: string) => Promise<Duplex>;
  /** Milliseconds that a connection is kept without a request. */
  readonly keepMs: number;
  /** With as many open, one that is kept is closed for each that is opened. */
  readonly maxOpen: number;
  /** Milliseconds of silence after which a request hears `timeout`, until it sets another limit. */
  readonly firstByteMs: number;
  readonly clock: Clock;
}

/** Where a request goes to, and what it is for. */
export interface ServerOf extends Address {
  readonly traceparent?: string | undefined;
}

interface Kept {
  readonly socket: Socket;
  readonly server: string;
  request: http.ClientRequest | undefined;
  idleSince: number;
  /** When it became idle. */
  bytesRead: number;
}

export class KeptConnections extends http.Agent {
  readonly #options: KeptConnectionsOptions;
  /** Those without a request, by server; whoever was used last comes last. */
  readonly #idle = new Map<string, Kept[]>();
  /** All there are, busy ones too. */
  readonly #sockets = new Set<Socket>();
  /** Connections that are being opened. */
  readonly #opening = new Set<AbortController>();
  #isBroken = false;
  #cancelSweep: (() => void) | undefined;
  #isClosed = false;

  constructor(options: KeptConnectionsOptions) {
    super({ keepAlive: true });
    this.#options = options;
  }

  /** Called by Node, with what a request was made with: gives it a connection. */
  addRequest(request: http.ClientRequest, { host, port, traceparent }: ServerOf): void {
    const server = nameServer({ host, port });
    const kept = this.#takeIdle(server);
    if (kept) {
      kept.request = request;
      request.reusedSocket = true;
      limitSilence(kept.socket, this.#options.firstByteMs);
      request.onSocket(kept.socket);
      return;
    }
    if (this.#sockets.size >= this.#options.maxOpen) this.#dropOldest();
    const opening = new AbortController();
    const giveUp = () => opening.abort(new HoplineError('INTERRUPTED', 'the request was given up'));
    this.#opening.add(opening);
    request.once('close', giveUp);
    this.#options
      .open({ host, port }, opening.signal, traceparent)
      .finally(() => {
        this.#opening.delete(opening);
        request.off('close', giveUp);
      })
      .then(
        (connection) => request.onSocket(this.#join(server, connection as Socket, request)),
        (error: Error) => fail(request, error),
      );
  }

  /** Closes what is idle of one server. */
  forget(address: Address): void {
    const server = nameServer(address);
    for (const { socket } of this.#idle.get(server) ?? []) socket.destroy();
    this.#idle.delete(server);
  }

  /** Closes what is idle; what is busy is closed when its request is over. */
  override destroy(): void {
    this.#isClosed = true;
    this.#cancelSweep?.();
    for (const list of this.#idle.values()) for (const { socket } of list) socket.destroy();
    this.#idle.clear();
  }

  /** Closes all there are, whatever they are busy with, and gives up those that are being opened. */
  breakOff(): void {
    this.destroy();
    this.#isBroken = true;
    const reason = new HoplineError('NODE_STOPPING', 'the gateway has stopped');
    for (const opening of this.#opening) opening.abort(reason);
    for (const socket of this.#sockets) socket.destroy();
  }

  #takeIdle(server: string): Kept | undefined {
    const idle = this.#idle.get(server);
    for (let kept = idle?.pop(); kept; kept = idle?.pop()) {
      // An answer that came before its request is not the answer to it.
      if (kept.socket.bytesRead === kept.bytesRead && kept.socket.writable) return kept;
      kept.socket.destroy();
    }
    return undefined;
  }

  #join(server: string, socket: Socket, request: http.ClientRequest): Socket {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    if (this.#isBroken) socket.destroy();
    const kept: Kept = { socket, server, request, idleSince: 0, bytesRead: 0 };
    socket.on('error', () => {});
    socket.on('timeout', () => kept.request?.emit('timeout'));
    socket.on('free', () => this.#keep(kept));
    // From here on it speaks another protocol.
    socket.once('agentRemove', () => {
      kept.request = undefined;
    });
    socket.once('close', () => {
      if (!kept.request) this.#drop(kept);
    });
    limitSilence(socket, this.#options.firstByteMs);
    return socket;
  }

  #keep(kept: Kept): void {
    const { socket, server } = kept;
    const idle = this.#idle.get(server) ?? [];
    kept.request = undefined;
    if (this.#isClosed || !socket.writable || idle.length >= maxIdle) {
      socket.destroy();
      return;
    }
    kept.idleSince = this.#options.clock.now();
    kept.bytesRead = socket.bytesRead;
    idle.push(kept);
    this.#idle.set(server, idle);
    this.#cancelSweep ??= this.#options.clock.after(this.#options.keepMs, () => this.#sweep());
  }

  /** Closes the one that has been idle longest. */
  #dropOldest(): void {
    const oldest = [...this.#idle.values()].map(([first]) => first).filter((first) => first !== undefined);
    oldest.sort((a, b) => a.idleSince - b.idleSince)[0]?.socket.destroy();
  }

  #drop(kept: Kept): void {
    const idle = this.#idle.get(kept.server);
    const place = idle?.indexOf(kept) ?? -1;
    if (place >= 0) idle?.splice(place, 1);
  }

  /** Closes what has been idle for too long, and comes back when the next one will have been. */
  #sweep(): void {
    const { clock, keepMs } = this.#options;
    const now = clock.now();
    let oldest = Number.POSITIVE_INFINITY;
    for (const [server, idle] of this.#idle) {
      const late = idle.filter(({ idleSince }) => now - idleSince >= keepMs);
      for (const { socket } of idle.splice(0, late.length)) socket.destroy();
      if (idle.length === 0) this.#idle.delete(server);
      else oldest = Math.min(oldest, idle[0]?.idleSince ?? oldest);
    }
    this.#cancelSweep = this.#idle.size === 0 ? undefined : clock.after(oldest + keepMs - now, () => this.#sweep());
  }
}

/** Has the socket emit `timeout` after so many milliseconds without a byte. */
export function limitSilence(socket: Socket, ms: number): void {
  // A timer is made anew each time that it is set.
  if (socket.timeout !== ms) socket.setTimeout(ms);
}

function nameServer({ host, port }: Address): string {
  return `${host}:${port}`;
}

/** Node takes a failure beside a socket, though its types do not say so. */
function fail(request: http.ClientRequest, error: Error): void {
  const onSocket: (socket: undefined, error: Error) => void = request.onSocket.bind(request) as never;
  onSocket(undefined, error);
}
