/**
 * A directory of the origin with all that is in it, held as a whole before anything of it is fetched.
 *
 * Does not know what a listing may say, or what this machine can write.
 * Invariant: a manifest is that of one listing, from its beginning to its end.
 */

import { asHoplineError } from '../../core/errors.ts';
import { availableDigests, type DigestAlgorithm } from '../../io/digests/digest.ts';
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
  /** Of files of which the origin knows it, by their paths: those of all their bytes, in hex. */
  readonly digests: ReadonlyMap<string, string>;
  readonly algorithm: DigestAlgorithm | undefined;
}

export interface ManifestOptions {
  /** Takes a directory that is not there for an empty one. @default false */
  readonly mayBeMissing?: boolean;
  /** Asks for digests that the origin knows. @default false */
  readonly withDigests?: boolean;
}

/**
 * Fetches the listing of `directory`. Throws what the circuits do,
 * `PEER_PROTOCOL` and `LIMIT_LISTING` for one that is refused.
 */
export async function fetchManifest(
  directory: string,
  circuits: Circuits,
  client: ClientContext,
  { mayBeMissing = false, withDigests = false }: ManifestOptions = {},
): Promise<Manifest> {
  const offered = withDigests ? availableDigests() : [];
  const digests = withDigests ? { digests: offered.map(({ name }) => name) } : {};
  let manifest = new ListedManifest(offered);
  let hasBegun = false;
  await circuits.run(
    () => [{ type: 'list', name: directory, ...digests }],
    async (circuit) => {
      manifest = new ListedManifest(offered);
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
  readonly digests = new Map<string, string>();
  algorithm: DigestAlgorithm | undefined;
  readonly #offered: readonly DigestAlgorithm[];

  constructor(offered: readonly DigestAlgorithm[]) {
    this.#offered = offered;
  }

  add({ entries, skipped, digest }: AnswerOf<'listing'>): void {
    // One that was not asked for says nothing.
    this.algorithm ??= this.#offered.find(({ name }) => name === digest);
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
        if (entry.digest !== undefined) this.digests.set(entry.path, entry.digest);
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
