/**
 * What this program consists of beside its start, and how it is started again: files in the folder of the start, run by Node.
 *
 * A single executable has own-assets.ts in place of this module (tools/single-executable.mjs).
 */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

export interface OwnFiles {
  /** Where the file of this name is, for stacks, and for modules that are looked for from there. */
  place(name: string): string;
  /** Its content. Throws where it cannot be read. */
  read(name: string): Buffer;
  /** What a script at that place gets as `require`. */
  requireFrom(name: string): NodeJS.Require;
  /** What the executable of this process is told to run before any argument: a file, or nothing. */
  readonly entry: readonly string[];
}

const place = (name: string) => fileURLToPath(new URL(name, import.meta.url));

export const ownFiles: OwnFiles = {
  place,
  read: (name) => readFileSync(place(name)),
  requireFrom: (name) => createRequire(place(name)),
  entry: [place('main.js')],
};
