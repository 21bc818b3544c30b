/**
 * Names that are known, and what is said of one that is not: which of them was meant.
 *
 * A compiler finds a misspelt option, but not in JavaScript, and not where options are made by spreading an object; and what
 * nobody takes would be passed over in silence. So each function of the library keeps the names of its options beside their type,
 * and the compiler compares the two.
 * Invariant: values are not looked at, and what a function takes of several is accepted by each of them.
 * Documentation: docs/library/overview.md#options
 */

import { HoplineError } from '../errors.ts';
import { defaultLimits } from '../limits.ts';

/** The names of the options of a type, all of them and no other: `{ ... } satisfies OptionNames<Options>`. */
export type OptionNames<Options> = Readonly<Record<keyof Options, true>>;

/** Those that one function takes, and what it is called. */
export interface Taken {
  readonly by: string;
  readonly names: Readonly<Record<string, true>>;
}

/**
 * What objects have that are spread into options: routes, and defaults for several functions. A function that takes no such option
 * passes it over.
 */
const carriedAlong: ReadonlySet<string> = new Set([
  ...['name', 'file', 'files', 'hops', 'route', 'routes', 'directory', 'source', 'output', 'path', 'into'],
  ...['force', 'classic', 'checksum', 'digest', 'parallel', 'resume', 'onChange', 'onEvent', 'onEntries', 'recursive'],
  ...['select', 'findsExtra', 'dryRun', 'deadlineMs', 'retry', 'limitRate', 'minRate', 'pools', 'identity'],
  ...['traceparent', 'kernel', 'signal', 'limits', 'clock', 'resolve', 'log'],
]);

/** Throws `USAGE_INVALID` for an option, or one of its `limits`, that has a value and that nobody takes. */
export function refuseUnknown(options: object, { by, names }: Taken): void {
  refuse(options, names, by, () => `known are ${Object.keys(names).sort().join(', ')}`);
  const { limits } = options as { readonly limits?: unknown };
  if (typeof limits === 'object' && limits !== null)
    refuse(limits, defaultLimits, `limits of ${by}`, () => 'docs/limits.md has all of them');
}

/** The known name that differs from `word` in the fewest letters, if these are few. */
export function nearestName(word: string, known: readonly string[]): string | undefined {
  const ranked = known.map((name) => ({ name, steps: distance(word.toLowerCase(), name.toLowerCase()) }));
  const [best] = ranked.sort((a, b) => a.steps - b.steps);
  return best && best.steps <= Math.max(2, word.length / 3) ? best.name : undefined;
}

function refuse(options: object, names: object, what: string, all: () => string): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || Object.hasOwn(names, name) || carriedAlong.has(name)) continue;
    const near = nearestName(name, Object.keys(names));
    const fix = near === undefined ? all() : `did you mean ${near}?`;
    throw new HoplineError('USAGE_INVALID', `${what}: there is no option ${name}; ${fix}`);
  }
}

/** Letters to add, drop or replace to make one word of the other. */
function distance(from: string, to: string): number {
  // A word this long is near to nothing, and takes long to compare.
  if (from.length > 64) return Number.POSITIVE_INFINITY;
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [index, letter] of [...from].entries()) {
    const next = [index + 1];
    for (const [column, other] of [...to].entries()) {
      const replaced = (row[column] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(replaced, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
