/**
 * What the requests of one client's connection share: which answers are still due, which of them are worked on, and whether
 * anything behind them counts.
 *
 * Owns what Node leaves open about pipelined requests: an answer that waits for its turn does not hear that the connection is
 * gone, the parser goes on behind a request that was refused, and takes any number of requests.
 * Invariant: once a request was refused, nothing behind it on its connection is taken for a request; at most `maxHttpAtOnce`
 * are worked on, and a connection on which one waits is not read.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { asHoplineError, HoplineError } from '../../core/errors.ts';
import { type Limits, peerShare } from '../../core/limits.ts';
import { OwnSignal } from '../../core/signal.ts';
import { type Budget, type GiveBack, ownerOf } from '../../core/work/budget.ts';
import type { Activity } from '../../io/listening/places.ts';

/** `lingerMs`: a connection that is ended with bytes unread is read on for so long, or its last answer would be cut off. */
export type ClientConnectionLimits = Pick<
  Limits,
  'lingerMs' | 'httpHalfClosedMs' | 'maxHttpAtOnce' | 'maxHttpAhead' | 'maxPeerPercent'
>;

/** A request that waits for its turn. */
interface Waiting {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Told whether there is any use in it. */
  readonly begin: (isWanted: boolean) => void;
}

export class ClientConnection {
  readonly #socket: Duplex & { destroySoon?: () => void };
  readonly #limits: ClientConnectionLimits;
  readonly #ahead: Budget;
  readonly #activity: Activity | undefined;
  readonly #due = new Map<ServerResponse, IncomingMessage>();
  readonly #working = new Set<ServerResponse>();
  /** Those that are due and not worked on, in their order. */
  #waiting: Waiting[] = [];
  #hasUnsafe = false;
  #whenIdle: (() => void)[] = [];
  #isEnding = false;
  #isSpared = false;
  #dropped = 0;
  #isRefused = false;
  #hasEnded = false;
  #looking: NodeJS.Timeout | undefined;

