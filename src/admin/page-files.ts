/**
 * The files of the page, from their directory in the package.
 *
 * A single executable has them inside, in place of this module (tools/single-executable.mjs).
 */

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export interface PageFiles {
  read(name: string): Promise<Buffer>;
  /** What the script of this name exports. */
  load(name: string): Promise<unknown>;
}

/** Where it is in the package, seen from the module that was compiled as from the bundled program. */
const ownDirectory = fileURLToPath(new URL('../../src/admin/page/', import.meta.url));

export function pageFiles(directory: string = ownDirectory): PageFiles {
  return {
    read: (name) => readFile(path.join(directory, name)),
    load: (name) => import(pathToFileURL(path.join(directory, name)).href),
  };
}
