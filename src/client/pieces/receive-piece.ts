/**
 * One piece over a circuit: how it is asked for, received, and compared with what the origin says it is.
 *
 * Knows nothing about which piece is due or where it goes.
 * Invariant: the bytes of a piece are given to nobody before its digest has been compared.
 * Specification: docs/protocol/requests.md#pieces
 */

import { HoplineError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import type { DigestAlgorithm } from '../../io/digests/digest.ts';
import type { Chunk } from '../../io/legs/blocks.ts';
import { describeHop } from '../../wire/address.ts';
import type { AnswerOf, Message } from '../../wire/native/messages.ts';
import type { Circuit } from '../circuit/circuit.ts';

const minPieceBytes = 1024;

/** A range of a file, and what to check it with. */
export interface PieceRange {
  /** The name of the file, for messages. */
  readonly file: string;
  /** Bytes. */
  readonly offset: number;
  readonly length: number;
  readonly algorithm: DigestAlgorithm;
  /** Told how many pieces behind it come without being asked for, where the origin can send such; before the first byte. */
  readonly onMore?: ((count: number) => void) | undefined;
}

export interface ReceivedPiece {
  /** Whoever takes the piece releases them. */
  readonly chunks: readonly Chunk[];
  /** In hex. */
  readonly digest: string;
}

/** STAT and, before anyone knows how the origin cuts the file, a READ of what is likely its first piece, and of `more` behind it. */
export function requestFile(name: string, digests: readonly DigestAlgorithm[], limits: Limits, more = 0): Message[] {
  const read = { type: 'read', offset: 0, length: limits.pieceBytes, ...(more > 0 ? { more } : {}) } as const;
  return [requestStatus(name, digests), read];
}

export function requestStatus(name: string, digests: readonly DigestAlgorithm[]): Message {
  return { type: 'stat', name, digests: digests.map(({ name: digest }) => digest) };
}

/** The digest that the origin chose. Throws `PEER_PROTOCOL` if it, or the size of the pieces, cannot be. */
export function checkStatus(
  { digest, pieceBytes }: AnswerOf<'status'>,
  offered: readonly DigestAlgorithm[],
  limits: Limits,
): DigestAlgorithm {
  const algorithm = chosenDigest(digest, offered);
  if (pieceBytes < minPieceBytes || pieceBytes > limits.maxReadBytes) {
    throw new HoplineError('PEER_PROTOCOL', `the origin cuts files into pieces of ${pieceBytes} bytes`);
  }
  return algorithm;
}

/** Throws `PEER_PROTOCOL`. */
export function chosenDigest(chosen: string, offered: readonly DigestAlgorithm[]): DigestAlgorithm {
  const algorithm = offered.find(({ name }) => name === chosen);
  if (algorithm) return algorithm;
  throw new HoplineError('PEER_PROTOCOL', 'the origin chose a digest that was not offered');
}

/** Whether the READ that went along with STAT asked for exactly the first piece. */
export function isFirstPiece({ size, pieceBytes }: AnswerOf<'status'>, limits: Limits): boolean {
  return size > 0 && Math.min(size, limits.pieceBytes) === Math.min(size, pieceBytes);
}

/** Takes the answers to the READ that went along with STAT, which `asked` for so many pieces besides, and drops them. */
export async function skipFirstRead(
  circuit: Circuit,
  { size }: AnswerOf<'status'>,
  file: string,
  limits: Limits,
  asked = 0,
): Promise<void> {
  let offset = 0;
  for (let left = 1 + asked; left > 0; ) {
    const length = Math.min(size - offset, limits.pieceBytes);
    const { more = 0 } = checkData(await circuit.receive('data', file), offset, length);
    const block = circuit.blocks.take(length);
    await circuit.receiveInto(block.bytes, () => {});
    block.release();
    await circuit.receive('end', file);
    offset += length;
    left = offset < size ? Math.min(left - 1, more) : 0;
  }
}

/**
 * Receives the piece that is due; undefined if it does not match its digest.
 * `onBytes` is called as content arrives. Throws as the circuit does.
 */
export async function receivePiece(
  circuit: Circuit,
  { file, offset, length, algorithm, onMore }: PieceRange,
  onBytes: (count: number) => void,
): Promise<ReceivedPiece | undefined> {
  const { more } = checkData(await circuit.receive('data', file), offset, length);
  if (more !== undefined) onMore?.(more);
  const block = circuit.blocks.take(length);
  try {
    await circuit.receiveInto(block.bytes, onBytes);
    const { digest } = await circuit.receive('end', file);
    // All of it at once: in parts, wherever they happen to end, a hash takes a fifth longer (docs/performance.md).
    const own = algorithm.digestOf(block.bytes).toString('hex');
    if (own === digest) return { chunks: [block], digest };
  } catch (error) {
    block.release();
    throw error;
  }
  block.release();
  return undefined;
}

/** A piece came damaged every time that it was asked for. */
export function mismatchError(
  piece: number,
  pieces: number,
  { hops }: Pick<Circuit, 'hops'>,
  { maxPieceRetries }: Limits,
): HoplineError {
  const way = hops.map(describeHop).join(' -> ');
  const often = `${maxPieceRetries + 1} times in a row over ${way}`;
  return new HoplineError('HASH_MISMATCH', `piece ${piece + 1} of ${pieces} did not match its digest, ${often}`);
}

/** Throws `PEER_PROTOCOL` for other bytes than are due. */
function checkData(data: AnswerOf<'data'>, offset: number, length: number): AnswerOf<'data'> {
  if (data.offset === offset && data.length === length) return data;
  throw new HoplineError('PEER_PROTOCOL', `the origin sent other bytes than were asked for at ${offset}`);
}
