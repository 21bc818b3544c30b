/**
 * A connection to whoever an HTTP request is sent to: plain, encrypted, or through a proxy.
 *
 * Owns what can go wrong until the request can be sent, in one deadline. Knows
 * nothing about requests, except the one that asks a proxy for a tunnel.
 * Invariant: a connection that is not handed out is closed; a certificate that is not right ends it, unless told otherwise.
 */

import { once } from 'node:events';
import http from 'node:http';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import { type Clock, startDeadline, untilAborted } from '../core/clock.ts';
import { HoplineError, systemCode } from '../core/errors.ts';
import { type Address, formatHop } from '../wire/address.ts';
import type { HttpUrl } from './http-url.ts';

/** Opens a connection to a host and port; ends as soon as the signal aborts. */
export type Dial = (to: Address, signal: AbortSignal) => Promise<Duplex>;

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
  const deadline = startDeadline(clock, connectMs, late, signal);
  let opened: Duplex | undefined;
  try {
    const first = proxy ?? server;
    opened = await dial(first, deadline.signal);
    if (server.scheme === 'http') return opened;
    if (proxy) opened = await openTunnel(opened, server, proxy, deadline.signal);
    opened = await encrypt(opened, server, options, deadline.signal);
    return opened;
  } catch (error) {
    opened?.on('error', () => {}).destroy();
    throw deadline.signal.aborted ? deadline.signal.reason : error;
  } finally {
    deadline.clear();
  }
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

async function encrypt(socket: Duplex, server: Server, options: ConnectOptions, signal: AbortSignal): Promise<Duplex> {
  const { ca, insecure } = options;
  const secured = tls.connect({
    socket,
    // The name that a certificate is held against; an address is never sent as a name.
    host: server.host,
    servername: isIP(server.host) === 0 ? server.host : '',
    ALPNProtocols: ['http/1.1'],
    rejectUnauthorized: insecure !== true,
    ...(ca === undefined ? {} : { ca }),
  });
  try {
    await untilAborted(once(secured, 'secureConnect'), signal);
    return secured;
  } catch (cause) {
    secured.on('error', () => {}).destroy();
    signal.throwIfAborted();
    throw tlsError(server, cause);
  }
}

const certificateFaults: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it vouches for its certificate itself',
  SELF_SIGNED_CERT_IN_CHAIN: 'nobody known here vouches for its certificate',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'nobody known here vouches for its certificate',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'nobody known here vouches for its certificate',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS on that port',
  EPROTO: 'it does not speak TLS as it should',
};

function tlsError(server: Server, cause: unknown): HoplineError {
  const reason = systemCode(cause) ?? 'unknown';
  const fault = certificateFaults[reason] ?? 'it ended the handshake';
  return new HoplineError('TLS_FAILED', `no secure connection to ${formatHop(server)}: ${fault} (${reason})`, {
    cause,
    reason,
  });
}
