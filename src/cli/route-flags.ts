/**
 * What commands that go over routes have in common: flags for hops, pools, keys and times, and what is done with them before
 * the first circuit and after the last.
 *
 * Invariant: a name stands for one pool; a pool of the command line takes the place of one of the configuration file.
 * Documentation: docs/pools.md#in-routes
 */

import type { Command } from 'commander';
import type { TransferOptions } from '../client/transfer.ts';
import { defaultLimits } from '../core/limits.ts';
import type { PoolMembers } from '../pool/sources/sources.ts';
import type { RoutePlan } from '../wire/route.ts';
import { given, listFlag, mayUseKernel, poolFlag, rateFlag, secondsFlag, timesFlag } from './flags.ts';
import { addSecurityFlags, type SecurityFlags, secureRoutes } from './key/client-security.ts';
import { startInterruption } from './terminal/interruption.ts';

export interface PoolFlags {
  readonly config?: string;
  readonly pool?: readonly PoolMembers[];
}

export interface TimeFlags {
  /** Milliseconds, all three. */
  readonly deadline?: number;
  readonly connectTimeout?: number;
  readonly idleTimeout?: number;
}

export interface RouteFlags extends PoolFlags, SecurityFlags, TimeFlags {
  readonly via?: readonly string[];
  readonly retry?: number;
  readonly limitRate?: number;
  readonly minRate?: number;
}

export function addPoolFlags(command: Command): Command {
  return command
    .option(
      '--pool <NAME=MEMBERS>',
      'a pool that the first hop may name as @NAME: HOST:PORT separated by commas; repeatable',
      poolFlag,
    )
    .option(
      '--config <FILE>',
      'a configuration file whose pools the first hop may name too; its other keys do not count',
    );
}

/** `idleMs`: the default of `--idle-timeout`. */
export function addTimeFlags(command: Command, idleMs: number = defaultLimits.stallMs): Command {
  return command
    .option('--deadline <SECONDS>', 'for all of it', secondsFlag)
    .option('--connect-timeout <SECONDS>', `for each attempt (default: ${defaultLimits.connectMs / 1000})`, secondsFlag)
    .option('--idle-timeout <SECONDS>', `without a byte (default: ${idleMs / 1000})`, secondsFlag);
}

/** The flags that say which ways there are, and how often they are tried. */
export function addWayFlags(command: Command): Command {
  command.option(
    '--via <HOPS>',
    'the hops, HOST:PORT separated by commas, | between alternates, instead of a route file; repeatable',
    listFlag,
  );
  addSecurityFlags(addPoolFlags(command));
  return command.option(
    '--retry <N>',
    'times to take up a broken transfer without progress in between (default: 5), and to try one again that does not begin (default: 0)',
    timesFlag,
  );
}

/** The flags of a transfer over a route, all but those that say what is transferred. */
export function addRouteFlags(command: Command, idleMs?: number): Command {
  addWayFlags(command).option('--limit-rate <RATE>', 'bytes a second at most, such as 500K, 10M or 1.5G', rateFlag);
  return addTimeFlags(command, idleMs).option('-q, --quiet', 'print nothing but errors');
}

/** Runs `transfer` over the routes that were asked for, with the keys that are known of them, until Ctrl-C. */
export async function overRoutes(
  asked: RoutePlan['routes'],
  flags: RouteFlags,
  transfer: (routes: RoutePlan['routes'], options: TransferOptions) => Promise<void>,
): Promise<void> {
  const pools = await readOwnPools(flags);
  const { retry, deadline: deadlineMs, limitRate, minRate, connectTimeout, idleTimeout } = flags;
  const limits = given({ connectMs: connectTimeout, stallMs: idleTimeout, idleMs: idleTimeout });
  const { signal, end } = startInterruption();
  try {
    const { routes, identity, explain } = await secureRoutes(asked, flags, { signal, limits, pools });
    const kernel = mayUseKernel({ kernel: true });
    const { TRACEPARENT: traceparent } = process.env;
    const options = { signal, limits, pools, identity, kernel, retry, deadlineMs, limitRate, minRate, traceparent };
    await transfer(routes, options).catch(async (error) => {
      throw await explain(error);
    });
  } finally {
    end();
  }
}

/** Throws `CONFIG_INVALID` for a file that is not valid. */
export async function readOwnPools({ config, pool }: PoolFlags): Promise<readonly PoolMembers[]> {
  // What reads a configuration takes longer to load than all else that `get` needs.
  const file = config === undefined ? undefined : await (await import('../config/config-files.ts')).readConfig(config);
  return mergePools(file?.node.pools, pool);
}

export function mergePools<T extends PoolMembers>(file: readonly T[] = [], flags: readonly T[] = []): readonly T[] {
  return [...file.filter(({ name }) => flags.every((flag) => flag.name !== name)), ...flags];
}
