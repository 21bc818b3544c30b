/**
 * The exchange with a server itself: one connection, one request, one answer.
 *
 * node:http does it, since it takes a connection that somebody else opened (a
 * proxy's tunnel, a circuit) and gives trailers, interim answers and fields as they
 * were sent; for one request a pool has nothing to offer.
 * Invariant: the connection is closed once the answer's body is at its end or destroyed.
 */

import http from 'node:http';
import { type Duplex, Readable } from 'node:stream';
import { HoplineError, systemCode } from '../../core/errors.ts';
import { toAbortSignal } from '../../core/signal.ts';
import { idled, lost } from '../../io/legs/loss.ts';
import { formatHop } from '../../wire/address.ts';
import type { Exchange, HttpAnswer, HttpRequest } from '../exchange.ts';
import { endToEndFields, fieldValue, reasonOf } from '../fields.ts';
import { answerFault, countInterim, interimFault } from '../framing.ts';
import { parseHttpUrl } from '../http-url.ts';
import { type ConnectOptions, connect } from './connect.ts';
import { sendContent } from './send-content.ts';

export interface DirectOptions extends ConnectOptions {
  /** For the answer's head, once the request has been sent. */
  readonly openMs: number;
  /** Without a byte of the request moving. */
  readonly stallMs: number;
  /** Of the answer's head. */
  readonly maxHeaderBytes: number;
}

/**
 * Sends each request to the server that its authority names.
 * Throws what `connect` does, and `PEER_LOST`, `PEER_PROTOCOL`, `LIMIT_HEAD`, `TIMEOUT_HEAD`, `TIMEOUT_IDLE`.
 */
export function createDirectExchange(options: DirectOptions): Exchange {
  return async (request) => {
    const url = parseHttpUrl(`${request.scheme}://${request.authority}`);
    const peer = formatHop(url);
    const connection = await connect(url, options, toAbortSignal(request.signal));
    request.notes.backend = peer;
    return send(request, connection, peer, options);
  };
}

function send(request: HttpRequest, connection: Duplex, peer: string, options: DirectOptions): Promise<HttpAnswer> {
  const { clock, openMs, stallMs, maxHeaderBytes } = options;
  const { method, body } = request;
  const signal = toAbortSignal(request.signal);
  const outgoing = http.request({
    method,
    path: requestTarget(request, options),
    headers: requestFields(request, options),
    createConnection: () => connection,
    maxHeaderSize: maxHeaderBytes,
  });
  return new Promise((resolve, reject) => {
    let cancel = () => {};
    let isOver = false;
    const patience = (ms: number, late: () => HoplineError) => {
      cancel();
      // An answer may come before the last of the request has left.
      if (isOver) return;
      cancel = clock.after(ms, () => outgoing.destroy(late()));
    };
    const keepMoving = () => patience(stallMs, () => idled(peer, stallMs));
    const abort = () => outgoing.destroy(signal.reason);
    const leave = () => {
      isOver = true;
      cancel();
      signal.removeEventListener('abort', abort);
    };
    signal.addEventListener('abort', abort, { once: true });
    outgoing.once('finish', () => {
      patience(openMs, () => new HoplineError('TIMEOUT_HEAD', `${peer} did not answer within ${openMs / 1000} s`));
    });
    const hasRoom = countInterim(maxHeaderBytes);
    outgoing.on('information', ({ statusCode, rawHeaders }) => {
      if (hasRoom(rawHeaders)) request.inform?.(statusCode, rawHeaders);
      else outgoing.destroy(interimFault(peer, maxHeaderBytes));
    });
    outgoing.once('close', () => body?.destroy());
    outgoing.on('error', (cause) => {
      leave();
      reject(exchangeError(peer, cause));
    });
    outgoing.once('upgrade', (_response, socket) => {
      leave();
      socket.destroy();
      reject(new HoplineError('PEER_PROTOCOL', `${peer} goes on with a protocol unasked`));
    });
    outgoing.once('response', (response) => {
      leave();
      const fault = answerFault(response);
      if (fault !== undefined) {
        outgoing.destroy();
        return reject(new HoplineError('PEER_PROTOCOL', `${peer} sent ${fault}`));
      }
      resolve(takeAnswer(signal, response, readContent(response, connection, peer)));
    });
    keepMoving();
    if (signal.aborted) abort();
    else sendContent(outgoing, request, keepMoving);
  });
}

function takeAnswer(signal: AbortSignal, response: http.IncomingMessage, body: Readable): HttpAnswer {
  const abort = () => body.destroy(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  body.once('close', () => signal.removeEventListener('abort', abort));
  return {
    status: response.statusCode ?? 0,
    reason: reasonOf(response),
    fields: endToEndFields(response.rawHeaders),
    body,
    trailers: () => response.rawTrailers,
  };
}

/** The content as a stream that fails with errors of ours, and closes the connection in the end. */
function readContent(response: http.IncomingMessage, connection: Duplex, peer: string): Readable {
  const content = new Readable({
    read: () => response.resume(),
    destroy: (error, done) => {
      // Node closes sockets alone, and leaves any other stream to its peer.
      connection.destroy();
      done(error);
    },
  });
  // An error before anybody reads is kept by the stream, and must not end the process meanwhile.
  content.on('error', () => {});
  response.on('data', (chunk: Buffer) => {
    if (!content.push(chunk)) response.pause();
  });
  response.on('end', () => content.push(null));
  response.on('error', (cause) => content.destroy(exchangeError(peer, cause)));
  response.on('close', () => {
    if (!response.complete) content.destroy(lost(peer));
  });
  return content;
}

/** A proxy is told the whole URL; whoever is at the end of a tunnel, the path alone. */
function requestTarget({ scheme, authority, target }: HttpRequest, { proxy }: DirectOptions): string {
  return proxy && scheme === 'http' ? `http://${authority}${target}` : target;
}

function requestFields({ scheme, authority, fields, method, body, length }: HttpRequest, { proxy }: DirectOptions) {
  const sent: string[] = fieldValue(fields, 'host') === undefined ? ['Host', authority] : [];
  sent.push(...fields);
  if (proxy?.authorization && scheme === 'http') sent.push('Proxy-Authorization', proxy.authorization);
  if (body && length === undefined) sent.push('Transfer-Encoding', 'chunked');
  else if (body || ['POST', 'PUT', 'PATCH'].includes(method)) sent.push('Content-Length', String(length ?? 0));
  sent.push('Connection', 'close');
  return sent;
}

/** What a failure of the connection means, said of `peer`; an error of ours as it is. */
function exchangeError(peer: string, cause: unknown): HoplineError {
  if (cause instanceof HoplineError) return cause;
  const reason = systemCode(cause) ?? 'unknown';
  const details = { cause, reason };
  if (reason === 'HPE_HEADER_OVERFLOW') {
    return new HoplineError('LIMIT_HEAD', `${peer} answered with too long a head`, details);
  }
  if (reason.startsWith('HPE_') && reason !== 'HPE_INVALID_EOF_STATE') {
    return new HoplineError('PEER_PROTOCOL', `${peer} answered with what is not HTTP (${reason})`, details);
  }
  return lost(peer, cause);
}
