/**
 * A running gateway: takes connections of HTTP clients, has each request answered, and sends the answer.
 *
 * Owns the HTTP server with its one parser and its deadlines. Does not know which connections there may be, nor what a request is
 * answered.
 * Invariant: once `close()` has settled, no socket and no timer of the gateway is left.
 * Documentation: docs/http/gateway.md
 */

import { randomBytes } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import type net from 'node:net';
import type { BlockList } from 'node:net';
import type { Duplex } from 'node:stream';
import { asHoplineError, HoplineError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import type { Logger } from '../../core/log.ts';
import { OwnSignal } from '../../core/signal.ts';
import { systemCode } from '../../core/system-errors.ts';
import { Tasks } from '../../core/work/tasks.ts';
import type { HttpRequest } from '../../http/exchange.ts';
import type { Activity } from '../../io/listening/places.ts';
import { boundAddress, type ListenPlace, listen } from '../../io/listening/server-socket.ts';
import { readCertificate, type ServerTls } from '../clients/certificate.ts';
import { Clients } from '../clients/clients.ts';
import { Connections } from '../clients/connections.ts';
import { answerPlainHttp } from '../clients/plain-on-tls.ts';
import { refuseBytes } from '../clients/refuse-garbage.ts';
import { failureAnswer, type SentAnswer, sendAnswer } from './answer.ts';
import { type Handled, handleRequest, plainAddress, wantsUpgrade } from './handle-request.ts';
import type { FileKernel } from './send-range.ts';
import { type Site, Sites } from './sites.ts';
import { joinUpgraded, writeHead } from './upgraded.ts';

export interface ServeOptions {
  /** Without it, connections come by `accept` alone. */
  readonly listen?: ListenPlace | undefined;
  readonly sites: readonly Site[];
  /** Proxies whose word on their clients' addresses counts. */
  readonly trusted?: BlockList | undefined;
  /** What it calls itself in Via, where it must be the only one. @default made by chance */
  readonly name?: string | undefined;
  /** With it, the gateway speaks TLS with clients. */
  readonly tls?: ServerTls | undefined;
  /** Told of each request that has ended. */
  readonly onEnded?: ((ended: Ended) => void) | undefined;
  /** What sends files; without it, they are read into the process. */
  readonly kernel?: FileKernel | undefined;
  readonly limits: Limits;
  readonly log: Logger;
}

/** A request that is over, one way or another. */
export interface Ended extends Handled {
  readonly request: http.IncomingMessage;
  /** Of content, that were given to the system to send. */
  readonly bytes: number;
  /** That left. */
  readonly status: number;
  /** Milliseconds until the answer began, and until it was over. */
  readonly firstMs: number;
  readonly totalMs: number;
}

export interface RunningServer {
  /** Where it listens, with the real port. */
  readonly address: { readonly host: string; readonly port: number } | undefined;
  /** Serves a connection whose first bytes were found to be HTTP, and are to be read again. */
  accept(connection: Duplex, activity?: Activity): void;
  /** Requests that are being answered. */
  underWay(): number;
  /** Takes other sites, for the requests that come from now on. */
  setSites(sites: readonly Site[]): void;
  /** Takes another certificate, for the connections that come from now on. Throws `USAGE_INVALID` if it is none. */
  setTls(tls: ServerTls): void;
  /** Stops accepting, lets requests finish for `graceMs` (default: the limit), then ends them. May be called again to hurry. */
  close(options?: { readonly graceMs?: number }): Promise<void>;
}

/** Starts to serve. Throws `LISTEN_FAILED`, or `USAGE_INVALID` for a certificate that is none. */
export async function serveHttp(options: ServeOptions): Promise<RunningServer> {
  const { limits, log, trusted, onEnded, kernel } = options;
  const server = createServer(options);
  const name = (options.name ?? `hopline-${randomBytes(4).toString('hex')}`).toLowerCase();
  const connections = new Connections(limits);
  const clients = new Clients(connections, limits, log);
  const underWay = new Tasks();
  let sites = new Sites(options.sites);
  let isClosing = false;

  const answer = async (request: http.IncomingMessage, response: http.ServerResponse, waits: boolean) => {
    const connection = connections.of(request.socket);
    if (connection.isEnding) return connection.drop();
    const signal = connection.add(request, response);
    const startedMs = performance.now();
    const refused = () => connection.end();
    const inform = informer(request, response, waits);
    const giveUp = (failure: HoplineError) => signal.abort(failure);
    const turn = connection.takeTurn(request, response);
    const refusal = turn instanceof HoplineError ? turn : undefined;
    if (!refusal && turn !== true && !(await turn)) return;
    const isAhead = () => connection.isBehindOthers(response);
    const asking = { signal, giveUp, inform, refused, isHeldBack: waits, isAhead };
    const handled = refusal
      ? refuseAhead(request, refusal)
      : await handleRequest(request, asking, { sites, trusted, limits, name });
    if (isClosing) response.shouldKeepAlive = false;
    const firstMs = performance.now() - startedMs;
    const sent = { bytes: 0, status: handled.answer.status };
    let failure = handled.failure;
    try {
      await sendAnswer(response, handled.answer, request.method ?? '', sent, kernel);
    } catch (error) {
      failure = failureBehind(handled, sent, error);
    }
    handled.content?.forget();
    onEnded?.({ ...handled, failure, request, firstMs, totalMs: performance.now() - startedMs, ...sent });
  };
  /** Whatever goes wrong, nobody waits for an answer that does not come. */
  const keep = (socket: Duplex, work: Promise<void>) =>
    underWay.add(work, (cause) => {
      socket.destroy();
      log.error({ reason: systemCode(cause) }, `a request was given up: ${asHoplineError(cause).message}`);
    });
  const answerUpgrade = async (request: http.IncomingMessage, socket: Duplex, head: Buffer) => {
    const startedMs = performance.now();
    socket.on('error', () => socket.destroy());
    if (head.length > 0) socket.unshift(head);
    const isUpgrade = request.method === 'CONNECT' || wantsUpgrade(request.rawHeaders);
    // What came before it on the connection is answered first, and nothing behind it is HTTP.
    const connection = connections.of(socket);
    if (connection.isEnding || !(await connection.settle())) return;
    const gone = new OwnSignal();
    const asking = { signal: gone, isUpgrade, isDetached: true };
    socket.once('close', () => gone.abort(clientLeft()));
    connection.upgrade();
    const handled = await handleRequest(request, asking, { sites, trusted, limits, name });
    const firstMs = performance.now() - startedMs;
    const sent = { bytes: 0, status: handled.answer.status };
    let { failure } = handled;
    if (handled.answer.upgraded) {
      writeHead(socket, handled.answer.status, handled.answer.fields);
      sent.bytes = await joinUpgraded(socket, handled.answer.upgraded, limits.httpUpgradedMs);
    } else {
      // The parser has let go of the connection, so it ends with this answer.
      const response = new http.ServerResponse(request);
      response.shouldKeepAlive = false;
      response.assignSocket(socket as net.Socket);
      response.once('finish', () => socket.resume().end());
      if (socket.destroyed) response.destroy();
      await sendAnswer(response, handled.answer, request.method ?? '', sent).catch((error) => {
        failure = failureBehind(handled, sent, error);
      });
    }
    onEnded?.({ ...handled, failure, request, firstMs, totalMs: performance.now() - startedMs, ...sent });
  };

  server.on('connection', (socket: Duplex) => clients.add(socket));
  server.on('secureConnection', (socket) => clients.addEncrypted(socket));
  server.on('request', (request, response) => keep(request.socket, answer(request, response, false)));
  server.on('checkContinue', (request, response) => keep(request.socket, answer(request, response, true)));
  server.on('checkExpectation', (request, response) => keep(request.socket, answer(request, response, false)));
  server.on('upgrade', (request, socket, head) => keep(request.socket, answerUpgrade(request, socket, head)));
  server.on('connect', (request, socket, head) => keep(request.socket, answerUpgrade(request, socket, head)));
  server.on('clientError', (error, socket) => underWay.add(refuseBytes(error, socket, connections.of(socket))));
  if (options.listen) await listen(server, options.listen);
  server.on('error', (error) => log.error({ reason: systemCode(error) }, `accepting failed: ${error.message}`));

  return {
    address: options.listen && boundAddress(server),
    accept: (connection, activity) => {
      // One that is encrypted does not show when it rests.
      if (activity) connections.add(connection, server instanceof https.Server ? undefined : activity);
      server.emit('connection', connection);
    },
    underWay: () => underWay.running,
    setSites: (next) => {
      sites = new Sites(next);
    },
    setTls: (tls) => {
      readCertificate(tls);
      if (server instanceof https.Server) server.setSecureContext(tls);
    },
    close: async ({ graceMs = limits.graceMs } = {}) => {
      isClosing = true;
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeIdleConnections();
      await underWay.overWithin(graceMs);
      server.closeAllConnections();
      clients.closeAll();
      await underWay.overWithin(limits.lingerMs);
      if (options.listen) await closed;
    },
  };
}

/** One too many of those that were sent ahead; with its answer the connection ends. */
function refuseAhead(request: http.IncomingMessage, failure: HoplineError): Handled {
  const answer = failureAnswer(failure);
  const client = plainAddress(request.socket.remoteAddress);
  const fields = [...answer.fields, 'Connection', 'close'];
  return { answer: { ...answer, fields }, notes: {}, client, failure };
}

function createServer({ limits, tls }: ServeOptions): http.Server {
  if (tls) readCertificate(tls);
  const options: http.ServerOptions = {
    insecureHTTPParser: false,
    maxHeaderSize: limits.maxHttpHeadBytes,
    headersTimeout: limits.headMs,
    // A body may be of any size, and so take any time; it may not stop, which `timeout` is for.
    requestTimeout: 0,
    keepAliveTimeout: limits.httpClientKeepMs,
    connectionsCheckingInterval: 1000,
    // Host is judged with the rest of the target, and the answer says which rule was broken.
    requireHostHeader: false,
    noDelay: true,
  };
  // From the handshake's first byte to its last, a head not included.
  const secure = tls && { cert: tls.cert, key: tls.key, handshakeTimeout: limits.headMs, allowHalfOpen: true };
  const server = secure ? https.createServer({ ...options, ...secure }) : http.createServer(options);
  if (server instanceof https.Server) answerPlainHttp(server);
  // A client may end its direction behind its request, and still wants its answer.
  Object.assign(server, { httpAllowHalfOpen: true });
  // A head is counted and judged whole: with a limit here, the parser would drop fields without a word.
  server.maxHeadersCount = 0;
  // A client that waits for its answer is as silent as one that is gone.
  server.timeout = limits.connectMs + limits.httpAnswerMs + limits.idleMs;
  return server;
}

/** What came first, unless nothing of the answer could leave. */
function failureBehind({ answer, failure }: Handled, sent: SentAnswer, error: unknown): HoplineError {
  return failure !== undefined && sent.status === answer.status ? failure : asHoplineError(error);
}

function clientLeft(): HoplineError {
  return new HoplineError('PEER_LOST', 'the client left before its answer');
}

/** Passes 1xx answers on: 100 to a client that waits for it, others as they are. */
function informer(
  { httpVersion }: http.IncomingMessage,
  response: http.ServerResponse,
  waits: boolean,
): HttpRequest['inform'] {
  return (status, fields) => {
    // HTTP/1.0 knows no such answers (RFC 9110, 15.2).
    if (httpVersion === '1.0' || response.headersSent || response.closed) return;
    if (status === 100) return waits ? response.writeContinue() : undefined;
    // Node has no call for 1xx answers of any kind; the head of such an answer is all there is of it.
    if (response.socket) writeHead(response.socket, status, fields);
  };
}
