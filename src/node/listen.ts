/**
 * A running node: accepts connections, caps them, and stops gracefully.
 *
 * Owns the server socket and the set of open legs. What happens on a
 * connection is session.ts's affair.
 * Invariant: once `close()` has settled, no socket or timer of the node is left.
 */

import { setMaxListeners } from 'node:events';
import { realpath } from 'node:fs/promises';
import net from 'node:net';
import { networkInterfaces } from 'node:os';
import path from 'node:path';
import { type Clock, systemClock } from '../core/clock.ts';
import { asHoplineError, HoplineError, systemCode } from '../core/errors.ts';
import { defaultLimits, type Limits } from '../core/limits.ts';
import { type Logger, silentLogger } from '../core/log.ts';
import { Metrics, type NodeStats } from '../core/metrics.ts';
import { availableDigests } from '../io/digest.ts';
import { resolveRoot } from '../io/disk/below-root.ts';
import type { JoinOptions } from '../io/join.ts';
import { type KernelEngine, startKernelEngine } from '../io/kernel/engine.ts';
import { loadSetUserTimeout } from '../io/kernel/libc.ts';
import { Leg } from '../io/leg.ts';
import { type Resolver, systemResolver } from '../io/resolve.ts';
import { formatHop } from '../wire/address.ts';
import type { NodeContext } from './context.ts';
import { DigestCache } from './digest-cache.ts';
import { DigestStore } from './digest-store.ts';
import { Policies } from './policies.ts';
import { createNextPolicy, createRegisterPolicy, parseNetworks, parseNextRules } from './policy.ts';
import { keepRegistered, type PolicyServer } from './policy-server.ts';
import { checkPools, type PoolOptions, Pools } from './pools.ts';
import { createProbes } from './probes.ts';
import { createRates, type RateOptions } from './rates.ts';
import { serveConnection } from './session.ts';
import { type UploadRules, Uploads } from './uploads.ts';

export interface NodeOptions extends RateOptions {
  /** Where to listen; port 0 picks a free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** The directory whose files are served. @default the working directory */
  readonly root?: string;
  /** Where legs may be opened to: CIDR, address or host name, or `any`, each maybe with `:PORT` or `:LOW-HIGH`. */
  readonly next?: readonly string[];
  /** Lets clients upload files below the root. @default no uploads */
  readonly uploads?: UploadRules | undefined;
  /**
   * Pools that hops of routes and policies of packets may name; further policies come to be when a server registers for
   * them. Legs may be opened to the members that are named here, as if `next` allowed them.
   */
  readonly pools?: readonly PoolOptions[] | undefined;
  /** Networks that servers may register from, besides loopback on a node that listens there; `false` takes none. */
  readonly registerFrom?: readonly string[] | false;
  /** The policy whose messages are answered by this node, and the fronts that it registers with. */
  readonly server?: PolicyServer;
  /** A directory, for nothing else, where the digests of served files outlive the node. @default in memory alone */
  readonly digestCache?: string;
  readonly limits?: Partial<Limits>;
  /** Whether circuits may pass inside the kernel where that is possible. @default true */
  readonly kernel?: boolean;
  /** @default silent */
  readonly log?: Logger;
  readonly clock?: Clock;
  readonly resolve?: Resolver;
}

export interface RunningNode {
  /** Where the node listens, with the real port. */
  readonly address: { readonly host: string; readonly port: number };
  stats(): NodeStats;
  /** Stops accepting, lets running circuits finish for `graceMs` (default: the limit), then ends them. May be called again to hurry. */
  close(options?: { readonly graceMs?: number }): Promise<void>;
}

