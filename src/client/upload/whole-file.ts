/**
 * A file of one piece, or of none, in one go: its bytes and COMMIT leave without waiting for the answers to what is before them.
 *
 * Does not know what the answers mean for the file.
 * Invariant: where the file is refused, all answers about it are taken, and the next one is about the next file.
 * Specification: docs/protocol/requests.md#files-ahead
 */

import { asHoplineError, HoplineError } from '../../core/errors.ts';
import type { Answer, AnswerOf, Message } from '../../wire/native/messages.ts';
import type { Circuit } from '../circuit/circuit.ts';
import type { SourcePieces } from './source/source-pieces.ts';

/** Sends `requests`, the only piece if there is one, and COMMIT. Throws, before anything is sent, what the source fails with. */
export async function sendWhole(circuit: Circuit, requests: readonly Message[], cut: SourcePieces): Promise<void> {
  const commit = { type: 'commit' } as const;
  if (cut.count === 0) return circuit.send([...requests, commit]);
  const { bytes, digest } = await cut.read(0, cut.newBuffer());
  // Whoever waits for the answers hears why it could not leave.
  circuit.sendPiece([...requests, { type: 'write', index: 0, digest }], bytes, [commit]).catch(() => {});
}

/**
 * Receives an answer about `file`; where it is a refusal, so are those to the `behind` requests about the file that were sent
 * along, and are taken. Throws what the circuit fails with.
 */
export async function receiveAhead<Type extends Answer['type']>(
  circuit: Circuit,
  type: Type,
  { file, behind }: { readonly file: string; readonly behind: number },
): Promise<AnswerOf<Type>> {
  try {
    return await circuit.receive(type, file);
  } catch (error) {
    if (isOfOneFile(error)) {
      for (let left = behind; left > 0; left -= 1) await circuit.receive('refused', file);
    }
    throw error;
  }
}

/** Takes the answers to WRITE and COMMIT; resolves to undefined where the piece came damaged. Throws as `receiveAhead`, and `PEER_PROTOCOL`. */
export async function takeWhole(
  circuit: Circuit,
  { file, cut, onStored }: { readonly file: string; readonly cut: SourcePieces; readonly onStored: () => void },
): Promise<AnswerOf<'committed'> | undefined> {
  if (cut.count > 0) {
    const stored = await receiveAhead(circuit, 'stored', { file, behind: 1 }).catch((error) => {
      if (asHoplineError(error).code === 'HASH_MISMATCH') return undefined;
      throw error;
    });
    if (!stored) return undefined;
    if (stored.index !== 0)
      throw new HoplineError('PEER_PROTOCOL', 'the origin answered another piece than the only one');
    onStored();
  }
  return receiveAhead(circuit, 'committed', { file, behind: 0 });
}

/** Whether an origin that takes files ahead has refused one and goes on with the next. */
export function isOfOneFile(error: unknown): boolean {
  return /^FILE_|^(AUTH_DENIED|DISK_EXISTS|HASH_MISMATCH)$/.test(asHoplineError(error).code);
}
