/**
 * One download from first to last: target, circuits, space, content, commit.
 *
 * Owns the order of these steps and the clean-up when one of them fails.
 * Invariant: when `download` has settled there is no socket or timer left, no
 * file left but what a later run goes on from, and the target is either the whole file or untouched.
 */

import path from 'node:path';
import type { Writable } from 'node:stream';
import { asHoplineError, type HoplineError } from '../../core/errors.ts';
import { type DigestName, ownDigest } from '../../io/digests/digest.ts';
import { type FileDigest, WholeDigest } from '../../io/digests/whole-digest.ts';
import { StreamTarget } from '../../io/disk/writing/stream-target.ts';
import type { Reservation, Target } from '../../io/disk/writing/target.ts';
import { createFileTarget } from '../../io/disk/writing/target-place.ts';
import type { Hop } from '../../wire/address.ts';
import { preferredRoute, type Route, type RoutePlan } from '../../wire/route.ts';
import type { ClientContext } from '../circuit/circuit.ts';
import { Circuits, type Failed, type Reroute } from '../circuit/circuits.ts';
import { ClassicCircuit } from '../circuit/classic-circuit.ts';
import { startClient, type TransferOptions } from '../transfer.ts';
import { enterPools } from '../ways/first-pool.ts';
import { refuseKeys } from '../ways/keyed-ways.ts';
import { RouteChooser } from '../ways/route-chooser.ts';
import { type FetchSink, FileFetch, type Proof } from './fetch-file.ts';

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
  /** How many circuits fetch at once. @default 1 */
  readonly parallel?: number | undefined;
  /** Goes on from what an earlier run left, and leaves something to a later one. @default true */
  readonly resume?: boolean | undefined;
  /** What to do about a file that is not what was fetched of it before: fetch it anew or give up. @default 'restart' */
  readonly onChange?: 'restart' | 'fail' | undefined;
  /** Must not throw. */
  readonly onEvent?: ((event: DownloadEvent) => void) | undefined;
}

export type DownloadEvent =
  /** The space is reserved; `leftBytes` are here from an earlier run. Again, with `restarted`, when the file has changed. */
  | {
      readonly kind: 'started';
      readonly size: number;
      readonly reservation: Reservation;
      readonly leftBytes: number;
      readonly restarted: boolean;
    }
  | { readonly kind: 'progress'; readonly bytes: number; readonly size: number }
  /** A piece was damaged somewhere on these hops and is asked for again. */
  | { readonly kind: 'retry'; readonly piece: number; readonly attempt: number; readonly hops: readonly Hop[] }
  | ({ readonly kind: 'reroute' } & Reroute)
  /** A hop speaks the classic dialect only, as `failure` says; all that follows is in that, over these hops. */
  | { readonly kind: 'fallback'; readonly failure: HoplineError; readonly hops: readonly Hop[] }
  /** The download failed, and this much of it waits for the next run. */
  | { readonly kind: 'kept'; readonly bytes: number; readonly size: number };

export interface DownloadResult extends Proof {
  /** Where the file is now; null for a stream. */
  readonly path: string | null;
  /** Whether an earlier file of that name was replaced. */
  readonly replaced: boolean;
  /** Whether the file was there already, with the origin's digests: nothing was fetched or written. */
  readonly alreadyHere: boolean;
  /** Bytes. */
  readonly size: number;
  readonly reservation: Reservation;
  /** Whether every piece was compared with the digest that the origin gave, or in plain somebody on the way; the classic dialect has none. */
  readonly verified: boolean;
  readonly pieces: number;
  /**
   * Of the file, as other programs compute it: by the algorithm of `checksum`, else as far as it costs little. Null where it is
   * not known.
   */
  readonly digest: FileDigest | null;
  /** Over the digests of all pieces, in their order: docs/protocol.md#pieces. Null when not verified. */
  readonly piecesDigest: { readonly algorithm: DigestName; readonly hex: string } | null;
  /** Bytes that an earlier run had left. */
  readonly resumedBytes: number;
  /** Bytes that came and were worth nothing: damaged, brought twice, or of another version. */
  readonly wastedBytes: number;
  /** The hops of the circuit that served last, each pool with the member that was taken. */
  readonly hops: readonly Hop[];
  /** How often a circuit failed and another took its place. */
  readonly reroutes: number;
  readonly elapsedMs: number;
}

type Content = Omit<DownloadResult, 'digest' | 'path' | 'replaced' | 'alreadyHere' | 'elapsedMs'>;

/**
 * Downloads the file of a route through its hops.
 * Throws a HoplineError; with an aborted signal, `INTERRUPTED`. Codes: docs/exit-codes.md
 */
