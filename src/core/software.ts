/** What a hopline calls itself on the wire and in `--version`: its name and the version of its package. */

import { createRequire } from 'node:module';

const { version } = createRequire(import.meta.url)('../../package.json') as { readonly version: string };

export const softwareVersion = version;
export const software = `hopline/${version}`;
