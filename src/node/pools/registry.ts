/**
 * The registry that a node shares with others, and the node's own entry there if it serves a policy.
 *
 * A server that listens on all addresses cannot know which of them others reach, so it must be told.
 * Documentation: docs/pools.md#a-shared-registry
 */

import { HoplineError } from '../../core/errors.ts';
import { nameMember } from '../../pool/member.ts';
import { SharedRegistry, type SharedRegistryOptions } from '../../pool/registry/leases.ts';
import { nameStore, type RedisOptions, redisStore } from '../../pool/registry/redis-store.ts';
import { type Address, parsePort } from '../../wire/address.ts';
import type { PolicyServer } from '../packets/policy-server.ts';

interface Listening {
  readonly host: string;
  readonly port: number;
}

interface RegistryRules {
  readonly registry?: string | undefined;
  readonly listen: Listening;
  readonly server?: PolicyServer | undefined;
}

/** Throws `USAGE_INVALID` for a URL that is none, and for a server that nobody could find. */
export function checkRegistry({ registry, listen, server }: RegistryRules): void {
  if (registry === undefined) return;
  nameStore(registry);
  if (server && !server.advertise && (listen.host === '0.0.0.0' || listen.host === '::')) {
    throw new HoplineError(
      'USAGE_INVALID',
      `--registry: nobody can dial ${listen.host}; say with --advertise HOST:PORT where others reach this server`,
    );
  }
}

export function openRegistry(url: string, options: SharedRegistryOptions & RedisOptions): SharedRegistry {
  return new SharedRegistry(redisStore(url, options), options);
}

/** Enters a server itself. The function returned gives its lease up. */
export function enterServer(registry: SharedRegistry, server: PolicyServer, address: Listening): () => void {
  const hop = server.advertise ?? asAddress(address);
  if (!hop) return () => {};
  registry.register({ pool: server.policy, member: { hop, weight: 1, priority: 0 }, note: 'string' });
  return () => registry.leave(server.policy, nameMember(hop));
}

function asAddress({ host, port: number }: Listening): Address | undefined {
  const port = parsePort(String(number));
  return port === undefined ? undefined : { host, port };
}
