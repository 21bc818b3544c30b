/** Settings that a running service cannot change: told apart at a reload, and refused with the key of each. */

import { isDeepStrictEqual } from 'node:util';
import { HoplineError } from './errors.ts';

type Settings = Readonly<Record<string, unknown>>;

/** Settings by their keys. Throws `CONFIG_INVALID`, with a line for each that is another now. */
export function checkUnchanged(before: Settings, after: Settings): void {
  const changed = Object.keys(before).filter((key) => !isDeepStrictEqual(before[key], after[key]));
  const problems = changed.map((key) => `${key}: read another value, expected the one from the start; needs a restart`);
  if (problems.length > 0) throw new HoplineError('CONFIG_INVALID', problems.join('; '), { problems });
}
