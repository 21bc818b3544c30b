/** Where the repository is: the tests run in a compiled copy of `test/`, and with the repository as their working directory. */

import { readdir } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';

export const repository = pathToFileURL(`${process.cwd()}/`);

/** Every page below docs/, as a path from the repository. */
export async function findPages(): Promise<string[]> {
  const names = await readdir(new URL('docs/', repository), { recursive: true });
  return names
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name.replaceAll('\\', '/')}`)
    .sort();
}
