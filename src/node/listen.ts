/**
 * A running node: accepts connections, caps them, and stops gracefully.
 *
 * Owns the server socket and the set of open legs. Does not know
 * what happens on a connection.
 * Invariant: once `close()` has settled, no socket or timer of the node is left.
 */

import { setMaxListeners } from 'node:events';
import { realpath } from 'node:fs/promises';
import net from 'node:net';
import { type Clock, systemClock } from '../core/clock.ts';
import { HoplineError } from '../core/errors.ts';
import { Metrics, type NodeStats } from '../core/metrics.ts';
import { systemCode } from '../core/system-errors.ts';
import { LoopShare } from '../core/work/loop-share.ts';
import { isWithin } from '../io/disk/reading/below-root.ts';
import { loadOpenCached } from '../io/kernel/disk/open-cached.ts';
import { openKernelEngine } from '../io/kernel/engine.ts';
import { loadSetUserTimeout } from '../io/kernel/libc.ts';
import type { Leg } from '../io/legs/leg.ts';
import type { LegOptions, OpenReader } from '../io/legs/leg-options.ts';
import { acceptLegs } from '../io/legs/open-leg.ts';
import { Places } from '../io/listening/places.ts';
import { boundAddress, isOwnAddress, listen } from '../io/listening/server-socket.ts';
import { createSystemResolver } from '../io/names/system-resolver.ts';
import { EarlyWindow } from '../secure/handshake/early-window.ts';
import { chooseAead } from '../secure/records/openssl.ts';
import { formatHop } from '../wire/address.ts';
import type { PublicKey } from '../wire/keys/key.ts';
import { Authority } from './authority/authority.ts';
import type { NodeContext, NodeSecurity } from './context.ts';
import { type NodeOptions, readSettings, type Settings } from './options.ts';
import { DigestCache } from './origin/digest-cache.ts';
import { DigestStore } from './origin/digest-store.ts';
import { Contexts } from './reload.ts';
import { serveConnection } from './session.ts';
import { lookAt, type NodeSight } from './traffic/node-sight.ts';
import { Traffic } from './traffic/traffic.ts';

export interface RunningNode {
  /** Where the node listens, with the real port. */
  readonly address: { readonly host: string; readonly port: number };
  /** The real path of the directory whose files are served from now on; undefined if none are. */
  readonly root: string | undefined;
  /** By which clients encrypt to this node; undefined if it has no key. */
  readonly key: PublicKey | undefined;
  stats(): NodeStats;
  /** What goes on here, for whoever looks. */
  sight(): NodeSight;
  /**
   * Takes other options for the connections that come from now on; circuits that are under way keep theirs to the end.
   * Pools that stay as they are keep what they know, and all keep the members that registered. Throws `USAGE_INVALID` as at the start, and `CONFIG_INVALID`, with a line in
   * `problems` for each, where something needs a restart; then nothing changes.
   */
  reload(options: NodeOptions): Promise<void>;
  /** Stops accepting, lets running circuits finish for `graceMs` (default: the limit), then ends them. May be called again to hurry. */
  close(options?: { readonly graceMs?: number }): Promise<void>;
}

