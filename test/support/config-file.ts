/** Configuration files for one test. */

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { makeTempRoot } from './temp-root.ts';

export interface ConfigFile {
  readonly path: string;
  /** Where it is; there is a directory `files` beside it. */
  readonly directory: string;
  /** Replaces what it says. */
  write(text: string): Promise<void>;
}

export async function makeConfigFile(t: TestContext, text: string): Promise<ConfigFile> {
  const directory = await makeTempRoot(t);
  await directory.writeRandom('files/data.bin', 3000);
  const file = path.join(directory.path, 'hopline.yaml');
  const write = (next: string) => writeFile(file, next);
  await write(text);
  return { path: file, directory: directory.path, write };
}
