/**
 * Rights at the disk: a name must be allowed as it was asked for, and again by its real path below the root.
 *
 * Invariant: a link is judged by the place it leads to; a client does not learn whether a name that it may not have
 * exists, nor of a directory that leads to nothing that it may.
 */

import path from 'node:path';
import { type Held, type Hold, hold } from '../../io/disk/held.ts';
import { isWithin } from '../../io/disk/reading/below-root.ts';
import type { Globs } from '../../wire/globs.ts';
import { plainName } from '../../wire/globs.ts';
import type { ListingView } from '../listings/shown-entries.ts';
import { type Grant, nameDenied } from './grant.ts';

/** Holds what `asked` is the name of, if it may be read, or is a directory that leads to what may. Throws `AUTH_DENIED`. */
export function holdReadable(grant: Grant, root: string, asked: string, by: Hold = hold): Hold {
  const { read } = grant.rights;
  if (read.isEverything) return by;
  const name = plainName(asked);
  const denied = () => nameDenied(grant.who, 'read');
  return async (wanted) => {
    const held = await by(wanted).catch((error) => {
      throw read.match(name) ? error : denied();
    });
    // What lies outside is refused as such.
    if (!isWithin(root, held.real) || mayHold(held, read, [name, nameBelow(root, held.real)])) return held;
    await held.close();
    throw denied();
  };
}

/** Throws `AUTH_DENIED` where an upload would not be at a place that may be written; undefined where all may be. */
export function judgeWritten(grant: Grant, root: string): ((real: string) => void) | undefined {
  const { write } = grant.rights;
  if (write.isEverything) return undefined;
  return (real) => {
    if (isWithin(root, real) && !write.match(nameBelow(root, real))) throw nameDenied(grant.who, 'write');
  };
}

/** What a listing of `asked` shows, whose real path is `real`; undefined where it shows everything. */
export function viewOf(grant: Grant, root: string, asked: string): ((real: string) => ListingView) | undefined {
  const { read } = grant.rights;
  if (read.isEverything) return undefined;
  return (real) => {
    const tops = [plainName(asked), nameBelow(root, real)];
    const below = (top: string, relative: string) => [top, relative].filter((part) => part !== '').join('/');
    // That there is a root is no secret.
    const isShown = (name: string) => name === '' || read.match(name);
    return {
      shows: (relative) => tops.every((top) => isShown(below(top, relative))),
      leads: (relative) => tops.every((top) => read.leadThrough(below(top, relative))),
      hidden: () => nameDenied(grant.who, 'read'),
    };
  };
}

function mayHold({ stats }: Held, read: Globs, names: readonly string[]): boolean {
  const isDirectory = stats.isDirectory();
  return names.every((name) => read.match(name) || (isDirectory && read.leadThrough(name)));
}

function nameBelow(root: string, real: string): string {
  return path.relative(root, real).split(path.sep).join('/');
}
