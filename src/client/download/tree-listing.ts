/**
 * What an origin says lies in a directory, each entry judged before anything is made of it.
 *
 * A listing may come from anybody. Owns the rules for what no origin may say; does not know what this machine can write.
 * Invariant: no path in a manifest leads out of the tree, comes twice, or comes before the directory that it is in.
 * Rules: docs/protocol/requests.md#directories
 */

import { HoplineError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import { safeText } from '../../core/text.ts';
import type { TreeDirectory, TreeFile } from '../../io/disk/tree/tree-target.ts';
import { nameProblem } from '../../wire/name.ts';
import type { AnswerOf, Listed } from '../../wire/native/messages.ts';
import type { ClientContext } from '../circuit/circuit.ts';
import type { Circuits } from '../circuit/circuits.ts';
import type { SkippedEntries, TreeLink } from '../transfer-events.ts';

const noTop = 'a listing begins with the directory itself';

export interface Manifest {
  /** Each behind the one that it is in; the first has an empty path and is the directory itself. */
  readonly directories: readonly TreeDirectory[];
  readonly files: readonly TreeFile[];
  readonly links: readonly TreeLink[];
  /** Sockets, devices and the like. */
  readonly others: number;
  readonly skipped: SkippedEntries;
}

/** Fetches the listing of `directory`. Throws what the circuits do, `PEER_PROTOCOL` and `LIMIT_LISTING` for one that is refused. */
export async function fetchManifest(directory: string, circuits: Circuits, client: ClientContext): Promise<Manifest> {
  let manifest = new CheckedManifest(directory, 0, client.limits);
  let hasBegun = false;
  await circuits.run(
    () => [{ type: 'list', name: directory }],
    async (circuit) => {
      manifest = new CheckedManifest(directory, circuit.hops.length, client.limits);
      for (let last = false; !last; ) {
        const listing = await circuit.receive('listing', directory);
        manifest.add(listing);
        // Once: a listing that breaks off begins anew, so what comes of it is no progress, and must not be tried for ever.
        if (!hasBegun) circuits.progressed(circuit);
        hasBegun = true;
        last = listing.last;
      }
    },
  );
  return manifest;
}

class CheckedManifest implements Manifest {
  readonly directories: TreeDirectory[] = [];
  readonly files: TreeFile[] = [];
  readonly links: TreeLink[] = [];
  others = 0;
  skipped: SkippedEntries = { names: 0, unreadable: 0, unfinished: 0 };
  readonly #name: string;
  /** The origin's place in the route. */
  readonly #hop: number;
  readonly #limits: Limits;
  readonly #seen = new Set<string>();
  #bytes = 0;
  readonly #parents = new Set<string>();

  constructor(name: string, hop: number, limits: Limits) {
    this.#name = name;
    this.#hop = hop;
    this.#limits = limits;
  }

  /** Throws `PEER_PROTOCOL`, `LIMIT_LISTING`. */
  add({ entries, last, skipped }: AnswerOf<'listing'>): void {
    // Each frame that is not the last must bring the end nearer.
    if (entries.length === 0 && !last) throw this.#refusal('', 'a LISTING that is not the last has no entries');
    for (const entry of entries) {
      const problem = this.#findProblem(entry);
      if (problem !== undefined) throw this.#refusal(entry.path, problem);
      this.#count(entry);
      this.#seen.add(entry.path);
      this.#keep(entry);
    }
    if (skipped) this.skipped = skipped;
    if (last && this.#seen.size === 0) throw this.#refusal('', noTop);
  }

  /** Throws `LIMIT_LISTING`. */
  #count(entry: Listed): void {
    const { maxListEntries, maxListBytes } = this.#limits;
    this.#bytes += Buffer.byteLength(entry.path) + (entry.kind === 'link' ? (entry.target ?? '').length : 0);
    // The directory itself does not count.
    const tooMuch =
      this.#seen.size > maxListEntries
        ? `${maxListEntries} entries`
        : this.#bytes > maxListBytes && `${maxListBytes} bytes of paths`;
    if (!tooMuch) return;
    const message = `the origin lists more than ${tooMuch} in "${this.#name}"`;
    throw new HoplineError('LIMIT_LISTING', message, { hop: this.#hop });
  }

  #keep(entry: Listed): void {
    switch (entry.kind) {
      case 'directory':
        this.#parents.add(entry.path);
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

  #findProblem({ kind, path }: Listed): string | undefined {
    const { maxNameBytes, maxListDepth } = this.#limits;
    if (this.#seen.size === 0) return path === '' && kind === 'directory' ? undefined : noTop;
    const parts = path.split('/');
    // Put behind the directory's name an absolute path would look like one with an empty part.
    if (parts.includes('')) return 'a part of the path is empty';
    if (parts.includes('.')) return 'a part of the path is "."';
    const problem = nameProblem(`${this.#name}/${path}`, maxNameBytes);
    if (problem !== undefined) return problem;
    parts.pop();
    // The directory that is listed is the first of those in each other, and one that is listed in it is another.
    const depth = parts.length + (kind === 'directory' ? 2 : 1);
    if (depth > maxListDepth) return `it lies more than ${maxListDepth} directories deep`;
    if (this.#seen.has(path)) return 'it was listed before';
    if (!this.#parents.has(parts.join('/'))) return 'it lies in no directory that was listed';
    return undefined;
  }

  #refusal(path: string, problem: string): HoplineError {
    const message = `the origin sent a listing that is refused, at "${safeText(path, 200)}": ${problem}`;
    return new HoplineError('PEER_PROTOCOL', message, { hop: this.#hop });
  }
}
