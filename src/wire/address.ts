/**
 * One hop of a route, as people write it and as it travels: an address, or a pool whose members stand in for one another.
 *
 * Accepts `host port`, `host:port`, `[::1]:7001`, `::1 7001` and `@pool`; writes `host:port`
 * with brackets around IPv6. Knows nothing about resolving or dialling, nor about who is in a pool.
 * Grammar: docs/route-file.md#hops
 */

import { isIP } from 'node:net';
import type { PublicKey } from './keys/key.ts';

declare const portBrand: unique symbol;
/** A TCP port that can be dialled, 1 to 65535. */
export type Port = number & { readonly [portBrand]: true };

/** What is known of a node before anybody asks it. */
interface KnownNode {
  /** The key that it must have where it is the last hop; it does not travel. */
  readonly key?: PublicKey;
  /** Those that it had before; none of them is spoken to. */
  readonly formerKeys?: readonly PublicKey[];
}

/** What can be dialled. */
export interface Address extends KnownNode {
  /** A host name, an IPv4 address or an IPv6 address without brackets. */
  readonly host: string;
  readonly port: Port;
}

/** Whichever member the node before this hop takes; all of them have the key, where there is one. */
export interface PoolHop extends KnownNode {
  readonly pool: string;
  /** The member that was taken, once that is known; it does not travel. */
  readonly member?: Address;
}

export type Hop = Address | PoolHop;

export type ParsedHop<Kind extends Hop = Hop> =
  | { readonly kind: 'ok'; readonly hop: Kind }
  | { readonly kind: 'bad'; readonly expected: string };

const poolName = /^[A-Za-z0-9_.-]{1,64}$/;
const scheme = /^[a-z][a-z0-9+.-]*:\/\//i;
const labels = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*\.?$/i;
const endsInNumber = /(^|\.)(\d+|0x[\da-f]*)\.?$/i;

/** Parses one hop; says what was expected where it is not one. */
export function parseHop(text: string): ParsedHop {
  const trimmed = text.trim();
  if (!trimmed.startsWith('@')) return parseAddress(trimmed);
  const pool = trimmed.slice(1);
  if (isPoolName(pool)) return { kind: 'ok', hop: { pool } };
  return { kind: 'bad', expected: 'the name of a pool behind "@", 1 to 64 of A-Z a-z 0-9 _ . -' };
}

export function isPoolName(text: string): boolean {
  return poolName.test(text);
}

export function isPoolHop(hop: Hop): hop is PoolHop {
  return 'pool' in hop;
}

/** Parses a hop that is no pool; says what was expected where it is not one. */
export function parseAddress(text: string): ParsedHop<Address> {
  if (isUrl(text.trim())) return { kind: 'bad', expected: 'a hop, HOST:PORT, without "://" and what stands before it' };
  const parts = splitHostPort(text.trim());
  if (!parts) return { kind: 'bad', expected: 'a hop, HOST PORT or HOST:PORT, such as 127.0.0.1 7001' };
  const [host, portText] = parts;
  if (!isHost(host)) {
    return { kind: 'bad', expected: 'a host name or an IP address (IPv6 with a port after a colon goes in brackets)' };
  }
  const port = parsePort(portText);
  if (port === undefined) return { kind: 'bad', expected: 'a port from 1 to 65535' };
  return { kind: 'ok', hop: { host, port } };
}

/** Whether `text` begins as a URL does, and so is no hop. */
export function isUrl(text: string): boolean {
  return scheme.test(text);
}

/** Whether `text` is an address, IPv6 without brackets, or a host name. */
export function isHost(text: string): boolean {
  return isIP(text) !== 0 || isHostName(text);
}

/**
 * Whether `text` is a host name. What ends in a number is none (`127.1`, `0x7f.1`, `0177.1`, `2130706433`): systems read
 * it as an address, each in its own way, past every rule that was made for the address.
 */
export function isHostName(text: string): boolean {
  return labels.test(text) && !endsInNumber.test(text);
}

/** Parses where to listen: like a hop in the form HOST:PORT, and port 0 lets the system pick one. Undefined if it is neither. */
export function parseListen(text: string): { readonly host: string; readonly port: number } | undefined {
  const parsed = parseAddress(text.replace(/:0$/, ':1'));
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

/** As it travels. */
export function formatHop(hop: PoolHop | { readonly host: string; readonly port: number }): string {
  if ('pool' in hop) return `@${hop.pool}`;
  // Nothing else that a host may be has a colon, and this is written for every message.
  return hop.host.includes(':') ? `[${hop.host}]:${hop.port}` : `${hop.host}:${hop.port}`;
}

/** As it is shown to people: a pool with the member that was taken, if that is known. */
export function describeHop(hop: Hop): string {
  return 'member' in hop && hop.member ? `${formatHop(hop)}: ${formatHop(hop.member)}` : formatHop(hop);
}

/** The same for two hops that are written alike: host names compare without case, pools with it. */
export function hopKey(hop: Hop): string {
  return isPoolHop(hop) ? formatHop(hop) : formatHop(hop).toLowerCase();
}

/** The same for two hops that are one node, as far as anybody knows: one address behind two relays may be two machines. */
export function nodeName(hop: Hop): string {
  return hop.key === undefined ? hopKey(hop) : `${hopKey(hop)} ${hop.key.text}`;
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
