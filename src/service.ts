/**
 * What a configuration describes, as one running thing: started, changed and stopped together.
 *
 * Owns the order in which its parts come and go: a node, a gateway, or both.
 * Invariant: of several reloads, one takes effect after the other, and one that fails changes nothing.
 */

import { isDeepStrictEqual } from 'node:util';
import type { AdminAddress } from './admin/admin-address.ts';
import type { RunningAdmin } from './admin/admin-server.ts';
import type { OpenAdminOptions } from './admin/open-admin.ts';
import { type Shown, type Snapshot, takeSnapshot } from './admin/snapshot.ts';
import { VitalSigns } from './admin/vitals.ts';
import type { Config, NodeRules } from './config/config.ts';
import { effectiveConfig } from './config/effective.ts';
import { HoplineError } from './core/errors.ts';
import { type OptionNames, refuseUnknown } from './core/failure/known-names.ts';
import type { Logger } from './core/log.ts';
import { createSystemResolver } from './io/names/system-resolver.ts';
import { type RunningNode, startNode } from './node/listen.ts';
import type { NodeOptions } from './node/options.ts';
import { chooseRoot } from './node/root.ts';
import { type HeldKey, holdKeyFile } from './secure/keys/held-key.ts';
import { readKeyFile } from './secure/keys/key-file.ts';
import { type HttpService, type HttpServiceOptions, startHttpService } from './sites/http-service.ts';
import { formatHop } from './wire/address.ts';

export interface Service {
  /** Undefined if only a gateway is configured. */
  readonly node: RunningNode | undefined;
  /** Where the sites are served beside the node's own port; undefined if they are not. */
  readonly gateway: HttpService['address'];
  /** What goes on in it, for whoever looks. */
  snapshot(): Promise<Snapshot>;
  /** Where it shows itself; undefined if it does not. */
  readonly admin: AdminAddress | undefined;
  /**
   * Puts another configuration in effect, as `RunningNode.reload` and `HttpService.reload` do; resolves to the keys that
   * changed, such as `limits.idle`. Throws `USAGE_INVALID`, `CONFIG_INVALID`.
   */
  reload(config: Config): Promise<readonly string[]>;
  /** Stops all of it, as `RunningNode.close` does. */
  close(options?: { readonly graceMs?: number }): Promise<void>;
}

export interface ServiceOptions {
  readonly log: Logger;
  /** Whether another process holds the node's key file, and has the admin listener, for this one. @default false */
  readonly isWorker?: boolean | undefined;
}

const names = { log: true, isWorker: true } as const satisfies OptionNames<ServiceOptions>;

/**
 * Starts what `config` describes. Throws as `startNode` and `startHttpService`, `CONFIG_INVALID` if it does not say where to
 * listen, and `KEY_INVALID` for a key file that is none, or another node's.
 */
export async function startService(config: Config, options: ServiceOptions): Promise<Service> {
  refuseUnknown(options, { by: 'startService', names });
  const { log, isWorker } = options;
  checkListens(config);
  const held = await openIdentity(config.node, isWorker);
  const release = () => held?.release();
  try {
    const service = await startShown(config, { log, identity: held?.key }, isWorker);
    return { ...service, close: (how) => service.close(how).finally(release) };
  } catch (error) {
    await release();
    throw error;
  }
}

/** A node has its key to itself; gateways that show one to others may share it, as clients do. */
async function openIdentity(
  { listen, identityFile: file, identity }: NodeRules,
  isShared = false,
): Promise<Omit<HeldKey, 'isFile'> | undefined> {
  const free = async () => {};
  if (file === undefined) return identity && { key: identity, release: free };
  return isShared || !listen ? { key: await readKeyFile(file), release: free } : holdKeyFile(file);
}

/** From before its parts are there until they are gone, whoever may look sees how far it is. */
async function startShown(config: Config, given: Given, isWorker = false): Promise<Service> {
  const vitals = new VitalSigns();
  let shown: Shown | undefined;
  let isStopping = false;
  let current = config;
  const snapshot = async () => takeSnapshot(shown, await vitals.take(), isStopping);
  const options = { source: snapshot, configuration: () => effectiveConfig(current), limits: config.node.limits };
  const admin = isWorker ? undefined : await startAdminOf(config, { ...options, log: given.log });
  const end = async () => {
    await admin?.close();
    vitals.close();
  };
  try {
    const { node, http, reload, close } = await startParts(config, given);
    const addresses = [node?.address, http?.address].flatMap((address) => (address ? [formatHop(address)] : []));
    shown = { addresses, key: node?.key?.text, node, http };
    return {
      node,
      gateway: http?.address,
      admin: admin?.address,
      snapshot,
      reload: async (next) => {
        const changed = await reload(next);
        current = next;
        return changed;
      },
      close: (how) => {
        isStopping = true;
        return close(how).finally(end);
      },
    };
  } catch (error) {
    await end();
    throw error;
  }
}

