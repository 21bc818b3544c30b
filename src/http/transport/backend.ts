/**
 * One HTTP server as an exchange: a request goes out over a connection that is kept for the next one.
 *
 * Owns the connections and their deadlines. Which server is asked, and what
 * follows when it fails, is its caller's affair.
 * Invariant: once `close()` was called, no idle connection is left.
 */

import http from 'node:http';
import type { Duplex } from 'node:stream';
import { type Clock, startDeadline } from '../../core/clock.ts';
import { asHoplineError, HoplineError, systemCode } from '../../core/errors.ts';
import { type Address, formatHop } from '../../wire/address.ts';
import type { HttpAnswer, HttpRequest, RawFields } from '../exchange.ts';
import { endToEndFields, fieldValue, reasonOf, trailerFields } from '../fields.ts';
import { answerFault, countInterim, interimFault } from '../framing.ts';
import { encrypt, type TlsToBackend } from './encrypt.ts';
import { KeptConnections, limitSilence } from './kept-connections.ts';
import { sendContent } from './send-content.ts';

/** Opens a connection to an address. Rejects with a HoplineError. */
export type Dial = (address: Address, signal?: AbortSignal) => Promise<Duplex>;

export interface BackendOptions {
  readonly dial: Dial;
  readonly tls?: TlsToBackend | undefined;
  /** Milliseconds for the handshake, where there is one. */
  readonly connectMs: number;
  /** Milliseconds from the request to the head of its answer. */
  readonly firstByteMs: number;
  /** Milliseconds without a byte in either direction, later. */
  readonly idleMs: number;
  /** Milliseconds that a connection is kept without a request. */
  readonly keepMs: number;
  /** Connections, with those that are kept. */
  readonly maxOpen: number;
  /** Bytes of the head of an answer. */
  readonly maxHeadBytes: number;
  readonly clock: Clock;
}

/** Of one request: what is called before its first byte leaves, with its answer, and with its failure. */
interface Course {
  readonly sending: (() => void) | undefined;
  readonly resolve: (answer: HttpAnswer) => void;
  /** `isStale`: a kept connection was gone when it was used again. */
  readonly fail: (failure: HoplineError, isStale: boolean) => void;
}

export class Backend {
  readonly #options: BackendOptions;
  readonly #connections: KeptConnections;

  constructor(options: BackendOptions) {
    this.#options = options;
    const open = (address: Address, signal: AbortSignal) => openConnection(address, options, signal);
    this.#connections = new KeptConnections({ open, ...options });
  }

  /**
   * Sends a request to the server at `address`. `sending` is called before the first byte of it leaves.
   * Throws `PEER_UNREACHABLE`, `PEER_UNRESOLVED`, `PEER_LOST`, `PEER_PROTOCOL`, `TIMEOUT_CONNECT`, `TIMEOUT_IDLE`.
   */
  ask(address: Address, request: HttpRequest, sending?: () => void): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      const fail = (failure: HoplineError, isStale: boolean) => {
        if (!isStale || !isRepeatable(request)) return reject(failure);
        // Whatever else is kept there is likely to go the same way.
        this.#connections.forget(address);
        request.notes.retries = (request.notes.retries ?? 0) + 1;
        this.#send(address, request, { sending, resolve, fail: reject });
      };
      this.#send(address, request, { sending, resolve, fail });
    });
  }

  close(): void {
    this.#connections.destroy();
  }

  /** Breaks off whatever is under way, too. */
  breakOff(): void {
    this.#connections.breakOff();
  }

  #send(address: Address, request: HttpRequest, { sending, resolve, fail }: Course): void {
    const { firstByteMs, idleMs, maxHeadBytes } = this.#options;
    const { signal } = request;
    const sent = http.request({
      host: address.host,
      port: address.port,
      method: request.method,
      path: request.target,
      headers: outgoingFields(request),
      agent: this.#connections,
      setHost: false,
      maxHeaderSize: maxHeadBytes,
      insecureHTTPParser: false,
    });
    let answer: http.IncomingMessage | undefined;
    const abort = () => sent.destroy();
    const settled = () => signal.removeEventListener('abort', abort);
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    sent.on('timeout', () => {
      // Where content waits to be taken, or is still to come from the client, it is not the server that keeps silent.
      if (isClientDue(sent, answer, request)) {
        sent.socket?.setTimeout(answer ? idleMs : firstByteMs);
        return;
      }
      const what = answer ? 'the rest of its answer' : 'an answer';
      const seconds = (answer ? idleMs : firstByteMs) / 1000;
      sent.destroy(new HoplineError('TIMEOUT_IDLE', `${formatHop(address)} did not send ${what} within ${seconds} s`));
    });
    sent.on('error', (error) => {
      settled();
      if (signal.aborted) return fail(asHoplineError(signal.reason), false);
      const failure = asFailure(error, address);
      // The server may have closed a kept connection just as the request left.
      fail(failure, sent.reusedSocket && failure.code === 'PEER_LOST');
    });
    const isExpected = fieldValue(request.fields, 'expect') !== undefined;
    const hasRoom = countInterim(maxHeadBytes);
    sent.on('information', ({ statusCode, rawHeaders }) => {
      // The client need not read what is passed on to it, and nothing else ends a server that sends nothing but these.
      if (!hasRoom(rawHeaders)) sent.destroy(interimFault(formatHop(address), maxHeadBytes));
      else if (statusCode > 100) request.inform?.(statusCode, endToEndFields(rawHeaders));
      else if (isExpected) request.inform?.(100, []);
    });
    sent.on('response', (response) => {
      // From here on, whoever has the content ends it.
      settled();
      const fault = answerFault(response);
      if (fault !== undefined) {
        sent.destroy();
        return fail(new HoplineError('PEER_PROTOCOL', `${formatHop(address)} sent ${fault}`), false);
      }
      answer = response;
      limitSilence(response.socket, idleMs);
      resolve(toAnswer(response, request.method));
    });
    sent.on('upgrade', (response, socket, head) => {
      settled();
      if (request.upgrade === undefined) {
        socket.destroy();
        return fail(new HoplineError('PEER_PROTOCOL', `${formatHop(address)} goes on with a protocol unasked`), false);
      }
      // Whoever joins it with the client has deadlines of its own.
      socket.setTimeout(0);
      if (head.length > 0) socket.unshift(head);
      resolve({
        status: 101,
        reason: reasonOf(response),
        fields: upgradeFields(response.rawHeaders),
        body: undefined,
        upgraded: socket,
      });
    });
    send(sent, request, sending);
  }
}

