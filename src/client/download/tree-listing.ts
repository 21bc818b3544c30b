/**
 * A directory of the origin with all that is in it, held as a whole before anything of it is fetched.
 *
 * Does not know what a listing may say, or what this machine can write.
 * Invariant: a manifest is that of one listing, from its beginning to its end.
 */

import { asHoplineError } from '../../core/errors.ts';
import type { TreeDirectory, TreeFile } from '../../io/disk/tree/tree-target.ts';
import type { AnswerOf, Listed } from '../../wire/native/messages.ts';
import type { ClientContext } from '../circuit/circuit.ts';
import type { Circuits } from '../circuit/circuits.ts';
import { receiveListing } from '../listings/checked-listing.ts';
import type { SkippedEntries, TreeLink } from '../transfer-events.ts';

export interface Manifest {
  /** Each behind the one that it is in; the first has an empty path and is the directory itself. */
  readonly directories: readonly TreeDirectory[];
  readonly files: readonly TreeFile[];
  readonly links: readonly TreeLink[];
  /** Sockets, devices and the like. */
  readonly others: number;
  readonly skipped: SkippedEntries;
}

/**
 * Fetches the listing of `directory`; with `mayBeMissing`, an empty one where there is no such directory. Throws what the circuits do,
 * `PEER_PROTOCOL` and `LIMIT_LISTING` for one that is refused.
 */
export async function fetchManifest(
  directory: string,
  circuits: Circuits,
  client: ClientContext,
  mayBeMissing = false,
): Promise<Manifest> {
  let manifest = new ListedManifest();
  let hasBegun = false;
  await circuits.run(
    () => [{ type: 'list', name: directory }],
    async (circuit) => {
      manifest = new ListedManifest();
      try {
        for await (const listing of receiveListing(circuit, directory, client.limits)) {
          manifest.add(listing);
          // Once: a listing that breaks off begins anew, so what comes of it is no progress, and must not be tried for ever.
          if (!hasBegun) circuits.progressed(circuit);
          hasBegun = true;
        }
      } catch (error) {
        if (!mayBeMissing || asHoplineError(error).code !== 'FILE_NOT_FOUND') throw error;
      }
    },
  );
  return manifest;
}

class ListedManifest implements Manifest {
  readonly directories: TreeDirectory[] = [];
  readonly files: TreeFile[] = [];
  readonly links: TreeLink[] = [];
  others = 0;
  skipped: SkippedEntries = { names: 0, unreadable: 0, unfinished: 0 };

  add({ entries, skipped }: AnswerOf<'listing'>): void {
    for (const entry of entries) this.#keep(entry);
    if (skipped) this.skipped = skipped;
  }

  #keep(entry: Listed): void {
    switch (entry.kind) {
      case 'directory':
        this.directories.push({ path: entry.path, mode: entry.mode, mtimeNs: BigInt(entry.mtimeNs) });
        break;
      case 'file':
        this.files.push({ path: entry.path, size: entry.size, mode: entry.mode, mtimeNs: BigInt(entry.mtimeNs) });
        break;
      case 'link':
        this.links.push({ path: entry.path, target: entry.target ?? '' });
        break;
      case 'other':
        this.others += 1;
        break;
    }
  }
}