/** Starts a node. Throws `LISTEN_FAILED`, or `USAGE_INVALID` for a rule, rate or root that is not one. */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const limits = { ...defaultLimits, ...options.limits };
  const log = options.log ?? silentLogger;
  const clock = options.clock ?? systemClock;
  const resolve = options.resolve ?? systemResolver;
  const metrics = new Metrics();
  const root = await resolveRoot(options.root ?? process.cwd(), '--root');
  const configured = options.pools ?? [];
  checkPools(configured);
  const rules = parseNextRules([...(options.next ?? []), ...listedAddresses(configured)]);
  const openRates = createRates(options, clock);
  const setUserTimeout = loadSetUserTimeout();
  const networks = options.registerFrom === false ? undefined : parseNetworks(options.registerFrom ?? []);
  const store =
    options.digestCache === undefined ? undefined : await openDigestStore(options.digestCache, root, limits, log);
  const digestCache = new DigestCache(limits.maxDigestCacheBytes, store);
  const policies = new Policies({ limits, clock, resolve });
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
  await listen(server, options.listen);
  const address = boundAddress(server);
  const isSelf = (host: string, port: number) => port === address.port && isOwnAddress(host, address.host);
  const pools = new Pools({
    configured,
    probes: createProbes({ packet: policies.probe, limits, clock, resolve, setUserTimeout }),
    mayRegister: networks ? createRegisterPolicy(networks, address.host) : () => false,
    isSelf,
    limits,
    clock,
    log,
  });
  const kernel = (options.kernel ?? true) ? startEngine(log) : undefined;

  const stopping = new AbortController();
  // Every connection that waits for its head listens, and there may be thousands.
  setMaxListeners(0, stopping.signal);
  const node: NodeContext = {
    root,
    mayDial: createNextPolicy(rules, address.host),
    limits,
    log,
    clock,
    metrics,
    resolve,
    digests: availableDigests(),
    digestCache,
    uploads: new Uploads(options.uploads, limits, clock),
    join: joinOptions(kernel, limits, clock, log),
    openRates,
    setUserTimeout,
    traces: new Set(),
    isSelf,
    pools,
    policies,
    server: options.server && { ...options.server, id: options.server.id ?? String(address.port) },
    stopping: stopping.signal,
  };
  const legOptions = { ...limits, setUserTimeout };
  const sessions = new Map<Leg, Promise<void>>();
  server.on('connection', (socket) => {
    if (sessions.size >= limits.maxConnections + limits.maxRefusals) {
      metrics.countFailure('LIMIT_CONNECTIONS');
      log.warn({ peer: peerOf(socket) }, 'connection dropped: far above the limit');
      socket.resetAndDestroy();
      return;
    }
    const leg = Leg.accept(socket, legOptions);
    metrics.accepted += 1;
    metrics.open += 1;
    const session = admit(leg, sessions.size, node).finally(() => {
      metrics.open -= 1;
      sessions.delete(leg);
    });
    sessions.set(leg, session);
  });
  server.on('error', (error) => log.error({ reason: systemCode(error) }, `accepting failed: ${error.message}`));
  log.info({ address: formatHop(address), root, kernel: kernel !== undefined }, 'node started');
  const registering =
    node.server && keepRegistered(node.server, address.port, { limits, clock, resolve, log }, stopping.signal);

  return {
    address,
    stats: () => metrics.snapshot(),
    close: async ({ graceMs = limits.graceMs } = {}) => {
      server.close();
      const error = new HoplineError('NODE_STOPPING', 'the node is stopping');
      if (!stopping.signal.aborted) stopping.abort(error);
      const cancel = clock.after(graceMs, () => {
        for (const leg of sessions.keys()) leg.destroy(error);
      });
      await Promise.all(sessions.values());
      await Promise.all([registering, pools.close(), policies.close(), digestCache.close()]);
      cancel();
      kernel?.close();
      log.info({ ...metrics.snapshot() }, 'node stopped');
    },
  };
}

/** The members that are written down, as rules of their own. */
function listedAddresses(pools: readonly PoolOptions[]): string[] {
  return pools.flatMap(({ members = [] }) => members.map(formatHop));
}

function admit(leg: Leg, open: number, node: NodeContext): Promise<void> {
  const { maxConnections } = node.limits;
  if (open < maxConnections) return serveConnection(leg, node);
  const error = new HoplineError('LIMIT_CONNECTIONS', `the node holds its ${maxConnections} connections already`);
  return serveConnection(leg, node, error);
}

/** The kernel path, or undefined after a line in the log that says why not. */
function startEngine(log: Logger): KernelEngine | undefined {
  try {
    return startKernelEngine();
  } catch (error) {
    log.info({ reason: asHoplineError(error).message }, 'circuits pass through this process, not inside the kernel');
    return undefined;
  }
}

function joinOptions(kernel: KernelEngine | undefined, limits: Limits, clock: Clock, log: Logger): JoinOptions {
  let isTold = false;
  const onFallback = (reason: string) => {
    if (!isTold) log.info({ reason }, 'a circuit passes through this process, not inside the kernel');
    isTold = true;
  };
  return { kernel, idleMs: limits.idleMs, clock, onFallback };
}

async function openDigestStore(directory: string, root: string, limits: Limits, log: Logger): Promise<DigestStore> {
  const store = await DigestStore.open(directory, limits.maxDigestCacheFiles, log);
  const below = path.relative(root, await realpath(directory));
  if (below.split(path.sep)[0] === '..' || path.isAbsolute(below)) return store;
  throw new HoplineError('USAGE_INVALID', `--digest-cache: read "${directory}", expected a directory outside the root`);
}

function listen(server: net.Server, { host, port }: { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (cause: Error) => {
      const reason = systemCode(cause);
      const why: Record<string, string> = {
        EADDRINUSE: 'the port is in use',
        EACCES: 'the port needs more rights',
        EADDRNOTAVAIL: 'this machine does not have the address',
        ENOTFOUND: 'the name does not resolve',
      };
      const text = why[reason ?? ''] ?? cause.message;
      reject(new HoplineError('LISTEN_FAILED', `cannot listen on ${formatHop({ host, port })}: ${text}`, { cause }));
    };
    server.once('error', fail);
    server.listen({ host, port, backlog: 1024 }, () => {
      server.off('error', fail);
      resolve();
    });
  });
}

function peerOf(socket: net.Socket): string {
  return formatHop({ host: socket.remoteAddress ?? 'unknown', port: socket.remotePort ?? 0 });
}

function boundAddress(server: net.Server): { host: string; port: number } {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new HoplineError('INTERNAL', 'the server has no address');
  return { host: address.address, port: address.port };
}

function isOwnAddress(address: string, bound: string): boolean {
  if (address === bound) return true;
  if (bound !== '0.0.0.0' && bound !== '::') return false;
  const own = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
  return own.some((entry) => entry.address === address);
}
