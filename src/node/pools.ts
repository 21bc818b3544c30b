/**
 * The named pools of a node: those that are configured, and those that come to be when a server registers.
 *
 * Owns who may register, and until when a server that is down is waited for. How
 * members are checked is a function for each way of checking, which is passed in;
 * what is sent to them is the affair of relay.ts and policies.ts.
 * Invariant: once `close()` has settled, nothing of any pool is left.
 * Documentation: docs/pools.md
 */

import type { Clock } from '../core/clock.ts';
import { HoplineError } from '../core/errors.ts';
import type { Limits } from '../core/limits.ts';
import type { Logger } from '../core/log.ts';
import type { Algorithm } from '../pool/balance.ts';
import type { Probe } from '../pool/checks.ts';
import type { HealthRule } from '../pool/health.ts';
import { nameMember } from '../pool/member.ts';
import { Pool } from '../pool/pool.ts';
import { RegisteredMembers } from '../pool/registered.ts';
import { systemNameServers } from '../pool/resolved.ts';
import { memberSources, type PoolMembers } from '../pool/sources.ts';
import type { Address } from '../wire/address.ts';

/** `node`: a PING must be answered; `packet`: takes a probe of the packet dialect; `connect`: can be connected to. */
export type PoolCheck = 'node' | 'packet' | 'connect';

export interface PoolOptions extends PoolMembers {
  /** @default 'round-robin' */
  readonly algorithm?: Algorithm | undefined;
  /** What consistent hashing goes by in routes: the name of the file, or the address that asks. @default 'file' */
  readonly hashBy?: 'file' | 'client' | undefined;
  readonly health?: Partial<HealthRule> | undefined;
  /** What members must pass. @default 'node' */
  readonly check?: PoolCheck | undefined;
}

export interface PoolsOptions {
  readonly configured: readonly PoolOptions[];
  readonly probes: Readonly<Record<PoolCheck, Probe>>;
  readonly mayRegister: (address: string) => boolean;
  /** Whether dialling this address and port would reach the node itself. */
  readonly isSelf: (address: string, port: number) => boolean;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface NamedPool {
  readonly pool: Pool;
  readonly hashBy: 'file' | 'client';
  readonly registered: RegisteredMembers;
}

/** Throws `USAGE_INVALID` for two pools of one name. */
export function checkPools(configured: readonly PoolOptions[]): void {
  const names = new Set<string>();
  for (const { name } of configured) {
    if (names.has(name))
      throw new HoplineError('USAGE_INVALID', `the pool ${JSON.stringify(name)} is configured twice`);
    names.add(name);
  }
}

export class Pools {
  readonly #options: PoolsOptions;
  readonly #pools = new Map<string, NamedPool>();

  constructor(options: PoolsOptions) {
    this.#options = options;
    for (const pool of options.configured) this.#add(pool);
  }

  find(name: string): NamedPool | undefined {
    return this.#pools.get(name);
  }

  /** Takes a server that asks to be a member of a pool, and says what it is called there. Throws `REGISTER_DENIED`. */
  register(name: string, server: Address, id: string | undefined): string {
    const { isSelf, mayRegister, limits, log } = this.#options;
    if (!mayRegister(server.host)) throw denied(`no --register-from rule allows ${server.host}`);
    if (isSelf(server.host, server.port)) throw denied('a node does not register with itself');
    this.#forget();
    const { pool, registered } = this.#pools.get(name) ?? this.#create(name);
    const member = nameMember(server);
    const isKnown = pool.members().some((status) => status.name === member);
    if (!isKnown && registered.size >= limits.maxPoolMembers) {
      throw denied(`the pool has its ${limits.maxPoolMembers} members already`);
    }
    const isNew = registered.add({ hop: server, weight: 1, priority: 0 });
    if (isNew) log.info({ pool: name, member, id }, 'server registered');
    else pool.recheck(member);
    return member;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map(({ pool }) => pool.close()));
  }

  #create(name: string): NamedPool {
    const { maxPools } = this.#options.limits;
    if (this.#pools.size >= maxPools) throw denied(`the node has its ${maxPools} pools already`);
    return this.#add({ name, check: 'packet' });
  }

  #add(options: PoolOptions): NamedPool {
    const { name, algorithm, hashBy = 'file', health, check = 'node' } = options;
    const { probes, limits, clock, log } = this.#options;
    const registered = new RegisteredMembers();
    const pool = new Pool({
      name,
      sources: [...memberSources(options, { clock, log, servers: systemNameServers() }), registered],
      algorithm,
      // A server of messages has nothing to warm up, and turns are exact.
      health: check === 'packet' ? { slowStartMs: 0, ...health } : health,
      probe: probes[check],
      maxMembers: limits.maxPoolMembers,
      maxTries: limits.maxPoolTries,
      clock,
      log,
    });
    const named = { pool, hashBy, registered };
    this.#pools.set(name, named);
    return named;
  }

  /** Servers that have been down for long are not waited for any more. */
  #forget(): void {
    const { limits, log } = this.#options;
    for (const [name, { pool, registered }] of this.#pools) {
      for (const { name: member, downMs } of pool.members()) {
        if (downMs < limits.forgetMs || !registered.remove(member)) continue;
        log.info({ pool: name, member }, 'server forgotten');
      }
    }
  }
}

function denied(why: string): HoplineError {
  return new HoplineError('REGISTER_DENIED', why);
}
