/**
 * The named pools of a node: those that are configured, and those that come to be when a server registers, here or at
 * another node.
 *
 * Owns who may register. Does not know how many may and for how long, or what is sent to members; how members are
 * checked is a function for each way of checking, which is passed in.
 * Invariant: once `close()` has settled, nothing of any pool is left.
 * Documentation: docs/pools.md
 */

import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../core/clock.ts';
import { HoplineError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import type { Logger } from '../../core/log.ts';
import { Tasks } from '../../core/work/tasks.ts';
import { Turns } from '../../core/work/turns.ts';
import type { Algorithm } from '../../pool/balance.ts';
import { nameMember } from '../../pool/member.ts';
import type { Probe } from '../../pool/member-checks.ts';
import { type PoolReport, reportPool } from '../../pool/member-report.ts';
import { Pool } from '../../pool/pool.ts';
import type { SharedRegistry } from '../../pool/registry/leases.ts';
import { ListedMembers } from '../../pool/sources/listed.ts';
import { RegisteredMembers } from '../../pool/sources/registered.ts';
import { systemNameServers } from '../../pool/sources/resolved.ts';
import { memberSources, toMembers } from '../../pool/sources/sources.ts';
import type { Address } from '../../wire/address.ts';
import type { RegisterAccess } from '../access/access-rules.ts';
import type { Grant } from '../authority/grant.ts';
import { defaultHealth, type PoolCheck, type PoolOptions, unconfigured } from './pool-options.ts';
import { type Registration, Registrations } from './registrations.ts';

/** All are asked for whenever they are needed: they may change. */
export interface PoolsOptions {
  readonly mayRegister: RegisterAccess;
  /** Whether servers may register at all: workers without a registry would each know others. */
  readonly takesServers: boolean;
  /** For pools that name none. */
  readonly algorithm: Algorithm | undefined;
  /** Whether dialling this address and port would reach the node itself. */
  readonly isSelf: (address: string, port: number) => boolean;
  /** Where other nodes find the servers that register here, and this one theirs. */
  readonly registry: SharedRegistry | undefined;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A server that asks to be a member. */
export interface Applicant {
  readonly id: string | undefined;
  /** What other nodes are to know of it. */
  readonly form: string;
  readonly token: string | undefined;
  /** What its key allows, by which alone it is judged then. */
  readonly grant?: Grant | undefined;
}

export interface NamedPool {
  readonly pool: Pool;
  readonly hashBy: 'file' | 'client';
  readonly registered: RegisteredMembers;
}

interface OwnPool extends NamedPool {
  /** What the pool was made of. */
  readonly options: PoolOptions;
  readonly maxMembers: number;
  readonly maxTries: number;
  readonly listed: ListedMembers;
}

/** Checks of servers that never answered, at once: enough to find one that is there soon. */
const checksOfUnproven = 8;

export class Pools {
  readonly #options: PoolsOptions;
  readonly #probes: Readonly<Record<PoolCheck, Probe>>;
  readonly #pools = new Map<string, OwnPool>();
  /** Pools that have been given up, until nothing of them is left. */
  readonly #closing = new Tasks();
  #configured: ReadonlySet<string> = new Set();
  readonly #registrations: Registrations;
  /** Of all pools: whoever registers chooses how many there are. */
  readonly #turns = new Turns(checksOfUnproven);

  constructor(options: PoolsOptions, probes: Readonly<Record<PoolCheck, Probe>>) {
    this.#options = options;
    this.#probes = probes;
    this.#registrations = new Registrations(options, (registration, why) => this.#forgotten(registration, why));
  }

  /**
   * Makes these the pools that are configured, in place of those before. One whose definition has not changed, but for
   * its members, goes on; registered members stay in any case.
   */
  configure(configured: readonly PoolOptions[]): void {
    const names = new Set(configured.map(({ name }) => name));
    this.#configured = names;
    for (const [name, { registered }] of [...this.#pools]) {
      if (names.has(name)) continue;
      if (registered.size > 0 || this.#options.registry?.has(name)) this.#set(unconfigured(name));
      else this.#retire(name);
    }
    for (const options of configured) this.#set(options);
  }

  /** A pool that only the registry knows comes to be when it is asked for. */
  find(name: string): NamedPool | undefined {
    const known = this.#pools.get(name);
    const { registry, limits } = this.#options;
    if (known || !registry?.has(name) || this.#pools.size >= limits.maxPools) return known;
    return this.#set(unconfigured(name));
  }

  /**
   * Takes a server that asks to be a member of a pool, and says what it is called there.
   * Throws `REGISTER_DENIED`, `LIMIT_MEMBERS`, and by its key `AUTH_REQUIRED`, `AUTH_DENIED`.
   */
  register(name: string, server: Address, applicant: Applicant): string {
    try {
      return this.#register(name, server, applicant);
    } catch (error) {
      applicant.grant?.leave();
      throw error;
    }
  }

  async close(): Promise<void> {
    for (const name of [...this.#pools.keys()]) this.#retire(name);
    await this.#closing.over();
  }

  #register(name: string, server: Address, { id, form, token, grant }: Applicant): string {
    const { isSelf, mayRegister, takesServers, log } = this.#options;
    if (!takesServers) throw denied('workers take servers only where they share them by a registry');
    grant?.checkRegister(name);
    if (!grant && !mayRegister(server.host, token)) {
      throw denied(`neither a --register-from rule nor a token lets ${server.host} register`);
    }
    if (isSelf(server.host, server.port)) throw denied('a node does not register with itself');
    const member = nameMember(server);
    this.#makeRoom(name, member);
    const entered = { hop: server, weight: 1, priority: 0 };
    this.#registrations.enter({ pool: name, name: member, member: entered, form, grant });
    const { pool, registered } = this.#pools.get(name) ?? this.#set(unconfigured(name));
    const isNew = registered.add(entered);
    if (isNew) log.info({ pool: name, member, id }, 'server registered');
    else pool.recheck(member);
    if (pool.isProven(member)) this.#prove(name, member);
    return member;
  }

  report(): readonly PoolReport[] {
    return [...this.#pools].map(([name, { pool, options }]) => {
      const named = new Set((options.members ?? []).map((member) => nameMember(member)));
      return reportPool(name, pool.members(), this.#configured.has(name) ? named : undefined);
    });
  }

  /** So that a server can be a member of a pool. Throws `REGISTER_DENIED`. */
  #makeRoom(name: string, member: string): void {
    const { maxPools, maxPoolMembers } = this.#options.limits;
    const known = this.#pools.get(name);
    if (known?.pool.has(member)) return;
    if (known && known.registered.size >= maxPoolMembers) {
      const isRoom = this.#registrations.makeRoom(({ pool }) => pool === name);
      if (!isRoom) throw denied(`the pool has its ${maxPoolMembers} members already`);
    } else if (!known && this.#pools.size >= maxPools) {
      const isAlone = (pool: string) => !this.#configured.has(pool) && this.#pools.get(pool)?.registered.size === 1;
      const isRoom = this.#registrations.makeRoom(({ pool }) => isAlone(pool));
      if (!isRoom || this.#pools.size >= maxPools) throw denied(`the node has its ${maxPools} pools already`);
    }
  }

  /** A server has been shown to be there: from now on others are told of it. */
  #prove(name: string, server: string): void {
    this.#registrations.prove(name, server);
    const registration = this.#registrations.find(name, server);
    if (!registration) return;
    const isUp = () => this.#pools.get(name)?.pool.isUp(server) ?? false;
    this.#options.registry?.register({ pool: name, member: registration.member, note: registration.form }, isUp);
  }

  #forgotten({ pool: name, name: member }: Registration, why?: HoplineError): void {
    const { registry, log } = this.#options;
    const known = this.#pools.get(name);
    known?.registered.remove(member);
    registry?.leave(name, member);
    const reason = why === undefined ? '' : `: ${why.message}`;
    log.info({ pool: name, member, code: why?.code }, `server forgotten${reason}`);
    const isNeeded = this.#configured.has(name) || registry?.has(name) || known?.registered.size !== 0;
    if (!isNeeded) this.#retire(name);
  }

  #set({ algorithm = this.#options.algorithm, ...given }: PoolOptions): NamedPool {
    const options = { ...given, algorithm };
    const { name, hashBy = 'file' } = options;
    const { maxPoolMembers: maxMembers, maxPoolTries: maxTries } = this.#options.limits;
    const known = this.#pools.get(name);
    const listed = known?.listed ?? new ListedMembers();
    const registered = known?.registered ?? new RegisteredMembers({ isHearsay: true });
    listed.set(toMembers(options.members ?? []));
    const isSame = isDeepStrictEqual({ ...known?.options, members: 0 }, { ...options, members: 0 });
    if (known && isSame && known.maxMembers === maxMembers && known.maxTries === maxTries) return known;
    this.#retire(name);
    const pool = this.#createPool(options, listed, registered);
    const named = { pool, hashBy, registered, options, maxMembers, maxTries, listed };
    this.#pools.set(name, named);
    return named;
  }

  /** Forgets a pool; what is under way there goes on. */
  #retire(name: string): void {
    const known = this.#pools.get(name);
    if (!known) return;
    this.#closing.add(known.pool.close());
    this.#pools.delete(name);
  }

  #createPool(options: PoolOptions, listed: ListedMembers, registered: RegisteredMembers): Pool {
    const { name, algorithm, health, check = 'node' } = options;
    const { registry, limits, clock, log } = this.#options;
    const configured = memberSources(options, { clock, log, servers: systemNameServers() }, listed);
    return new Pool({
      name,
      sources: [...configured, registered, ...(registry ? [registry.source(name)] : [])],
      algorithm,
      health: { ...defaultHealth(check), ...health },
      probe: this.#probes[check],
      probation: { turns: this.#turns, onProven: (member) => this.#prove(name, member) },
      onDown: (member, downMs) => this.#registrations.fail(name, member, downMs),
      maxMembers: limits.maxPoolMembers,
      maxTries: limits.maxPoolTries,
      clock,
      log,
    });
  }
}

function denied(why: string): HoplineError {
  return new HoplineError('REGISTER_DENIED', why);
}
