/**
 * The configuration of `hopline node`: its file, and over the file its flags.
 *
 * Invariant: read again with the same flags, the result is that of a node started now.
 */

import path from 'node:path';
import type { AdminAddress } from '../../admin/admin-address.ts';
import type { Config, LogLevel, NodeRules } from '../../config/config.ts';
import { readConfig } from '../../config/config-files.ts';
import { HoplineError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import { readTextFile } from '../../io/disk/reading/text-file.ts';
import type { Algorithm } from '../../pool/balance.ts';
import type { PoolMembers } from '../../pool/sources/sources.ts';
import type { Address } from '../../wire/address.ts';
import { given, mayUseKernel } from '../flags.ts';
import { isWorker } from '../process/signals.ts';
import { mergePools } from '../route-flags.ts';
import { adminOf } from './admin-flags.ts';

export interface NodeFlags {
  readonly config?: string;
  readonly listen?: { readonly host: string; readonly port: number };
  readonly root?: string;
  readonly identity?: string;
  readonly next?: readonly string[];
  readonly pool?: readonly PoolMembers[];
  readonly writable?: boolean;
  readonly force?: boolean;
  readonly maxUpload?: number;
  readonly policy?: string;
  readonly id?: string;
  readonly register?: readonly Address[];
  readonly registerFrom?: readonly string[];
  readonly balance?: Algorithm;
  readonly authorizedKeys?: string;
  readonly requireKey?: boolean;
  readonly registerTokenFile?: string;
  readonly registry?: string;
  readonly advertise?: Address;
  readonly maxPayload?: number;
  readonly workers?: number;
  readonly digestCache?: string;
  readonly limitRate?: number;
  readonly limitRateTotal?: number;
  readonly maxConnections?: number;
  readonly idleTimeout?: number;
  readonly grace?: number;
  readonly kernel: boolean;
  readonly admin?: AdminAddress;
  readonly adminTokenFile?: string;
  readonly logLevel?: LogLevel;
  readonly json?: boolean;
}

/** Throws `CONFIG_INVALID` for a file that is not valid, and `USAGE_INVALID` for flags that do not go together. */
export async function readNodeConfig(flags: NodeFlags): Promise<Config> {
  const file: Config =
    flags.config === undefined ? { node: {}, log: { level: 'info', format: 'text' } } : await readConfig(flags.config);
  const registry = flags.registry ?? (process.env.HOPLINE_REGISTRY || file.node.registry);
  const node: NodeRules = {
    ...file.node,
    ...given({
      listen: flags.listen,
      root: flags.root,
      identityFile: flags.identity === undefined ? undefined : path.resolve(flags.identity),
      next: flags.next,
      pools: mergePools(file.node.pools, flags.pool),
      digestCache: flags.digestCache,
      limitRate: flags.limitRate,
      limitRateTotal: flags.limitRateTotal,
      registerFrom: flags.registerFrom,
      registerToken: await readToken(flags.registerTokenFile),
      registry,
      balance: flags.balance,
      authorizedKeys: flags.authorizedKeys,
      requireKey: flags.requireKey,
      server: serverOf(flags, file.node.server),
      kernel: mayUseKernel(flags) ? undefined : false,
    }),
    // Workers take no registrations, unless they share them: each would know other servers.
    ...(isWorker && registry === undefined ? { registerFrom: false } : {}),
    uploads: uploadsOf(flags, file.node.uploads),
    limits: { ...file.node.limits, ...limitsOf(flags) },
  };
  const log = { ...file.log, ...given({ level: flags.logLevel, format: flags.json ? ('json' as const) : undefined }) };
  const admin = adminOf(flags, file.admin);
  return { node, ...(file.gateway ? { gateway: file.gateway } : {}), ...(admin ? { admin } : {}), log };
}

function uploadsOf({ writable, force, maxUpload }: NodeFlags, file: NodeRules['uploads']): NodeRules['uploads'] {
  if (writable || file) return { ...file, ...given({ force, maxBytes: maxUpload }) };
  if (!force && maxUpload === undefined) return undefined;
  throw new HoplineError('USAGE_INVALID', `${force ? '--force' : '--max-upload'} goes with --writable`);
}

function serverOf(flags: NodeFlags, file: NodeRules['server']): NodeRules['server'] {
  const { policy, id, register, advertise } = flags;
  if (policy !== undefined) return { policy, id, register, advertise };
  if (id === undefined && register === undefined && advertise === undefined) return undefined;
  if (file) return { ...file, ...given({ id, register, advertise }) };
  throw new HoplineError('USAGE_INVALID', '--id, --register and --advertise are for a server: say which --policy');
}

async function readToken(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return process.env.HOPLINE_REGISTER_TOKEN || undefined;
  return (await readTextFile(file, { what: 'the --register-token-file', code: 'USAGE_INVALID' })).trim();
}

function limitsOf({ maxConnections, maxPayload, idleTimeout, grace }: NodeFlags): Partial<Limits> {
  return given({ maxConnections, maxPayloadBytes: maxPayload, idleMs: idleTimeout, graceMs: grace });
}