/** Starts a node. Throws `LISTEN_FAILED`, or `USAGE_INVALID` for a rule, rate or root that is not one. */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const settings = await readSettings(options);
  const { log, root } = settings;
  const { clock = systemClock, wallClock = Date.now, resolve = createSystemResolver() } = options;
  const metrics = new Metrics();
  const setUserTimeout = loadSetUserTimeout();
  const digestCache = await openDigestCache(settings);
  const traffic = new Traffic(clock);
  const authority = await openAuthority(settings, { clock, wallClock, metrics });
  const server = net.createServer();
  await listen(server, options.listen);
  authority?.watch();
  const address = boundAddress(server);
  const isSelf = (host: string, port: number) => port === address.port && isOwnAddress(host, address.host);
  const kernel = (options.kernel ?? true) ? openKernelEngine(log, 'circuits pass through this process') : undefined;

  const openReader: OpenReader | undefined = kernel && ((fd, peer) => kernel.openReader(fd, peer, clock));

  const stopping = new AbortController();
  const { signal } = stopping;
  // Every connection that waits for its head listens, and there may be thousands.
  setMaxListeners(0, signal);
  const connections = new Places();
  const lasting = {
    address,
    clock,
    wallClock,
    startedMs: clock.now(),
    resolve,
    metrics,
    traffic,
    connections,
    digestCache,
    security: secureBy(settings, clock, wallClock),
    authority,
    kernel,
    openCached: kernel && loadOpenCached(),
    setUserTimeout,
    isSelf,
    stopping: signal,
  };
  const contexts = new Contexts(settings, lasting);
  const sessions = new Map<Leg, Promise<void>>();
  const legOptions = (): LegOptions => {
    const { idleMs, maxBlockBytes } = contexts.current.limits;
    return { idleMs, maxBlockBytes, setUserTimeout, openReader };
  };
  acceptLegs(server, legOptions, (leg) => {
    const node = contexts.current;
    metrics.accepted += 1;
    metrics.open += 1;
    const turnedAway = connections.add(leg, node.limits);
    const session = serveConnection(leg, node, turnedAway).finally(() => {
      metrics.open -= 1;
      connections.remove(leg);
      sessions.delete(leg);
    });
    sessions.set(leg, session);
  });
  server.on('error', (error) => log.error({ reason: systemCode(error) }, `accepting failed: ${error.message}`));
  log.info({ address: formatHop(address), root, kernel: kernel !== undefined }, 'node started');
  await contexts.ready;

  return {
    address,
    get root() {
      return contexts.current.root;
    },
    key: options.identity?.public,
    stats: () => metrics.snapshot(),
    sight: () => lookAt(contexts.current),
    reload: (next) => contexts.reload(next),
    close: async ({ graceMs = contexts.current.limits.graceMs } = {}) => {
      server.close();
      const error = new HoplineError('NODE_STOPPING', 'the node is stopping');
      if (!signal.aborted) stopping.abort(error);
      const cancel = clock.after(graceMs, () => {
        for (const leg of sessions.keys()) leg.destroy(error);
      });
      await Promise.all(sessions.values());
      await Promise.all([contexts.close(), digestCache.close(), authority?.close()]);
      cancel();
      kernel?.close();
      contexts.current.log.info({ ...metrics.snapshot() }, 'node stopped');
    },
  };
}

/** Undefined for a node without a key. */
function secureBy(
  { options: { identity: own }, limits }: Settings,
  clock: Clock,
  wallClock: () => number,
): NodeSecurity | undefined {
  if (!own) return undefined;
  const window = new EarlyWindow({ clock, wallClock, ...limits });
  return { own, window, aead: chooseAead(), share: new LoopShare() };
}

/** Undefined where everybody may do everything. */
async function openAuthority(
  { options, log }: Settings,
  shared: Pick<NodeContext, 'clock' | 'wallClock' | 'metrics'>,
): Promise<Authority | undefined> {
  const { authorizedKeys: file, requireKey = false } = options;
  if (file === undefined && !requireKey) return undefined;
  return Authority.open({ file, requireKey, log, ...shared });
}

async function openDigestCache({
  options: { digestCache: directory },
  limits,
  log,
  root,
}: Settings): Promise<DigestCache> {
  if (directory === undefined) return new DigestCache(limits.maxDigestCacheBytes);
  const store = await DigestStore.open(directory, limits.maxDigestCacheFiles, log);
  // What is served nowhere lies outside of it.
  if (root === undefined) return new DigestCache(limits.maxDigestCacheBytes, store);
  if (!isWithin(root, await realpath(directory))) return new DigestCache(limits.maxDigestCacheBytes, store);
  throw new HoplineError('USAGE_INVALID', `--digest-cache: read "${directory}", expected a directory outside the root`);
}
