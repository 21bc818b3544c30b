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
import type { AnswerOf, Message } from '../wire/messages.ts';
import type { Circuit } from './circuit.ts';
import type { Target } from './target.ts';

const minPieceBytes = 1024;

export interface FetchOptions {
  readonly circuit: Circuit;
  /** The name of the file, for messages. */
  readonly file: string;
  readonly status: AnswerOf<'status'>;
  readonly digest: DigestAlgorithm;
  readonly target: Target;
  readonly limits: Limits;
  /** Called as content arrives, and with a negative count when a piece was wrong. */
  readonly onBytes: (count: number) => void;
  /** Called when a piece was wrong and is asked for again. */
  readonly onRetry: (piece: number, attempt: number) => void;
  /** The piece that is asked for already; those after it are not. @default none */
  readonly asked?: number | undefined;
  /** The digest of the first piece, if that is in the target already. */
  readonly firstDigest?: string | undefined;
}

export interface Fetched {
  readonly pieces: number;
  /** Hex; of the only piece, or over the digests of all of them. */
  readonly digest: string;
}

/** STAT and, before anyone knows how the origin cuts the file, a READ of what is likely its first piece. */
export function requestFile(name: string, digests: readonly DigestAlgorithm[], limits: Limits): Message[] {
  return [
    { type: 'stat', name, digests: digests.map(({ name: digest }) => digest) },
    { type: 'read', offset: 0, length: limits.pieceBytes },
  ];
}

/** The digest that the origin chose. Throws `PEER_PROTOCOL` if it, or the size of the pieces, cannot be. */
export function checkStatus(
  { digest, pieceBytes }: AnswerOf<'status'>,
  offered: readonly DigestAlgorithm[],
  limits: Limits,
): DigestAlgorithm {
  const algorithm = offered.find(({ name }) => name === digest);
  if (!algorithm) throw new HoplineError('PEER_PROTOCOL', 'the origin chose a digest that was not offered');
  if (pieceBytes < minPieceBytes || pieceBytes > limits.maxReadBytes) {
    throw new HoplineError('PEER_PROTOCOL', `the origin cuts files into pieces of ${pieceBytes} bytes`);
  }
  return algorithm;
}

/** Whether the READ that went along with STAT asked for exactly the first piece. */
export function isFirstPiece({ size, pieceBytes }: AnswerOf<'status'>, limits: Limits): boolean {
  return size > 0 && Math.min(size, limits.pieceBytes) === Math.min(size, pieceBytes);
}

/** Takes the answer to the READ that went along with STAT, and drops it. */
export async function skipFirstRead(
  circuit: Circuit,
  { size }: AnswerOf<'status'>,
  file: string,
  limits: Limits,
): Promise<void> {
  const length = await receiveData(circuit, file, 0, Math.min(size, limits.pieceBytes));
  await circuit.receiveBytes(length, async (chunk) => chunk.release());
  await circuit.receive('end', file);
}

/** Fetches every piece into the target. Throws `HASH_MISMATCH` naming the piece, and as the circuit and the target do. */
export async function fetchPieces(options: FetchOptions): Promise<Fetched> {
  const { circuit, status, limits, onRetry, firstDigest } = options;
  const { size, version, pieceBytes } = status;
  const pieces = Math.ceil(size / pieceBytes);
  const whole = new WholeDigest(options.digest);
  const wrong: number[] = [];
  const asked: number[] = options.asked === undefined ? [] : [options.asked];
  const attempts = new Map<number, number>();
  if (firstDigest !== undefined) whole.add(0, firstDigest);
  let done = firstDigest === undefined ? 0 : 1;
  let next = Math.max(done, (options.asked ?? -1) + 1);
  while (done < pieces) {
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
    if (attempt > limits.maxPieceRetries) throw mismatchError(piece, pieces, attempt);
    onRetry(piece, attempt);
    wrong.push(piece);
  }
  return { pieces, digest: whole.finish() };
}

/** Receives the piece that is due into the target; its digest in hex, or undefined if it was wrong. */
export async function receivePiece(
  piece: number,
  options: Omit<FetchOptions, 'onRetry' | 'limits'>,
): Promise<string | undefined> {
  const { circuit, file, status, target, onBytes } = options;
  const offset = piece * status.pieceBytes;
  const length = Math.min(status.pieceBytes, status.size - offset);
  await receiveData(circuit, file, offset, length);
  const hasher = options.digest.start();
  await circuit.receiveBytes(length, (chunk, position) => {
    hasher.update(chunk.bytes);
    onBytes(chunk.bytes.length);
    return target.write(chunk, offset, offset + position);
  });
  const { digest } = await circuit.receive('end', file);
  if (hasher.digest() === digest) {
    await target.accept(offset);
    return digest;
  }
  target.reject(offset);
  onBytes(-length);
  return undefined;
}

/** The content of a file of one piece, in memory; undefined if it was wrong. */
export async function receiveContent(
  circuit: Circuit,
  file: string,
  size: number,
  algorithm: DigestAlgorithm,
): Promise<{ readonly content: Buffer; readonly digest: string } | undefined> {
  await receiveData(circuit, file, 0, size);
  const content = Buffer.allocUnsafe(size);
  await circuit.receiveBytes(size, async (chunk, position) => {
    chunk.bytes.copy(content, position);
    chunk.release();
  });
  const { digest } = await circuit.receive('end', file);
  const hasher = algorithm.start();
  hasher.update(content);
  return hasher.digest() === digest ? { content, digest } : undefined;
}

async function receiveData(circuit: Circuit, file: string, offset: number, length: number): Promise<number> {
  const data = await circuit.receive('data', file);
  if (data.offset === offset && data.length === length) return length;
  throw new HoplineError('PEER_PROTOCOL', `the origin sent other bytes than were asked for at ${offset}`);
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

export function mismatchError(piece: number, pieces: number, attempts: number): HoplineError {
  const message = `piece ${piece + 1} of ${pieces} did not match its digest, ${attempts} times in a row`;
  return new HoplineError('HASH_MISMATCH', message);
}
