/**
 * What a single executable consists of beside its start: scripts that it carries as assets, and how it is started again: by itself.
 *
 * The modules with the listeners are part of the start, and scripts get those. Packages with native code are looked for in
 * `node_modules` beside the executable, and above it.
 * Stands in place of own-files.ts, where tools/single-executable.mjs bundles the program.
 */

import { createRequire } from 'node:module';
import path from 'node:path';
import { getRawAsset } from 'node:sea';
import * as exceptions from './exceptions.ts';
import type { OwnFiles } from './own-files.ts';
import * as signals from './signals.ts';

const parts: Readonly<Record<string, unknown>> = { './exceptions.js': exceptions, './signals.js': signals };

const place = (name: string) => path.join(path.dirname(process.execPath), name);

export const ownFiles: OwnFiles = {
  place,
  read: (name) => Buffer.from(getRawAsset(name) as ArrayBuffer),
  requireFrom: (name) => {
    const outside = createRequire(place(name));
    const own = (id: string) => (Object.hasOwn(parts, id) ? parts[id] : outside(id));
    return Object.assign(own, outside);
  },
  entry: [],
};