/** Few services have one, and what makes it takes a while to load. */
async function startAdminOf({ admin }: Config, options: OpenAdminOptions): Promise<RunningAdmin | undefined> {
  if (!admin) return undefined;
  const { openAdmin } = await import('./admin/open-admin.ts');
  return openAdmin(admin, options);
}

type Given = Pick<NodeOptions, 'identity'> & { readonly log: Logger };

interface Parts extends Pick<Service, 'node' | 'reload' | 'close'> {
  readonly http: HttpService | undefined;
}

async function startParts(config: Config, given: Given): Promise<Parts> {
  let current = config;
  let reloading: Promise<unknown> = Promise.resolve();
  let isStopping = false;
  // One for both: the threads that the system looks names up in are the process's.
  const shared = { ...given, resolve: createSystemResolver() };
  const http = config.gateway && (await startHttpService(config.gateway, httpOptions(config, shared)));
  const node = await startNodeOf(config, http, shared).catch(async (error) => {
    await http?.close({ graceMs: 0 });
    throw error;
  });
  const apply = async (next: Config) => {
    if (isStopping) throw new HoplineError('NODE_STOPPING', 'the node is stopping');
    const changed = changedKeys(current, next);
    checkParts(current, next);
    if (next.gateway) await http?.reload(next.gateway, httpOptions(next, shared));
    try {
      await node?.reload(nodeOptions(next, http, shared));
    } catch (error) {
      if (current.gateway) await http?.reload(current.gateway, httpOptions(current, shared));
      throw error;
    }
    current = next;
    return changed;
  };
  return {
    node,
    http,
    reload: (next) => {
      const applied = reloading.then(() => apply(next));
      reloading = applied.catch(() => {});
      return applied;
    },
    close: async (options) => {
      isStopping = true;
      // Kept connections of HTTP clients would hold the node up.
      await Promise.all([http?.close(options), node?.close(options)]);
    },
  };
}

function checkListens({ node, gateway }: Config): void {
  if (node.listen || gateway?.listen) return;
  throw new HoplineError('CONFIG_INVALID', 'listen: read no key "listen", expected one; add listen: HOST:PORT');
}

type Shared = Required<Pick<NodeOptions, 'log' | 'resolve'>> & Pick<NodeOptions, 'identity'>;

function startNodeOf(config: Config, http: HttpService | undefined, shared: Shared): Promise<RunningNode | undefined> {
  return config.node.listen ? startNode(nodeOptions(config, http, shared)) : Promise.resolve(undefined);
}

function nodeOptions({ node }: Config, http: HttpService | undefined, shared: Shared): NodeOptions {
  const { listen = { host: '127.0.0.1', port: 0 }, ...rules } = node;
  return { ...rules, listen, ...shared, ...(http ? { http: http.serving } : {}) };
}

function httpOptions({ node }: Config, shared: Shared): HttpServiceOptions {
  const { limits, pools, kernel, listen, root, identityFile } = node;
  return { limits, pools, kernel, root: listen && chooseRoot({ listen, root }), identityFile, ...shared };
}

/** A part that was not started cannot be reloaded, and a key that clients know is not one to change in passing. */
function checkParts(before: Config, after: Config): void {
  if (before.node.identityFile !== after.node.identityFile) {
    const problem = 'security.identity: read another value, expected the one from the start; needs a restart';
    throw new HoplineError('CONFIG_INVALID', problem, { problems: [problem] });
  }
  if (!isDeepStrictEqual(before.admin, after.admin)) {
    const problem = 'admin: read another value, expected the one from the start; needs a restart';
    throw new HoplineError('CONFIG_INVALID', problem, { problems: [problem] });
  }
  const parts = ({ node, gateway }: Config) => ({ listen: node.listen !== undefined, sites: gateway !== undefined });
  const now = parts(after);
  const [key] =
    Object.entries(parts(before)).find(([part, isThere]) => now[part as keyof typeof now] !== isThere) ?? [];
  if (key === undefined) return;
  const problems = [
    `${key}: read ${now[key as keyof typeof now] ? 'a value' : 'none'}, expected as at the start; needs a restart`,
  ];
  throw new HoplineError('CONFIG_INVALID', problems.join(), { problems });
}

/** The keys whose values differ, as deep as mappings go; a key that came or went is one. */
function changedKeys(before: Config, after: Config): string[] {
  return differences(effectiveConfig(before), effectiveConfig(after));
}

function differences(before: unknown, after: unknown, key = ''): string[] {
  if (isDeepStrictEqual(before, after)) return [];
  if (!isMapping(before) || !isMapping(after)) return [key];
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return keys.flatMap((each) => differences(before[each], after[each], key === '' ? each : `${key}.${each}`));
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
