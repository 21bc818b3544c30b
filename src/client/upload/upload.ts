/**
 * One upload from first to last: source, circuits, pieces, commit.
 *
 * Owns the order of these steps and the clean-up when one of them fails.
 * Invariant: when `upload` has settled there is no socket, timer or open file
 * left here, and the origin has either the whole file in its place or what a later run goes on from.
 */

import { asHoplineError, HoplineError } from '../../core/errors.ts';
import { checkName, type RoutePlan } from '../../wire/route.ts';
import { Circuits } from '../circuit/circuits.ts';
import { type TransferOptions, withClient } from '../transfer.ts';
import type { UploadEvent } from '../transfer-events.ts';
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
export function upload(options: UploadOptions): Promise<UploadResult> {
  const { route, force = false, onEvent = () => {} } = options;
  const { file, routes } = route;
  return withClient(options, async (client) => {
    const started = client.clock.now();
    let source: SourceFile | undefined;
    let sending: FileSend | undefined;
    try {
      checkName(file, client.limits.maxNameBytes, 'the name at the origin');
      source = await SourceFile.open(options.source);
      const circuits = await Circuits.over(routes, client, options);
      sending = new FileSend({ file, source, force, client, circuits, onEvent });
      const sent = await sending.run();
      const elapsedMs = client.clock.now() - started;
      return { file, size: source.size, ...sent, reroutes: circuits.reroutes, elapsedMs };
    } catch (error) {
      const { keptBytes: bytes = 0 } = sending ?? {};
      // Pieces of another version are worth nothing to the next run.
      const isWorthless = asHoplineError(error).code === 'FILE_CHANGED';
      if (bytes > 0 && !isWorthless) onEvent({ kind: 'kept', bytes, size: source?.size ?? 0 });
      throw withoutUploads(asHoplineError(error));
    } finally {
      await source?.close();
    }
  });
}

function withoutUploads(error: HoplineError): HoplineError {
  const { code, message, hop = 0 } = error;
  return code === 'PEER_CLASSIC' ? new HoplineError(code, `${message}, which knows no uploads`, { hop }) : error;
}
