/**
 * One hop of a route: a host and a port, as people write them and as they travel.
 *
 * Accepts `host port`, `host:port`, `[::1]:7001` and `::1 7001`; writes `host:port`
 * with brackets around IPv6. Knows nothing about resolving or dialling.
 * Grammar: docs/route-file.md#hops
 */

import { isIPv6 } from 'node:net';

declare const portBrand: unique symbol;
/** A TCP port that can be dialled, 1 to 65535. */
export type Port = number & { readonly [portBrand]: true };

export interface Hop {
  /** A host name, an IPv4 address or an IPv6 address without brackets. */
  readonly host: string;
  readonly port: Port;
}

export type ParsedHop =
  | { readonly kind: 'ok'; readonly hop: Hop }
  | { readonly kind: 'bad'; readonly expected: string };

const hostName = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*\.?$/i;

/** Parses one hop; says what was expected where it is not one. */
export function parseHop(text: string): ParsedHop {
  const parts = splitHostPort(text.trim());
  if (!parts) return { kind: 'bad', expected: 'a hop, HOST PORT or HOST:PORT, such as 127.0.0.1 7001' };
  const [host, portText] = parts;
  if (!isIPv6(host) && !hostName.test(host)) {
    return { kind: 'bad', expected: 'a host name or an IP address (IPv6 with a port after a colon goes in brackets)' };
  }
  const port = parsePort(portText);
  if (port === undefined) return { kind: 'bad', expected: 'a port from 1 to 65535' };
  return { kind: 'ok', hop: { host, port } };
}

/** Parses where to listen: like a hop in the form HOST:PORT, and port 0 lets the system pick one. Undefined if it is neither. */
export function parseListen(text: string): { readonly host: string; readonly port: number } | undefined {
  const parsed = parseHop(text.replace(/:0$/, ':1'));
  if (parsed.kind === 'bad' || /\s/.test(text.trim())) return undefined;
  return text.endsWith(':0') ? { host: parsed.hop.host, port: 0 } : parsed.hop;
}

/** The port that `text` names in plain digits, or undefined. */
export function parsePort(text: string): Port | undefined {
  if (!/^\d{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return isPort(port) ? port : undefined;
}

function isPort(port: number): port is Port {
  return Number.isInteger(port) && port >= 1 && port <= 65535;
}

export function formatHop(hop: { readonly host: string; readonly port: number }): string {
  return isIPv6(hop.host) ? `[${hop.host}]:${hop.port}` : `${hop.host}:${hop.port}`;
}

/** The same for two hops that are written alike: host names compare without case. */
export function hopKey(hop: Hop): string {
  return formatHop(hop).toLowerCase();
}

function splitHostPort(text: string): readonly [host: string, port: string] | undefined {
  const match =
    /^\[([^\]\s]+)\]:(\S+)$/.exec(text) ??
    /^\[([^\][\s]+)\]\s+(\S+)$/.exec(text) ??
    /^([^\][\s]+)\s+(\S+)$/.exec(text) ??
    /^([^:\s]+):(\S+)$/.exec(text);
  const [, host, port] = match ?? [];
  return host !== undefined && port !== undefined ? [host, port] : undefined;
}
