/**
 * Networks that are more than some machines somewhere: what each is, and whether `any` leaves it out.
 *
 * Knows no rule. IPv6 that carries IPv4 is left out as a whole: a translator on the way would make a denied address of it
 * (`64:ff9b::169.254.169.254`), behind the check.
 * Documentation: docs/access-rules.md
 */

import { isIPv4 } from 'node:net';
import { blockList, formatNetwork, isInList, type Subnet } from '../../io/names/networks.ts';

interface Special {
  readonly network: Subnet;
  readonly what: string;
}

/** `any` allows them; whoever writes a rule around them should know. */
const local: readonly Special[] = [
  { network: ['127.0.0.0', 8], what: 'loopback' },
  { network: ['::1', 128], what: 'loopback' },
  { network: ['10.0.0.0', 8], what: 'private' },
  { network: ['172.16.0.0', 12], what: 'private' },
  { network: ['192.168.0.0', 16], what: 'private' },
  { network: ['100.64.0.0', 10], what: 'behind the NAT of a provider' },
  { network: ['fc00::', 7], what: 'private' },
];

/** What no operator means by `any`. */
const leftOut: readonly Special[] = [
  { network: ['0.0.0.0', 8], what: 'this machine' },
  { network: ['169.254.0.0', 16], what: 'link-local, cloud metadata' },
  { network: ['100.100.100.200', 32], what: 'cloud metadata' },
  { network: ['168.63.129.16', 32], what: 'cloud metadata' },
  { network: ['192.0.0.0', 24], what: 'protocol assignments, cloud metadata' },
  { network: ['224.0.0.0', 4], what: 'multicast' },
  { network: ['240.0.0.0', 4], what: 'reserved, broadcast' },
  { network: ['::', 96], what: 'this machine, IPv4 as IPv6' },
  { network: ['::ffff:0:0:0', 96], what: 'IPv4 as IPv6' },
  { network: ['64:ff9b::', 96], what: 'IPv4 as IPv6' },
  { network: ['64:ff9b:1::', 48], what: 'IPv4 as IPv6' },
  { network: ['2001::', 32], what: 'IPv4 as IPv6' },
  { network: ['2002::', 16], what: 'IPv4 as IPv6' },
  { network: ['fd00:ec2::254', 128], what: 'cloud metadata' },
  { network: ['fd20:ce::254', 128], what: 'cloud metadata' },
  { network: ['fe80::', 10], what: 'link-local' },
  { network: ['fec0::', 10], what: 'site-local' },
  { network: ['ff00::', 8], what: 'multicast' },
];

const loopbackList = blockList(local.filter(({ what }) => what === 'loopback').map(({ network }) => network));
const leftOutList = blockList(leftOut.map(({ network }) => network));

export function isLoopback(address: string): boolean {
  // For IPv4 the first number says it all: a list makes an object of each address that it looks for.
  return isIPv4(address) ? address.startsWith('127.') : isInList(loopbackList, address);
}

/** `::1` lies among the IPv4 addresses that are written as IPv6, and is none. */
export function isMeantByAny(address: string): boolean {
  return isLoopback(address) || !isInList(leftOutList, address);
}

/** What `any` allows although not everybody thinks of it. */
export function withinAny(): readonly string[] {
  return local.map(describe);
}

/** Which special networks lie in a network that is wider than they are. */
export function specialWithin(network: Subnet): readonly string[] {
  const list = blockList([network]);
  const isWithin = (special: Special) => width(special.network) > width(network) && isInList(list, special.network[0]);
  return [...local, ...leftOut].filter(isWithin).map(describe);
}

/** The bits of a network, if all addresses were IPv6. */
function width([base, bits]: Subnet): number {
  return base.includes(':') ? bits : bits + 96;
}

function describe({ network, what }: Special): string {
  return `${formatNetwork(network)} (${what})`;
}
