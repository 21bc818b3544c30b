/**
 * Several files to one origin, as the library has it: the options, and the names that files get.
 *
 * Does not know how files come over circuits. Invariant: when `uploadFiles` has settled every file has its outcome, and no socket,
 * timer or open file is left here.
 */

import { HoplineError } from '../../core/errors.ts';
import { type OptionNames, refuseUnknown } from '../../core/failure/known-names.ts';
import { checkName, type RoutePlan } from '../../wire/route.ts';
import { Circuits } from '../circuit/circuits.ts';
import type { FileOutcome } from '../download-result.ts';
import { type TransferOptions, transferNames, withClient } from '../transfer.ts';
import type { UploadResult } from '../upload-result.ts';
import { type FileToSend, type UploadsOptions, UploadsRun } from './uploads-run.ts';

export interface UploadFilesOptions extends TransferOptions, UploadsOptions {
  /** The ways to the origin. */
  readonly routes: RoutePlan['routes'];
}

const names = {
  ...transferNames,
  routes: true,
  files: true,
  force: true,
  parallel: true,
  onEvent: true,
} as const satisfies OptionNames<UploadFilesOptions>;

/**
 * Sends files over one route; the outcomes come in the order of `files`.
 * A file that fails does not stop the others; a route that fails, or an aborted signal (`INTERRUPTED`), is the error of
 * every file that was not sent. Throws for a mistake in the options.
 */
export async function uploadFiles(options: UploadFilesOptions): Promise<readonly FileOutcome<UploadResult>[]> {
  refuseUnknown(options, { by: 'uploadFiles', names });
  const { routes, files } = options;
  checkNames(files, options.limits?.maxNameBytes);
  return withClient(options, async (client) => {
    const circuits = await Circuits.over(routes, client, options);
    const run = new UploadsRun(circuits, options, client);
    await run.send();
    return run.outcomes;
  });
}

/** Throws `USAGE_INVALID` for two files of one name, and as `checkName`. */
export function checkNames(files: readonly FileToSend[], maxNameBytes: number | undefined): void {
  const byName = new Map<string, string>();
  for (const { source, file } of files) {
    checkName(file, maxNameBytes, 'the name at the origin');
    const other = byName.get(file);
    if (other !== undefined) {
      throw new HoplineError('USAGE_INVALID', `${other} and ${source} would both get the name "${file}" at the origin`);
    }
    byName.set(file, source);
  }
}
