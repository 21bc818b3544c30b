/**
 * Members that a name server knows: the addresses of a name, or the records of a service.
 *
 * Looks up again when the shortest time to live is over. Node does not tell that of SRV records, so those of the
 * targets' addresses count for them.
 * Invariant: a lookup that fails leaves the members that it had found before as they were, and no others: each name is asked for
 * its A and its AAAA records alone.
 * Documentation: docs/pools.md#members
 */

import { Resolver } from 'node:dns/promises';
import { type Clock, pause, untilAborted } from '../../core/clock.ts';
import type { Logger } from '../../core/log.ts';
import { systemCode } from '../../core/system-errors.ts';
import { type Port, parsePort } from '../../wire/address.ts';
import { describeChanges } from '../changes.ts';
import { type Member, type MemberSource, nameMember } from '../member.ts';

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

type Family = 4 | 6;

/** Asks name servers. Both reject when there is no answer, or no record in it. */
export interface NameServers {
  addresses(host: string, family: Family): Promise<readonly ResolvedAddress[]>;
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
const families = [
  { family: 4, type: 'A' },
  { family: 6, type: 'AAAA' },
] as const;
/** Answers, to the effect that there is none of this family. */
const noRecord: ReadonlySet<string> = new Set(['ENODATA', 'ENOTFOUND']);

export function resolvedMembers(query: Query, options: ResolvedOptions): MemberSource {
  return {
    watch: async (report, signal) => {
      const watched = new Watched(query, options, report);
      while (!signal.aborted) {
        const waitMs = await watched.lookUp(signal);
        await pause(options.clock, waitMs, signal);
      }
    },
  };
}

/** Name servers as the system has them configured, or the given ones (`ADDRESS:PORT`). */
export function systemNameServers(given?: readonly string[]): NameServers {
  const resolver = new Resolver();
  if (given) resolver.setServers(given);
  return {
    addresses: (host, family) =>
      family === 4 ? resolver.resolve4(host, { ttl: true }) : resolver.resolve6(host, { ttl: true }),
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

/** What one watch has found and told so far. */
class Watched {
  readonly #query: Query;
  readonly #options: ResolvedOptions;
  readonly #report: (members: readonly Member[]) => void;
  readonly #names: KnownNames;
  #members: readonly Member[] | undefined;
  /** Why the last lookup failed, in whole or in part. */
  #failed = '';

  constructor(query: Query, options: ResolvedOptions, report: (members: readonly Member[]) => void) {
    this.#query = query;
    this.#options = options;
    this.#report = report;
    this.#names = new KnownNames(options.servers);
  }

  /** Looks up once, and says how many milliseconds that is good for. */
  async lookUp(signal: AbortSignal): Promise<number> {
    try {
      const found = await untilAborted(find(this.#query, this.#names, this.#options.servers), signal);
      const { failures } = this.#names;
      // Nothing is known of the members of a name that could not be looked up yet.
      if (found.members.length > 0 || failures.length === 0) this.#take(found.members);
      this.#tell(failures.join(', '));
      return Math.max(minTtlMs, failures.length > 0 ? Math.min(retryMs, found.ttlMs) : found.ttlMs);
    } catch (error) {
      if (!signal.aborted) this.#tell(systemCode(error) ?? 'no answer');
      return retryMs;
    }
  }

  #take(members: readonly Member[]): void {
    const before = this.#members;
    if (JSON.stringify(members) === JSON.stringify(before)) return;
    this.#members = members;
    const changes = describeChanges(namesOf(before), namesOf(members));
    if (changes) this.#options.log.info({ ...this.#query, ...changes }, 'members by DNS have changed');
    this.#report(members);
  }

  #tell(failed: string): void {
    const { log } = this.#options;
    if (failed === this.#failed) return;
    this.#failed = failed;
    if (failed === '') log.info({ ...this.#query }, 'all members can be looked up again');
    else {
      const fields = { ...this.#query, reason: failed };
      log.warn(fields, 'members could not be looked up; what was known of these stays');
    }
  }
}

function namesOf(members: readonly Member[] = []): string[] {
  return members.map(({ hop }) => nameMember(hop));
}

function find(query: Query, names: KnownNames, servers: NameServers): Promise<Found> {
  return 'service' in query ? findService(query.service, names, servers) : findHost(query, names);
}

async function findHost({ host, port }: { host: string; port: Port }, names: KnownNames): Promise<Found> {
  const [addresses = []] = await names.lookUp([host]);
  return {
    members: sorted(addresses.map(({ address }) => ({ hop: { host: address, port }, weight: 1, priority: 0 }))),
    ttlMs: shortest(addresses, maxTtlMs),
  };
}

async function findService(service: string, names: KnownNames, servers: NameServers): Promise<Found> {
  const records = await servers.services(service);
  const targets = await names.lookUp(records.map(({ name }) => name));
  const members = records.flatMap((record, index): Member[] => {
    const port = parsePort(String(record.port));
    if (port === undefined) return [];
    // A weight of 0 means seldom, and there is no less than 1.
    const { priority, weight } = { priority: record.priority, weight: Math.max(1, record.weight) };
    return (targets[index] ?? []).map(({ address }) => ({ hop: { host: address, port }, weight, priority }));
  });
  return { members: sorted(members), ttlMs: shortest(targets.flat(), maxServiceTtlMs) };
}

/** What was found last for each name and family, for when it cannot be looked up. */
class KnownNames {
  readonly #servers: NameServers;
  #known = new Map<string, readonly ResolvedAddress[]>();
  /** Of the last lookup: names, and why they have no answer. */
  failures: readonly string[] = [];

  constructor(servers: NameServers) {
    this.#servers = servers;
  }

  /** The addresses of each name. Never throws. Names that are not asked for are forgotten. */
  async lookUp(hosts: readonly string[]): Promise<readonly (readonly ResolvedAddress[])[]> {
    const known = new Map<string, readonly ResolvedAddress[]>();
    const failures = new Set<string>();
    const lookUpOne = async (host: string) => {
      const answers = await Promise.allSettled(families.map(({ family }) => this.#servers.addresses(host, family)));
      const hasAddress = answers.some((answer) => answer.status === 'fulfilled' && answer.value.length > 0);
      return answers.flatMap((answer, index) => {
        const part = `${host} ${families[index]?.type}`;
        const failure = failureOf(answer, hasAddress);
        if (failure !== undefined) failures.add(`${part}: ${failure}`);
        const fresh = answer.status === 'fulfilled' ? answer.value : [];
        const addresses = failure === undefined ? fresh : (this.#known.get(part) ?? []);
        known.set(part, addresses);
        return addresses;
      });
    };
    const found = await Promise.all(hosts.map(lookUpOne));
    this.#known = known;
    this.failures = [...failures];
    return found;
  }
}

/** Why one family of a name is not known; undefined if it is. */
function failureOf(answer: PromiseSettledResult<readonly ResolvedAddress[]>, hasAddress: boolean): string | undefined {
  // Most names have no AAAA. But a name without any address is more often a mistake than meant.
  if (answer.status === 'fulfilled') return hasAddress ? undefined : 'no address';
  const reason = systemCode(answer.reason) ?? 'no answer';
  return hasAddress && noRecord.has(reason) ? undefined : reason;
}

/** Name servers shuffle their answers, which must not look like a change. */
function sorted(members: readonly Member[]): Member[] {
  const key = ({ hop }: Member) => `${hop.host} ${hop.port}`;
  return [...members].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

function shortest(addresses: readonly ResolvedAddress[], mostMs: number): number {
  return Math.min(mostMs, ...addresses.map(({ ttl }) => ttl * 1000));
}