export async function download(options: DownloadOptions): Promise<DownloadResult> {
  const { client, end } = startClient(options);
  const started = client.clock.now();
  const progress = new Progress(options);
  let target: Target | undefined;
  try {
    const isClassic = options.classic === true;
    if (isClassic) refuseKeys(options.route.routes, 'the classic dialect');
    const whole = new WholeDigest(options.checksum);
    target = await createTarget(options, client, whole, isClassic);
    const { file, routes } = options.route;
    const route = { file, routes: await enterPools(routes, options.pools, client) };
    const fetch = isClassic
      ? fetchClassic(preferredRoute(route), options, target, client, progress)
      : fetchNative({ ...options, route }, target, client, progress);
    let content = await fetch;
    if ('failure' in content) {
      const { failure, from: hops } = content;
      target = await createTarget(options, client, whole, true);
      options.onEvent?.({ kind: 'fallback', failure, hops });
      content = await fetchClassic({ file, hops }, options, target, client, progress);
    }
    await target.commit();
    const digest = whole.digest ?? ownDigest(content);
    return { ...placeOf(target), ...content, digest, elapsedMs: client.clock.now() - started };
  } catch (error) {
    const bytes = (await target?.keep()) ?? 0;
    if (bytes > 0) options.onEvent?.({ kind: 'kept', bytes, size: progress.size });
    client.signal.throwIfAborted();
    throw asHoplineError(error);
  } finally {
    end();
  }
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
  { route, parallel, onChange, retry, classic, onEvent }: DownloadOptions,
  target: Target,
  client: ClientContext,
  progress: Progress,
): Promise<Content | Failed> {
  let reroutes = 0;
  const chooser = new RouteChooser(route, client);
  const circuits = new Circuits(chooser, client, { retry }, (reroute) => {
    reroutes += 1;
    onEvent?.({ kind: 'reroute', ...reroute });
  });
  const sink: FetchSink = {
    onStarted: (start) => {
      progress.start(start.size, start.leftBytes);
      onEvent?.({ kind: 'started', ...start });
    },
    onBytes: progress.count,
    onRetry: (piece, attempt, { hops }) => onEvent?.({ kind: 'retry', piece, attempt, hops }),
    onPiece: (circuit) => circuits.progressed(circuit),
  };
  const fetch = new FileFetch({ file: route.file, target, client, parallel, onChange, sink });
  const fetching = await fetch.run(circuits).catch((error) => {
    // What was verified is not thrown away for what is not; a file that is there is looked at as it is without it.
    const isFree = !target.mayResume || target.isPresent;
    const way = classic === 'fallback' && isFree ? circuits.classicWay : undefined;
    client.signal.throwIfAborted();
    if (way) return way;
    throw error;
  });
  if ('failure' in fetching) return fetching;
  const { leftBytes, ...fetched } = fetching;
  return {
    ...fetched,
    verified: true,
    resumedBytes: leftBytes,
    wastedBytes: progress.wasted,
    hops: circuits.hops,
    reroutes,
  };
}

async function fetchClassic(
  way: Route,
  { onEvent }: DownloadOptions,
  target: Target,
  client: ClientContext,
  progress: Progress,
): Promise<Content> {
  const circuit = await ClassicCircuit.open(way, client);
  try {
    const size = await circuit.receiveSize(client);
    const content = { file: way.file, size, pieceBytes: client.limits.pieceBytes, algorithm: undefined };
    const { reservation } = await target.begin(content);
    progress.start(size, 0);
    onEvent?.({ kind: 'started', size, reservation, leftBytes: 0, restarted: false });
    await circuit.receiveContent(content, target, progress.count);
    const none = { pieces: 0, piecesDigest: null, resumedBytes: 0, wastedBytes: 0, hops: way.hops, reroutes: 0 };
    return { size, reservation, encrypted: false, verified: false, ...none };
  } finally {
    await circuit.close();
  }
}

/** What a result says of the place of its file. */
export function placeOf({ path: place, replaces, isPresent = false }: Target) {
  return { path: place, replaced: replaces, alreadyHere: isPresent };
}

/** Bytes that are here or arriving, told as they change. */
class Progress {
  readonly #onEvent: DownloadOptions['onEvent'];
  size = 0;
  /** Bytes that were taken back. */
  wasted = 0;
  #bytes = 0;

  constructor({ onEvent }: DownloadOptions) {
    this.#onEvent = onEvent;
  }

  start(size: number, leftBytes: number): void {
    this.wasted += this.#bytes;
    this.size = size;
    this.#bytes = leftBytes;
  }

  count = (count: number): void => {
    this.#bytes += count;
    if (count < 0) this.wasted -= count;
    this.#onEvent?.({ kind: 'progress', bytes: this.#bytes, size: this.size });
  };
}
