/**
 * From a name on the wire to what lies below the root: the one way there, for reading, listing and uploading.
 *
 * Holds first and judges what is held, so that nothing can be swapped in between: a link may lead around inside the
 * root, never out. Rules: docs/protocol/requests.md#names
 */

import { realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { HoplineError } from '../../../core/errors.ts';
import { systemCode, systemError } from '../../../core/system-errors.ts';
import { nameProblem } from '../../../wire/name.ts';
import { type Held, type Hold, hold } from '../held.ts';
import { unreadable } from './versioned-file.ts';

/** The real path of a directory that `flag` named. Throws `USAGE_INVALID`. */
export async function resolveRoot(root: string, flag: string): Promise<string> {
  const expected = `${flag}: read "${root}", expected a directory`;
  const real = await realpath(root).catch((cause) => {
    if (systemCode(cause) !== 'ENOENT') throw systemError('USAGE_INVALID', expected, cause);
    throw new HoplineError('USAGE_INVALID', `${expected}: there is none of that name; make it, or name another`, {
      cause,
    });
  });
  if ((await stat(real)).isDirectory()) return real;
  throw new HoplineError('USAGE_INVALID', `${expected}: it is a file`);
}

/**
 * Holds what `name` is that of below `root`, which must be a real path, or the root itself (`.`). Throws `FILE_DENIED`, and what the system says:
 * see `openError`. `by` is how, for tests.
 */
export async function holdBelow(root: string, name: string, maxNameBytes: number, by: Hold = hold): Promise<Held> {
  const held = await by(pathBelow(root, name, maxNameBytes));
  if (isWithin(root, held.real)) return held;
  await held.close();
  throw outside();
}

/** The path that `name` has below `root`, not looked at yet. Throws `FILE_DENIED`. */
export function pathBelow(root: string, name: string, maxNameBytes: number): string {
  const problem = nameProblem(name, maxNameBytes);
  if (problem !== undefined) throw new HoplineError('FILE_DENIED', problem);
  if (process.platform === 'win32' && /[\\:]/.test(name)) {
    throw new HoplineError('FILE_DENIED', 'the name holds a character that Windows gives a meaning of its own');
  }
  return path.join(root, name);
}

/** Whether a real path lies below `root`, which must be one too. The root itself does not. */
function isBelow(root: string, real: string): boolean {
  const below = path.relative(root, real);
  return below !== '' && below.split(path.sep)[0] !== '..' && !path.isAbsolute(below);
}

/** Whether a path is `root` or lies below it. */
export function isWithin(root: string, real: string): boolean {
  return real === root || isBelow(root, real);
}

export function outside(): HoplineError {
  return new HoplineError('FILE_DENIED', 'the name leads out of the root');
}

/** Why a name could not be opened. */
export function openError(error: unknown): HoplineError {
  if (error instanceof HoplineError) return error;
  switch (systemCode(error)) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new HoplineError('FILE_NOT_FOUND', 'there is no such file', { cause: error });
    case 'EACCES':
    case 'EPERM':
    case 'EISDIR':
    case 'ELOOP':
    case 'ENXIO':
    case 'ENAMETOOLONG':
      return new HoplineError('FILE_DENIED', 'the file cannot be served', { cause: error });
    default:
      return unreadable(error);
  }
}
