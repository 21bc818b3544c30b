/** The text of a route file, and the question for its name. */

import { readFile } from 'node:fs/promises';
import { HoplineError, systemCode } from '../core/errors.ts';
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
    throw new HoplineError('ROUTE_UNREADABLE', describeUnread(file, more, systemCode(cause) ?? 'unknown'), { cause });
  }
  if (bytes.length > maxRouteFileBytes) throw new HoplineError('ROUTE_SYNTAX', `${file} is too large for a route file`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new HoplineError('ROUTE_SYNTAX', `${file}: expected text in UTF-8`, { cause });
  }
}

function describeUnread(file: string, more: readonly string[], code: string): string {
  if (
    code === 'ENOENT' &&
    withoutKeys(file)
      .split(',')
      .every((hop) => parseAddress(hop).kind === 'ok')
  ) {
    return `there is no route file ${file}; did you mean --via ${[file, ...more].join(' ')}?`;
  }
  const reasons: Record<string, string> = {
    ENOENT: 'there is no such file',
    EISDIR: 'it is a directory',
    EACCES: 'no permission',
  };
  return `cannot read the route file ${file}: ${reasons[code] ?? code}`;
}
