/**
 * What a node is told: its options, checked as far as that is possible before it listens.
 *
 * Invariant: what this accepts can be put in effect without failing, be it at the start or at a reload.
 */

import type { Duplex } from 'node:stream';
import type { Clock } from '../core/clock.ts';
import { HoplineError } from '../core/errors.ts';
import { type OptionNames, refuseUnknown } from '../core/failure/known-names.ts';
import { checkUnchanged } from '../core/fixed-settings.ts';
import { defaultLimits, type Limits } from '../core/limits.ts';
import { type Logger, silentLogger } from '../core/log.ts';
import { resolveRoot } from '../io/disk/reading/below-root.ts';
import type { Activity } from '../io/listening/places.ts';
import type { ListenPlace } from '../io/listening/server-socket.ts';
import { parseNetworks, type Subnet } from '../io/names/networks.ts';
import type { Resolver } from '../io/names/resolve.ts';
import type { Algorithm } from '../pool/balance.ts';
import { formatHop } from '../wire/address.ts';
import type { KeyPair } from '../wire/keys/key.ts';
import { type NextRule, parseNextRules } from './access/access-rules.ts';
import type { PolicyServer } from './packets/policy-server.ts';
import { checkPools, type PoolOptions } from './pools/pool-options.ts';
import { checkRegisterToken } from './pools/register-token.ts';
import { checkRegistry } from './pools/registry.ts';
import { checkRates, type RateOptions } from './rates.ts';
import { checkOutside, chooseRoot } from './root.ts';
import type { UploadRules } from './uploads/claims.ts';

/** Serves HTTP on the connections of a node. */
export interface HttpServing {
  /** What its clients begin with: `tls` if it speaks HTTP over TLS. */
  readonly dialect: 'http' | 'tls';
  /** Takes a connection over, which has not been read from yet, and ends it; tells `activity` of what becomes of it. */
  accept(connection: Duplex, activity?: Activity): void;
}

export interface NodeOptions extends RateOptions {
  /** Where to listen. */
  readonly listen: ListenPlace;
  /**
   * The directory whose files are served. @default the working directory on a node that listens on loopback; any other node
   * serves no files
   */
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
  /** Who is next in pools that name no algorithm of their own. @default 'round-robin' */
  readonly balance?: Algorithm | undefined;
  /** Networks that servers may register from, besides loopback on a node that listens there; `false` takes none. */
  readonly registerFrom?: readonly string[] | false;
  /** Lets servers that send it register from anywhere, and is sent by this one; 16 to 200 characters of ASCII. */
  readonly registerToken?: string | undefined;
  /** The URL of a Redis whose members this node shares with others: `redis://[USER:PASSWORD@]HOST:PORT[/DATABASE]`, or `rediss:`. */
  readonly registry?: string | undefined;
  /** The policy whose messages are answered by this node, and the fronts that it registers with. */
  readonly server?: PolicyServer;
  /** Gets the connections whose first bytes are HTTP. @default they are refused */
  readonly http?: HttpServing | undefined;
  /** A directory, for nothing else, where the digests of served files outlive the node. @default in memory alone */
  readonly digestCache?: string;
  /** The key of this node, by which clients that know it encrypt their circuits. @default encrypted circuits are refused */
  readonly identity?: KeyPair | undefined;
  /** The file of that key, which must not be below the root; a service reads it, and has it to itself. @default none */
  readonly identityFile?: string | undefined;
  /** A file, not below the root, that says whose keys may come, and what each may do; it is read again when it has changed. @default everybody may do everything */
  readonly authorizedKeys?: string | undefined;
  /** Whether requests that are not encrypted are refused, also those of clients that `authorizedKeys` calls `plain`. @default false */
  readonly requireKey?: boolean | undefined;
  readonly limits?: Partial<Limits>;
  /** Whether circuits, and files, may pass inside the kernel where that is possible. @default true */
  readonly kernel?: boolean;
  /** @default silent */
  readonly log?: Logger;
  readonly clock?: Clock;
  /** Milliseconds since 1970. @default Date.now */
  readonly wallClock?: () => number;
  readonly resolve?: Resolver;
}

