/** The text of a route file, and the question for its name. */

import { HoplineError } from '../core/errors.ts';
import { readTextFile } from '../io/disk/reading/text-file.ts';
import { parseAddress } from '../wire/address.ts';
import { withoutKeys } from '../wire/keyed-hop.ts';
import { parseRoute } from '../wire/route.ts';

export async function askRouteFile(): Promise<string> {
  const prompts = (await import('./terminal/prompt.ts')).openPrompts();
  try {
    return await prompts.ask('Enter input filename: ', async (source) => {
      parseRoute(await readRouteText(source), { source });
    });
  } finally {
    prompts.close();
  }
}

/**
 * Throws `ROUTE_UNREADABLE` for a file that cannot be read, and `ROUTE_SYNTAX` for one that is no text. `more` is what stands
 * behind it on the command line.
 */
export async function readRouteText(file: string, more: readonly string[] = []): Promise<string> {
  const rules = { what: 'the route file', code: 'ROUTE_UNREADABLE', invalid: 'ROUTE_SYNTAX' } as const;
  return readTextFile(file, rules).catch((error: HoplineError) => {
    if (error.reason !== 'ENOENT' || !isHops(file)) throw error;
    const meant = `did you mean --via ${[file, ...more].join(' ')}?`;
    throw new HoplineError(error.code, `there is no route file ${file}; ${meant}`, { cause: error });
  });
}

function isHops(text: string): boolean {
  return withoutKeys(text)
    .split(',')
    .every((hop) => parseAddress(hop).kind === 'ok');
}
