/**
 * A gateway from its options: the sites with their servers, and the HTTP server in front of them.
 *
 * Owns the pools of the sites. Nothing here knows what an exchange is made of.
 * Invariant: once `close()` has settled, no socket, timer or check is left.
 * Documentation: docs/http/gateway.md
 */

import { type Clock, systemClock } from '../../core/clock.ts';
import { HoplineError } from '../../core/errors.ts';
import { type OptionNames, refuseUnknown } from '../../core/failure/known-names.ts';
import { defaultLimits, type Limits } from '../../core/limits.ts';
import { type Logger, silentLogger } from '../../core/log.ts';
import type { Exchange } from '../../http/exchange.ts';
import { forbiddenName, forbiddenValue } from '../../http/fields.ts';
import { openKernelEngine } from '../../io/kernel/engine.ts';
import type { ListenPlace } from '../../io/listening/server-socket.ts';
import { blockList, parseNetworks } from '../../io/names/networks.ts';
import type { Resolver } from '../../io/names/resolve.ts';
import { createSystemResolver } from '../../io/names/system-resolver.ts';
import { nameMember } from '../../pool/member.ts';
import { type PoolReport, reportPool } from '../../pool/member-report.ts';
import { systemNameServers } from '../../pool/sources/resolved.ts';
import { memberSources, type PoolMembers } from '../../pool/sources/sources.ts';
import { ServerPlaces } from '../answering/server-places.ts';
import { createServers, type Servers, type ServersOptions } from '../answering/server-pool.ts';
import type { ServerTls } from '../clients/certificate.ts';
import { HttpCounts, type HttpStats } from './http-counts.ts';
import { type Ended, type RunningServer, serveHttp } from './http-server.ts';
import { isSiteHost, type Site } from './sites.ts';

export interface SiteOptions extends Omit<Site, 'exchange' | 'connect'> {
  /** What answers: HTTP servers that stand in for one another, or any exchange. */
  readonly backend: HttpServers | Exchange;
  /** What stands before it, such as a cache. */
  readonly wrap?: ((exchange: Exchange) => Exchange) | undefined;
  /** Whether CONNECT leads to one of the servers. @default false */
  readonly connect?: boolean | undefined;
}

export interface HttpServers
  extends Omit<PoolMembers, 'name'>,
    Pick<ServersOptions, 'algorithm' | 'health' | 'check' | 'sticky' | 'tls' | 'dial'> {}

export interface GatewayOptions {
  /** Without it, connections come by `accept` alone. */
  readonly listen?: ListenPlace | undefined;
  readonly sites: readonly SiteOptions[];
  /** Networks of proxies whose word on their clients' addresses counts. */
  readonly trusted?: readonly string[];
  /** What it calls itself in Via, where it must be the only one. @default made by chance */
  readonly name?: string | undefined;
  /** With it, the gateway speaks TLS with clients. */
  readonly tls?: ServerTls | undefined;
  /** Whether files leave inside the kernel where that can be. @default true */
  readonly kernel?: boolean | undefined;
  /** Told of each request that has ended. */
  readonly onEnded?: ((ended: Ended) => void) | undefined;
  readonly limits?: Partial<Limits>;
  /** @default silent */
  readonly log?: Logger;
  readonly clock?: Clock;
  /** Of names of servers. @default the system's */
  readonly resolve?: Resolver | undefined;
}

const names = {
  listen: true,
  sites: true,
  trusted: true,
  name: true,
  tls: true,
  kernel: true,
  onEnded: true,
  limits: true,
  log: true,
  clock: true,
  resolve: true,
} as const satisfies OptionNames<GatewayOptions>;

export interface RunningGateway extends Omit<RunningServer, 'setSites' | 'underWay'> {
  /** Takes other sites, for the requests that come from now on; those of the old ones end as they would have. */
  setSites(sites: readonly SiteOptions[]): void;
  /** What goes on here, for whoever looks. */
  sight(): GatewaySight;
}

