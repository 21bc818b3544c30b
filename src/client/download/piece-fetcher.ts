/**
 * Fetches pieces of one file over one circuit: asks ahead, checks each, hands it to the target while the next arrives.
 *
 * Takes whatever is missing next, and at the end helps with what others are
 * slow to bring. Knows nothing about how the circuit came about.
 * Invariant: holds the piece that is arriving and those on their way to the target, no more.
 */

import { untilAborted } from '../../core/clock.ts';
import { HoplineError } from '../../core/errors.ts';
import type { Signal } from '../../core/signal.ts';
import type { DigestAlgorithm } from '../../io/digests/digest.ts';
import type { Target, TargetContent, Voucher } from '../../io/disk/writing/target.ts';
import type { Chunk } from '../../io/legs/blocks.ts';
import type { Circuit, ClientContext } from '../circuit/circuit.ts';
import type { Circuits } from '../circuit/circuits.ts';
import { piecesAhead, piecesAtFirst, readsOf } from '../pieces/asking-ahead.ts';
import { compareDigests } from '../pieces/compare-digests.ts';
import type { Fetcher, PieceMap } from '../pieces/piece-map.ts';
import { PieceWindow } from '../pieces/piece-window.ts';
import { mismatchError, receivePiece } from '../pieces/receive-piece.ts';
import type { RetryEvent, StartedEvent } from '../transfer-events.ts';
import { GatheredWrites } from './gathered-writes.ts';

export interface FetchFileOptions {
  readonly file: string;
  readonly target: Target;
  readonly client: ClientContext;
  /** What becomes of a file that has changed: fetched anew, or given up. @default 'restart' */
  readonly onChange?: 'restart' | 'fail' | undefined;
  /** How many circuits fetch at once. @default 1 */
  readonly parallel?: number | undefined;
  /** Told of every piece that was verified. */
  readonly circuits: Circuits;
  /** Called as content arrives, and with a negative count when it was worth nothing. Must not throw. */
  readonly onBytes: (count: number) => void;
  /** Must not throw. */
  readonly onEvent: (event: StartedEvent | RetryEvent) => void;
}

/** The file that several fetchers work on. */
export interface FetchTask extends FetchFileOptions {
  readonly content: TargetContent;
  /** By which the pieces that are here are known. */
  readonly algorithm: DigestAlgorithm;
  /** What the target is being given. */
  readonly writes: Set<GatheredWrites>;
  readonly pieces: PieceMap;
  /** Those that are at work on it. */
  readonly fetchers: Set<Fetcher>;
  /** Aborts when nobody waits for the file any more. */
  readonly over: Signal;
  /** Ends the fetch for all, once the file is whole or since there is no use in going on. */
  readonly end: (failure?: unknown) => void;
}

export class PieceFetcher implements Fetcher {
  readonly #window: PieceWindow<number>;
  readonly #circuit: Circuit;
  readonly #voucher: Voucher;
  readonly #algorithm: DigestAlgorithm;
  readonly #task: FetchTask;
  readonly #startedMs: number;
  readonly #writes: GatheredWrites;
  #receivedBytes = 0;
  /** Whether the origin takes one READ for several pieces in a row. */
  #takesMore = false;

  /** `version` is that of the pieces at the origin, and `algorithm` what they are proved by, as STATUS said on the circuit. */
  constructor(circuit: Circuit, version: string, algorithm: DigestAlgorithm, task: FetchTask) {
    this.#circuit = circuit;
    this.#voucher = { version, key: circuit.key?.text };
    this.#algorithm = algorithm;
    this.#task = task;
    const { limits, clock } = task.client;
    this.#window = new PieceWindow(limits.maxReadsAhead, limits);
    this.#startedMs = clock.now();
    const { target, circuits, end } = task;
    this.#writes = new GatheredWrites({ target, clock, unwritten: circuits.unwritten, onFailure: end });
  }

  get asked(): readonly number[] {
    return this.#window.due;
  }

  get speed(): number {
    return this.#receivedBytes / Math.max(1, this.#task.client.clock.now() - this.#startedMs);
  }

  /** Takes the first piece, for which a READ has been sent. Throws as `fetch`. */
  fetchFirst(): Promise<void> {
    return this.#working(() => this.#receiveFirst());
  }

