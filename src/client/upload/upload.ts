/**
 * One upload from first to last: source, circuits, pieces, commit.
 *
 * Owns the order of these steps and the clean-up when one of them fails.
 * Invariant: when `upload` has settled there is no socket, timer or open file
 * left here, and the origin has either the whole file in its place or what a later run goes on from.
 */

import { asHoplineError, HoplineError } from '../../core/errors.ts';
import type { Hop } from '../../wire/address.ts';
import { checkName, type RoutePlan } from '../../wire/route.ts';
import { Circuits, type Reroute } from '../circuit/circuits.ts';
import { startClient, type TransferOptions } from '../transfer.ts';
import { enterPools } from '../ways/first-pool.ts';
import { RouteChooser } from '../ways/route-chooser.ts';
import { SourceFile } from './source-file.ts';
import { FileSend, type UploadedFile } from './upload-file.ts';

export interface UploadOptions extends TransferOptions {
  /** The file that is sent: a regular file. */
  readonly source: string;
  /** The name that the file gets at the origin, and the ways there. */
  readonly route: RoutePlan;
  /** Replaces a file at the origin, if its node is started to allow that. @default false */
  readonly force?: boolean | undefined;
  /** Must not throw. */
  readonly onEvent?: ((event: UploadEvent) => void) | undefined;
}

export type UploadEvent =
  /** The origin has reserved the space; `leftBytes` are there from an earlier run. */
  | { readonly kind: 'started'; readonly size: number; readonly leftBytes: number }
  /** The origin has acknowledged `bytes`. */
  | { readonly kind: 'progress'; readonly bytes: number; readonly size: number }
  /** A piece was damaged somewhere on these hops and is sent again. */
  | { readonly kind: 'retry'; readonly piece: number; readonly attempt: number; readonly hops: readonly Hop[] }
  | ({ readonly kind: 'reroute' } & Reroute)
  /** The upload failed, and this much waits at the origin for the next run; if it is all, the file may be in its place. */
  | { readonly kind: 'kept'; readonly bytes: number; readonly size: number };

export interface UploadResult extends UploadedFile {
  /** The name at the origin. */
  readonly file: string;
  /** Bytes. */
  readonly size: number;
  /** How often a circuit failed and another took its place. */
  readonly reroutes: number;
  readonly elapsedMs: number;
}

/**
 * Sends a file through the hops of a route to its origin, which verifies every piece.
 * Throws a HoplineError; with an aborted signal, `INTERRUPTED`. Codes: docs/exit-codes.md
 */
export async function upload(options: UploadOptions): Promise<UploadResult> {
  const { route, force = false, retry, onEvent } = options;
  const { client, end } = startClient(options);
  const started = client.clock.now();
  let source: SourceFile | undefined;
  let sending: FileSend | undefined;
  let reroutes = 0;
  try {
    checkName(route.file, client.limits.maxNameBytes, 'the name at the origin');
    source = await SourceFile.open(options.source);
    const { size } = source;
    const sink = {
      onStarted: (start: { size: number; leftBytes: number }) => onEvent?.({ kind: 'started', ...start }),
      onBytes: (bytes: number) => onEvent?.({ kind: 'progress', bytes, size }),
      onRetry: (piece: number, attempt: number, { hops }: { hops: readonly Hop[] }) =>
        onEvent?.({ kind: 'retry', piece, attempt, hops }),
    };
    const routes = await enterPools(route.routes, options.pools, client);
    const chooser = new RouteChooser({ file: route.file, routes }, client);
    const circuits = new Circuits(chooser, client, { retry }, (reroute) => {
      reroutes += 1;
      onEvent?.({ kind: 'reroute', ...reroute });
    });
    sending = new FileSend({ file: route.file, source, force, client, sink });
    const sent = await sending.run(circuits);
    return { file: route.file, size, ...sent, reroutes, elapsedMs: client.clock.now() - started };
  } catch (error) {
    const { keptBytes: bytes = 0 } = sending ?? {};
    // Pieces of another version are worth nothing to the next run.
    const isWorthless = asHoplineError(error).code === 'FILE_CHANGED';
    if (bytes > 0 && !isWorthless) onEvent?.({ kind: 'kept', bytes, size: source?.size ?? 0 });
    client.signal.throwIfAborted();
    throw withoutUploads(asHoplineError(error));
  } finally {
    await source?.close();
    end();
  }
}

function withoutUploads(error: HoplineError): HoplineError {
  const { code, message, hop = 0 } = error;
  return code === 'PEER_CLASSIC' ? new HoplineError(code, `${message}, which knows no uploads`, { hop }) : error;
}
