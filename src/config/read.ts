/**
 * Reads a configuration file: text to one checked value, or an error that tells every problem of it.
 *
 * Checks all that can be known without listening: the schema's rules first, then what only shows between two keys or
 * on the disk.
 * Documentation: docs/configuration.md
 */

import path from 'node:path';
import * as v from 'valibot';
import { checkDisk, checkKeys } from './checks.ts';
import type { Config } from './config.ts';
import { toConfig } from './from-file.ts';
import { configError, issueProblems } from './problems.ts';
import { configSchema } from './schema/schema.ts';
import { readYaml, toValue } from './yaml-text.ts';

/** Throws `CONFIG_INVALID`, with all `problems`. */
export async function readFileConfig(file: string): Promise<Config> {
  const source = await readYaml(file, 'the configuration file');
  const directory = path.dirname(path.resolve(file));
  const result = v.safeParse(configSchema, toValue(source));
  const problems = [
    ...(result.success ? checkKeys(result.output, source) : issueProblems(result.issues, source)),
    ...(await checkDisk(directory, source)),
  ];
  if (!result.success || problems.length > 0) throw configError(problems);
  return toConfig(result.output, directory);
}
