/**
 * What is in a directory of this machine: the regular files in it and below, for whoever sends or compares them.
 *
 * Invariant: no link is followed, so that everything found lies in the directory; what is left out is counted.
 */

import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { HoplineError } from '../../../core/errors.ts';
import { systemError } from '../../../core/system-errors.ts';
import { isUnfinished } from '../../../wire/name.ts';

export interface LocalTree {
  /** Paths below the directory, with `/` between their parts, in their order. */
  readonly files: readonly string[];
  /** Directories in which there is nothing. */
  readonly empty: number;
  readonly links: number;
  /** Sockets, devices and the like. */
  readonly others: number;
  /** Of unfinished transfers. */
  readonly unfinished: number;
}

export interface LocalTreeRules {
  readonly maxListEntries: number;
  readonly maxListDepth: number;
}

type Counted = { -readonly [Key in keyof LocalTree]: LocalTree[Key] } & { readonly files: string[] };

/** Throws `USAGE_INVALID` for what cannot be read, `LIMIT_LISTING` for more than the rules allow. */
export async function readLocalTree(directory: string, rules: LocalTreeRules): Promise<LocalTree> {
  const tree: Counted = { files: [], empty: 0, links: 0, others: 0, unfinished: 0 };
  let entries = 0;
  // Depth first, in order: what is next stands at the end.
  const due = [''];
  for (let relative = due.pop(); relative !== undefined; relative = due.pop()) {
    const found = await readEntries(path.join(directory, ...relative.split('/')));
    entries += found.length;
    if (entries > rules.maxListEntries) throw tooMuch(directory, `${rules.maxListEntries} entries`);
    if (depthOf(relative) > rules.maxListDepth)
      throw tooMuch(directory, `${rules.maxListDepth} directories in each other`);
    if (found.length === 0) tree.empty += 1;
    due.push(...take(tree, relative, found).reverse());
  }
  return tree;
}

/** Counts the entries of a directory; those that are directories are to be read. */
function take(tree: Counted, relative: string, entries: readonly Dirent[]): string[] {
  const below: string[] = [];
  for (const entry of entries) {
    const own = relative === '' ? entry.name : `${relative}/${entry.name}`;
    if (isUnfinished(entry.name)) tree.unfinished += 1;
    else if (entry.isDirectory()) below.push(own);
    else if (entry.isFile()) tree.files.push(own);
    else if (entry.isSymbolicLink()) tree.links += 1;
    else tree.others += 1;
  }
  return below;
}

function depthOf(relative: string): number {
  return relative === '' ? 1 : relative.split('/').length + 1;
}

function tooMuch(directory: string, most: string): HoplineError {
  return new HoplineError('LIMIT_LISTING', `${directory} has more than ${most}`);
}

async function readEntries(directory: string): Promise<readonly Dirent[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    return entries.sort((one, other) => (one.name < other.name ? -1 : 1));
  } catch (error) {
    throw systemError('USAGE_INVALID', `cannot read ${directory}`, error);
  }
}
