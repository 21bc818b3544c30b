/**
 * Whether an origin has the file that is sent, as it is here.
 *
 * Invariant: nothing of it is due on the circuit afterwards.
 */

import { asHoplineError } from '../../core/errors.ts';
import type { DigestAlgorithm } from '../../io/digests/digest.ts';
import type { Circuit } from '../circuit/circuit.ts';
import { compareDigests } from '../pieces/compare-digests.ts';
import { checkStatus } from '../pieces/receive-piece.ts';
import type { SourcePieces } from './source/source-pieces.ts';
import type { SendFileOptions } from './upload-pieces.ts';

interface OwnFile extends Pick<SendFileOptions, 'file' | 'source' | 'client'> {
  readonly cut: SourcePieces;
  /** The digests that STAT named. */
  readonly offered: readonly DigestAlgorithm[];
}

/** The answer to a STAT is due. Throws what the circuit fails with, and `SourceFile.readPiece`. */
export async function isThere(circuit: Circuit, { file, source, client, cut, offered }: OwnFile): Promise<boolean> {
  const status = await circuit.receive('status', file).catch((error) => {
    // Who may not read what he has sent asks again: an origin remembers what was completed. What is denied may only be on its
    // way out of a directory that the circuit before had made; PUT says what is so.
    if (/^(FILE_NOT_FOUND|FILE_DENIED|AUTH_DENIED)$/.test(asHoplineError(error).code)) return undefined;
    throw error;
  });
  if (status?.size !== source.size) return false;
  cut.digestBy(checkStatus(status, offered, client.limits));
  const buffer = cut.newBuffer();
  return compareDigests(circuit, client.limits, {
    file,
    version: status.version,
    indexes: new Array(cut.count).keys(),
    rangeOf: (index) => cut.rangeOf(index),
    digestHere: async (index) => (await cut.read(index, buffer)).digest,
  });
}
