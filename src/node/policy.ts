/**
 * Where a node may open legs to, and who may register with it: deny by default, decided for every leg on the address that is then dialled.
 *
 * Owns the rules of `--next`. A node that listens on loopback may go on to
 * loopback; any other node goes nowhere until a rule allows it. `any` leaves out
 * what no operator means by it: link-local (cloud metadata), unspecified and multicast addresses.
 * Rules: docs/protocol.md#policy
 */

import { isIP } from 'node:net';
import { HoplineError } from '../core/errors.ts';
import { blockList, isInList, parseBits, type Subnet } from '../io/networks.ts';
import { type Address, formatHop, parsePort } from '../wire/address.ts';

/** Throws `POLICY_DENIED` unless the node may dial `address` for `hop`. */
export type NextPolicy = (hop: Address, address: string) => void;

export interface NextRule {
  matches(hop: Address, address: string): boolean;
}

const loopback = blockList([
  ['127.0.0.0', 8],
  ['::1', 128],
]);

const neverMeantByAny = blockList([
  ['0.0.0.0', 8],
  ['169.254.0.0', 16],
  ['224.0.0.0', 4],
  ['255.255.255.255', 32],
  ['::', 128],
  ['fe80::', 10],
  ['ff00::', 8],
]);

/** Parses rules as `--next` takes them. Throws `USAGE_INVALID` for one that is not a rule. */
export function parseNextRules(rules: readonly string[]): readonly NextRule[] {
  return rules.map(parseRule);
}

/** The policy of a node that listens on `listenAddress`. */
export function createNextPolicy(rules: readonly NextRule[], listenAddress: string): NextPolicy {
  const stayLocal: NextRule = { matches: (_hop, address) => isInList(loopback, address) };
  const allowed = isInList(loopback, listenAddress) ? [...rules, stayLocal] : rules;
  return (hop, address) => {
    if (allowed.some((rule) => rule.matches(hop, address))) return;
    throw new HoplineError('POLICY_DENIED', `no --next rule allows ${formatHop({ host: address, port: hop.port })}`);
  };
}

/** Whether a server may register, which comes from an address, maybe with a token. */
export type RegisterPolicy = (address: string, token: string | undefined) => boolean;

/**
 * Who may register as a server: addresses in `networks`, on a node that listens on loopback those of loopback, and
 * whoever has the right token.
 */
export function createRegisterPolicy(
  networks: readonly Subnet[],
  listenAddress: string,
  isToken: (token: string | undefined) => boolean,
): RegisterPolicy {
  const list = blockList(networks);
  const isLocal = isInList(loopback, listenAddress);
  return (address, token) => isInList(list, address) || (isLocal && isInList(loopback, address)) || isToken(token);
}

function parseRule(text: string): NextRule {
  const [target, portText] = splitRule(text);
  const ports = parsePorts(portText);
  const inTarget = parseTarget(target);
  if (!ports || !inTarget) {
    throw new HoplineError(
      'USAGE_INVALID',
      `--next: read "${text}", expected any, a CIDR, an address or a host name, then maybe :PORT or :LOW-HIGH`,
    );
  }
  return { matches: (hop, address) => hop.port >= ports[0] && hop.port <= ports[1] && inTarget(hop, address) };
}

function splitRule(text: string): readonly [target: string, ports: string | undefined] {
  const bracketed = /^\[([^\]]+)\](?::(.*))?$/.exec(text);
  if (bracketed) return [bracketed[1] ?? '', bracketed[2]];
  const parts = text.split(':');
  return parts.length === 2 ? [parts[0] ?? '', parts[1]] : [text, undefined];
}

function parsePorts(text: string | undefined): readonly [low: number, high: number] | undefined {
  if (text === undefined) return [1, 65535];
  const [low, high, ...more] = text.split('-').map(parsePort);
  if (low === undefined || more.length > 0 || (text.includes('-') && high === undefined)) return undefined;
  return low <= (high ?? low) ? [low, high ?? low] : undefined;
}

function parseTarget(target: string): NextRule['matches'] | undefined {
  if (target === 'any') return (_hop, address) => !isInList(neverMeantByAny, address);
  const [base, prefix, ...more] = target.split('/');
  if (base === undefined || more.length > 0) return undefined;
  if (isIP(base)) return parseSubnet(base, prefix);
  // Digits and dots alone are an address that was mistyped, not a name.
  if (prefix !== undefined || !/^[a-z0-9_][a-z0-9_.-]*$/i.test(base) || /^[\d.]+$/.test(base)) return undefined;
  return (hop) => hop.host.toLowerCase() === base.toLowerCase();
}

function parseSubnet(base: string, prefix: string | undefined): NextRule['matches'] | undefined {
  const bits = parseBits(base, prefix);
  if (bits === undefined) return undefined;
  const list = blockList([[base, bits]]);
  return (_hop, address) => isInList(list, address);
}
