/**
 * One download from first to last: target, circuit, size, space, content, commit.
 *
 * Owns the order of these steps and the clean-up when one of them fails.
 * Invariant: when `download` has settled there is no socket, timer or temporary
 * file left, and the target is either the whole file or untouched.
 */

import path from 'node:path';
import type { Writable } from 'node:stream';
import { type Clock, systemClock } from '../core/clock.ts';
import { asHoplineError, HoplineError } from '../core/errors.ts';
import { defaultLimits, type Limits } from '../core/limits.ts';
import { availableDigests, type DigestName } from '../io/digest.ts';
import { type Resolver, systemResolver } from '../io/resolve.ts';
import type { Route } from '../wire/route.ts';
import { Circuit, type ClientContext } from './circuit.ts';
import { ClassicCircuit } from './classic.ts';
import { locateFailure } from './diagnose.ts';
import { checkStatus, fetchPieces, isFirstPiece, requestFile, skipFirstRead } from './fetch-pieces.ts';
import { createFileTarget } from './file-target.ts';
import { StreamTarget } from './stream-target.ts';
import type { Reservation, Target } from './target.ts';

export interface DownloadOptions {
  readonly route: Route;
  /** A file, a directory to put the file into, or a stream. @default the route's file name in the working directory */
  readonly output?: string | Writable;
  /** Replaces an existing file. @default false */
  readonly force?: boolean;
  /** Speaks the classic dialect, which verifies nothing. @default false */
  readonly classic?: boolean;
  readonly signal?: AbortSignal;
  /** Called when the size is known, as content arrives, and when a piece is asked for again. Must not throw. */
  readonly onEvent?: (event: DownloadEvent) => void;
  readonly limits?: Partial<Limits>;
  readonly clock?: Clock;
  readonly resolve?: Resolver;
}

export type DownloadEvent =
  | { readonly kind: 'started'; readonly size: number; readonly reservation: Reservation }
  | { readonly kind: 'progress'; readonly bytes: number; readonly size: number }
  | { readonly kind: 'retry'; readonly piece: number; readonly attempt: number };

export interface DownloadResult {
  /** Where the file is now; null for a stream. */
  readonly path: string | null;
  /** Whether an earlier file of that name was replaced. */
  readonly replaced: boolean;
  /** Bytes. */
  readonly size: number;
  readonly reservation: Reservation;
  /** Whether every piece was checked against the origin's digest; the classic dialect has none. */
  readonly verified: boolean;
  readonly pieces: number;
  /** Of the file's only piece, or over the digests of all pieces; null when not verified. */
  readonly digest: { readonly algorithm: DigestName; readonly hex: string } | null;
  readonly elapsedMs: number;
}

type Content = Pick<DownloadResult, 'size' | 'reservation' | 'verified' | 'pieces' | 'digest'>;

/**
 * Downloads the file of a route through its hops.
 * Throws a HoplineError; with an aborted signal, `INTERRUPTED`. Codes: docs/exit-codes.md
 */
export async function download(options: DownloadOptions): Promise<DownloadResult> {
  const { client, end } = startClient(options);
  const started = client.clock.now();
  let target: Target | undefined;
  try {
    target = await createTarget(options, client.signal);
    const fetch = options.classic ? fetchClassic : fetchNative;
    const content = await fetch(options, target, client);
    await target.commit();
    return { path: target.path, replaced: target.replaces, ...content, elapsedMs: client.clock.now() - started };
  } catch (error) {
    await target?.discard();
    client.signal.throwIfAborted();
    const failure = asHoplineError(error);
    throw options.classic ? failure : await locateFailure(failure, options.route.hops, client);
  } finally {
    end();
  }
}

/** The context of one call of the library: its signal aborts with `INTERRUPTED`. `end` must be called in `finally`. */
export function startClient({
  signal,
  limits,
  clock = systemClock,
  resolve = systemResolver,
}: Pick<DownloadOptions, 'signal' | 'limits' | 'clock' | 'resolve'>): { client: ClientContext; end: () => void } {
  const interruption = new AbortController();
  const interrupt = () => {
    interruption.abort(new HoplineError('INTERRUPTED', 'the download was interrupted', { cause: signal?.reason }));
  };
  if (signal?.aborted) interrupt();
  signal?.addEventListener('abort', interrupt, { once: true });
  return {
    client: { limits: { ...defaultLimits, ...limits }, clock, resolve, signal: interruption.signal },
    end: () => signal?.removeEventListener('abort', interrupt),
  };
}

async function createTarget(options: DownloadOptions, signal: AbortSignal): Promise<Target> {
  const { route, output = '.', force = false } = options;
  if (typeof output !== 'string') return new StreamTarget(output, signal);
  // The name on disk is the last part of the name that was asked for, never one that the other side sent.
  return createFileTarget(output, path.basename(route.file), { force });
}

async function fetchNative(options: DownloadOptions, target: Target, client: ClientContext): Promise<Content> {
  const { route, onEvent } = options;
  const { limits } = client;
  const algorithms = availableDigests();
  const circuit = await Circuit.open(route.hops, requestFile(route.file, algorithms, limits), client);
  try {
    const status = await circuit.receive('status');
    const digest = checkStatus(status, algorithms, limits);
    // The first piece may be here already; it waits in the socket until there is room for it on disk.
    const reservation = await start(status.size, target, options);
    const isAsked = isFirstPiece(status, limits);
    if (!isAsked) await skipFirstRead(circuit, status, route.file, limits);
    const fetched = await fetchPieces({
      circuit,
      file: route.file,
      asked: isAsked ? 0 : undefined,
      status,
      digest,
      target,
      limits,
      onBytes: countProgress(status.size, options),
      onRetry: (piece, attempt) => onEvent?.({ kind: 'retry', piece, attempt }),
    });
    const { pieces } = fetched;
    const named = { algorithm: digest.name, hex: fetched.digest };
    return { size: status.size, reservation, verified: true, pieces, digest: named };
  } finally {
    await circuit.close();
  }
}

async function fetchClassic(options: DownloadOptions, target: Target, client: ClientContext): Promise<Content> {
  const circuit = await ClassicCircuit.open(options.route, client);
  try {
    const size = await circuit.receiveSize(client);
    const reservation = await start(size, target, options);
    await circuit.receiveContent(size, target, countProgress(size, options));
    return { size, reservation, verified: false, pieces: 0, digest: null };
  } finally {
    await circuit.close();
  }
}

async function start(size: number, target: Target, { onEvent }: DownloadOptions): Promise<Reservation> {
  const reservation = await target.reserve(size);
  onEvent?.({ kind: 'started', size, reservation });
  return reservation;
}

function countProgress(size: number, { onEvent }: DownloadOptions): (count: number) => void {
  let bytes = 0;
  return (count) => {
    bytes += count;
    onEvent?.({ kind: 'progress', bytes, size });
  };
}
