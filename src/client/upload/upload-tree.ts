/**
 * Sends a directory: what an origin does not have, and what differs there, takes its place; what is the same is not sent.
 *
 * Owns the order of the steps: the files here, the listing there, the comparison, the sending. Nothing is removed at the origin.
 * Invariant: nothing is sent before all that is there was compared; when `uploadTree` has settled every file that was due has its
 * outcome, and no socket, timer or open file is left here.
 * Documentation: docs/trees.md#to-an-origin
 */

import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { elapsedSince } from '../../core/clock.ts';
import { type OptionNames, refuseUnknown } from '../../core/failure/known-names.ts';
import { type LocalTree, readLocalTree } from '../../io/disk/reading/local-tree.ts';
import { QuickLooks } from '../../io/disk/reading/quick-looks.ts';
import { checkName, type RoutePlan } from '../../wire/route.ts';
import type { ClientContext } from '../circuit/circuit.ts';
import { Circuits } from '../circuit/circuits.ts';
import { fetchManifest, type Manifest } from '../download/tree-listing.ts';
import type { FileOutcome } from '../download-result.ts';
import { type TransferOptions, transferNames, withClient } from '../transfer.ts';
import type { UploadTreeCounts, UploadTreeEvent } from '../transfer-events.ts';
import type { UploadResult } from '../upload-result.ts';
import { findSame } from './same-files.ts';
import { checkNames } from './several-uploads.ts';
import { type ComparedFile, findToldSame, isToldOf } from './told-digests.ts';
import { type FileToSend, UploadsRun } from './uploads-run.ts';

export interface UploadTreeOptions extends TransferOptions {
  /** The ways to the origin. */
  readonly routes: RoutePlan['routes'];
  /** The directory here. */
  readonly source: string;
  /** The directory at the origin, by its path below the root, which is `.`; made if it is not there. */
  readonly directory: string;
  /** Whether a file is sent, by its path below the directory. @default all */
  readonly select?: ((path: string) => boolean) | undefined;
  /** Only finds out what would be sent. @default false */
  readonly dryRun?: boolean | undefined;
  /** How many files are compared, and then sent, at once, each over a circuit of its own. @default 4 */
  readonly parallel?: number | undefined;
  /** Must not throw. */
  readonly onEvent?: ((event: UploadTreeEvent) => void) | undefined;
}

const names = {
  ...transferNames,
  routes: true,
  source: true,
  directory: true,
  select: true,
  dryRun: true,
  parallel: true,
  onEvent: true,
} as const satisfies OptionNames<UploadTreeOptions>;

export interface UploadTreeResult extends UploadTreeCounts {
  /** Of all files but the unchanged ones, by their names at the origin. */
  readonly outcomes: readonly FileOutcome<UploadResult>[];
  /** Files that are selected and that the origin alone has, by their paths below the directory. They stay. */
  readonly extra: readonly string[];
  /** In a dry run, the paths below the directory that would be sent. */
  readonly planned?: readonly string[];
  readonly elapsedMs: number;
}

/** Files that are looked at in one turn of the event loop. */
const turnFiles = 64;

interface OwnFile extends FileToSend, ComparedFile {}

/**
 * Makes a directory at the origin the same as one here, but for what is there alone. What is there and differs is replaced, which the
 * node must allow; else that is `DISK_EXISTS`, the error of that file. A file that fails does not stop the others, as with `uploadFiles`.
 * Throws where the directory here cannot be read, or the one there cannot be listed.
 */
export async function uploadTree(options: UploadTreeOptions): Promise<UploadTreeResult> {
  refuseUnknown(options, { by: 'uploadTree', names });
  const { source, directory, select = () => true, dryRun = false } = options;
  checkName(directory, options.limits?.maxNameBytes);
  return withClient(options, async (client) => {
    const startedMs = client.clock.now();
    const tree = await readLocalTree(source, client.limits);
    const looks = await QuickLooks.at(source);
    try {
      const files = await readSizes(tree.files.filter(select), options, looks);
      checkNames(files, client.limits.maxNameBytes);
      const circuits = await Circuits.over(options.routes, client, options);
      const there = await fetchManifest(directory, circuits, client, { mayBeMissing: true, withDigests: true });
      const due = await findDue(files, there, { looks, parallel: options.parallel, circuits, client });
      const counts = countsOf(tree, files, due);
      options.onEvent?.({ kind: 'listed', ...counts });
      const run = new UploadsRun(circuits, { ...options, files: dryRun ? [] : due, force: true }, client);
      await run.send();
      const own = new Set(files.map((file) => file.path));
      const extra = there.files.map((file) => file.path).filter((name) => !own.has(name) && select(name));
      const planned = dryRun ? { planned: due.map((file) => file.path) } : {};
      return { ...counts, outcomes: run.outcomes, extra, ...planned, elapsedMs: elapsedSince(client.clock, startedMs) };
    } finally {
      looks.close();
    }
  });
}

/** What cannot be looked at has no size, and fails when it is sent. */
async function readSizes(
  paths: readonly string[],
  { source, directory }: Pick<UploadTreeOptions, 'source' | 'directory'>,
  looks: QuickLooks,
): Promise<OwnFile[]> {
  const files: OwnFile[] = [];
  for (const name of paths) {
    if (files.length % turnFiles === 0) await nextTurn();
    const size = Number((await looks.look(name).catch(() => undefined))?.size ?? 0);
    const place = path.join(source, ...name.split('/'));
    files.push({ path: name, source: place, file: directory === '.' ? name : `${directory}/${name}`, size });
  }
  return files;
}

interface Comparison {
  readonly looks: QuickLooks;
  readonly parallel: number | undefined;
  readonly circuits: Circuits;
  readonly client: ClientContext;
}

/** The origin is asked only about files of whose content it has told nothing. */
async function findDue(
  files: readonly OwnFile[],
  there: Manifest,
  { looks, parallel, circuits, client }: Comparison,
): Promise<readonly OwnFile[]> {
  const sizes = new Map(there.files.map((file) => [file.path, file.size]));
  const alike = files.filter((file) => sizes.get(file.path) === file.size);
  const told = alike.filter((file) => isToldOf(file, there));
  const toldSame = new Set(await findToldSame(told, there, { looks, signal: client.signal }));
  const others = alike.filter((file) => !isToldOf(file, there));
  const same = await findSame(others, circuits, client, parallel);
  return files.filter((file) => !toldSame.has(file) && !same.has(file.file));
}

function countsOf(tree: LocalTree, files: readonly OwnFile[], due: readonly OwnFile[]): UploadTreeCounts {
  const { empty, links, others, unfinished } = tree;
  return {
    files: files.length,
    size: sizeOf(files),
    unchanged: files.length - due.length,
    due: { files: due.length, size: sizeOf(due) },
    leftOut: { empty, links, others, unfinished },
  };
}

function sizeOf(files: readonly OwnFile[]): number {
  return files.reduce((sum, { size }) => sum + size, 0);
}
