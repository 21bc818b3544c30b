/**
 * The connection over which an HTTP request is sent: plain, encrypted, or through a proxy.
 *
 * Owns every failure until the request can be sent, within one deadline. Knows nothing about requests, except the one
 * that asks a proxy for a tunnel.
 * Invariant: a connection that is not handed out is closed; a certificate that is not right closes it, unless told
 * otherwise.
 */

import http from 'node:http';
import type { Duplex } from 'node:stream';
import { type Clock, untilAborted, withDeadline } from '../../core/clock.ts';
import { HoplineError } from '../../core/errors.ts';
import { toAbortSignal } from '../../core/signal.ts';
import { type Address, formatHop } from '../../wire/address.ts';
import type { HttpUrl } from '../http-url.ts';
import type { Dial } from './dial.ts';
import { encrypt } from './encrypt.ts';

export interface ConnectOptions {
  readonly clock: Clock;
  /** For lookup, connection, proxy and TLS together. */
  readonly connectMs: number;
  readonly dial: Dial;
  /** Asked instead of the server itself. */
  readonly proxy?: HttpUrl | undefined;
  /** Authorities to believe instead of the system's, in PEM. */
  readonly ca?: string | undefined;
  /** Believes any certificate. @default false */
  readonly insecure?: boolean | undefined;
}

interface Server extends Address {
  readonly scheme: 'http' | 'https';
}

/**
 * Connects to a server, or to the proxy on its behalf: for http, requests to a proxy are sent to it as they are.
 * Throws `PEER_UNRESOLVED`, `PEER_UNREACHABLE`, `TLS_FAILED`, `HTTP_PROXY_REFUSED`, `TIMEOUT_CONNECT`, or the signal's reason.
 */
export async function connect(server: Server, options: ConnectOptions, signal: AbortSignal): Promise<Duplex> {
  const { clock, connectMs, proxy, dial } = options;
  const late = () =>
    new HoplineError('TIMEOUT_CONNECT', `no connection to ${formatHop(proxy ?? server)} within ${connectMs / 1000} s`);
  let opened: Duplex | undefined;
  return withDeadline({ clock, ms: connectMs, late, outer: signal }, async (end) => {
    const due = toAbortSignal(end);
    opened = await dial(proxy ?? server, due);
    if (server.scheme === 'http') return opened;
    if (proxy) opened = await openTunnel(opened, server, proxy, due);
    opened = await encrypt(opened, server, options, due);
    return opened;
  }).catch((error) => {
    opened?.on('error', () => {}).destroy();
    throw error;
  });
}

async function openTunnel(socket: Duplex, server: Server, proxy: HttpUrl, signal: AbortSignal): Promise<Duplex> {
  const path = formatHop(server);
  const fields = ['Host', path, ...(proxy.authorization ? ['Proxy-Authorization', proxy.authorization] : [])];
  const request = http.request({ method: 'CONNECT', path, headers: fields, createConnection: () => socket });
  request.on('error', () => {}).end();
  const answered = new Promise<http.IncomingMessage>((resolve, reject) => {
    request.once('connect', resolve).once('response', resolve).once('error', reject);
  });
  const response = await untilAborted(answered, signal).catch((cause: unknown) => {
    signal.throwIfAborted();
    throw new HoplineError('PEER_LOST', `the proxy ${formatHop(proxy)} closed the connection`, { cause });
  });
  const status = response.statusCode ?? 0;
  if (status >= 200 && status < 300) return socket;
  const message = `the proxy ${formatHop(proxy)} opens no tunnel to ${path} (status ${status})`;
  throw new HoplineError('HTTP_PROXY_REFUSED', message, { reason: String(status) });
}
