/**
 * The configuration that is in effect: every key with its value, the defaults filled in, as a file would say it.
 *
 * Invariant: read as a file, it says the same configuration again.
 */

import { formatAdminAddress } from '../admin/admin-address.ts';
import { defaultLimits, type Limits } from '../core/limits.ts';
import { defaultHealth, type PoolOptions } from '../node/pools/pool-options.ts';
import { chooseRoot } from '../node/root.ts';
import { defaultHealthRule } from '../pool/health.ts';
import { nameStore } from '../pool/registry/redis-store.ts';
import { formatHop } from '../wire/address.ts';
import { formatViaHop } from '../wire/keyed-hop.ts';
import { formatDuration, formatSize } from '../wire/quantity.ts';
import type { Config, NodeRules } from './config.ts';
import { formatGateway, formatSites } from './effective-sites.ts';
import { formatHealth } from './members.ts';
import { limitKeys } from './schema/limit-settings.ts';

/** Keys and plain values, as they would be written in a file; what is not set and has no default is undefined. */
export type EffectiveConfig = Readonly<Record<string, unknown>>;

export function effectiveConfig({ node, gateway, admin, log }: Config): EffectiveConfig {
  return {
    listen: node.listen && formatHop(node.listen),
    // Without an address, the node asks for one: docs/configuration.md
    root: node.listen ? chooseRoot({ ...node, listen: node.listen }) : (node.root ?? process.cwd()),
    next: node.next ?? [],
    uploads: formatUploads(node.uploads),
    'digest-cache': node.digestCache,
    'limit-rate': node.limitRate && formatSize(node.limitRate),
    'limit-rate-total': node.limitRateTotal && formatSize(node.limitRateTotal),
    kernel: node.kernel ?? true,
    policy: node.server && formatServer(node.server),
    balance: node.balance ?? 'round-robin',
    registry: node.registry && nameStore(node.registry),
    'register-from': node.registerFrom || [],
    pools: Object.fromEntries((node.pools ?? []).map((pool) => [pool.name, formatPool(pool, node.balance)])),
    sites: gateway && formatSites(gateway),
    gateway: gateway && formatGateway(gateway),
    security: {
      identity: node.identityFile,
      'authorized-keys': node.authorizedKeys,
      'require-key': node.requireKey ?? false,
    },
    admin: formatAdmin(admin),
    limits: formatLimits({ ...defaultLimits, ...node.limits }),
    log: { ...log },
  };
}

function formatAdmin(admin: Config['admin']): unknown {
  return admin && { listen: formatAdminAddress(admin.listen), 'token-file': admin.tokenFile };
}

function formatUploads(uploads: NodeRules['uploads']): unknown {
  if (!uploads) return false;
  const { force = false, maxBytes } = uploads;
  return { force, 'max-size': maxBytes && formatSize(maxBytes) };
}

function formatServer({ policy, id, register = [], advertise }: NonNullable<NodeRules['server']>): unknown {
  return { id: policy, name: id, register: register.map(formatViaHop), advertise: advertise && formatHop(advertise) };
}

function formatPool(pool: PoolOptions, balance: NodeRules['balance'] = 'round-robin'): unknown {
  const { algorithm = balance, hashBy = 'file', check = 'node', members = [], dns = [], health } = pool;
  const rule = { ...defaultHealthRule, ...defaultHealth(check), ...health };
  return {
    algorithm,
    'hash-by': hashBy,
    check,
    members: members.map(({ weight = 1, priority = 0, ...hop }) =>
      weight === 1 && priority === 0 ? formatHop(hop) : { address: formatHop(hop), weight, priority },
    ),
    dns: dns.map((query) => ('service' in query ? query.service : formatHop(query))),
    health: formatHealth(rule),
  };
}

function formatLimits(limits: Limits): Record<string, unknown> {
  const names = Object.keys(limits) as (keyof Limits)[];
  return Object.fromEntries(names.map((name) => [limitKeys(name)[0], formatLimit(name, limits[name])]));
}

function formatLimit(name: keyof Limits, value: number): unknown {
  if (name.endsWith('Ms')) return formatDuration(value);
  return name.endsWith('Bytes') ? formatSize(value) : value;
}
