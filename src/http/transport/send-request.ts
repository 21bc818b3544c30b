/**
 * One request over a connection, as HTTP/1.1 by node:http, until the head of its answer.
 *
 * Owns how a request is framed, which answers are none, and how the failure of a connection is told. Does not know where
 * connections come from, how long anyone waits for what, nor what becomes of the content of an answer.
 * Invariant: an answer that is handed out is framed without doubt; any other ends its connection.
 */

import http from 'node:http';
import type { Duplex } from 'node:stream';
import { asHoplineError, HoplineError } from '../../core/errors.ts';
import { systemCode } from '../../core/system-errors.ts';
import { lost } from '../../io/legs/loss.ts';
import type { HttpAnswer, HttpRequest, RawFields } from '../exchange.ts';
import { endToEndFields, fieldValue, reasonOf, trailerFields } from '../fields.ts';
import { answerFault, countInterim, interimFault } from '../framing.ts';
import type { ServerOf } from './kept-connections.ts';
import { sendContent } from './send-content.ts';

export interface SendOptions {
  /** Where the connection comes from: `agent`, `host`, `port` and what the agent is told besides, or `createConnection`. */
  readonly over: Pick<http.RequestOptions, 'agent' | 'host' | 'port' | 'createConnection'> &
    Pick<ServerOf, 'traceparent'>;
  /** How the server is called in messages. */
  readonly peer: string;
  /** Whether the connection is for other requests, too. */
  readonly isKept: boolean;
  /** Of an answer. */
  readonly maxHeadBytes: number;
  /** Called once there is a connection, before the first byte. */
  readonly sending?: (() => void) | undefined;
  /** Called for each part of the content that moves. */
  readonly onMoved?: (() => void) | undefined;
}

export interface SentRequest {
  readonly sent: http.ClientRequest;
  /** Rejects with `PEER_LOST`, `PEER_PROTOCOL`, `LIMIT_HEAD`, what `sent` was destroyed with, or the signal's reason. */
  readonly answer: Promise<HttpAnswer>;
}

/** From the head of its answer on, the request's signal means nothing: whoever has the content ends it. */
export function sendRequest(request: HttpRequest, options: SendOptions): SentRequest {
  const { over, isKept, maxHeadBytes } = options;
  const { agent, host, port, createConnection, traceparent } = over;
  // Named one by one: with an object that is made by spreading another, a request allocates 2 KB more.
  const asked: http.RequestOptions & Pick<ServerOf, 'traceparent'> = {
    agent,
    host,
    port,
    createConnection,
    traceparent,
    method: request.method,
    path: request.target,
    headers: outgoingFields(request, isKept),
    setHost: false,
    maxHeaderSize: maxHeadBytes,
    insecureHTTPParser: false,
  };
  const sent = http.request(asked);
  const answer = new Promise<HttpAnswer>((resolve, reject) => awaitHead(sent, request, options, { resolve, reject }));
  beginSending(sent, request, options);
  return { sent, answer };
}

interface Outcome {
  readonly resolve: (answer: HttpAnswer) => void;
  readonly reject: (failure: HoplineError) => void;
}

