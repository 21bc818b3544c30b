/**
 * Members that a name server knows: the addresses of a name, or the records of a service.
 *
 * Looks up again when the shortest time to live is over. Node does not tell that of SRV records, so those of the
 * targets' addresses count for them.
 * Invariant: a lookup that fails changes nothing; the members known before stay.
 * Documentation: docs/pools.md#members
 */

import { Resolver } from 'node:dns/promises';
import { type Clock, pause, untilAborted } from '../core/clock.ts';
import { systemCode } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { type Port, parsePort } from '../wire/address.ts';
import type { Member, MemberSource } from './member.ts';

interface ResolvedAddress {
  readonly address: string;
  /** Seconds. */
  readonly ttl: number;
}

interface ServiceRecord {
  readonly name: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

/** Asks name servers. Both reject when there is no answer. */
export interface NameServers {
  addresses(host: string): Promise<readonly ResolvedAddress[]>;
  services(service: string): Promise<readonly ServiceRecord[]>;
}

/** A name whose addresses listen on `port`, or the name of a service, such as `_hopline._tcp.example.org`. */
export type Query = { readonly host: string; readonly port: Port } | { readonly service: string };

export interface ResolvedOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly servers: NameServers;
}

const minTtlMs = 1000;
const maxTtlMs = 3_600_000;
const maxServiceTtlMs = 60_000;
const retryMs = 5000;

export function resolvedMembers(query: Query, { clock, log, servers }: ResolvedOptions): MemberSource {
  const lookUp = () => ('service' in query ? findService(query.service, servers) : findHost(query, servers));
  return {
    watch: async (report, signal) => {
      let known = '';
      while (!signal.aborted) {
        let waitMs = retryMs;
        try {
          const { members, ttlMs } = await untilAborted(lookUp(), signal);
          waitMs = Math.max(minTtlMs, ttlMs);
          const found = JSON.stringify(members);
          if (found !== known) report(members);
          known = found;
        } catch (error) {
          if (signal.aborted) return;
          log.warn({ ...query, reason: systemCode(error) }, 'members could not be looked up; the last known stay');
        }
        await pause(clock, waitMs, signal);
      }
    },
  };
}

/** Name servers as the system has them configured, or the given ones (`ADDRESS:PORT`). */
export function systemNameServers(given?: readonly string[]): NameServers {
  const resolver = new Resolver();
  if (given) resolver.setServers(given);
  return {
    addresses: async (host) => {
      const families = [resolver.resolve4(host, { ttl: true }), resolver.resolve6(host, { ttl: true })];
      const answers = await Promise.allSettled(families);
      const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
      const [first] = answers;
      if (found.length === 0 && first?.status === 'rejected') throw first.reason;
      return found;
    },
    services: async (service) => {
      const records = await resolver.resolveSrv(service);
      return records.map(({ name, port, priority, weight }) => ({ name, port, priority, weight }));
    },
  };
}

interface Found {
  readonly members: readonly Member[];
  readonly ttlMs: number;
}

async function findHost({ host, port }: { host: string; port: Port }, servers: NameServers): Promise<Found> {
  const addresses = await servers.addresses(host);
  return {
    members: sorted(addresses.map(({ address }) => ({ hop: { host: address, port }, weight: 1, priority: 0 }))),
    ttlMs: shortest(addresses, maxTtlMs),
  };
}

async function findService(service: string, servers: NameServers): Promise<Found> {
  const records = await servers.services(service);
  const targets = await Promise.all(records.map(({ name }) => servers.addresses(name)));
  const members = records.flatMap((record, index): Member[] => {
    const port = parsePort(String(record.port));
    if (port === undefined) return [];
    // A weight of 0 means seldom, and there is no less than 1.
    const { priority, weight } = { priority: record.priority, weight: Math.max(1, record.weight) };
    return (targets[index] ?? []).map(({ address }) => ({ hop: { host: address, port }, weight, priority }));
  });
  return { members: sorted(members), ttlMs: shortest(targets.flat(), maxServiceTtlMs) };
}

/** Name servers shuffle their answers, which must not look like a change. */
function sorted(members: readonly Member[]): Member[] {
  const key = ({ hop }: Member) => `${hop.host} ${hop.port}`;
  return [...members].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

function shortest(addresses: readonly ResolvedAddress[], mostMs: number): number {
  return Math.min(mostMs, ...addresses.map(({ ttl }) => ttl * 1000));
}
