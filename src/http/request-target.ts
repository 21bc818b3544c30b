/**
 * What a request asks for: the host, and the path there, from its request line and its Host.
 *
 * Owns the rules of RFC 9112, section 3, and refuses whatever two programs could read in two ways.
 * Invariant: an authority that comes out of here is a host and maybe a port, in lower case, and nothing else.
 */

import { isIPv6 } from 'node:net';
import type { RawFields } from './exchange.ts';
import { countFields, fieldValue } from './fields.ts';

export interface RequestTarget {
  readonly kind: 'ok';
  /** Whether the client takes this for its proxy: the absolute form. */
  readonly isForward: boolean;
  readonly scheme: 'http' | 'https';
  /** Without a port and without a final dot, an IPv6 address in brackets. */
  readonly host: string;
  /** The host, and the port unless it is the scheme's own. */
  readonly authority: string;
  /** Path and query, or `*`. */
  readonly target: string;
}

export interface Refused {
  readonly kind: 'refused';
  readonly status: number;
  readonly why: string;
}

interface RequestLine {
  readonly method: string;
  readonly url: string;
  readonly isOldest: boolean;
}

/** Reads the target of a request that came over `scheme`; `isOldest` is HTTP/1.0, which needs no Host. */
export function readTarget(line: RequestLine, fields: RawFields, scheme: 'http' | 'https'): RequestTarget | Refused {
  const { method, url, isOldest } = line;
  if (method === 'CONNECT') return readConnect(url);
  const hosts = countFields(fields, 'host');
  if (hosts > 1) return refused('there is more than one Host');
  const hostField = fieldValue(fields, 'host');
  if (!hostField && (hostField === '' || !isOldest)) return refused('there is no Host');
  // Visible ASCII alone: whatever else a parser lets through, the next one may not.
  if (!/^[\x21-\x7e]+$/.test(url) || url.includes('#'))
    return refused('the target has characters that are not allowed');
  if (url.startsWith('/') || (url === '*' && method === 'OPTIONS')) {
    return finish({ isForward: false, scheme, authority: hostField ?? '', target: url });
  }
  return readAbsolute(url, method, hostField, scheme);
}

/** CONNECT names a host and a port and nothing else (RFC 9112, 3.2.3). */
function readConnect(url: string): RequestTarget | Refused {
  const parsed = /:\d+$/.test(url) ? parseAuthority(url, 'https') : undefined;
  return parsed
    ? { kind: 'ok', isForward: true, scheme: 'https', ...parsed, target: '' }
    : refused('CONNECT wants HOST:PORT');
}

function readAbsolute(
  url: string,
  method: string,
  hostField: string | undefined,
  over: 'http' | 'https',
): RequestTarget | Refused {
  const absolute = /^(https?):\/\/([^/?]*)(.*)$/i.exec(url);
  if (!absolute) return refused('the target is neither a path nor an http URL');
  const [, named = '', authority = '', rest = ''] = absolute;
  const scheme = named.toLowerCase() === 'https' ? 'https' : 'http';
  // A server and a cache take the scheme for how safe the connection is (RFC 9110, 7.4).
  if (scheme === 'https' && over === 'http') {
    return { kind: 'refused', status: 421, why: 'a request for https needs TLS up to this gateway' };
  }
  // OPTIONS for a host as a whole has no path in this form (RFC 9112, 3.2.4).
  const path = rest === '' && method === 'OPTIONS' ? '*' : rest.startsWith('/') ? rest : `/${rest}`;
  const target = finish({ isForward: true, scheme, authority, target: path });
  if (target.kind === 'refused' || hostField === undefined) return target;
  const inField = parseAuthority(hostField, scheme);
  if (inField?.authority !== target.authority) return refused('Host and target name different hosts');
  return target;
}

function finish(parts: Pick<RequestTarget, 'isForward' | 'scheme' | 'authority' | 'target'>): RequestTarget | Refused {
  // Only HTTP/1.0 may leave it out; such a request is for the default site.
  if (parts.authority === '' && !parts.isForward) return { kind: 'ok', ...parts, host: '' };
  const parsed = parseAuthority(parts.authority, parts.scheme);
  if (!parsed) return refused('Host is not HOST or HOST:PORT');
  return { kind: 'ok', ...parts, ...parsed };
}

/** Splits `HOST[:PORT]`; undefined for what is not that, such as one with a user name. */
function parseAuthority(
  text: string,
  scheme: 'http' | 'https',
): { readonly host: string; readonly authority: string; readonly port: number } | undefined {
  const match = /^(\[[0-9a-f:.]+\]|[a-z0-9._~!$&'()*+;=%-]+?)\.?(?::(\d{0,5}))?$/i.exec(text.trim());
  const [, name = '', digits = ''] = match ?? [];
  if (!match || (name.startsWith('[') && !isIPv6(name.slice(1, -1)))) return undefined;
  const own = scheme === 'https' ? 443 : 80;
  const port = digits === '' ? own : Number(digits);
  if (port < 1 || port > 65_535) return undefined;
  const host = name.toLowerCase();
  return { host, port, authority: port === own ? host : `${host}:${port}` };
}

function refused(why: string): Refused {
  return { kind: 'refused', status: 400, why };
}
