/**
 * A gateway by its rules: the sites with what answers for them, the cache, the log of requests and the certificate.
 *
 * Owns the order in which these come and go. Does not know what answers for a site.
 * Invariant: once `close()` has settled, nothing of the gateway is left; a reload that fails changes nothing.
 * Documentation: docs/http/gateway.md
 */

import { isDeepStrictEqual } from 'node:util';
import { systemClock } from '../core/clock.ts';
import { HoplineError } from '../core/errors.ts';
import { type OptionNames, refuseUnknown } from '../core/failure/known-names.ts';
import { checkUnchanged } from '../core/fixed-settings.ts';
import { defaultLimits, type Limits } from '../core/limits.ts';
import type { Logger } from '../core/log.ts';
import { Tasks } from '../core/work/tasks.ts';
import type { AccessFormat, MaskQuery } from '../gateway/access-log/access-format.ts';
import { type AccessLog, accessRecord, openAccessLog } from '../gateway/access-log/access-log.ts';
import { AuthFiles } from '../gateway/auth/auth-files.ts';
import { type CacheStats, createHttpCache, type HttpCache } from '../gateway/cache/cache.ts';
import { judgeTime, readCertificate, watchTime } from '../gateway/clients/certificate.ts';
import { type GatewaySight, type RunningGateway, startGateway } from '../gateway/server/start.ts';
import type { ListenPlace } from '../io/listening/server-socket.ts';
import { shareLookups } from '../io/names/lookups.ts';
import { createSystemResolver } from '../io/names/system-resolver.ts';
import type { HttpServing, NodeOptions } from '../node/options.ts';
import type { KeyPair } from '../wire/keys/key.ts';
import { openSites, readPem, type SiteRules } from './open-sites.ts';

export interface GatewayRules {
  /** Without it, connections come by `serving` alone. */
  readonly listen?: ListenPlace | undefined;
  readonly sites: readonly SiteRules[];
  /** Networks of proxies whose word on their clients' addresses counts. */
  readonly trusted?: readonly string[] | undefined;
  /** Files in PEM; with them, the gateway speaks TLS with clients. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
  readonly cache?:
    | { readonly directory: string; readonly maxBytes?: number | undefined; readonly ttlS?: number | undefined }
    | undefined;
  readonly accessLog?:
    | { readonly file: string; readonly format?: AccessFormat; readonly maskQuery?: MaskQuery }
    | undefined;
}

export interface HttpServiceOptions extends Pick<NodeOptions, 'pools' | 'resolve'> {
  /** The key by which the last nodes of routes, where theirs is known, know this gateway. @default none: they do not learn who it is */
  readonly identity?: KeyPair | undefined;
  /** The file of that key, which must be below no root that is served. @default none */
  readonly identityFile?: string | undefined;
  readonly limits?: Partial<Limits> | undefined;
  /** Whether files leave inside the kernel where that can be. @default true */
  readonly kernel?: boolean | undefined;
  /** The directory that the node beside it serves, if there is one. */
  readonly root?: string | undefined;
  readonly log: Logger;
}

const ruleNames = {
  listen: true,
  sites: true,
  trusted: true,
  tls: true,
  cache: true,
  accessLog: true,
} as const satisfies OptionNames<GatewayRules>;

const names = {
  pools: true,
  resolve: true,
  identity: true,
  identityFile: true,
  limits: true,
  kernel: true,
  root: true,
  log: true,
} as const satisfies OptionNames<HttpServiceOptions>;

export interface HttpService {
  /** Where it listens, with the real port. */
  readonly address: RunningGateway['address'];
  /** For a node, which leaves HTTP that comes to its port to this gateway. */
  readonly serving: HttpServing;
  /** What goes on here, for whoever looks. */
  sight(): HttpSight;
  /**
   * Takes other sites, reads the certificate and the files of credentials, and opens the log of requests again. Throws `CONFIG_INVALID` for what needs
   * a restart, and what the start throws.
   */
  reload(rules: GatewayRules, options: HttpServiceOptions): Promise<void>;
  /** As `RunningGateway.close` does. */
  close(options?: { readonly graceMs?: number }): Promise<void>;
}

export interface HttpSight extends GatewaySight {
  /** Undefined without one. */
  readonly cache: CacheStats | undefined;
  /** What clients are shown, and when it ends, in milliseconds since 1970; undefined without TLS. */
  readonly certificate: { readonly subject: string; readonly expires: number } | undefined;
}

