/**
 * One upload from first to last: source, circuits, pieces, commit.
 *
 * Owns the order of these steps and the clean-up when one of them fails.
 * Invariant: when `upload` has settled there is no socket, timer or open file
 * left here, and the origin has either the whole file in its place or what a later run goes on from.
 */

import type { Readable } from 'node:stream';
import { elapsedSince } from '../../core/clock.ts';
import { asHoplineError, HoplineError } from '../../core/errors.ts';
import { type OptionNames, refuseUnknown } from '../../core/failure/known-names.ts';
import type { Signal } from '../../core/signal.ts';
import { checkName, type RoutePlan } from '../../wire/route.ts';
import type { Circuit } from '../circuit/circuit.ts';
import { Circuits } from '../circuit/circuits.ts';
import { type TransferOptions, transferNames, withClient } from '../transfer.ts';
import type { UploadEvent } from '../transfer-events.ts';
import type { UploadedFile, UploadResult } from '../upload-result.ts';
import { SourceFile } from './source/source-file.ts';
import { FileSend } from './upload-file.ts';

export interface UploadOptions extends TransferOptions {
  /** What is sent: a regular file, or all that comes from a stream. */
  readonly source: string | Readable;
  /** The name that the file gets at the origin, and the ways there. */
  readonly route: RoutePlan;
  /** Replaces a file at the origin, if its node is started to allow that. @default false */
  readonly force?: boolean | undefined;
  /** Must not throw. */
  readonly onEvent?: ((event: UploadEvent) => void) | undefined;
}

const names = {
  ...transferNames,
  source: true,
  route: true,
  force: true,
  onEvent: true,
} as const satisfies OptionNames<UploadOptions>;

/**
 * Sends a file through the hops of a route to its origin, which verifies every piece.
 * Throws a HoplineError; with an aborted signal, `INTERRUPTED`. Codes: docs/exit-codes.md
 */
export async function upload(options: UploadOptions): Promise<UploadResult> {
  refuseUnknown(options, { by: 'upload', names });
  const { route, force = false, onEvent = () => {} } = options;
  const { file, routes } = route;
  return withClient(options, async (client) => {
    const started = client.clock.now();
    let source: SourceFile | undefined;
    let sending: FileSend | undefined;
    try {
      checkName(file, client.limits.maxNameBytes, 'the name at the origin');
      source = await openSource(options.source, client.signal);
      const circuits = await Circuits.over(routes, client, options);
      sending = new FileSend({ file, source, force, client, circuits, onEvent });
      const sent = await sendAlone(sending, circuits);
      const elapsedMs = elapsedSince(client.clock, started);
      return { file, size: source.size, ...sent, reroutes: circuits.reroutes, elapsedMs };
    } catch (error) {
      const { keptBytes: bytes = 0 } = sending ?? {};
      // Pieces of another version, or of a stream that will not come again, are worth nothing to the next run.
      const isWorthless = asHoplineError(error).code === 'FILE_CHANGED' || typeof options.source !== 'string';
      if (bytes > 0 && !isWorthless) onEvent({ kind: 'kept', bytes, size: source?.size ?? 0 });
      throw withoutUploads(asHoplineError(error));
    } finally {
      await source?.close();
    }
  });
}

function openSource(source: string | Readable, signal: Signal): Promise<SourceFile> {
  return typeof source === 'string' ? SourceFile.open(source) : SourceFile.ofStream(source, 'the input', signal);
}

/** Sends a file over circuits of its own until it is at its place, or is found to be there. Throws what ends the sending. */
export async function sendAlone(sending: FileSend, circuits: Circuits): Promise<UploadedFile> {
  const send = (circuit: Circuit) => sending.sendOver(circuit);
  await circuits
    .run(() => sending.requests(), send, sending.over)
    .catch(async (error) => {
      const isTaken = asHoplineError(error).code === 'DISK_EXISTS';
      const look = (circuit: Circuit) => sending.lookOver(circuit);
      // Whatever fails now, what was refused is told.
      if (isTaken) await circuits.run(() => sending.lookRequests(), look).catch(() => {});
      if (!sending.isDone) throw error;
    });
  return sending.result();
}

export function withoutUploads(error: HoplineError): HoplineError {
  const { code, message, hop = 0 } = error;
  return code === 'PEER_CLASSIC' ? new HoplineError(code, `${message}, which knows no uploads`, { hop }) : error;
}
