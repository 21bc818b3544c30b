/** The text of a route file, and the question for its name. */

import { readFile } from 'node:fs/promises';
import { HoplineError, systemCode, unreadReason } from '../core/errors.ts';
import { parseAddress } from '../wire/address.ts';
import { withoutKeys } from '../wire/keyed-hop.ts';
import { parseRoute } from '../wire/route.ts';

const maxRouteFileBytes = 1024 * 1024;

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
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (cause) {
    throw new HoplineError('ROUTE_UNREADABLE', describeUnread(file, more, cause), { cause });
  }
  if (bytes.length > maxRouteFileBytes) throw new HoplineError('ROUTE_SYNTAX', `${file} is too large for a route file`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new HoplineError('ROUTE_SYNTAX', `${file}: expected text in UTF-8`, { cause });
  }
}

function describeUnread(file: string, more: readonly string[], cause: unknown): string {
  if (
    systemCode(cause) === 'ENOENT' &&
    withoutKeys(file)
      .split(',')
      .every((hop) => parseAddress(hop).kind === 'ok')
  ) {
    return `there is no route file ${file}; did you mean --via ${[file, ...more].join(' ')}?`;
  }
  return `cannot read the route file ${file}: ${unreadReason(cause)}`;
}
