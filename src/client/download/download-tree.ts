/**
 * Downloads a directory with all that is in it: the listing first, then each file that is not there yet, as any other.
 *
 * Owns the order of the steps. Does not know what a listing may say, how a tree lies on disk, or how its files come.
 * Invariant: nothing is made before the whole listing was found to be sound;
 * when `downloadTree` has settled there is no socket or timer left, and each file is either whole or as it was.
 */

import { existsSync } from 'node:fs';
import path from 'node:path';
import { elapsedSince } from '../../core/clock.ts';
import { type OptionNames, refuseUnknown } from '../../core/failure/known-names.ts';
import { type ExtraFiles, findExtraFiles } from '../../io/disk/tree/extra-files.ts';
import { type TreeFile, TreeTarget } from '../../io/disk/tree/tree-target.ts';
import { checkName } from '../../wire/route.ts';
import type { ClientContext } from '../circuit/circuit.ts';
import type { FileOutcome } from '../download-result.ts';
import { withClient } from '../transfer.ts';
import type { TreeCounts, TreeEvent } from '../transfer-events.ts';
import { SeveralFiles, type SeveralFilesOptions, severalNames } from './several-files.ts';
import { fetchManifest, type Manifest } from './tree-listing.ts';

export interface DownloadTreeOptions extends Omit<SeveralFilesOptions, 'onEvent'> {
  /** Path below the origin's root. */
  readonly directory: string;
  /** The directory to put it into, under the last part of its name; made if it is not there. @default the working directory */
  readonly output?: string | undefined;
  /** Whether a file is fetched, by its path below the directory; with it, only directories that lead to such files are made. @default all */
  readonly select?: ((path: string) => boolean) | undefined;
  /** The directory that is to be the copy itself, in place of `output`. */
  readonly into?: string | undefined;
  /** Finds the files here that the origin does not list. @default false */
  readonly findsExtra?: boolean | undefined;
  /** Only finds out what would be fetched: nothing is made or changed. @default false */
  readonly dryRun?: boolean | undefined;
  /** Must not throw. */
  readonly onEvent?: ((event: TreeEvent) => void) | undefined;
}

const names = {
  ...severalNames,
  directory: true,
  output: true,
  select: true,
  into: true,
  findsExtra: true,
  dryRun: true,
} as const satisfies OptionNames<DownloadTreeOptions>;

export interface TreeResult extends TreeCounts {
  /** Where the tree is now. */
  readonly path: string;
  /** Of all files but the unchanged ones. One that is here and differs is `DISK_EXISTS`, unless `force` is set. */
  readonly outcomes: readonly FileOutcome[];
  /** With `findsExtra`, what is here, selected and not listed. */
  readonly extra?: ExtraFiles;
  /** In a dry run, the paths below the directory that would be fetched. */
  readonly planned?: readonly string[];
  readonly elapsedMs: number;
}

/**
 * Downloads what is in a directory of the origin; a file that is here already with the same size and time is not fetched.
 * A file that fails does not stop the others, as with `downloadFiles`. Throws where there is no sound listing, or where
 * directories cannot be made. Rules: docs/protocol/requests.md#directories
 */
export async function downloadTree(options: DownloadTreeOptions): Promise<TreeResult> {
  refuseUnknown(options, { by: 'downloadTree', names });
  const { directory, output = '.', force = false, resume, limits, select, dryRun = false } = options;
  checkName(directory, limits?.maxNameBytes);
  return withClient(options, async (client) => {
    const { clock, signal } = client;
    const startedMs = clock.now();
    const place = options.into ?? path.join(output, path.basename(directory));
    const tree = new TreeTarget(place, {
      force,
      signal,
      isLookedAt: dryRun,
      ...(resume === undefined ? {} : { resume }),
    });
    const run = await SeveralFiles.over(options, client);
    const listed = await fetchManifest(directory, run.circuits, client);
    const manifest = selected(listed, select);
    await tree.begin(manifest.directories, manifest.files);
    const filled = fill(tree, manifest, run, options);
    const counts = await (dryRun ? filled : filled.finally(() => tree.finish()));
    const extra = options.findsExtra ? { extra: await findExtra(tree.path, listed, options, client) } : {};
    return { path: tree.path, ...counts, ...extra, outcomes: run.outcomes, elapsedMs: elapsedSince(clock, startedMs) };
  });
}

/** What is here and not listed, of any kind. */
async function findExtra(
  place: string,
  { files, links, directories }: Manifest,
  { select = () => true }: DownloadTreeOptions,
  { limits }: ClientContext,
): Promise<ExtraFiles> {
  if (!existsSync(place)) return { files: [], directories: [] };
  const kept = [...files, ...links, ...directories].map((entry) => entry.path);
  return findExtraFiles(place, { kept, select }, limits);
}

/** The same without what is not selected. */
function selected(manifest: Manifest, select: DownloadTreeOptions['select']): Manifest {
  if (!select) return manifest;
  const files = manifest.files.filter((file) => select(file.path));
  const needed = new Set(['']);
  for (const { path: file } of files) {
    for (let end = file.lastIndexOf('/'); end > 0; end = file.lastIndexOf('/', end - 1)) needed.add(file.slice(0, end));
  }
  const directories = manifest.directories.filter((directory) => needed.has(directory.path));
  return { ...manifest, files, directories, links: manifest.links.filter((link) => select(link.path)) };
}

async function fill(
  tree: TreeTarget,
  { files, directories, links, others, skipped }: Manifest,
  run: SeveralFiles,
  { directory, onEvent, dryRun }: DownloadTreeOptions,
): Promise<TreeCounts & Pick<TreeResult, 'planned'>> {
  const verdicts = await tree.compare(files);
  const left = files.map((file, index) => ({ file, verdict: verdicts[index] ?? 'missing' }));
  const changed = left.filter(({ verdict }) => verdict !== 'same');
  const due = changed.flatMap(({ file, verdict }) => (tree.takes(verdict) ? file : []));
  const counts = {
    directories: directories.length,
    files: files.length,
    size: sizeOf(files),
    unchanged: files.length - changed.length,
    due: { files: due.length, size: sizeOf(due) },
    links,
    others,
    skipped,
  };
  onEvent?.({ kind: 'listed', ...counts });
  if (dryRun) return { ...counts, planned: due.map((file) => file.path) };
  for (const { file, verdict } of changed) run.add(`${directory}/${file.path}`, () => tree.target(file, verdict));
  await run.fetch();
  return counts;
}

function sizeOf(files: readonly TreeFile[]): number {
  return files.reduce((sum, { size }) => sum + size, 0);
}
