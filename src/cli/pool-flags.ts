/**
 * The pools that a command has by its flags: those of the configuration file, and over these the ones of `--pool`.
 *
 * Invariant: a name stands for one pool; the one on the command line takes the place of the file's.
 * Documentation: docs/pools.md#in-routes
 */

import type { PoolMembers } from '../pool/sources/sources.ts';

export interface PoolFlags {
  readonly config?: string;
  readonly pool?: readonly PoolMembers[];
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
