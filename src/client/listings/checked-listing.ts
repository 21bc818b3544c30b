/**
 * What an origin says lies in a directory, each entry judged before anything is made of it.
 *
 * A listing may come from anybody. Owns the rules for what no origin may say; does not know what is done with the entries, or what
 * this machine can write.
 * Invariant: no path leads out of the directory, comes twice, or comes before the directory that it is in; what is
 * remembered for that does not grow with the listing.
 * Rules: docs/protocol/requests.md#directories
 */

import { HoplineError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import { safeText } from '../../core/text.ts';
import { nameProblem } from '../../wire/name.ts';
import type { AnswerOf, Listed } from '../../wire/native/messages.ts';
import type { Circuit } from '../circuit/circuit.ts';

const noTop = 'a listing begins with the directory itself';

type Listing = AnswerOf<'listing'>;

/** The answer to a LIST of `directory` that was sent over `circuit`. Throws what the circuit does, and `PEER_PROTOCOL` and `LIMIT_LISTING` for one that is refused. */
export async function* receiveListing(
  circuit: Circuit,
  directory: string,
  limits: Limits,
): AsyncGenerator<Listing, void> {
  const check = new ListingCheck(directory, circuit.hops.length, limits);
  for (let last = false; !last; ) {
    const listing = await circuit.receive('listing', directory);
    check.add(listing);
    yield listing;
    last = listing.last;
  }
}

/** Which of two paths of one listing comes first: below zero, `one` does. A directory comes before what is in it. */
export function comparePaths(one: string, other: string): number {
  return compareParts(partsOf(one), partsOf(other));
}

/** How much was listed, over one circuit or several. */
export class ListedAmount {
  readonly #name: string;
  readonly #limits: Limits;
  #entries = 0;
  #bytes = 0;

  constructor(name: string, limits: Limits) {
    this.#name = name;
    this.#limits = limits;
  }

  /** `hop`: the origin's place in the route. Throws `LIMIT_LISTING`. */
  add(entry: Pick<Listed, 'path'> & { readonly target?: string | undefined }, hop: number): void {
    const { maxListEntries, maxListBytes } = this.#limits;
    this.#bytes += Buffer.byteLength(entry.path) + (entry.target ?? '').length;
    // The directory itself does not count.
    if (entry.path !== '') this.#entries += 1;
    const tooMuch =
      this.#entries > maxListEntries
        ? `${maxListEntries} entries`
        : this.#bytes > maxListBytes && `${maxListBytes} bytes of paths`;
    if (!tooMuch) return;
    throw new HoplineError('LIMIT_LISTING', `the origin lists more than ${tooMuch} in "${this.#name}"`, { hop });
  }
}

class ListingCheck {
  readonly #name: string;
  /** The origin's place in the route. */
  readonly #hop: number;
  readonly #limits: Limits;
  readonly #amount: ListedAmount;
  /** The entry that came last: with its directories it is all that the next one is held against. */
  #last: Pick<Listed, 'kind' | 'path'> | undefined;

  constructor(name: string, hop: number, limits: Limits) {
    this.#name = name;
    this.#hop = hop;
    this.#limits = limits;
    this.#amount = new ListedAmount(name, limits);
  }

  /** Throws `PEER_PROTOCOL`, `LIMIT_LISTING`. */
  add({ entries, last }: Listing): void {
    // Each frame that is not the last must bring the end nearer.
    if (entries.length === 0 && !last) throw this.#refusal('', 'a LISTING that is not the last has no entries');
    for (const entry of entries) {
      const problem = this.#findProblem(entry);
      if (problem !== undefined) throw this.#refusal(entry.path, problem);
      this.#amount.add(entry, this.#hop);
      this.#last = entry;
    }
    if (!this.#last) throw this.#refusal('', noTop);
  }

  #findProblem({ kind, path }: Listed): string | undefined {
    const { maxNameBytes, maxListDepth } = this.#limits;
    if (!this.#last) return path === '' && kind === 'directory' ? undefined : noTop;
    const parts = path.split('/');
    // Put behind the directory's name an absolute path would look like one with an empty part.
    if (parts.includes('')) return 'a part of the path is empty';
    if (parts.includes('.')) return 'a part of the path is "."';
    const problem = nameProblem(`${this.#name}/${path}`, maxNameBytes);
    if (problem !== undefined) return problem;
    // The directory that is listed is the first of those in each other, and one that is listed in it is another.
    const depth = parts.length - 1 + (kind === 'directory' ? 2 : 1);
    if (depth > maxListDepth) return `it lies more than ${maxListDepth} directories deep`;
    return findDisorder(parts, this.#last);
  }

  #refusal(path: string, problem: string): HoplineError {
    const message = `the origin sent a listing that is refused, at "${safeText(path, 200)}": ${problem}`;
    return new HoplineError('PEER_PROTOCOL', message, { hop: this.#hop });
  }
}

/** What is wrong with a path that comes next behind `last`, depth first. */
function findDisorder(parts: readonly string[], last: Pick<Listed, 'kind' | 'path'>): string | undefined {
  const before = partsOf(last.path);
  const order = compareParts(before, parts);
  if (order === 0) return 'it was listed before';
  if (order > 0) return 'it comes too late in the order of names';
  // Behind the last entry are those in it, and those in the directories around it.
  const entered = last.kind === 'directory' ? before : before.slice(0, -1);
  const isEntered = parts.length - 1 <= entered.length && parts.slice(0, -1).every((part, at) => part === entered[at]);
  return isEntered ? undefined : 'it lies in no directory that was listed';
}

/** The directory itself has none. */
function partsOf(path: string): readonly string[] {
  return path === '' ? [] : path.split('/');
}

function compareParts(one: readonly string[], other: readonly string[]): number {
  for (const [at, part] of one.entries()) {
    const against = other[at];
    if (against === undefined) return 1;
    // By the bytes of UTF-8, which is not the order of JavaScript's own units.
    if (part !== against) return Buffer.compare(Buffer.from(part), Buffer.from(against));
  }
  return one.length - other.length;
}
