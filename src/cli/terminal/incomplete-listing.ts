/** What a command says at its end where an origin did not list all that it has. */

import type { SkippedEntries } from '../../client/transfer-events.ts';
import { HoplineError } from '../../core/errors.ts';
import { countOf } from './units.ts';

/** What was listed of `directory` has been dealt with. Throws `FILE_UNREADABLE` where that was not all of it. */
export function refuseIncomplete(directory: string, { names, unreadable }: SkippedEntries): void {
  if (names + unreadable === 0) return;
  const why = [
    ...(names > 0 ? [`${countOf(names, 'name', 'names')} cannot travel`] : []),
    ...(unreadable > 0 ? [`${countOf(unreadable, 'entry', 'entries')} cannot be read there`] : []),
  ];
  throw new HoplineError('FILE_UNREADABLE', `the origin did not list all of "${directory}": ${why.join(', ')}`);
}
