/**
 * Networks by address and prefix: how they are written, and whether an address is in one.
 *
 * Knows nothing about what being in one means.
 */

import { BlockList, isIP, isIPv6 } from 'node:net';
import { HoplineError } from '../../core/errors.ts';

export type Subnet = readonly [base: string, bits: number];

/** Parses addresses and CIDRs, as the flag `name` takes them. Throws `USAGE_INVALID` for what is neither. */
export function parseNetworks(networks: readonly string[], name: string): readonly Subnet[] {
  return networks.map((text) => {
    const [base = '', prefix, ...more] = text.split('/');
    const bits = isIP(base) && more.length === 0 ? parseBits(base, prefix) : undefined;
    if (bits !== undefined) return [base, bits];
    throw new HoplineError('USAGE_INVALID', `${name}: read "${text}", expected a CIDR or an address`);
  });
}

/** How many bits of an address count; undefined if there are not so many. */
export function parseBits(base: string, prefix: string | undefined): number | undefined {
  const widest = isIPv6(base) ? 128 : 32;
  if (prefix !== undefined && !/^\d{1,3}$/.test(prefix)) return undefined;
  const bits = prefix === undefined ? widest : Number(prefix);
  return bits > widest ? undefined : bits;
}

/** Whether it is one address alone. */
export function isSingle([base, bits]: Subnet): boolean {
  return bits === (isIPv6(base) ? 128 : 32);
}

/** As CIDR, or as the address that it is. */
export function formatNetwork(network: Subnet): string {
  return isSingle(network) ? network[0] : network.join('/');
}

export function blockList(subnets: readonly Subnet[]): BlockList {
  const list = new BlockList();
  for (const [base, bits] of subnets) list.addSubnet(base, bits, isIPv6(base) ? 'ipv6' : 'ipv4');
  return list;
}

/** BlockList itself judges IPv4 written as IPv6 (`::ffff:10.0.0.1`) as the IPv4 address that it is. */
export function isInList(list: BlockList, address: string): boolean {
  const bare = address.includes('%') ? address.replace(/%.*$/, '') : address;
  // The pattern of IPv6 is long, and is tried on nothing that is IPv4.
  const family = isIP(bare);
  return family !== 0 && list.check(bare, family === 6 ? 'ipv6' : 'ipv4');
}
