/**
 * What is in a directory of the origin, told in its order as it arrives, so that a listing of any size takes no more memory than one frame.
 *
 * Owns where a listing goes on when its circuit breaks. Does not know what is made of the entries.
 * Invariant: no entry is told twice, and no more than the limits in all, over however many circuits they come.
 * Documentation: docs/listing.md
 */

import { asHoplineError } from '../../core/errors.ts';
import { type OptionNames, refuseUnknown } from '../../core/failure/known-names.ts';
import { availableDigests } from '../../io/digests/digest.ts';
import type { Listed } from '../../wire/native/messages.ts';
import { checkName } from '../../wire/route.ts';
import type { Circuit, ClientContext } from '../circuit/circuit.ts';
import type { Circuits } from '../circuit/circuits.ts';
import { checkStatus, requestStatus } from '../pieces/receive-piece.ts';
import type { SkippedEntries } from '../transfer-events.ts';
import { comparePaths, ListedAmount, receiveListing } from './checked-listing.ts';
import { type LookOptions, type LookResult, look, lookNames } from './look.ts';

/** An entry of a directory, as far as its origin tells. */
export interface RemoteEntry {
  readonly kind: Listed['kind'];
  /** Below the directory, with `/` between its parts; empty for a file that was itself asked for. */
  readonly path: string;
  /** Bytes, of a file. */
  readonly size?: number | undefined;
  /** Permission bits. */
  readonly mode?: number | undefined;
  /** When it was last modified, in nanoseconds since 1970. */
  readonly mtimeNs?: string | undefined;
  /** Where a link points: for people to read. */
  readonly target?: string | undefined;
}

export interface ListDirectoryOptions extends LookOptions {
  /** Path below the origin's root, which is `.`; that of a file is listed as the only entry. */
  readonly directory: string;
  /** Whether what is in the directories of this one is told, too. @default false */
  readonly recursive?: boolean | undefined;
  /**
   * Some entries, in the order of the listing: a directory before what is in it, names by their bytes. The next ones are
   * waited for once it has settled; with `false`, no more are asked for.
   */
  readonly onEntries: (entries: readonly RemoteEntry[]) => Promise<boolean | undefined> | boolean | undefined;
}

const names = {
  ...lookNames,
  directory: true,
  recursive: true,
  onEntries: true,
} as const satisfies OptionNames<ListDirectoryOptions>;

export interface ListResult extends LookResult {
  /** How many were told. */
  readonly entries: number;
  /** Bytes of the files among them. */
  readonly size: number;
  /** Entries that the origin has and did not list. */
  readonly skipped: SkippedEntries;
}

/**
 * Lists a directory. Throws what the circuits do, such as `FILE_NOT_FOUND` and `FILE_DENIED`, and `PEER_PROTOCOL` and `LIMIT_LISTING` for
 * a listing that is refused; what was told before is not taken back.
 */
export async function listDirectory(options: ListDirectoryOptions): Promise<ListResult> {
  refuseUnknown(options, { by: 'listDirectory', names });
  const { directory, limits } = options;
  checkName(directory, limits?.maxNameBytes);
  const told = new ToldEntries(options);
  const depth = options.recursive ? {} : { depth: 1 };
  const result = await look(options, {
    request: { type: 'list', name: directory, ...depth },
    answer: (circuit, circuits, client) => told.over(circuit, circuits, client),
  });
  const { entries, size, skipped } = told;
  return { ...result, entries, size, skipped };
}

class ToldEntries {
  entries = 0;
  size = 0;
  skipped: SkippedEntries = { names: 0, unreadable: 0, unfinished: 0 };
  readonly #options: ListDirectoryOptions;
  /** The path of the entry that was told last. */
  #last: string | undefined;
  #hasBegun = false;
  /** Of all circuits: an origin that breaks off behind each new entry would else list for ever. */
  #amount: ListedAmount | undefined;

  constructor(options: ListDirectoryOptions) {
    this.#options = options;
  }

  /** Goes on over `circuit`, which has been sent LIST. */
  async over(circuit: Circuit, circuits: Circuits, client: ClientContext): Promise<void> {
    const { directory } = this.#options;
    this.#amount ??= new ListedAmount(directory, client.limits);
    try {
      for await (const { entries, skipped } of receiveListing(circuit, directory, client.limits)) {
        const news = entries.filter((entry) => this.#isNew(entry));
        if (news.length > 0 || !this.#hasBegun) circuits.progressed(circuit);
        this.#hasBegun = true;
        if (skipped) this.skipped = skipped;
        if (!(await this.#tell(circuit, news))) return;
      }
    } catch (error) {
      if (this.#hasBegun || asHoplineError(error).code !== 'FILE_DENIED') throw error;
      await this.#tell(circuit, [await this.#askForFile(circuit, client)]);
    }
  }

  /** An origin denies to list what is no directory. */
  async #askForFile(circuit: Circuit, { limits }: ClientContext): Promise<RemoteEntry> {
    const { directory } = this.#options;
    const digests = availableDigests();
    circuit.send([requestStatus(directory, digests)]);
    const status = await circuit.receive('status', directory);
    checkStatus(status, digests, limits);
    const { size, mode, mtimeNs } = status;
    return { kind: 'file', path: '', size, mode, mtimeNs };
  }

  /** Neither the directory itself, nor what lies too deep and comes all the same, nor what came before another circuit broke. */
  #isNew({ path }: Listed): boolean {
    if (path === '' || (!this.#options.recursive && path.includes('/'))) return false;
    return this.#last === undefined || comparePaths(path, this.#last) > 0;
  }

  /** Whether more is to be told. */
  async #tell(circuit: Circuit, entries: readonly RemoteEntry[]): Promise<boolean> {
    const last = entries.at(-1);
    if (!last) return true;
    this.entries += entries.length;
    for (const entry of entries) {
      this.#amount?.add(entry, circuit.hops.length);
      this.size += entry.size ?? 0;
    }
    this.#last = last.path;
    const isEnough = (await circuit.during(async () => this.#options.onEntries(entries))) === false;
    return !isEnough;
  }
}