const names = {
  listen: true,
  root: true,
  next: true,
  uploads: true,
  pools: true,
  balance: true,
  registerFrom: true,
  registerToken: true,
  registry: true,
  server: true,
  http: true,
  digestCache: true,
  identity: true,
  identityFile: true,
  authorizedKeys: true,
  requireKey: true,
  limitRate: true,
  limitRateTotal: true,
  limits: true,
  kernel: true,
  log: true,
  clock: true,
  wallClock: true,
  resolve: true,
} as const satisfies OptionNames<NodeOptions>;

/** Options that were understood. */
export interface Settings {
  readonly options: NodeOptions;
  readonly limits: Limits;
  readonly log: Logger;
  /** The real path of the directory that files are served from; undefined if none are. */
  readonly root: string | undefined;
  readonly nextRules: readonly NextRule[];
  /** Undefined if nobody may register. */
  readonly registerFrom: readonly Subnet[] | undefined;
}

/**
 * Throws `USAGE_INVALID` for an option that there is not, a rule, rate, root, token or registry that is not one, for two pools of one name, and for
 * uploads without a root, for authorized keys, or a front of a known key, at a node without a key, and for either of their files below the root.
 */
export async function readSettings(options: NodeOptions): Promise<Settings> {
  refuseUnknown(options, { by: 'startNode', names });
  const { next = [], pools = [] } = options;
  const root = chooseRoot(options);
  if (options.uploads && root === undefined) {
    const message =
      'uploads need a directory to go into: a node that listens off loopback takes them with --root alone';
    throw new HoplineError('USAGE_INVALID', message);
  }
  checkRates(options);
  checkIdentity(options);
  checkPools(pools);
  checkRegisterToken(options.registerToken);
  checkRegistry(options);
  const realRoot = root === undefined ? undefined : await resolveRoot(root, '--root');
  await checkOutside(realRoot, options.identityFile, '--identity');
  await checkOutside(realRoot, options.authorizedKeys, '--authorized-keys');
  return {
    options,
    limits: { ...defaultLimits, ...options.limits },
    log: options.log ?? silentLogger,
    root: realRoot,
    nextRules: parseNextRules([...next, ...listedAddresses(pools)]),
    registerFrom:
      options.registerFrom === false ? undefined : parseNetworks(options.registerFrom ?? [], '--register-from'),
  };
}

/** Throws `CONFIG_INVALID`, with a line for each, if something has changed that a running node cannot change. */
export function checkReload(before: Settings, after: Settings): void {
  const facts = ({ options, limits }: Settings) => ({
    listen: options.listen,
    'digest-cache': options.digestCache,
    identity: options.identity?.public.text,
    'security.authorized-keys': options.authorizedKeys,
    'security.require-key': options.requireKey ?? false,
    kernel: options.kernel ?? true,
    registry: options.registry,
    'limits.max-digest-cache': limits.maxDigestCacheBytes,
    'limits.max-digest-cache-files': limits.maxDigestCacheFiles,
  });
  checkUnchanged(facts(before), facts(after));
}

/** Nobody could encrypt to a node without a key, and no front would know it. */
function checkIdentity({ identity, authorizedKeys, requireKey, server }: NodeOptions): void {
  const hasKeyedFront = server?.register?.some(({ key }) => key !== undefined) ?? false;
  if (identity || (authorizedKeys === undefined && !requireKey && !hasKeyedFront)) return;
  const flag = requireKey
    ? '--require-key'
    : authorizedKeys === undefined
      ? '--register with a key'
      : '--authorized-keys';
  throw new HoplineError('USAGE_INVALID', `${flag} needs a key of the node's own: --identity FILE`);
}

/** The members that are written down, as rules of their own. */
function listedAddresses(pools: readonly PoolOptions[]): string[] {
  return pools.flatMap(({ members = [] }) => members.map(formatHop));
}