/** Starts a gateway. Throws `LISTEN_FAILED`, `DISK_BUSY` for a cache in use, and `USAGE_INVALID` for a rule that is none. */
export async function startHttpService(rules: GatewayRules, options: HttpServiceOptions): Promise<HttpService> {
  refuseUnknown(rules, { by: 'startHttpService', names: ruleNames });
  refuseUnknown(options, { by: 'startHttpService', names });
  const limits = { ...defaultLimits, ...options.limits };
  const { log } = options;
  // One for all sites: the threads that the system looks names up in are the process's.
  const resolve = shareLookups(options.resolve ?? createSystemResolver(), { limits, clock: systemClock });
  const open: Closable[] = [];
  const closeAll = async () => {
    for (const one of open.splice(0).reverse()) await one.close();
  };
  try {
    const tls = await readTls(rules.tls);
    const time = { log, clock: systemClock };
    let certificate = tls && readCertificate(tls);
    let endTime = certificate && watchTime(certificate, time);
    open.push({ close: async () => endTime?.() });
    const accessLog = rules.accessLog && keep(open, await openLog(rules.accessLog, limits, log));
    const cache = rules.cache && keep(open, await openCache(rules.cache, limits, log));
    const authFiles = keep(open, new AuthFiles({ limits, log }));
    let sites = await openSites(rules.sites, { ...options, cache, cacheTtlS: rules.cache?.ttlS, authFiles, resolve });
    open.push({ close: () => sites.close() });
    const gateway = await startGateway({
      listen: rules.listen,
      sites: sites.sites,
      trusted: rules.trusted ?? [],
      tls,
      kernel: options.kernel,
      resolve,
      limits,
      log,
      onEnded: accessLog && ((ended) => accessLog.write(accessRecord(ended))),
    });
    let current = rules;
    let inUse = tls;
    let isClosing = false;
    const reloading = new Tasks();
    const reload = async (next: GatewayRules, nextOptions: HttpServiceOptions) => {
      // Whoever renamed the log waits for a new one, whatever else is wrong.
      accessLog?.reopen();
      checkReload({ ...current, kernel: options.kernel }, { ...next, kernel: nextOptions.kernel });
      const nextTls = await readTls(next.tls);
      const nextCertificate = nextTls && readCertificate(nextTls);
      const nextSites = await openSites(next.sites, {
        ...nextOptions,
        cache,
        cacheTtlS: next.cache?.ttlS,
        authFiles,
        resolve,
      });
      if (isClosing) {
        await nextSites.close();
        throw new HoplineError('NODE_STOPPING', 'the gateway is stopping');
      }
      if (nextTls) gateway.setTls(nextTls);
      if (!isDeepStrictEqual(nextTls, inUse))
        log.info({ cert: next.tls?.cert }, 'another certificate is in use from now on');
      inUse = nextTls;
      endTime?.();
      certificate = nextCertificate;
      endTime = certificate && watchTime(certificate, time);
      gateway.setSites(nextSites.sites);
      const old = sites;
      [sites, current] = [nextSites, next];
      await old.close();
    };
    return {
      address: gateway.address,
      serving: { dialect: tls ? 'tls' : 'http', accept: gateway.accept },
      sight: () => ({
        ...gateway.sight(),
        cache: cache?.stat(),
        certificate: certificate && { subject: certificate.subject, expires: Date.parse(certificate.validTo) },
      }),
      reload: async (next, nextOptions) => {
        const done = reload(next, nextOptions).finally(() => authFiles.keep(current.sites.map(({ auth }) => auth)));
        reloading.add(done);
        await done;
      },
      close: async (how) => {
        isClosing = true;
        await gateway.close(how);
        await closeAll();
        // One that is under way closes what it opens, but whether a read ever ends is not known.
        await reloading.overWithin(limits.lingerMs);
      },
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

interface Closable {
  close(): Promise<void>;
}

function keep<T extends Closable>(open: Closable[], one: T): T {
  open.push(one);
  return one;
}

/** Reads a certificate and its key; resolves to what is wrong with its time, if anything. Throws `USAGE_INVALID` as the start does. */
export async function checkCertificate(files: NonNullable<GatewayRules['tls']>): Promise<string | undefined> {
  const tls = await readTls(files);
  return tls && judgeTime(readCertificate(tls), Date.now());
}

type FixedRules = GatewayRules & Pick<HttpServiceOptions, 'kernel'>;

/** Throws `CONFIG_INVALID`, with a line for each, if something has changed that a running gateway cannot change. */
function checkReload(before: FixedRules, after: FixedRules): void {
  const facts = ({ kernel = true, listen, trusted = [], tls, cache, accessLog }: FixedRules) => ({
    kernel,
    'gateway.listen': listen,
    'gateway.trusted': trusted,
    'gateway.tls': tls !== undefined,
    'gateway.cache': cache && { ...cache, ttlS: undefined },
    'gateway.access-log': accessLog,
  });
  checkUnchanged(facts(before), facts(after));
}

function openLog(
  { file, format = 'combined', maskQuery = [] }: NonNullable<GatewayRules['accessLog']>,
  limits: Limits,
  log: Logger,
): Promise<AccessLog> {
  return openAccessLog({ file, format, maskQuery, maxBytes: limits.maxAccessLogBytes, log });
}

function openCache(
  { directory, maxBytes }: NonNullable<GatewayRules['cache']>,
  limits: Limits,
  log: Logger,
): Promise<HttpCache> {
  return createHttpCache({ directory, maxBytes, limits, log });
}

async function readTls(files: GatewayRules['tls']): Promise<{ cert: Buffer; key: Buffer } | undefined> {
  return files && { cert: await readPem('certificate', files.cert), key: await readPem('key', files.key) };
}
