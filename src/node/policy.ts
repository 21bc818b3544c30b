/**
 * Where a node may open legs to, and who may register with it: deny by default, decided for every leg on the address that is then dialled.
 *
 * Owns the rules of `--next`. A node that listens on loopback may go on to
 * loopback; any other node goes nowhere until a rule allows it. `any` leaves out
 * what no operator means by it: link-local (cloud metadata), unspecified and multicast addresses.
 * Rules: docs/protocol.md#policy
 */

import { BlockList, isIP, isIPv6 } from 'node:net';
import { HoplineError } from '../core/errors.ts';
import { type Address, formatHop, parsePort } from '../wire/address.ts';

/** Throws `POLICY_DENIED` unless the node may dial `address` for `hop`. */
export type NextPolicy = (hop: Address, address: string) => void;

export interface NextRule {
  matches(hop: Address, address: string): boolean;
}

export type Subnet = readonly [base: string, bits: number];

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

/** Parses networks as `--register-from` takes them. Throws `USAGE_INVALID` for one that is not a CIDR or an address. */
export function parseNetworks(networks: readonly string[]): readonly Subnet[] {
  return networks.map(parseNetwork);
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

function parseNetwork(text: string): Subnet {
  const [base = '', prefix, ...more] = text.split('/');
  const bits = isIP(base) && more.length === 0 ? parseBits(base, prefix) : undefined;
  if (bits !== undefined) return [base, bits];
  throw new HoplineError('USAGE_INVALID', `--register-from: read "${text}", expected a CIDR or an address`);
}

function parseSubnet(base: string, prefix: string | undefined): NextRule['matches'] | undefined {
  const bits = parseBits(base, prefix);
  if (bits === undefined) return undefined;
  const list = blockList([[base, bits]]);
  return (_hop, address) => isInList(list, address);
}

/** How many bits of an address count; undefined if there are not so many. */
function parseBits(base: string, prefix: string | undefined): number | undefined {
  const widest = isIPv6(base) ? 128 : 32;
  if (prefix !== undefined && !/^\d{1,3}$/.test(prefix)) return undefined;
  const bits = prefix === undefined ? widest : Number(prefix);
  return bits > widest ? undefined : bits;
}

function blockList(subnets: readonly Subnet[]): BlockList {
  const list = new BlockList();
  for (const [base, bits] of subnets) list.addSubnet(base, bits, isIPv6(base) ? 'ipv6' : 'ipv4');
  return list;
}

/** BlockList itself judges IPv4 written as IPv6 (`::ffff:10.0.0.1`) as the IPv4 address that it is. */
function isInList(list: BlockList, address: string): boolean {
  const bare = address.replace(/%.*$/, '');
  return isIP(bare) !== 0 && list.check(bare, isIPv6(bare) ? 'ipv6' : 'ipv4');
}
