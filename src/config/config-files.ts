/**
 * Configuration files for users of the library: read one, write one.
 *
 * The parser of YAML is loaded at the first call: a command without a configuration file would otherwise wait for it.
 * Documentation: docs/configuration.md
 */

import type { Config } from './config.ts';
import { effectiveConfig } from './effective.ts';

/** The configuration in `file`; relative paths in it start from its own directory. Throws `CONFIG_INVALID`, with all `problems`. */
export async function readConfig(file: string): Promise<Config> {
  const { readFileConfig } = await import('./read.ts');
  return readFileConfig(file);
}

/** The configuration that is in effect, the defaults filled in, as a file says it. */
export async function formatConfig(config: Config): Promise<string> {
  const { stringify } = await import('yaml');
  return stringify(effectiveConfig(config), { lineWidth: 0 });
}
