/**
 * What a proxy says of a request that it passes on: Via, Forwarded and X-Forwarded-*, and a trace.
 *
 * Invariant: an address that a client claims counts only if the client is one of those that are trusted.
 * Rules: RFC 9110, 7.6.3; RFC 7239; W3C Trace Context
 */

import { randomFillSync } from 'node:crypto';
import type { BlockList } from 'node:net';
import { isInList } from '../io/names/networks.ts';
import { formatTraceparent, parseTraceparent, type TraceParent } from '../wire/traceparent.ts';
import type { RawFields } from './exchange.ts';
import { endToEndFields, FieldNames, fieldValue, hopByHop, listMembers } from './fields.ts';

/** How a gateway calls itself in Cache-Status and Proxy-Status. In Via it has a name of its own, by which it knows a loop. */
export const pseudonym = 'hopline';

/** By these a client has many an application take another URL, or another method, than the one that was judged on the way. */
const overriding = [
  'x-original-url',
  'x-original-uri',
  'x-rewrite-url',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
];

/** What is not passed on as it came. */
const claimNames = [
  ...hopByHop,
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-port',
  'x-real-ip',
  'traceparent',
  'tracestate',
  'via',
];
/** What others than those that are trusted may not say of where a request comes from, and by which way: applications believe it. */
const trustedNames = [
  'cf-connecting-ip',
  // PHP's HTTP_CLIENT_IP, which many an application asks for first.
  'client-ip',
  'fastly-client-ip',
  'front-end-https',
  'true-client-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-forwarded',
  'x-host',
  'x-host-override',
  'x-http-host-override',
  'x-original-forwarded-for',
  'x-original-host',
  'x-original-proto',
  'x-scheme',
  'x-url-scheme',
  // Who runs programs for requests hands it to them as HTTP_PROXY.
  'proxy',
];
const forwardedPrefix = 'x-forwarded-';

/** What ends here, by whether the peer is trusted and whether what overrides goes on. */
const ending = {
  trusted: { overrides: new FieldNames(claimNames), none: new FieldNames([...claimNames, ...overriding]) },
  others: {
    overrides: new FieldNames([...claimNames, ...trustedNames], forwardedPrefix),
    none: new FieldNames([...claimNames, ...trustedNames, ...overriding], forwardedPrefix),
  },
};

export interface ForwardedRequest {
  readonly fields: RawFields;
  /** The address of whoever asks, as far as it can be trusted. */
  readonly client: string;
  /** Names the request everywhere it comes by. */
  readonly traceparent: TraceParent;
}

export interface PassOptions {
  /** The address that the request came from. */
  readonly peer: string;
  readonly scheme: 'http' | 'https';
  /** As the client wrote it. */
  readonly authority: string;
  /** `1.1` or `1.0`. */
  readonly version: string;
  /** The gateway's name in Via. */
  readonly name: string;
  /** Whose word counts. */
  readonly trusted: BlockList | undefined;
  /** Whether X-HTTP-Method-Override and its like go on. @default false */
  readonly passOverrides?: boolean | undefined;
}

/** The end-to-end fields of a request, with what this gateway adds. */
export function passedFields(fields: RawFields, options: PassOptions): ForwardedRequest {
  const { peer, scheme, authority, version, name } = options;
  const isTrusted = isTrustedPeer(options);
  const passed = endToEndFields(
    fields,
    ending[isTrusted ? 'trusted' : 'others'][options.passOverrides ? 'overrides' : 'none'],
  );
  const claimed = (name: string) => (isTrusted ? fieldValue(fields, name) : undefined);
  const node = peer.includes(':') ? `"[${peer}]"` : peer;
  const proto = claimed('x-forwarded-proto') ?? scheme;
  const { traceparent, goesOn } = traceOf(claimed('traceparent'));
  const state = goesOn ? fieldValue(fields, 'tracestate') : undefined;
  passed.push(
    'Via',
    appended(fieldValue(fields, 'via'), `${version} ${name}`),
    'Forwarded',
    appended(claimed('forwarded'), `for=${node};host="${authority}";proto=${scheme}`),
    'X-Forwarded-For',
    appended(claimed('x-forwarded-for'), peer),
    'X-Forwarded-Host',
    claimed('x-forwarded-host') ?? authority,
    'X-Forwarded-Proto',
    proto,
    'traceparent',
    formatTraceparent(traceparent),
  );
  // Of another trace it would mean nothing.
  if (state) passed.push('tracestate', state);
  return { fields: passed, client: nearest(claimed('x-forwarded-for'), options), traceparent };
}

/** The part that this gateway is of a trace that a client claims; without one, of a trace that begins here, and stands in its log. */
function traceOf(claim = ''): { readonly traceparent: TraceParent; readonly goesOn: boolean } {
  const known = parseTraceparent(claim);
  const ids = randomHex(24);
  const { traceId, isSampled } = known ?? { traceId: ids.slice(16), isSampled: true };
  return { traceparent: { traceId, parentId: ids.slice(0, 16), isSampled }, goesOn: known !== undefined };
}

/** For a request that is not passed on, but answered by a connection. */
export function traceOfTunnel(fields: RawFields, from: Pick<PassOptions, 'peer' | 'trusted'>): TraceParent {
  return traceOf(isTrustedPeer(from) ? fieldValue(fields, 'traceparent') : undefined).traceparent;
}

function isTrustedPeer({ peer, trusted }: Pick<PassOptions, 'peer' | 'trusted'>): boolean {
  return trusted !== undefined && isInList(trusted, peer);
}

/** Whether the request has been through the gateway of this name before. */
export function isLoop(fields: RawFields, name: string): boolean {
  const via = fieldValue(fields, 'via');
  return via?.includes(name) === true && listMembers(via).some((one) => one.split(' ')[1] === name);
}

/** The nearest address that is not itself a trusted proxy's; that of the peer, unless it is trusted and says another. */
export function clientOf(fields: RawFields, from: Pick<PassOptions, 'peer' | 'trusted'>): string {
  return nearest(isTrustedPeer(from) ? fieldValue(fields, 'x-forwarded-for') : undefined, from);
}

/** The same, by what a peer that is trusted claims. */
function nearest(claim: string | undefined, { peer, trusted }: Pick<PassOptions, 'peer' | 'trusted'>): string {
  if (claim === undefined || !trusted) return peer;
  for (const address of listMembers(claim).reverse()) {
    if (!/^[0-9a-f.:]+$/.test(address)) return peer;
    if (!isInList(trusted, address)) return address;
  }
  return peer;
}

function appended(list: string | undefined, member: string): string {
  return list === undefined || list === '' ? member : `${list}, ${member}`;
}

/** A trace is not a secret: random bytes are fetched many at a time. */
const pool = { bytes: Buffer.alloc(4096), used: 4096 };

function randomHex(bytes: number): string {
  if (pool.used + bytes > pool.bytes.length) {
    randomFillSync(pool.bytes);
    pool.used = 0;
  }
  pool.used += bytes;
  return pool.bytes.toString('hex', pool.used - bytes, pool.used);
}