function isClientDue(
  sent: http.ClientRequest,
  answer: http.IncomingMessage | undefined,
  { body }: HttpRequest,
): boolean {
  if (answer && answer.readableLength > 0) return true;
  return body !== undefined && !body.readableEnded && sent.writableLength === 0;
}

/** Methods that may be sent twice (RFC 9110, 9.2.2), and content that can be. */
export function isRepeatable({ method, body }: HttpRequest): boolean {
  return body === undefined && /^(GET|HEAD|OPTIONS|TRACE|PUT|DELETE)$/.test(method);
}

async function openConnection(address: Address, options: BackendOptions, signal: AbortSignal): Promise<Duplex> {
  const { dial, tls, clock, connectMs } = options;
  const connection = await dial(address, signal);
  if (!tls) return connection;
  const late = () =>
    new HoplineError('TIMEOUT_CONNECT', `no TLS with ${formatHop(address)} within ${connectMs / 1000} s`);
  const deadline = startDeadline(clock, connectMs, late, signal);
  return await encrypt(connection, address, tls, deadline.signal).finally(deadline.clear);
}

/** Methods whose requests seldom have content, so that nothing need say that there is none. */
const bodiless = /^(GET|HEAD|DELETE|OPTIONS|TRACE|CONNECT)$/;

/** With Connection and framing as they are for this connection. */
function outgoingFields({ method, fields, authority, upgrade, body, length }: HttpRequest): string[] {
  const sent = [...fields];
  if (fieldValue(fields, 'host') === undefined) sent.unshift('Host', authority);
  if (body)
    sent.push(...(length === undefined ? ['Transfer-Encoding', 'chunked'] : ['Content-Length', String(length)]));
  // Node would send no content in chunks.
  else if (!bodiless.test(method)) sent.push('Content-Length', '0');
  if (upgrade === undefined) sent.push('Connection', 'keep-alive');
  else sent.push('Connection', 'upgrade', 'Upgrade', upgrade);
  return sent;
}

/** `sending` is called once there is a connection, before the first byte. */
function send(sent: http.ClientRequest, request: HttpRequest, sending: (() => void) | undefined): void {
  if (!request.body) sendContent(sent, request);
  if (!request.body && !sending) return;
  sent.once('socket', (socket) => {
    const begin = () => {
      sending?.();
      if (request.body) sendContent(sent, request);
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

function asFailure(error: unknown, address: Address): HoplineError {
  if (error instanceof HoplineError) return error;
  const reason = systemCode(error);
  const details = { cause: error, ...(reason === undefined ? {} : { reason }) };
  const name = formatHop(address);
  if (reason?.startsWith('HPE_')) {
    const code = reason === 'HPE_HEADER_OVERFLOW' ? 'LIMIT_HEAD' : 'PEER_PROTOCOL';
    return new HoplineError(code, `${name} sent what is not an HTTP answer (${reason})`, details);
  }
  return new HoplineError('PEER_LOST', `${name} closed the connection without an answer`, details);
}
