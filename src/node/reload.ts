/**
 * The contexts of a node, one after the other: each reload makes a new one for the connections that come from then on.
 *
 * A circuit keeps the context that it began with, to its end. What must not be forgotten in between lasts: traces,
 * counts, digests, claims of uploads, pools that stay as they are.
 * Invariant: options that are not accepted change nothing.
 */

import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../core/clock.ts';
import type { Limits } from '../core/limits.ts';
import type { Logger } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import { Tasks } from '../core/work/tasks.ts';
import { availableDigests } from '../io/digests/digest.ts';
import { hold } from '../io/disk/held.ts';
import { createQuickHold } from '../io/disk/reading/quick-hold.ts';
import type { OpenCached } from '../io/kernel/disk/open-cached.ts';
import type { KernelEngine } from '../io/kernel/engine.ts';
import { loadDiskCalls, type SetUserTimeout } from '../io/kernel/libc.ts';
import type { JoinOptions } from '../io/legs/join.ts';
import type { Places } from '../io/listening/places.ts';
import { shareLookups } from '../io/names/lookups.ts';
import { asLookup, type Resolver } from '../io/names/resolve.ts';
import type { SharedRegistry } from '../pool/registry/leases.ts';
import type { Address } from '../wire/address.ts';
import { createNextAccess, createRegisterAccess, tellBroadRules } from './access/access-rules.ts';
import type { Authority } from './authority/authority.ts';
import type { NodeContext, NodeSecurity } from './context.ts';
import { NameRoom } from './listings/name-room.ts';
import { checkReload, type NodeOptions, readSettings, type Settings } from './options.ts';
import type { DigestCache } from './origin/digest-cache.ts';
import { createProbeBudget } from './origin/probe-answer.ts';
import { Policies } from './packets/front.ts';
import { keepRegistered, type PolicyServer, type RegisterOptions } from './packets/policy-server.ts';
import { Pools } from './pools/pools.ts';
import { createProbes } from './pools/probes.ts';
import { createTokenCheck } from './pools/register-token.ts';
import { enterServer, openRegistry } from './pools/registry.ts';
import { NodeRates } from './rates.ts';
import type { Traffic } from './traffic/traffic.ts';
import { Uploads } from './uploads/claims.ts';
import { Leftovers } from './uploads/leftovers.ts';

/** What is as old as the node. */
export interface Lasting {
  readonly address: { readonly host: string; readonly port: number };
  readonly clock: Clock;
  readonly wallClock: () => number;
  readonly startedMs: number;
  readonly resolve: Resolver;
  readonly metrics: Metrics;
  readonly traffic: Traffic;
  readonly connections: Places;
  readonly digestCache: DigestCache;
  readonly security: NodeSecurity | undefined;
  readonly authority: Authority | undefined;
  readonly kernel: KernelEngine | undefined;
  readonly openCached: OpenCached | undefined;
  readonly setUserTimeout: SetUserTimeout | undefined;
  readonly isSelf: (address: string, port: number) => boolean;
  readonly stopping: AbortSignal;
}

export class Contexts {
  readonly #lasting: Lasting;
  readonly #policies: Policies;
  readonly #pools: Pools;
  readonly #registry: SharedRegistry | undefined;
  readonly #leftovers: Leftovers;
  #settings: Settings;
  #current: NodeContext;
  #registering: Registering | undefined;
  readonly #ending = new Tasks();

  constructor(settings: Settings, lasting: Lasting) {
    this.#settings = settings;
    this.#lasting = lasting;
    this.#lasting = { ...lasting, resolve: shareLookups(lasting.resolve, this.#live()) };
    const { registry: url } = settings.options;
    this.#registry = url === undefined ? undefined : openRegistry(url, this.#live());
    const live = this.#live();
    this.#policies = new Policies(live);
    const probes = createProbes(live);
    this.#pools = new Pools(live, probes);
    const isClaimed = (file: string) => this.#current.uploads.isClaimed(file);
    this.#leftovers = new Leftovers(live, { lock: loadDiskCalls().lock, isClaimed });
    this.#current = this.#create(settings);
    this.#putInEffect();
  }

  /** Settles once it is known what the registry holds, or that it cannot be: the first messages would find no servers. */
  get ready(): Promise<void> {
    return this.#registry?.started ?? Promise.resolve();
  }

  /** For a connection that is accepted now. */
  get current(): NodeContext {
    return this.#current;
  }

