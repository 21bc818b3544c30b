/**
 * One download from first to last: target, circuits, space, content, commit.
 *
 * Owns the order of these steps and the clean-up when one of them fails.
 * Invariant: when `download` has settled there is no socket or timer left, no
 * file left but what a later run goes on from, and the target is either the whole file or untouched.
 */

import path from 'node:path';
import type { Writable } from 'node:stream';
import { elapsedSince } from '../../core/clock.ts';
import { type OptionNames, refuseUnknown } from '../../core/failure/known-names.ts';
import { type FileDigest, WholeDigest } from '../../io/digests/whole-digest.ts';
import { StreamTarget } from '../../io/disk/writing/stream-target.ts';
import type { Target } from '../../io/disk/writing/target.ts';
import { createFileTarget } from '../../io/disk/writing/target-place.ts';
import { preferredRoute, type Route, type RoutePlan } from '../../wire/route.ts';
import type { ClientContext } from '../circuit/circuit.ts';
import { Circuits, type Failed } from '../circuit/circuits.ts';
import { ClassicCircuit } from '../circuit/classic-circuit.ts';
import { type DownloadResult, type Fetched, resultOf } from '../download-result.ts';
import { type TransferOptions, transferNames, withClient } from '../transfer.ts';
import type { DownloadEvent } from '../transfer-events.ts';
import { enterPools } from '../ways/first-pool.ts';
import { refuseKeys } from '../ways/keyed-ways.ts';
import { FileFetch } from './fetch-file.ts';

export interface DownloadOptions extends TransferOptions {
  readonly route: RoutePlan;
  /** A file, a directory to put the file into, or a stream. @default the route's file name in the working directory */
  readonly output?: string | Writable | undefined;
  /** Replaces an existing file, which is otherwise compared with the origin's. @default false */
  readonly force?: boolean | undefined;
  /**
   * Speaks the classic dialect, which verifies nothing; with `fallback`, only where a hop speaks nothing else, no native way
   * is left, and nothing of the file is here. @default false
   */
  readonly classic?: boolean | 'fallback' | undefined;
  /** What the file must have before it gets its name; else `HASH_MISMATCH`. A stream has had it by then. */
  readonly checksum?: FileDigest | undefined;
  /** Whether the result has the digest of the whole file, also where there is no `checksum`. @default true */
  readonly digest?: boolean | undefined;
  /** How many circuits fetch at once. @default 1 */
  readonly parallel?: number | undefined;
  /** Goes on from what an earlier run left, and leaves something to a later one. @default true */
  readonly resume?: boolean | undefined;
  /** What to do about a file that is not what was fetched of it before: fetch it anew or give up. @default 'restart' */
  readonly onChange?: 'restart' | 'fail' | undefined;
  /** Must not throw. */
  readonly onEvent?: ((event: DownloadEvent) => void) | undefined;
}

const names = {
  ...transferNames,
  route: true,
  output: true,
  force: true,
  classic: true,
  checksum: true,
  digest: true,
  parallel: true,
  resume: true,
  onChange: true,
  onEvent: true,
} as const satisfies OptionNames<DownloadOptions>;

type Content = Fetched & Pick<DownloadResult, 'wastedBytes' | 'hops' | 'reroutes'>;

/**
 * Downloads the file of a route through its hops.
 * Throws a HoplineError; with an aborted signal, `INTERRUPTED`. Codes: docs/exit-codes.md
 */
