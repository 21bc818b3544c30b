/**
 * Fetches pieces of one file over one circuit: asks ahead, checks each, hands it to the target while the next arrives.
 *
 * Takes whatever is missing next, and at the end helps with what others are
 * slow to bring. Knows nothing about how the circuit came about.
 * Invariant: holds the piece that is arriving and the one that is being written, no more.
 */

import { untilAborted } from '../../core/clock.ts';
import { HoplineError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import type { DigestAlgorithm } from '../../io/digests/digest.ts';
import type { Target, TargetContent, Voucher } from '../../io/disk/writing/target.ts';
import type { Chunk } from '../../io/legs/blocks.ts';
import { describeHop } from '../../wire/address.ts';
import type { Circuit } from '../circuit/circuit.ts';
import type { Circuits } from '../circuit/circuits.ts';
import type { RetryEvent } from '../transfer-events.ts';
import type { Fetcher, PieceMap } from './piece-map.ts';
import { receivePiece } from './receive-piece.ts';

/** How long the pieces that are asked for ahead should keep a circuit busy when others could bring them too. */
const aheadMs = 500;

/** The file that several fetchers work on. */
export interface FetchTask {
  readonly content: TargetContent;
  /** By which the pieces that are here are known. */
  readonly algorithm: DigestAlgorithm;
  /** What the target is being given. */
  readonly writes: Set<Promise<void>>;
  readonly pieces: PieceMap;
  readonly target: Target;
  readonly limits: Limits;
  /** Whether others fetch pieces of the file too. */
  readonly isShared: boolean;
  /** Aborts when nobody waits for the file any more. */
  readonly over: AbortSignal;
  /** Told of every piece that was verified. */
  readonly circuits: Circuits;
  /** Called as content arrives, and with a negative count when it was worth nothing. Must not throw, as all that is told. */
  readonly onBytes: (count: number) => void;
  readonly onEvent: (event: RetryEvent) => void;
  /** The target failed: there is no use in going on. */
  readonly onFatal: (error: unknown) => void;
}

/** What STATUS said on a circuit: of which version its pieces are, and by what they are proved. */
export interface OriginVersion {
  readonly version: string;
  readonly algorithm: DigestAlgorithm;
}

export class PieceFetcher implements Fetcher {
  readonly asked: number[] = [];
  readonly #circuit: Circuit;
  readonly #voucher: Voucher;
  readonly #algorithm: DigestAlgorithm;
  readonly #task: FetchTask;
  readonly #attempts = new Map<number, number>();
  readonly #now: () => number;
  readonly #startedMs: number;
  #receivedBytes = 0;
  #writing: Promise<void> = Promise.resolve();

  constructor(circuit: Circuit, { version, algorithm }: OriginVersion, task: FetchTask, now: () => number) {
    this.#circuit = circuit;
    this.#voucher = { version, key: circuit.key?.text };
    this.#algorithm = algorithm;
    this.#task = task;
    this.#now = now;
    this.#startedMs = now();
  }

  get speed(): number {
    return this.#receivedBytes / Math.max(1, this.#now() - this.#startedMs);
  }

  /** Takes the first piece, for which a READ has been sent. Throws as `fetch`. */
  async fetchFirst(): Promise<void> {
    const first = this.#task.pieces.take();
    if (first !== 0) throw new HoplineError('INTERNAL', 'the first piece is not the one that is missing');
    this.asked.push(first);
    await this.#working(() => this.#receive(first));
  }

  /** Fetches until no piece is missing. Throws what the circuit fails with, and `HASH_MISMATCH`. */
  async fetch(others: Iterable<Fetcher>): Promise<void> {
    const { pieces, over } = this.#task;
    await this.#working(async () => {
      while (!pieces.isComplete) {
        this.#askAhead(others);
        const [due] = this.asked;
        if (due === undefined) await untilAborted(pieces.changed(), over);
        else await this.#receive(due);
      }
    });
  }

  /**
   * Compares every piece that is here, and that this circuit's key and version do not vouch for, with what the origin has.
   * Resolves to false at the first that differs. Throws what the circuit fails with, and `DISK_FAILED`.
   */
  async prove(): Promise<boolean> {
    const { pieces, limits, content } = this.#task;
    const due = pieces.unproven(this.#voucher);
    const { version } = this.#voucher;
    // What another algorithm is to prove is read from where it was written.
    if (this.#isOther && due.length > 0) await Promise.all(this.#task.writes);
    for (let next = 0; next < due.length; ) {
      const batch = due.slice(next, next + limits.maxReadsAhead);
      this.#circuit.send(batch.map((index) => ({ type: 'digest', ...this.#range(index), version }) as const));
      let isSame = true;
      // All answers are taken, also behind one that differs: the circuit is used for something else then.
      for (const index of batch) {
        const { digest } = await this.#circuit.receive('end', content.file);
        if (digest === (await this.#digestHere(index))) pieces.vouch(index, this.#voucher);
        else isSame = false;
      }
      if (!isSame) return false;
      next += batch.length;
    }
    return true;
  }

  get #isOther(): boolean {
    return this.#algorithm.name !== this.#task.algorithm.name;
  }

  /** The digest, by this origin's algorithm, of a piece that is here. */
  async #digestHere(index: number): Promise<string | undefined> {
    const { pieces, target } = this.#task;
    if (!this.#isOther) return pieces.digestOf(index);
    return target.digestOf?.(this.#range(index), this.#algorithm);
  }

  /** Runs a step; what was asked for and did not come may be fetched by others, what came is written. */
  async #working(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } finally {
      for (const index of this.asked.splice(0)) this.#task.pieces.giveBack(index);
      await this.#writing;
    }
  }

  #askAhead(others: Iterable<Fetcher>): void {
    const { pieces } = this.#task;
    const ahead: number[] = [];
    const window = this.#window();
    // Many at a time: each request on its own would wake every node on the route.
    if (this.asked.length > window / 2) return;
    while (this.asked.length + ahead.length < window) {
      const index = pieces.take();
      if (index === undefined) break;
      ahead.push(index);
    }
    if (this.asked.length + ahead.length === 0) {
      const index = pieces.takeSlowest(others);
      if (index !== undefined) ahead.push(index);
    }
    if (ahead.length === 0) return;
    const { version } = this.#voucher;
    this.#circuit.send(ahead.map((index) => ({ type: 'read', ...this.#range(index), version }) as const));
    this.asked.push(...ahead);
  }

  /** How many pieces may be asked for ahead: with others at work, no more than this circuit brings soon. */
  #window(): number {
    const { limits, content, isShared } = this.#task;
    if (!isShared) return limits.maxReadsAhead;
    const soon = Math.ceil((this.speed * aheadMs) / content.pieceBytes);
    return Math.min(limits.maxReadsAhead, Math.max(2, soon));
  }

  #range(index: number): { readonly offset: number; readonly length: number } {
    const { size, pieceBytes } = this.#task.content;
    const offset = index * pieceBytes;
    return { offset, length: Math.min(pieceBytes, size - offset) };
  }

  async #receive(index: number): Promise<void> {
    const { content, pieces, circuits, onBytes, limits } = this.#task;
    const algorithm = this.#algorithm;
    const range = this.#range(index);
    let arrived = 0;
    const onArrived = (count: number) => {
      arrived += count;
      this.#receivedBytes += count;
      onBytes(count);
    };
    const isMissing = () => !pieces.hasArrived(index);
    try {
      const piece = await receivePiece(this.#circuit, { file: content.file, ...range, algorithm }, onArrived);
      this.asked.shift();
      if (piece && isMissing()) {
        arrived = 0;
        const digest = this.#isOther ? digestOfChunks(piece.chunks, this.#task.algorithm) : piece.digest;
        const vouched = { digest, ...this.#voucher };
        pieces.settle(index, vouched);
        this.#attempts.delete(index);
        circuits.progressed(this.#circuit);
        return await this.#write({ index, position: range.offset, chunks: piece.chunks, vouched });
      }
      for (const chunk of piece?.chunks ?? []) chunk.release();
      pieces.giveBack(index);
      if (!piece && isMissing()) this.#retry(index, limits.maxPieceRetries);
    } finally {
      if (arrived > 0) onBytes(-arrived);
    }
  }

  #retry(index: number, maxRetries: number): void {
    const attempt = (this.#attempts.get(index) ?? 0) + 1;
    this.#attempts.set(index, attempt);
    if (attempt > maxRetries) throw mismatchError(index, this.#task.pieces.count, attempt, this.#circuit);
    this.#task.onEvent({ kind: 'retry', piece: index, attempt, hops: this.#circuit.hops });
  }

  /** Gives a piece to the target once that has taken the one before. */
  async #write(piece: Parameters<Target['write']>[0]): Promise<void> {
    const { target, onFatal, writes } = this.#task;
    const before = this.#writing;
    const writing = before.then(() => target.write(piece)).catch(onFatal);
    writes.add(writing);
    this.#writing = writing.finally(() => writes.delete(writing));
    await before;
  }
}

export function mismatchError(piece: number, pieces: number, attempts: number, { hops }: Circuit): HoplineError {
  const way = hops.map(describeHop).join(' -> ');
  const message = `piece ${piece + 1} of ${pieces} did not match its digest, ${attempts} times in a row over ${way}`;
  return new HoplineError('HASH_MISMATCH', message);
}

function digestOfChunks(chunks: readonly Chunk[], algorithm: DigestAlgorithm): string {
  const hasher = algorithm.start();
  for (const { bytes } of chunks) hasher.update(bytes);
  return hasher.digest();
}