  /**
   * Fetches until no piece is missing, and ends the fetch; `hasFirst` says whether a READ of the first piece has been sent.
   * Throws what the circuit fails with, and `HASH_MISMATCH`.
   */
  async fetch(hasFirst = false): Promise<void> {
    const { file, pieces, over, end } = this.#task;
    await this.#working(async () => {
      if (hasFirst) await this.#receiveFirst();
      while (!pieces.isComplete) {
        this.#askAhead();
        const [due] = this.asked;
        if (due === undefined) await untilAborted(pieces.changed(), over);
        else await this.#receive(due);
      }
      // Every piece is here; before they count as one file, one key and version must vouch for all of them.
      end(pieces.provenBy || (await this.prove()) ? undefined : changedError(file));
    });
  }

  /**
   * Compares every piece that is here, and that this circuit's key and version do not vouch for, with what the origin has.
   * Resolves to false at the first that differs. Throws what the circuit fails with, and `DISK_FAILED`.
   */
  async prove(): Promise<boolean> {
    const { pieces, client, content, writes } = this.#task;
    const unproven = pieces.unproven(this.#voucher);
    // What another algorithm is to prove is read from where it was written.
    if (this.#isOther && unproven.length > 0) await Promise.all([...writes].map((others) => others.settle()));
    return compareDigests(this.#circuit, client.limits, {
      file: content.file,
      version: this.#voucher.version,
      indexes: unproven,
      rangeOf: (index) => this.#range(index),
      digestHere: (index) => this.#digestHere(index),
      onCompared: (index, isSame) => {
        if (isSame) pieces.vouch(index, this.#voucher);
        return isSame;
      },
    });
  }

  get #isOther(): boolean {
    return this.#algorithm.name !== this.#task.algorithm.name;
  }

  /** The digest, by this origin's algorithm, of a piece that is here. */
  #digestHere(index: number): string | undefined | Promise<string | undefined> {
    const { pieces, target } = this.#task;
    if (!this.#isOther) return pieces.digestOf(index);
    return target.digestOf?.(this.#range(index), this.#algorithm);
  }

  /** Runs a step; what was asked for and did not come may be fetched by others, what came is written. */
  async #working(step: () => Promise<void>): Promise<void> {
    const { pieces, fetchers, writes } = this.#task;
    fetchers.add(this);
    writes.add(this.#writes);
    try {
      await step();
    } finally {
      for (const index of this.#window.giveBack()) pieces.giveBack(index);
      await this.#writes.settle();
      writes.delete(this.#writes);
      fetchers.delete(this);
    }
  }

  async #receiveFirst(): Promise<void> {
    const first = this.#task.pieces.take();
    if (first !== 0) throw new HoplineError('INTERNAL', 'the first piece is not the one that is missing');
    this.#window.add(first);
    await this.#receive(first, (more) => this.#expectMore(more));
  }

  /** What comes behind the first piece without being asked for by its number. */
  #expectMore(count: number): void {
    this.#takesMore = true;
    const { client, parallel = 1 } = this.#task;
    if (count > piecesAtFirst(parallel === 1, client.limits)) {
      throw new HoplineError('PEER_PROTOCOL', 'the origin sends more pieces than were asked for');
    }
    for (let index = 1; index <= count; index += 1) {
      const next = this.#task.pieces.take(Number.POSITIVE_INFINITY);
      if (next !== undefined) this.#window.add(next);
      if (next !== index) throw new HoplineError('PEER_PROTOCOL', 'the origin sends more pieces than the file has');
    }
  }

  #askAhead(): void {
    const { pieces, fetchers, content, client, parallel = 1 } = this.#task;
    const isAlone = parallel === 1;
    // A piece that comes too early to be held is asked for again: of one circuit, only behind one that came damaged.
    const early = isAlone ? Number.POSITIVE_INFINITY : undefined;
    const next = () => pieces.take(early) ?? (this.asked.length === 0 ? pieces.takeSlowest(fetchers) : undefined);
    const { pieceBytes } = content;
    const came = Math.floor(this.#receivedBytes / pieceBytes);
    const pace = { isAlone, came, speed: this.speed / pieceBytes, answerMs: this.#circuit.answerMs };
    const ahead = this.#window.askAhead(next, piecesAhead(pace, client.limits));
    if (ahead.length === 0) return;
    const rangeOf = (index: number) => this.#range(index);
    this.#circuit.send(readsOf(ahead, { rangeOf, version: this.#voucher.version, takesMore: this.#takesMore }));
  }

  #range(index: number): { readonly offset: number; readonly length: number } {
    const { size, pieceBytes } = this.#task.content;
    const offset = index * pieceBytes;
    return { offset, length: Math.min(pieceBytes, size - offset) };
  }

  async #receive(index: number, onMore?: (count: number) => void): Promise<void> {
    const { content, pieces, circuits, onBytes } = this.#task;
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
      const piece = await receivePiece(this.#circuit, { file: content.file, ...range, algorithm, onMore }, onArrived);
      this.#window.shift();
      if (piece && isMissing() && !pieces.isTooEarly(index)) {
        arrived = 0;
        const digest = this.#isOther ? digestOfChunks(piece.chunks, this.#task.algorithm) : piece.digest;
        const vouched = { digest, ...this.#voucher };
        pieces.settle(index, vouched);
        this.#window.arrived(index);
        circuits.progressed(this.#circuit);
        const isFollowed = this.asked[0] === index + 1;
        return await this.#writes.add({ index, position: range.offset, chunks: piece.chunks, vouched }, isFollowed);
      }
      for (const chunk of piece?.chunks ?? []) chunk.release();
      pieces.giveBack(index);
      if (!piece && isMissing()) this.#retry(index);
    } finally {
      if (arrived > 0) onBytes(-arrived);
    }
  }

  #retry(piece: number): void {
    const { pieces, onEvent, client } = this.#task;
    const attempt = this.#window.damaged(piece);
    if (attempt === undefined) throw mismatchError(piece, pieces.count, this.#circuit, client.limits);
    onEvent({ kind: 'retry', piece, attempt, hops: this.#circuit.hops });
  }
}

export function changedError(file: string, hop?: number): HoplineError {
  const message = `"${file}" is not the same as what was fetched of it before`;
  return new HoplineError('FILE_CHANGED', message, hop === undefined ? {} : { hop });
}

function digestOfChunks(chunks: readonly Chunk[], algorithm: DigestAlgorithm): string {
  const hasher = algorithm.start();
  for (const { bytes } of chunks) hasher.update(bytes);
  return hasher.digest();
}