export async function download(options: DownloadOptions): Promise<DownloadResult> {
  refuseUnknown(options, { by: 'download', names });
  return withClient(options, async (client) => {
    const started = client.clock.now();
    const progress = new Progress(options);
    let target: Target | undefined;
    const { file, routes } = options.route;
    try {
      const isClassic = options.classic === true;
      if (isClassic) refuseKeys(routes, 'the classic dialect');
      const whole = new WholeDigest(options.checksum, options.digest);
      target = await createTarget(options, client, whole, isClassic);
      let content: Content | Failed;
      if (isClassic) {
        const entered = await enterPools(routes, options.pools, client);
        content = await fetchClassic(preferredRoute({ file, routes: entered }), target, client, progress);
      } else content = await fetchNative(options, target, client, progress);
      if ('failure' in content) {
        const { failure, from: hops } = content;
        target = await createTarget(options, client, whole, true);
        progress.tell({ kind: 'fallback', failure, hops });
        content = await fetchClassic({ file, hops }, target, client, progress);
      }
      await target.commit();
      return resultOf(target, whole.digest, { ...content, elapsedMs: elapsedSince(client.clock, started) });
    } catch (error) {
      const bytes = (await target?.keep()) ?? 0;
      if (bytes > 0) progress.tell({ kind: 'kept', bytes, size: progress.size });
      throw error;
    }
  });
}

async function createTarget(
  options: DownloadOptions,
  { signal, limits }: ClientContext,
  whole: WholeDigest,
  isClassic: boolean,
): Promise<Target> {
  const { route, output = '.', force = false, resume = true, onChange } = options;
  if (typeof output !== 'string') return new StreamTarget(output, signal, limits.maxReadsAhead, whole);
  // The name on disk is the last part of the name that was asked for, never one that the other side sent.
  return createFileTarget(output, path.basename(route.file), {
    force,
    signal,
    resume: resume && !isClassic,
    stream: { signal, maxPiecesEarly: limits.maxReadsAhead },
    // The classic dialect knows no directories.
    mayBeDirectory: !isClassic,
    onChange,
    whole,
    compares: !isClassic,
  });
}

/** Resolves to what failed where the classic dialect is left, and may be spoken. */
async function fetchNative(
  options: DownloadOptions,
  target: Target,
  client: ClientContext,
  progress: Progress,
): Promise<Content | Failed> {
  const { route, parallel, onChange, classic } = options;
  const circuits = await Circuits.over(route.routes, client, options);
  const { tell: onEvent, count: onBytes } = progress;
  const fetch = new FileFetch({ file: route.file, target, client, circuits, parallel, onChange, onEvent, onBytes });
  try {
    const fetched = await fetch.run();
    return { ...fetched, wastedBytes: progress.wasted, hops: circuits.hops, reroutes: circuits.reroutes };
  } catch (error) {
    // What was verified is not thrown away for what is not; a file that is there is looked at as it is without it.
    const isFree = !target.mayResume || target.isPresent;
    const way = classic === 'fallback' && isFree ? circuits.classicWay : undefined;
    client.signal.throwIfAborted();
    if (way) return way;
    throw error;
  }
}

async function fetchClassic(way: Route, target: Target, client: ClientContext, progress: Progress): Promise<Content> {
  const circuit = await ClassicCircuit.open(way, client);
  try {
    const size = await circuit.receiveSize(client);
    const content = { file: way.file, size, pieceBytes: client.limits.pieceBytes, algorithm: undefined };
    const { reservation } = await target.begin(content);
    progress.tell({ kind: 'started', size, reservation, leftBytes: 0, restarted: false });
    await circuit.receiveContent(content, target, progress.count);
    const none = { pieces: 0, piecesDigest: null, resumedBytes: 0, wastedBytes: 0, hops: way.hops, reroutes: 0 };
    return { size, reservation, encrypted: false, verified: false, ...none };
  } finally {
    await circuit.close();
  }
}

/** Bytes that are here or arriving, told as they change; what else is told passes through. */
class Progress {
  readonly #onEvent: DownloadOptions['onEvent'];
  size = 0;
  /** Bytes that were taken back. */
  wasted = 0;
  #bytes = 0;

  constructor({ onEvent }: DownloadOptions) {
    this.#onEvent = onEvent;
  }

  tell = (event: DownloadEvent): void => {
    if (event.kind === 'started') {
      this.wasted += this.#bytes;
      this.size = event.size;
      this.#bytes = event.leftBytes;
    }
    this.#onEvent?.(event);
  };

  count = (count: number): void => {
    this.#bytes += count;
    if (count < 0) this.wasted -= count;
    this.tell({ kind: 'progress', bytes: this.#bytes, size: this.size });
  };
}
