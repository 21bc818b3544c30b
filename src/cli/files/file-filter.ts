/**
 * Which files of a directory are moved: `--include`, `--exclude` and `--files-from`.
 *
 * Does not know where the directory is. What means a directory means all that is in it.
 * Documentation: docs/trees.md
 */

import { type Command, InvalidArgumentError } from 'commander';
import { HoplineError } from '../../core/errors.ts';
import { defaultLimits } from '../../core/limits.ts';
import { readTextFile } from '../../io/disk/reading/text-file.ts';
import { Globs, globProblem } from '../../wire/globs.ts';
import { nameProblem } from '../../wire/name.ts';

export interface FilterFlags {
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
  readonly filesFrom?: string;
  readonly dryRun?: boolean;
}

export interface FileFilter {
  /** Whether a file is moved, by its path below the directory. */
  readonly selects: (path: string) => boolean;
  /** From now on, asking about a file does not say that it is there. */
  closeList(): void;
  /** Whether all that is on the list was asked about. */
  isListWhole(): boolean;
  /** Throws `FILE_NOT_FOUND` where it was not. */
  checkList(): void;
}

const listRules = { what: 'the list of files', code: 'USAGE_INVALID', maxBytes: 64 * 1024 ** 2 } as const;

export function addFilterFlags(command: Command): Command {
  return command
    .option('--include <GLOB>', 'of a directory, these alone; without / a name anywhere in it; repeatable', globFlag)
    .option('--exclude <GLOB>', 'of a directory, all but these, also of those included; repeatable', globFlag)
    .option('--files-from <FILE>', 'of a directory, what this file lists: a path in it on each line')
    .option('--dry-run', 'show what would be moved of a directory, and move nothing');
}

function globFlag(text: string, earlier: readonly string[] = []): readonly string[] {
  const glob = text.replace(/([^/])\/$/, '$1');
  const problem = globProblem(glob);
  if (problem !== undefined) throw new InvalidArgumentError(`It is ${problem}.`);
  return [...earlier, glob.includes('/') || glob === '**' ? glob : `**/${glob}`];
}

/** Whether it must be a directory: nothing is moved to find out. */
export function isForTrees({ dryRun = false, filesFrom }: FilterFlags): boolean {
  return dryRun || filesFrom !== undefined;
}

/** Undefined where all is moved. Throws `USAGE_INVALID` for a list that cannot be read, or has what is no path in it. */
export async function readFileFilter({ include, exclude, filesFrom }: FilterFlags): Promise<FileFilter | undefined> {
  if (!include && !exclude && filesFrom === undefined) return undefined;
  const included = include && new Globs(include);
  const excluded = new Globs(exclude ?? []);
  const listed = filesFrom === undefined ? undefined : await readList(filesFrom);
  const missing = new Set(listed);
  let isClosed = false;
  return {
    selects: (path) => {
      const names = aboveAndItself(path);
      const onList = listed && names.filter((name) => listed.has(name));
      for (const name of isClosed ? [] : (onList ?? [])) missing.delete(name);
      const isMeant = (globs: Globs) => names.some((name) => globs.match(name.normalize('NFC')));
      return onList?.length !== 0 && (included === undefined || isMeant(included)) && !isMeant(excluded);
    },
    closeList: () => {
      isClosed = true;
    },
    isListWhole: () => missing.size === 0,
    checkList: () => {
      const [first] = missing;
      if (first === undefined) return;
      const more = missing.size > 1 ? `, and ${missing.size - 1} more` : '';
      throw new HoplineError('FILE_NOT_FOUND', `${filesFrom} lists "${first}", which is not there${more}`);
    },
  };
}

/** `a`, `a/b` and `a/b/c` for the last of them. */
function aboveAndItself(path: string): string[] {
  const parts = path.split('/');
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
}

async function readList(file: string): Promise<ReadonlySet<string>> {
  const lines = (await readTextFile(file, listRules)).split(/\r?\n/);
  const names = new Set<string>();
  for (const [index, line] of lines.entries()) {
    if (line === '') continue;
    const name = line.replace(/^(\.\/)+/, '').replace(/([^/])\/$/, '$1');
    const problem = nameProblem(name, defaultLimits.maxNameBytes);
    if (problem !== undefined)
      throw new HoplineError(
        'USAGE_INVALID',
        `${file}:${index + 1}: read ${JSON.stringify(line)}, expected a path in the directory: ${problem}`,
      );
    names.add(name);
  }
  return names;
}