  /** Throws as `readSettings` and `checkReload`, and the reason of a node that is stopping. */
  async reload(options: NodeOptions): Promise<void> {
    const settings = await readSettings(options);
    this.#lasting.stopping.throwIfAborted();
    checkReload(this.#settings, settings);
    this.#current = this.#create(settings, this.#current);
    this.#settings = settings;
    this.#putInEffect();
    await this.#lasting.authority?.reread();
  }

  /** Settles when no pool, and no registration with a front, is left; the node must be stopping. */
  async close(): Promise<void> {
    const { done } = this.#registering ?? {};
    const owned = [this.#pools.close(), this.#policies.close(), this.#registry?.close(), this.#leftovers.close()];
    await Promise.all([done, this.#ending.over(), ...owned]);
  }

  /** What outlives a context asks for the options of the moment. */
  #live() {
    const settings = () => this.#settings;
    const { clock, resolve, isSelf, setUserTimeout, security } = this.#lasting;
    return {
      get limits() {
        return settings().limits;
      },
      get log() {
        return settings().log;
      },
      get algorithm() {
        return settings().options.balance;
      },
      get takesServers() {
        return settings().registerFrom !== undefined;
      },
      get token() {
        return settings().options.registerToken;
      },
      mayRegister: (address: string, token: string | undefined) => this.#current.mayRegister(address, token),
      next: {
        mayLookUp: (hop: Address) => this.#current.next.mayLookUp(hop),
        mayDial: (hop: Address, address: string) => this.#current.next.mayDial(hop, address),
      },
      registry: this.#registry,
      security,
      clock,
      resolve,
      lookup: asLookup(resolve),
      isSelf,
      setUserTimeout,
    };
  }

  #create({ options, limits, log, root, nextRules, registerFrom }: Settings, earlier?: NodeContext): NodeContext {
    const { address, clock, kernel, openCached, ...lasting } = this.#lasting;
    const { limitRate, limitRateTotal } = this.#settings.options;
    const hasRates = limitRate === options.limitRate && limitRateTotal === options.limitRateTotal;
    return {
      ...lasting,
      clock,
      root,
      hold: (root === undefined ? undefined : openCached && createQuickHold(root, openCached)) ?? hold,
      limits,
      log,
      next: createNextAccess(nextRules, address.host),
      mayRegister: registerFrom
        ? createRegisterAccess(registerFrom, address.host, createTokenCheck(options.registerToken))
        : () => false,
      digests: earlier?.digests ?? availableDigests(),
      uploads: new Uploads(options.uploads, limits, clock, earlier?.uploads),
      join: joinOptions(kernel, limits, clock, log),
      rates: (hasRates ? earlier?.rates : undefined) ?? new NodeRates(options, clock),
      names: earlier?.names ?? new NameRoom(),
      probes: earlier?.probes ?? createProbeBudget(() => this.#settings.limits),
      traces: earlier?.traces ?? new Set(),
      leftovers: this.#leftovers,
      pools: this.#pools,
      policies: this.#policies,
      http: options.http,
      server: options.server && { ...options.server, id: options.server.id ?? String(address.port) },
    };
  }

  #putInEffect(): void {
    tellBroadRules(this.#settings.nextRules, this.#lasting.address.host, this.#settings.log);
    this.#pools.configure(this.#settings.options.pools ?? []);
    const { uploads, root } = this.#current;
    if (uploads.rules && root !== undefined) void this.#leftovers.find(root);
    const { server } = this.#current;
    if (isDeepStrictEqual(server, this.#registering?.server)) return;
    if (this.#registering) this.#ending.add(this.#registering.end());
    const { address, stopping } = this.#lasting;
    this.#registering = server && startRegistering(server, address, this.#live(), stopping);
  }
}

type IdentifiedServer = PolicyServer & { readonly id: string };

interface Registering {
  readonly server: IdentifiedServer;
  readonly done: Promise<void>;
  end(): Promise<void>;
}

function startRegistering(
  server: IdentifiedServer,
  address: Lasting['address'],
  options: RegisterOptions & { readonly registry: SharedRegistry | undefined },
  stopping: AbortSignal,
): Registering {
  const stop = new AbortController();
  const signal = AbortSignal.any([stopping, stop.signal]);
  const { registry } = options;
  const leave = registry ? enterServer(registry, server, address) : () => {};
  stopping.addEventListener('abort', leave, { once: true });
  const done = keepRegistered(server, address.port, options, signal);
  return {
    server,
    done,
    end: () => {
      stopping.removeEventListener('abort', leave);
      leave();
      stop.abort();
      return done;
    },
  };
}

function joinOptions(kernel: KernelEngine | undefined, limits: Limits, clock: Clock, log: Logger): JoinOptions {
  let isTold = false;
  const onFallback = (reason: string) => {
    if (!isTold) log.info({ reason }, 'a circuit passes through this process, not inside the kernel');
    isTold = true;
  };
  return { kernel, idleMs: limits.idleMs, clock, onFallback };
}
