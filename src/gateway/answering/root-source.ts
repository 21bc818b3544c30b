/**
 * The files below a directory of this machine, as a source for an exchange.
 *
 * A file is opened by the rules of an origin: below the root, and never through a link that leaves it.
 */

import { defaultLimits } from '../../core/limits.ts';
import { resolveRoot } from '../../io/disk/reading/below-root.ts';
import { openServed } from '../../io/disk/reading/served-file.ts';
import type { FileSource } from './files.ts';

/** Opens a root for serving. Throws `USAGE_INVALID` if it is no directory. */
export async function openRootSource(root: string, maxNameBytes = defaultLimits.maxNameBytes): Promise<FileSource> {
  const real = await resolveRoot(root, 'root');
  return {
    open: async (name) => {
      const served = await openServed(real, name, maxNameBytes);
      const { size, copy, mtimeNs, handle } = served;
      return {
        size,
        version: copy,
        modified: Number(mtimeNs / 1_000_000n),
        read: (offset, length) => ({ handle, offset, length }),
        close: () => served.close(),
      };
    },
  };
}
