/**
 * Fetches the pieces of one file over a circuit: asks ahead, checks every digest, asks again for a wrong piece.
 *
 * Owns the order of requests and the digest of the whole file. Knows the target
 * only as somewhere to write.
 * Invariant: a piece counts once its digest has been compared with what the origin computed, and not before.
 * Specification: docs/protocol.md#pieces
 */

import { HoplineError } from '../core/errors.ts';
import type { Limits } from '../core/limits.ts';
import type { DigestAlgorithm, Hasher } from '../io/digest.ts';
import type { AnswerOf } from '../wire/messages.ts';
import type { Circuit } from './circuit.ts';
import type { Target } from './target.ts';

const minPieceBytes = 1024;

export interface FetchOptions {
  readonly circuit: Circuit;
  readonly status: AnswerOf<'status'>;
  readonly digest: DigestAlgorithm;
  readonly target: Target;
  readonly limits: Limits;
  /** Called as content arrives, and with a negative count when a piece was wrong. */
  readonly onBytes: (count: number) => void;
  /** Called when a piece was wrong and is asked for again. */
  readonly onRetry: (piece: number, attempt: number) => void;
}

export interface Fetched {
  readonly pieces: number;
  /** Hex; of the only piece, or over the digests of all of them. */
  readonly digest: string;
}

/** Fetches every piece into the target. Throws `HASH_MISMATCH` naming the piece, and as the circuit and the target do. */
export async function fetchPieces(options: FetchOptions): Promise<Fetched> {
  const { circuit, status, limits, onRetry } = options;
  const { size, version, pieceBytes } = status;
  if (pieceBytes < minPieceBytes || pieceBytes > limits.maxReadBytes) {
    throw new HoplineError('PEER_PROTOCOL', `the origin cuts files into pieces of ${pieceBytes} bytes`);
  }
  const pieces = Math.ceil(size / pieceBytes);
  const whole = new WholeDigest(options.digest);
  const wrong: number[] = [];
  const asked: number[] = [];
  const attempts = new Map<number, number>();
  let next = 0;
  for (let done = 0; done < pieces; ) {
    const ahead: number[] = [];
    while (asked.length + ahead.length < limits.maxReadsAhead && (wrong.length > 0 || next < pieces)) {
      ahead.push(wrong.shift() ?? next++);
    }
    circuit.send(
      ahead.map((piece) => ({ type: 'read', offset: piece * pieceBytes, length: pieceBytes, version }) as const),
    );
    asked.push(...ahead);
    const piece = asked.shift() as number;
    const digest = await receivePiece(piece, options);
    if (digest !== undefined) {
      whole.add(piece, digest);
      done += 1;
      continue;
    }
    const attempt = (attempts.get(piece) ?? 0) + 1;
    attempts.set(piece, attempt);
    if (attempt > limits.maxPieceRetries) throw mismatch(piece, pieces, attempt);
    onRetry(piece, attempt);
    wrong.push(piece);
  }
  return { pieces, digest: whole.finish() };
}

/** Receives the piece that is due; its digest in hex, or undefined if it was wrong. */
async function receivePiece(piece: number, options: FetchOptions): Promise<string | undefined> {
  const { circuit, status, target, onBytes } = options;
  const offset = piece * status.pieceBytes;
  const length = Math.min(status.pieceBytes, status.size - offset);
  const data = await circuit.receive('data');
  if (data.offset !== offset || data.length !== length) {
    throw new HoplineError('PEER_PROTOCOL', `the origin sent other bytes than were asked for at ${offset}`);
  }
  const hasher = options.digest.start();
  await circuit.receiveBytes(length, (chunk, position) => {
    hasher.update(chunk.bytes);
    onBytes(chunk.bytes.length);
    return target.write(chunk, offset, offset + position);
  });
  const { digest } = await circuit.receive('end');
  if (hasher.digest() === digest) {
    await target.accept(offset);
    return digest;
  }
  target.reject(offset);
  onBytes(-length);
  return undefined;
}

/** The digest of a file: that of its only piece, else the digest over its pieces' digests in their order. */
class WholeDigest {
  readonly #algorithm: DigestAlgorithm;
  readonly #hasher: Hasher;
  readonly #early = new Map<number, string>();
  #next = 0;
  #last = '';

  constructor(algorithm: DigestAlgorithm) {
    this.#algorithm = algorithm;
    this.#hasher = algorithm.start();
  }

  add(piece: number, digest: string): void {
    this.#early.set(piece, digest);
    for (let due = this.#early.get(this.#next); due !== undefined; due = this.#early.get(this.#next)) {
      this.#early.delete(this.#next);
      this.#hasher.update(Buffer.from(due, 'hex'));
      this.#last = due;
      this.#next += 1;
    }
  }

  finish(): string {
    if (this.#next === 0) return this.#algorithm.start().digest();
    return this.#next === 1 ? this.#last : this.#hasher.digest();
  }
}

function mismatch(piece: number, pieces: number, attempts: number): HoplineError {
  const message = `piece ${piece + 1} of ${pieces} did not match its digest, ${attempts} times in a row`;
  return new HoplineError('HASH_MISMATCH', message);
}
