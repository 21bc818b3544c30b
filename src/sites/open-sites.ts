/**
 * The sites of a gateway, each made of its rules: what answers for it, what stands before that, and who may ask.
 *
 * Owns the backends that it has opened. Does not know how long they are needed.
 * Invariant: what decides who may ask is served by none of them.
 */

import { readFile, realpath } from 'node:fs/promises';
import type { Limits } from '../core/limits.ts';
import { systemError } from '../core/system-errors.ts';
import type { AuthFiles, AuthRules } from '../gateway/auth/auth-files.ts';
import type { HttpCache, SiteCacheOptions } from '../gateway/cache/cache.ts';
import type { HttpServers, SiteOptions } from '../gateway/server/start.ts';
import { checkAuthorities } from '../http/transport/encrypt.ts';
import type { NodeOptions } from '../node/options.ts';
import { checkOutside } from '../node/root.ts';
import { type OpenBackend, openBackend } from './open-backend.ts';
import type { SiteText } from './site-text.ts';

export interface SiteRules extends SiteText, Omit<SiteOptions, 'backend' | 'wrap' | 'auth'> {
  /** What a pool of servers is told beside its members. */
  readonly servers?: Omit<HttpServers, 'members' | 'dial'> | undefined;
  /** Authorities to believe about the servers, instead of the system's; a file in PEM. */
  readonly caFile?: string | undefined;
  /** How its answers are cached; `false` for not at all. @default as they say themselves */
  readonly cache?: SiteCacheOptions | false | undefined;
  /** Who may ask. @default everybody */
  readonly auth?: AuthRules | undefined;
}

export interface OpenSitesOptions extends Pick<NodeOptions, 'pools' | 'resolve' | 'identity' | 'identityFile'> {
  readonly limits?: Partial<Limits> | undefined;
  readonly cache: HttpCache | undefined;
  /** Seconds for which an answer is fresh that does not say, where the site does not say either. */
  readonly cacheTtlS: number | undefined;
  readonly authFiles: AuthFiles;
  /** The directory that the node beside it serves, if there is one. */
  readonly root?: string | undefined;
}

export interface OpenedSites {
  readonly sites: readonly SiteOptions[];
  close(): Promise<void>;
}

/** Throws what opening a backend does, and `USAGE_INVALID` and `CONFIG_INVALID` for who may ask. */
export async function openSites(rules: readonly SiteRules[], options: OpenSitesOptions): Promise<OpenedSites> {
  const { limits, pools, resolve, identity, cache, cacheTtlS, authFiles } = options;
  await checkAuthPlaces(rules, options);
  const opened: OpenBackend[] = [];
  const close = async () => {
    await Promise.all(opened.map((backend) => backend.close()));
  };
  try {
    const sites: SiteOptions[] = [];
    for (const { backend: text, servers, caFile, cache: caching, auth, ...site } of rules) {
      const ca = caFile && String(await readPem('authorities', caFile));
      if (ca !== undefined) checkAuthorities(ca, `the file of authorities ${caFile}`);
      const told = ca ? { ...servers, tls: { ...servers?.tls, ca } } : servers;
      const backend = await openBackend(text, { limits, pools, resolve, identity }, told);
      opened.push(backend);
      // Files of this machine are no nearer in a cache.
      const isCached = cache && caching !== false && text.kind !== 'root';
      const wrap: SiteOptions['wrap'] = isCached
        ? (exchange) => cache.wrap(exchange, { ttlS: cacheTtlS, ...caching })
        : undefined;
      sites.push({ ...site, backend: backend.backend, wrap, auth: auth && (await authFiles.open(site.host, auth)) });
    }
    return { sites, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Throws `USAGE_INVALID` for a file of credentials, or of the gateway's key, below a directory that is served. */
async function checkAuthPlaces(
  sites: readonly SiteRules[],
  { root: own, identityFile }: OpenSitesOptions,
): Promise<void> {
  const directories = [own, ...sites.map(({ backend }) => (backend.kind === 'root' ? backend.directory : undefined))];
  // One that is not there is told of by whoever opens it.
  const roots = await Promise.all(directories.map((each) => each && realpath(each).catch(() => undefined)));
  for (const root of roots) {
    await checkOutside(root, identityFile, '--identity');
    for (const { host, auth } of sites) {
      await checkOutside(root, auth?.basic, `site ${host}: auth.basic`);
      await checkOutside(root, auth?.bearer, `site ${host}: auth.bearer`);
    }
  }
}

/** Throws `USAGE_INVALID`. */
export async function readPem(what: string, file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    throw systemError('USAGE_INVALID', `TLS: cannot read the ${what} ${file}`, cause);
  }
}