function awaitHead(
  sent: http.ClientRequest,
  request: HttpRequest,
  { peer, maxHeadBytes }: SendOptions,
  { resolve, reject }: Outcome,
): void {
  const { signal, inform } = request;
  const abort = () => sent.destroy();
  const settled = () => signal.removeEventListener('abort', abort);
  const refuse = (connection: http.ClientRequest | Duplex, fault: string) => {
    connection.destroy();
    reject(new HoplineError('PEER_PROTOCOL', `${peer} ${fault}`));
  };
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  sent.on('error', (error) => {
    settled();
    reject(signal.aborted ? asHoplineError(signal.reason) : failureOf(error, peer));
  });
  const isExpected = fieldValue(request.fields, 'expect') !== undefined;
  const hasRoom = countInterim(maxHeadBytes);
  sent.on('information', ({ statusCode, rawHeaders }) => {
    // The client need not read what is passed on to it, and nothing else ends a server that sends nothing but these.
    if (!hasRoom(rawHeaders)) sent.destroy(interimFault(peer, maxHeadBytes));
    else if (statusCode > 100) inform?.(statusCode, endToEndFields(rawHeaders));
    else if (isExpected) inform?.(100, []);
  });
  sent.on('response', (response) => {
    settled();
    const fault = answerFault(response);
    if (fault !== undefined) return refuse(sent, `sent ${fault}`);
    resolve(toAnswer(response, request.method));
  });
  sent.on('upgrade', (response, socket, head) => {
    settled();
    if (request.upgrade === undefined) return refuse(socket, 'goes on with a protocol unasked');
    // Whoever joins it with the client has deadlines of its own.
    socket.setTimeout(0);
    if (head.length > 0) socket.unshift(head);
    const fields = upgradeFields(response.rawHeaders);
    resolve({ status: 101, reason: reasonOf(response), fields, body: undefined, upgraded: socket });
  });
}

/** Methods whose requests seldom have content, so that nothing need say that there is none. */
const bodiless = /^(GET|HEAD|DELETE|OPTIONS|TRACE|CONNECT)$/;

/** With Connection and framing as they are for this connection. */
function outgoingFields({ method, fields, authority, upgrade, body, length }: HttpRequest, isKept: boolean): string[] {
  const sent = [...fields];
  if (fieldValue(fields, 'host') === undefined) sent.unshift('Host', authority);
  if (body)
    sent.push(...(length === undefined ? ['Transfer-Encoding', 'chunked'] : ['Content-Length', String(length)]));
  // Node would send no content in chunks.
  else if (!bodiless.test(method)) sent.push('Content-Length', '0');
  if (upgrade === undefined) sent.push('Connection', isKept ? 'keep-alive' : 'close');
  else sent.push('Connection', 'upgrade', 'Upgrade', upgrade);
  return sent;
}

function beginSending(sent: http.ClientRequest, request: HttpRequest, { sending, onMoved }: SendOptions): void {
  if (!request.body) sendContent(sent, request);
  if (!request.body && !sending) return;
  sent.once('socket', (socket) => {
    const begin = () => {
      sending?.();
      if (request.body) sendContent(sent, request, onMoved);
    };
    if (socket.connecting) socket.once('connect', begin);
    else begin();
  });
}

function toAnswer(response: http.IncomingMessage, method: string): HttpAnswer {
  const status = response.statusCode ?? 502;
  const isEmpty = method === 'HEAD' || status === 204 || status === 304;
  if (isEmpty) response.resume();
  return {
    status,
    reason: reasonOf(response),
    fields: endToEndFields(response.rawHeaders),
    body: isEmpty ? undefined : response,
    trailers: () => trailerFields(response.rawTrailers),
  };
}

function upgradeFields(fields: RawFields): string[] {
  const upgrade = fieldValue(fields, 'upgrade') ?? '';
  return [...endToEndFields(fields), 'Connection', 'upgrade', 'Upgrade', upgrade];
}

/** What a failure of the connection means, said of `peer`; an error of ours as it is. */
export function failureOf(cause: unknown, peer: string): HoplineError {
  if (cause instanceof HoplineError) return cause;
  const reason = systemCode(cause);
  // An end within a head is one of the connection.
  if (!reason?.startsWith('HPE_') || reason === 'HPE_INVALID_EOF_STATE') return lost(peer, cause);
  const details = { cause, reason };
  if (reason === 'HPE_HEADER_OVERFLOW') {
    return new HoplineError('LIMIT_HEAD', `${peer} answered with too long a head`, details);
  }
  return new HoplineError('PEER_PROTOCOL', `${peer} answered with what is not HTTP (${reason})`, details);
}
