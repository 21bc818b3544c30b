/**
 * One HTTP server as an exchange: a request goes out over a connection that is kept for the next request.
 *
 * Owns the connections and their deadlines. The caller picks the server, and decides what follows when the server fails.
 * Invariant: once `close()` was called, no idle connection is left.
 */

import type http from 'node:http';
import { type Clock, withDeadline } from '../../core/clock.ts';
import { asHoplineError, HoplineError } from '../../core/errors.ts';
import { type Address, formatHop } from '../../wire/address.ts';
import type { HttpAnswer, HttpRequest } from '../exchange.ts';
import { fieldValue } from '../fields.ts';
import type { Connection, Dial } from './dial.ts';
import { encrypt, type TlsToBackend } from './encrypt.ts';
import { KeptConnections, limitSilence } from './kept-connections.ts';
import { type SentRequest, sendRequest } from './send-request.ts';

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

export class Backend {
  readonly #options: BackendOptions;
  readonly #connections: KeptConnections;

  constructor(options: BackendOptions) {
    this.#options = options;
    const open: Dial = (address, signal, traceparent) => openConnection(address, options, signal, traceparent);
    this.#connections = new KeptConnections({ open, ...options });
  }

  /**
   * Sends a request to the server at `address`. `sending` is called before the first byte of it leaves.
   * Throws `PEER_UNREACHABLE`, `PEER_UNRESOLVED`, `PEER_LOST`, `PEER_PROTOCOL`, `TIMEOUT_CONNECT`, `TIMEOUT_IDLE`.
   */
  async ask(address: Address, request: HttpRequest, sending?: () => void): Promise<HttpAnswer> {
    const { sent, answer } = this.#send(address, request, sending);
    try {
      return await answer;
    } catch (error) {
      // The server may have closed a kept connection just as the request left.
      const isStale = sent.reusedSocket && asHoplineError(error).code === 'PEER_LOST' && !request.signal.aborted;
      if (!isStale || !isRepeatable(request)) throw error;
    }
    // Whatever else is kept there is likely to go the same way.
    this.#connections.forget(address);
    request.notes.retries = (request.notes.retries ?? 0) + 1;
    return this.#send(address, request, sending).answer;
  }

  close(): void {
    this.#connections.destroy();
  }

  /** Breaks off whatever is under way, too. */
  breakOff(): void {
    this.#connections.breakOff();
  }

  #send(address: Address, request: HttpRequest, sending: (() => void) | undefined): SentRequest {
    const { firstByteMs, idleMs, maxHeadBytes } = this.#options;
    const { host, port } = address;
    const peer = formatHop(address);
    const traceparent = fieldValue(request.fields, 'traceparent');
    const over = { host, port, traceparent, agent: this.#connections };
    const asked = sendRequest(request, { over, peer, isKept: true, maxHeadBytes, sending });
    const { sent } = asked;
    let answer: http.IncomingMessage | undefined;
    sent.on('timeout', () => {
      // Where content waits to be taken, or is still to come from the client, it is not the server that keeps silent.
      if (isClientDue(sent, answer, request)) {
        sent.socket?.setTimeout(answer ? idleMs : firstByteMs);
        return;
      }
      const what = answer ? 'the rest of its answer' : 'an answer';
      const seconds = (answer ? idleMs : firstByteMs) / 1000;
      sent.destroy(new HoplineError('TIMEOUT_IDLE', `${peer} did not send ${what} within ${seconds} s`));
    });
    sent.once('socket', (connection: Connection) => {
      request.notes.circuit = connection.circuit;
    });
    sent.on('response', (response) => {
      answer = response;
      limitSilence(response.socket, idleMs);
    });
    return asked;
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

async function openConnection(
  address: Address,
  options: BackendOptions,
  signal: AbortSignal,
  traceparent?: string,
): Promise<Connection> {
  const { dial, tls, clock, connectMs } = options;
  const connection = await dial(address, signal, traceparent);
  if (!tls) return connection;
  const late = () =>
    new HoplineError('TIMEOUT_CONNECT', `no TLS with ${formatHop(address)} within ${connectMs / 1000} s`);
  const due = { clock, ms: connectMs, late, outer: signal };
  const encrypted = await withDeadline(due, (within) => encrypt(connection, address, tls, within));
  return Object.assign(encrypted, { circuit: connection.circuit });
}
