/**
 * From the keys of a checked file to the options of a node, a gateway and a log.
 *
 * Knows both the keys and the options, so that neither has to know the other.
 */

import path from 'node:path';
import { defaultLimits, type Limits } from '../core/limits.ts';
import type { PoolOptions } from '../node/pools/pool-options.ts';
import type { Config, NodeRules } from './config.ts';
import { toHealth, withoutUndefined } from './members.ts';
import { limitKeys } from './schema/limit-settings.ts';
import type { ConfigFile } from './schema/schema.ts';
import { toGateway } from './site-settings.ts';

/** The configuration of a file whose relative paths start in `directory`. */
export function toConfig(file: ConfigFile, directory: string): Config {
  const { listen, kernel, log, limits = {} } = file;
  const { root, next, 'digest-cache': digestCache, 'register-from': registerFrom } = file;
  const node: NodeRules = {
    ...(listen === undefined ? {} : { listen }),
    ...(root === undefined ? {} : { root: path.resolve(directory, root) }),
    ...(next === undefined ? {} : { next }),
    ...(digestCache === undefined ? {} : { digestCache: path.resolve(directory, digestCache) }),
    ...(registerFrom === undefined ? {} : { registerFrom }),
    ...(kernel === undefined ? {} : { kernel }),
    ...(file.policy === undefined ? {} : { server: toServer(file.policy) }),
    uploads: toUploads(file.uploads),
    ...(file.balance === undefined ? {} : { balance: file.balance }),
    ...(file.registry === undefined ? {} : { registry: file.registry }),
    limitRate: file['limit-rate'],
    limitRateTotal: file['limit-rate-total'],
    ...toSecurity(file.security, directory),
    pools: Object.entries(file.pools ?? {}).map(([name, pool]) => toPool(name, pool)),
    limits: toLimits(limits),
  };
  const gateway = toGateway(file.gateway, file.sites, directory);
  const admin = toAdmin(file.admin, directory);
  return {
    node,
    ...(gateway ? { gateway } : {}),
    ...(admin ? { admin } : {}),
    log: { level: log?.level ?? 'info', format: log?.format ?? 'text' },
  };
}

type In<Key extends keyof ConfigFile> = NonNullable<ConfigFile[Key]>;

function toUploads(uploads: ConfigFile['uploads']): NodeRules['uploads'] {
  if (uploads === undefined || uploads === false) return undefined;
  return uploads === true ? {} : { force: uploads.force, maxBytes: uploads['max-size'] };
}

function toSecurity(
  security: ConfigFile['security'],
  directory: string,
): Pick<NodeRules, 'authorizedKeys' | 'requireKey' | 'identityFile'> {
  const { identity, 'authorized-keys': keys, 'require-key': requireKey } = security ?? {};
  return {
    ...(identity === undefined ? {} : { identityFile: path.resolve(directory, identity) }),
    authorizedKeys: keys === undefined ? undefined : path.resolve(directory, keys),
    requireKey,
  };
}

function toAdmin(admin: ConfigFile['admin'], directory: string): Config['admin'] {
  if (!admin) return undefined;
  const { listen, 'token-file': tokenFile } = admin;
  return { listen, ...(tokenFile === undefined ? {} : { tokenFile: path.resolve(directory, tokenFile) }) };
}

function toServer({ id, name, register, advertise }: In<'policy'>): NonNullable<NodeRules['server']> {
  return { policy: id, id: name, register, ...(advertise === undefined ? {} : { advertise }) };
}

function toPool(name: string, pool: In<'pools'>[string]): PoolOptions {
  const { members = [], dns = [], algorithm, check, 'hash-by': hashBy, health } = pool;
  return {
    name,
    members: members.map((member) => {
      if (!('address' in member)) return member;
      const { address, weight, priority } = member;
      return {
        ...address,
        ...(weight === undefined ? {} : { weight }),
        ...(priority === undefined ? {} : { priority }),
      };
    }),
    dns,
    ...withoutUndefined({ algorithm, check, hashBy }),
    ...(health === undefined ? {} : { health: toHealth(health) }),
  };
}

/** The limits that are given, by their names in the program. */
export function toLimits(limits: In<'limits'>): Partial<Limits> {
  const names = Object.keys(defaultLimits) as (keyof Limits)[];
  const given = names.map((name) => {
    const [plain, withUnit] = limitKeys(name);
    return [name, limits[withUnit] ?? limits[plain]];
  });
  return withoutUndefined(Object.fromEntries(given) as Partial<Record<keyof Limits, number | undefined>>);
}