  constructor(socket: Duplex, limits: ClientConnectionLimits, ahead: Budget, activity: Activity | undefined) {
    this.#activity = activity;
    activity?.rest();
    this.#socket = socket;
    this.#limits = limits;
    this.#ahead = ahead;
    socket.once('close', () => {
      clearInterval(this.#looking);
      this.#dropWaiting();
      for (const response of this.#due.keys()) abandon(response);
    });
    socket.once('end', () => {
      this.#hasEnded = true;
      this.#lookAgain();
    });
    // Node reads on behind each request that is whole.
    socket.on('resume', () => this.#waiting.length > 0 && socket.pause());
    // Node calls this behind the last answer of a connection.
    const destroySoon = this.#socket.destroySoon?.bind(socket);
    this.#socket.destroySoon = () => {
      if (this.#isEnding) linger(socket, limits.lingerMs);
      else destroySoon?.();
    };
  }

  /** Whether a request was refused: nothing behind it is a request. */
  get isEnding(): boolean {
    return this.#isEnding;
  }

  /**
   * A request came behind one that was refused. Node holds it, as all that came with one read, until the answers before it
   * have left; so with many of them the connection is closed at once.
   */
  drop(): void {
    this.#dropped += 1;
    if (this.#dropped <= this.#limits.maxHttpAtOnce || this.#isSpared || this.#socket.destroyed) return;
    this.#socket.prependOnceListener('close', withoutStacks);
    this.#socket.destroy();
  }

  /** An answer is due from now on, until `response` has closed. The signal aborts if nobody takes it any more. */
  add(request: IncomingMessage, response: ServerResponse): OwnSignal {
    const gone = new OwnSignal();
    if (this.#due.size === 0) this.#activity?.wake();
    this.#due.set(response, request);
    response.on('close', () => {
      this.#due.delete(response);
      if (!response.writableFinished) gone.abort(new HoplineError('PEER_LOST', 'the client left before its answer'));
      // An answer that ends the connection leaves no use in what waits behind it (9.6).
      if (this.#working.delete(response) && !response.shouldKeepAlive) this.#dropWaiting();
      this.#goOn();
      if (this.#due.size > 0) return;
      this.#activity?.rest();
      for (const settle of this.#whenIdle.splice(0)) settle();
    });
    return gone;
  }

  /** Whether answers to requests before the one of `response` are due, and have to leave first. */
  isBehindOthers(response: ServerResponse): boolean {
    return this.#due.size > 1 && this.#due.keys().next().value !== response;
  }

  /**
   * True, or settles, when a request may be acted upon: a few safe ones at once, and what may change something alone (RFC
   * 9112, 9.3.2). False if nothing is to be done, because an answer before it ends the connection, or its client has left.
   * One too many of those sent ahead gets the error to answer it with; nothing behind it is taken for a request then.
   */
  takeTurn(request: IncomingMessage, response: ServerResponse): true | Promise<boolean> | HoplineError {
    if (this.isBehindOthers(response)) {
      const share = this.#takeShare();
      if (share instanceof HoplineError) return share;
      response.once('close', share);
    }
    if (this.#waiting.length === 0 && this.#mayBegin(request)) {
      this.#begin(request, response);
      return true;
    }
    this.#socket.pause();
    this.#lookAgain();
    return new Promise((begin) => this.#waiting.push({ request, response, begin }));
  }

  #takeShare(): GiveBack | HoplineError {
    const { remoteAddress = '' } = this.#socket as { remoteAddress?: string };
    try {
      return this.#ahead.take(ownerOf(remoteAddress));
    } catch (error) {
      this.#isEnding = true;
      // So few connections of a peer can hold so much that all that came with it may wait for its answers.
      this.#isSpared = 2 * this.#due.size > peerShare(this.#limits.maxHttpAhead, this.#limits);
      return asHoplineError(error);
    }
  }

  #mayBegin(request: IncomingMessage): boolean {
    if (this.#working.size === 0) return true;
    return !this.#hasUnsafe && isSafe(request) && this.#working.size < this.#limits.maxHttpAtOnce;
  }

  #begin(request: IncomingMessage, response: ServerResponse): void {
    this.#working.add(response);
    this.#hasUnsafe = !isSafe(request);
  }

  #goOn(): void {
    if (this.#waiting.length === 0) return;
    let next = this.#waiting[0];
    while (next && this.#mayBegin(next.request)) {
      const { request, response, begin } = next;
      const isWanted = !this.#isRefused && !response.destroyed;
      if (isWanted) this.#begin(request, response);
      begin(isWanted);
      this.#waiting.shift();
      next = this.#waiting[0];
    }
    if (next) return;
    if (!this.#hasEnded) {
      clearInterval(this.#looking);
      this.#looking = undefined;
    }
    this.#socket.resume();
  }

  #dropWaiting(): void {
    for (const { begin } of this.#waiting.splice(0)) begin(false);
  }

  /**
   * A client that has ended its direction, or that is not read, waits for its answer, or has left: which shows when something
   * is sent to it. For HTTP/1.1 there is 100, which no client takes for its answer (RFC 9110, 15.2); content that leaves shows it
   * as well.
   */
  #lookAgain(): void {
    this.#looking ??= setInterval(() => {
      const [due] = this.#due;
      if (!due) return;
      const [response, { httpVersion }] = due;
      if (httpVersion === '1.1' && !response.headersSent && response.socket) response.writeContinue();
    }, this.#limits.httpHalfClosedMs);
  }

  /** It leaves HTTP: it is at work until it closes. */
  upgrade(): void {
    this.#activity?.wake();
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
      await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
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
  // Node 26 does the same behind this, unless it is told that it has been done.
  Object.assign(response, { _closed: true });
  response.emit('close');
}

function linger(socket: Duplex, ms: number): void {
  socket.end();
  socket.resume();
  const late = setTimeout(() => socket.destroy(), ms);
  socket.once('close', () => clearTimeout(late));
}

/** Node makes an error of each request that is left, which may be thousands: to find the stacks takes most of the time. */
function withoutStacks(): void {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  process.nextTick(() => {
    Error.stackTraceLimit = stackTraceLimit;
  });
}
