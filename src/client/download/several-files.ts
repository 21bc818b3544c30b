/**
 * Several files on their way to their targets over one set of circuits: the outcome of each, and what is told meanwhile.
 *
 * Owns which file of a list goes where; of a directory, the caller says it. Does not know how files are asked for.
 * Invariant: once `fetch` has settled every job has its outcome, and no target is left half done; when `downloadFiles` has,
 * there is no socket, timer or temporary file left either.
 */

import path from 'node:path';
import { elapsedSince } from '../../core/clock.ts';
import { asHoplineError, HoplineError } from '../../core/errors.ts';
import { type OptionNames, refuseUnknown } from '../../core/failure/known-names.ts';
import { Tasks } from '../../core/work/tasks.ts';
import type { Target } from '../../io/disk/writing/target.ts';
import { TargetDirectory } from '../../io/disk/writing/target-place.ts';
import { checkName, type RoutePlan } from '../../wire/route.ts';
import type { ClientContext } from '../circuit/circuit.ts';
import { Circuits } from '../circuit/circuits.ts';
import { type DownloadResult, type Fetched, type FileOutcome, resultOf } from '../download-result.ts';
import { type TransferOptions, transferNames, withClient } from '../transfer.ts';
import type { FilesEvent } from '../transfer-events.ts';
import type { DownloadOptions } from './download.ts';
import { FilesRun } from './fetch-files.ts';
import type { FileJob } from './files-work.ts';

export interface SeveralFilesOptions extends TransferOptions, Pick<DownloadOptions, 'force' | 'resume'> {
  /** How many circuits fetch at once. @default 1 */
  readonly parallel?: number | undefined;
  /** The ways to the origin. */
  readonly routes: RoutePlan['routes'];
  /** Must not throw. */
  readonly onEvent?: ((event: FilesEvent) => void) | undefined;
}

export interface DownloadFilesOptions extends SeveralFilesOptions {
  /** Paths below the origin's root; no two may end in the same name. */
  readonly files: readonly string[];
  /** The directory to put them into; made if it is not there. @default the working directory */
  readonly output?: string;
}

/** Of what several files share, by name. */
export const severalNames = {
  ...transferNames,
  force: true,
  resume: true,
  parallel: true,
  routes: true,
  onEvent: true,
} as const satisfies OptionNames<SeveralFilesOptions>;

const names = { ...severalNames, files: true, output: true } as const satisfies OptionNames<DownloadFilesOptions>;

/**
 * Downloads files over one route; the outcomes come in the order of `files`.
 * A file that fails does not stop the others; a route that fails, or an aborted signal (`INTERRUPTED`), is the error of
 * every file that was not finished. Throws for a mistake in the options and for an output that is not a directory.
 */
export async function downloadFiles(options: DownloadFilesOptions): Promise<readonly FileOutcome[]> {
  refuseUnknown(options, { by: 'downloadFiles', names });
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

const finishedAtOnce = 64;

export class SeveralFiles {
  /** In the order in which the files were added. */
  readonly outcomes: FileOutcome[] = [];
  readonly circuits: Circuits;
  readonly #tell: (event: FilesEvent) => void;
  /** Bytes of each file that was begun and is not settled. */
  readonly #sizes = new Map<string, number>();
  readonly #client: ClientContext;
  readonly #startedMs: number;
  readonly #parallel: number | undefined;
  /** Files are brought to disk while others arrive, several at once, since each mostly waits for the disk. */
  readonly #finishing = new Tasks(finishedAtOnce);
  /** The files that have not arrived whole: a broken circuit is their affair alone. */
  readonly #missing = new Set<FileJob>();
  #added = 0;
  #settled = 0;
  #bytes = 0;

  private constructor(
    circuits: Circuits,
    { onEvent = () => {}, parallel }: SeveralFilesOptions,
    client: ClientContext,
  ) {
    this.circuits = circuits;
    this.#tell = onEvent;
    this.#client = client;
    this.#startedMs = client.clock.now();
    this.#parallel = parallel;
  }

  /** Throws as `Circuits.over`. */
  static async over(options: SeveralFilesOptions, client: ClientContext): Promise<SeveralFiles> {
    return new SeveralFiles(await Circuits.over(options.routes, client, options), options, client);
  }

  /** Adds a file; where `choose` throws, that is its outcome, before anything is fetched. */
  add(file: string, choose: () => Target): void {
    const place = this.#added;
    this.#added += 1;
    try {
      const target = choose();
      const failed = async (error: HoplineError): Promise<void> => {
        this.#missing.delete(job);
        const bytes = await target.keep();
        if (bytes > 0) this.#tell({ kind: 'kept', file, bytes, size: this.#sizes.get(file) ?? bytes });
        this.#settle(place, { file, error });
      };
      const arrived = async (finish: () => Promise<Fetched>): Promise<void> => {
        this.#missing.delete(job);
        await this.#finishing.start(async () => {
          try {
            this.#settle(place, { file, result: await this.#finish(target, finish) });
          } catch (error) {
            await failed(asHoplineError(error));
          }
        });
      };
      const job = { file, target, arrived, failed };
      this.#missing.add(job);
    } catch (error) {
      this.#settle(place, { file, error: asHoplineError(error) });
    }
  }

  /**
   * Fetches what was added. Never throws: a route that fails, or an aborted signal, is the error of every file that was
   * not finished.
   */
  async fetch(): Promise<void> {
    const { circuits } = this;
    const shared = { circuits, client: this.#client, listener: this, parallel: this.#parallel };
    const run = new FilesRun([...this.#missing], shared);
    await run.run().catch(async (error) => {
      const failure = asHoplineError(this.#client.signal.aborted ? this.#client.signal.reason : error);
      for (const job of this.#missing) await job.failed(failure);
    });
    await this.#finishing.over();
  }

  onBytes = (count: number): void => {
    this.#bytes += count;
    this.#tell({ kind: 'progress', bytes: this.#bytes, settled: this.#settled });
  };

  onEvent = (event: FilesEvent): void => {
    if (event.kind === 'started') this.#sizes.set(event.file, event.size);
    this.#tell(event);
  };

  async #finish(target: Target, finish: () => Promise<Fetched>): Promise<DownloadResult> {
    const fetched = await finish();
    await target.commit();
    const elapsedMs = elapsedSince(this.#client.clock, this.#startedMs);
    // What was wasted or rerouted is that of the run, not of one file.
    return resultOf(target, undefined, {
      ...fetched,
      wastedBytes: 0,
      hops: this.circuits.hops,
      reroutes: 0,
      elapsedMs,
    });
  }

  #settle(place: number, outcome: FileOutcome): void {
    this.outcomes[place] = outcome;
    this.#settled += 1;
    this.#sizes.delete(outcome.file);
    this.#tell({ kind: 'settled', ...outcome });
  }
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