export interface GatewaySight {
  readonly stats: HttpStats;
  /** Requests that are being answered. */
  readonly underWay: number;
  /** The servers of each site that has some, under its host. */
  readonly pools: readonly PoolReport[];
}

/** Starts a gateway. Throws `LISTEN_FAILED`, or `USAGE_INVALID` for a site or a network that is none. */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  refuseUnknown(options, { by: 'startGateway', names });
  const limits = { ...defaultLimits, ...options.limits };
  const log = options.log ?? silentLogger;
  const { clock = systemClock } = options;
  const { resolve = createSystemResolver() } = options;
  const shared = { limits, log, clock, resolve, places: new ServerPlaces(limits, clock) };
  const trusted = options.trusted && blockList(parseNetworks(options.trusted, '--trusted'));
  let current = openSites(options.sites, shared);
  /** Replaced, with requests under way. */
  const retired = new Set<OpenSites>();
  const { listen, tls, name } = options;
  const counts = new HttpCounts();
  const onEnded = (ended: Ended) => {
    counts.count(ended);
    options.onEnded?.(ended);
  };
  const kernel = (options.kernel ?? true) ? openKernelEngine(log, 'files pass through this process') : undefined;
  const serving = { listen, name, sites: current.sites, tls, onEnded, trusted, kernel, limits, log };
  const server = await serveHttp(serving).catch(async (error) => {
    kernel?.close();
    await current.close();
    throw error;
  });
  return {
    ...server,
    sight: () => ({ stats: counts.snapshot(), underWay: server.underWay(), pools: current.pools() }),
    setSites: (next) => {
      const old = current;
      current = openSites(next, shared);
      server.setSites(current.sites);
      retired.add(old);
      void old.close().finally(() => retired.delete(old));
    },
    close: async (how) => {
      await server.close(how);
      kernel?.close();
      await Promise.all([current, ...retired].map((each) => each.breakOff()));
    },
  };
}

interface Shared extends Pick<ServersOptions, 'limits' | 'log' | 'clock' | 'resolve'> {
  readonly places: ServerPlaces;
}

function openSites(options: readonly SiteOptions[], { places, ...shared }: Shared) {
  const wrong = options.find(({ host }) => !isSiteHost(host));
  if (wrong) {
    const expected = 'a host name, *. and a host name, or * for all others';
    throw new HoplineError('USAGE_INVALID', `site: read "${wrong.host}", expected ${expected}`);
  }
  for (const { host, requestFields, answerFields } of options) {
    const name = forbiddenName(requestFields) ?? forbiddenName(answerFields);
    const value = forbiddenValue(requestFields) ?? forbiddenValue(answerFields);
    if (name === undefined && value === undefined) continue;
    const why =
      name === undefined
        ? `the value "${value}" of a field has a variable, and none is expanded`
        : `the field ${name} is the gateway's own, and cannot be changed`;
    throw new HoplineError('USAGE_INVALID', `site ${host}: ${why}`);
  }
  const opened: Servers[] = [];
  const reports: (() => PoolReport)[] = [];
  const sites = options.map(({ backend, connect, wrap = (exchange) => exchange, ...site }): Site => {
    if (typeof backend === 'function') return { ...site, exchange: wrap(backend) };
    const sources = memberSources(backend, { ...shared, servers: systemNameServers() });
    const servers = createServers({ name: site.host, ...backend, sources, takePlace: places.addSite(), ...shared });
    opened.push(servers);
    const named = new Set((backend.members ?? []).map((member) => nameMember(member)));
    reports.push(() => reportPool(site.host, servers.members(), named));
    return {
      ...site,
      exchange: wrap(servers.exchange),
      connect: connect ? servers.connect : undefined,
    };
  });
  const close = async () => {
    await Promise.all(opened.map((servers) => servers.close()));
  };
  const breakOff = async () => {
    await Promise.all(opened.map((servers) => servers.breakOff()));
  };
  return { sites, pools: () => reports.map((report) => report()), close, breakOff };
}

type OpenSites = ReturnType<typeof openSites>;
