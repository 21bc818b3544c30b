/**
 * The exchange with a server itself: one connection, one request, one answer.
 *
 * Owns how long that may take, and what a proxy is told. For one request a pool of connections has nothing to offer.
 * Invariant: the connection is closed once the answer's body is at its end or destroyed.
 */

import type http from 'node:http';
import { type Duplex, Readable } from 'node:stream';
import { HoplineError } from '../../core/errors.ts';
import { toAbortSignal } from '../../core/signal.ts';
import { idled, lost } from '../../io/legs/loss.ts';
import { formatHop } from '../../wire/address.ts';
import type { Exchange, HttpAnswer, HttpRequest } from '../exchange.ts';
import { parseHttpUrl } from '../http-url.ts';
import { type ConnectOptions, connect } from './connect.ts';
import { failureOf, sendRequest } from './send-request.ts';

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
    const answer = await send(forProxy(request, options), connection, peer, options);
    const { body } = answer;
    if (body instanceof Readable) {
      return { ...answer, body: closing(body, connection, toAbortSignal(request.signal), peer) };
    }
    connection.destroy();
    return answer;
  };
}

async function send(
  request: HttpRequest,
  connection: Duplex,
  peer: string,
  { clock, openMs, stallMs, maxHeaderBytes }: DirectOptions,
): Promise<HttpAnswer> {
  let cancel = () => {};
  const patience = (ms: number, late: () => HoplineError) => {
    cancel();
    cancel = clock.after(ms, () => sent.destroy(late()));
  };
  const onMoved = () => patience(stallMs, () => idled(peer, stallMs));
  const late = () => new HoplineError('TIMEOUT_HEAD', `${peer} did not answer within ${openMs / 1000} s`);
  const onFinished = () => patience(openMs, late);
  const over = { createConnection: () => connection };
  const { sent, answer } = sendRequest(request, { over, peer, isKept: false, maxHeadBytes: maxHeaderBytes, onMoved });
  onMoved();
  sent.once('finish', onFinished);
  sent.once('close', () => request.body?.destroy());
  return answer.finally(() => {
    cancel();
    // An answer may come before the last of the request has left.
    sent.off('finish', onFinished);
  });
}

/** The content as a stream that fails with errors of ours and with the request's signal, and closes the connection in the end. */
function closing(response: Readable, connection: Duplex, signal: AbortSignal, peer: string): Readable {
  const content = new Readable({
    read: () => response.resume(),
    destroy: (error, done) => {
      signal.removeEventListener('abort', abort);
      // Node closes sockets alone, and leaves any other stream to its peer.
      connection.destroy();
      done(error);
    },
  });
  const abort = () => content.destroy(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  // An error before anybody reads is kept by the stream, and must not end the process meanwhile.
  content.on('error', () => {});
  response.on('data', (chunk: Buffer) => {
    if (!content.push(chunk)) response.pause();
  });
  response.on('end', () => content.push(null));
  response.on('error', (cause) => content.destroy(failureOf(cause, peer)));
  response.on('close', () => {
    if (!(response as http.IncomingMessage).complete) content.destroy(lost(peer));
  });
  return content;
}

/** A proxy is told the whole URL; whoever is at the end of a tunnel, the path alone. */
function forProxy(request: HttpRequest, { proxy }: DirectOptions): HttpRequest {
  const { scheme, authority, target, fields } = request;
  if (!proxy || scheme === 'https') return request;
  const known = proxy.authorization === undefined ? [] : ['Proxy-Authorization', proxy.authorization];
  return { ...request, target: `http://${authority}${target}`, fields: [...fields, ...known] };
}
