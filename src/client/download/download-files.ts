/**
 * Downloads several files over one route into one directory: each on its own outcome, all on one circuit.
 *
 * Owns which file goes where; several-files.ts does the rest.
 * Invariant: when `downloadFiles` has settled there is no socket, timer or
 * temporary file left, and each target is either the whole file or untouched.
 */

import path from 'node:path';
import { HoplineError } from '../../core/errors.ts';
import { TargetDirectory } from '../../io/disk/writing/target-place.ts';
import { checkName } from '../../wire/route.ts';
import type { FileOutcome } from '../download-result.ts';
import { type TransferOptions, withClient } from '../transfer.ts';
import type { DownloadOptions } from './download.ts';
import { SeveralFiles, type SeveralFilesOptions } from './several-files.ts';

export interface DownloadFilesOptions
  extends TransferOptions,
    SeveralFilesOptions,
    Pick<DownloadOptions, 'force' | 'resume'> {
  /** Paths below the origin's root; no two may end in the same name. */
  readonly files: readonly string[];
  /** The directory to put them into; made if it is not there. @default the working directory */
  readonly output?: string;
}

/**
 * Downloads files over one route; the outcomes come in the order of `files`.
 * A file that fails does not stop the others; a route that fails, or an aborted signal (`INTERRUPTED`), is the error of
 * every file that was not finished. Throws for a mistake in the options and for an output that is not a directory.
 */
export async function downloadFiles(options: DownloadFilesOptions): Promise<readonly FileOutcome[]> {
  const { files, output = '.', force = false, resume = true } = options;
  checkNames(files, options.limits?.maxNameBytes);
  return withClient(options, async (client) => {
    const directory = await TargetDirectory.open(output, { force, resume, compares: true, signal: client.signal });
    const run = await SeveralFiles.over(options, client);
    for (const file of files) run.add(file, () => directory.target(path.basename(file)));
    await run.fetch();
    await directory.sync();
    return run.outcomes;
  });
}

function checkNames(files: readonly string[], maxNameBytes: number | undefined): void {
  const byName = new Map<string, string>();
  for (const file of files) {
    checkName(file, maxNameBytes);
    const name = path.basename(file);
    const other = byName.get(name);
    if (other !== undefined) {
      throw new HoplineError('USAGE_INVALID', `"${other}" and "${file}" would both be written to "${name}"`);
    }
    byName.set(name, file);
  }
}
