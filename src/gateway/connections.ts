/**
 * What the requests of one client's connection share: which answers are still due, and whether anything behind them counts.
 *
 * Owns what Node leaves open about pipelined requests: an answer that waits for its
 * turn does not hear that the connection is gone, and the parser goes on behind a
 * request that was refused.
 * Invariant: once a request was refused, nothing behind it on its connection is taken for a request.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { HoplineError } from '../core/errors.ts';
import type { Limits } from '../core/limits.ts';
import { OwnSignal } from '../core/signal.ts';

/** `lingerMs`: a connection that is ended with bytes unread is read on for so long, or its last answer would be cut off. */
type ConnectionLimits = Pick<Limits, 'lingerMs' | 'httpHalfClosedMs'>;

export class Connections {
  readonly #connections = new WeakMap<Duplex, Connection>();
  readonly #limits: ConnectionLimits;

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
  }

  of(socket: Duplex): Connection {
    const known = this.#connections.get(socket);
    if (known) return known;
    const connection = new Connection(socket, this.#limits);
    this.#connections.set(socket, connection);
    return connection;
  }
}

export class Connection {
  readonly #socket: Duplex & { destroySoon?: () => void };
  readonly #due = new Map<ServerResponse, IncomingMessage>();
  #whenIdle: (() => void) | undefined;
  #isEnding = false;
  #isRefused = false;

  constructor(socket: Duplex, { lingerMs, httpHalfClosedMs }: ConnectionLimits) {
    this.#socket = socket;
    socket.once('close', () => {
      for (const response of this.#due.keys()) abandon(response);
    });
    socket.once('end', () => this.#lookAgain(httpHalfClosedMs));
    // Node calls this behind the last answer of a connection.
    const destroySoon = this.#socket.destroySoon?.bind(socket);
    this.#socket.destroySoon = () => {
      if (this.#isEnding) linger(socket, lingerMs);
      else destroySoon?.();
    };
  }

  /** Whether a request was refused: nothing behind it is a request. */
  get isEnding(): boolean {
    return this.#isEnding;
  }

  /** An answer is due from now on, until `response` has closed. The signal aborts if nobody takes it any more. */
  add(request: IncomingMessage, response: ServerResponse): OwnSignal {
    const gone = new OwnSignal();
    this.#due.set(response, request);
    response.on('close', () => {
      this.#due.delete(response);
      if (!response.writableFinished) gone.abort(new HoplineError('PEER_LOST', 'the client left before its answer'));
      if (this.#due.size === 0) this.#whenIdle?.();
    });
    return gone;
  }

  /** Whether answers to requests before the one of `response` are due, which may have to come first. */
  isBehindOthers(response: ServerResponse): boolean {
    return this.#due.size > 1 && this.#due.keys().next().value !== response;
  }

  /**
   * Settles when a request may be acted upon: what may change something has its turn alone (RFC 9112, 9.3.2). False if
   * nothing is to be done, because an answer before it ends the connection (9.6), or its client has left.
   */
  async takeTurn(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    for (const [earlier, other] of [...this.#due]) {
      if (earlier === response) break;
      if (isSafe(other) && isSafe(request)) continue;
      if (!earlier.closed) await new Promise((resolve) => earlier.once('close', resolve));
      if (!earlier.shouldKeepAlive) return false;
    }
    return !this.#isRefused && !response.destroyed;
  }

  /**
   * A client that has ended its direction waits for its answer, or has left: which shows when something is sent to it. For
   * HTTP/1.1 there is 100, which no client takes for its answer (RFC 9110, 15.2); content that leaves shows it as well.
   */
  #lookAgain(ms: number): void {
    const timer = setInterval(() => {
      const [due] = this.#due;
      if (!due) return;
      const [response, { httpVersion }] = due;
      if (httpVersion === '1.1' && !response.headersSent && response.socket) response.writeContinue();
    }, ms);
    this.#socket.once('close', () => clearInterval(timer));
  }

  /** Takes nothing for a request from now on, because one was refused. */
  end(): void {
    this.#isRefused = true;
    this.#isEnding = true;
  }

  /**
   * Takes nothing for a request from now on, and settles when all requests that came whole have their answers. Says
   * whether an answer can follow them: not behind a part of one.
   */
  async settle(): Promise<boolean> {
    this.#isEnding = true;
    let isClean = true;
    for (const [response, request] of this.#due) {
      if (request.complete) continue;
      if (response.headersSent) isClean = false;
      abandon(response);
    }
    if (this.#due.size > 0) {
      await new Promise<void>((resolve) => {
        this.#whenIdle = resolve;
      });
    }
    return isClean && this.#socket.writable;
  }
}

function isSafe({ method = '' }: IncomingMessage): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS' || method === 'TRACE';
}

/** Lets whoever answers know that nobody takes the answer. */
function abandon(response: ServerResponse): void {
  if (response.closed) return;
  const { socket } = response;
  if (socket) response.detachSocket(socket);
  response.destroyed = true;
  response.emit('close');
}

function linger(socket: Duplex, ms: number): void {
  socket.end();
  socket.resume();
  const late = setTimeout(() => socket.destroy(), ms);
  socket.once('close', () => clearTimeout(late));
}
