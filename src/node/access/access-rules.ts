/**
 * Where a node may open legs to, and who may register with it: deny by default, decided for every leg on the address that is then dialled.
 *
 * Owns the rules of `--next`. A node that listens on loopback may go on to
 * loopback; any other node goes nowhere until a rule allows it. A name that no rule can
 * allow is denied before anybody is asked for its addresses.
 * Rules: docs/access-rules.md
 */

import { isIP } from 'node:net';
import { HoplineError } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import { blockList, isInList, isSingle, parseBits, type Subnet } from '../../io/names/networks.ts';
import { type Address, formatHop, isHostName, parsePort } from '../../wire/address.ts';
import { isLoopback, isMeantByAny, specialWithin, withinAny } from './special-networks.ts';

/** Both throw `POLICY_DENIED`. */
export interface NextAccess {
  /** Before a hop that is a name is looked up: whether a rule could allow what that may bring. */
  mayLookUp(hop: Address): void;
  /** Before `address` is dialled for `hop`. */
  mayDial(hop: Address, address: string): void;
}

export interface NextRule {
  /** Whether a name is worth looking up for this rule; what comes of that is judged once more. */
  names(hop: Address): boolean;
  matches(hop: Address, address: string): boolean;
  /** As it was written. */
  readonly text: string;
  /** Special networks that it allows, though it does not name them. */
  readonly includes: readonly string[];
}

/** Parses rules as `--next` takes them. Throws `USAGE_INVALID` for one that is not a rule. */
export function parseNextRules(rules: readonly string[]): readonly NextRule[] {
  return rules.map(parseRule);
}

/** Where a node goes that listens on `listenAddress`. */
export function createNextAccess(rules: readonly NextRule[], listenAddress: string): NextAccess {
  const stayLocal: Pick<NextRule, 'names' | 'matches'> = {
    // Whoever names what is allowed has named it all.
    names: ({ host }) => rules.length === 0 || /(^|\.)localhost\.?$/i.test(host),
    matches: (_hop, address) => isLoopback(address),
  };
  const allowed = isLoopback(listenAddress) ? [...rules, stayLocal] : rules;
  const denied = (target: Address) => new HoplineError('POLICY_DENIED', `no --next rule allows ${formatHop(target)}`);
  return {
    mayLookUp: (hop) => {
      if (!allowed.some((rule) => rule.names(hop))) throw denied(hop);
    },
    mayDial: (hop, address) => {
      if (!allowed.some((rule) => rule.matches(hop, address))) throw denied({ ...hop, host: address });
    },
  };
}

/** Tells the operator of rules that allow more than they seem to, and that none takes loopback from a node that listens there. */
export function tellBroadRules(rules: readonly NextRule[], listenAddress: string, log: Logger): void {
  if (rules.length > 0 && isLoopback(listenAddress)) {
    const message = 'a node on loopback may go on to all of loopback, whatever --next says: rules only add to that';
    log.info({ listen: listenAddress }, message);
  }
  for (const { text, includes } of rules) {
    if (includes.length > 0) log.warn({ rule: text, includes }, 'a --next rule allows special networks, too');
  }
}

/** Whether a server may register, which comes from an address, maybe with a token. */
export type RegisterAccess = (address: string, token: string | undefined) => boolean;

/**
 * Who may register as a server: addresses in `networks`, on a node that listens on loopback those of loopback, and
 * whoever has the right token.
 */
export function createRegisterAccess(
  networks: readonly Subnet[],
  listenAddress: string,
  isToken: (token: string | undefined) => boolean,
): RegisterAccess {
  const list = blockList(networks);
  const isLocal = isLoopback(listenAddress);
  return (address, token) => isInList(list, address) || (isLocal && isLoopback(address)) || isToken(token);
}

function parseRule(text: string): NextRule {
  const [target, portText] = splitRule(text);
  const ports = parsePorts(portText);
  const parsed = parseTarget(target);
  if (!ports || !parsed) {
    throw new HoplineError(
      'USAGE_INVALID',
      `--next: read "${text}", expected any, a CIDR, an address or a host name, then maybe :PORT or :LOW-HIGH`,
    );
  }
  const inPorts = ({ port }: Address) => port >= ports[0] && port <= ports[1];
  return {
    names: (hop) => inPorts(hop) && parsed.names(hop),
    matches: (hop, address) => inPorts(hop) && parsed.matches(hop, address),
    text,
    includes: parsed.includes,
  };
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

/** A rule without its ports. */
type TargetRule = Omit<NextRule, 'text'>;

function parseTarget(target: string): TargetRule | undefined {
  if (target === 'any') {
    return { names: () => true, matches: (_hop, address) => isMeantByAny(address), includes: withinAny() };
  }
  const [base, prefix, ...more] = target.split('/');
  if (base === undefined || more.length > 0) return undefined;
  if (isIP(base)) return parseSubnet(base, prefix);
  if (prefix !== undefined || !isHostName(base)) return undefined;
  const names = (hop: Address) => hop.host.toLowerCase() === base.toLowerCase();
  return { names, matches: names, includes: [] };
}

function parseSubnet(base: string, prefix: string | undefined): TargetRule | undefined {
  const bits = parseBits(base, prefix);
  if (bits === undefined) return undefined;
  const list = blockList([[base, bits]]);
  return {
    // Which names lead into a network only a lookup tells; whoever allows one address alone would have named its name.
    names: () => !isSingle([base, bits]),
    matches: (_hop, address) => isInList(list, address),
    includes: specialWithin([base, bits]),
  };
}
