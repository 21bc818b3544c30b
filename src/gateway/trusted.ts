/** Networks of proxies whose word counts. */

import { BlockList, isIP, isIPv6 } from 'node:net';
import { HoplineError } from '../core/errors.ts';

/** Parses addresses and CIDRs. Throws `USAGE_INVALID` for what is neither. */
export function parseTrusted(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [base = '', prefix, ...more] = network.split('/');
    const widest = isIPv6(base) ? 128 : 32;
    const bits = prefix === undefined ? widest : Number(prefix);
    if (!isIP(base) || more.length > 0 || !/^\d{1,3}$/.test(prefix ?? '0') || bits > widest) {
      throw new HoplineError('USAGE_INVALID', `--trusted: read "${network}", expected a CIDR or an address`);
    }
    list.addSubnet(base, bits, isIPv6(base) ? 'ipv6' : 'ipv4');
  }
  return list;
}
