/**
 * One file, fetched over as many circuits as there are: each takes the next missing piece, and none is waited for.
 *
 * Owns what is known of the file and what each origin's word on it is worth.
 * Does not know how a circuit comes about, or how pieces come over it.
 * Invariant: no two versions are mixed that were not compared; in the end one key and version vouch for every piece.
 * Rules: docs/resume.md#versions
 */

import { asHoplineError, HoplineError } from '../../core/errors.ts';
import { OwnSignal, type Signal } from '../../core/signal.ts';
import { availableDigests, type DigestAlgorithm, digestOfPieces } from '../../io/digests/digest.ts';
import type { AnswerOf, Message } from '../../wire/native/messages.ts';
import type { Circuit } from '../circuit/circuit.ts';
import { type Fetched, proofBy } from '../download-result.ts';
import { piecesAtFirst } from '../pieces/asking-ahead.ts';
import { type Fetcher, PieceMap } from '../pieces/piece-map.ts';
import { checkStatus, isFirstPiece, requestFile, requestStatus, skipFirstRead } from '../pieces/receive-piece.ts';
import type { StartedEvent } from '../transfer-events.ts';
import type { GatheredWrites } from './gathered-writes.ts';
import { changedError, type FetchFileOptions, type FetchTask, PieceFetcher } from './piece-fetcher.ts';

/** How often a file may change before it is given up. */
const maxRestarts = 3;

interface Current extends FetchTask {
  readonly start: StartedEvent;
}

interface Joined {
  readonly fetcher: PieceFetcher;
  readonly hasFirst: boolean;
}

export class FileFetch {
  readonly #options: FetchFileOptions;
  readonly #digests = availableDigests();
  readonly #over = new OwnSignal();
  readonly #fetchers = new Set<Fetcher>();
  readonly #atWork = new Set<Promise<void>>();
  /** Circuits are judged one after the other: each may change what the next is compared with. */
  #admitting: Promise<unknown> = Promise.resolve();
  #current: Current | undefined;
  #fatal: HoplineError | undefined;
  #restarts = 0;
  #onBegun = () => {};

  constructor(options: FetchFileOptions) {
    this.#options = options;
  }

  /** Fetches the file over circuits of its own. Throws what ends the fetch: the target's failure, or the last circuit's. */
  async run(): Promise<Fetched> {
    const { circuits, parallel = 1 } = this.#options;
    let atWork = 0;
    const work = async () => {
      atWork += 1;
      try {
        await circuits.run(
          () => this.requests(),
          (circuit) => this.fetchOver(circuit, this.#readsAhead),
          this.#over,
        );
      } catch (error) {
        // Who takes no further circuit still serves those that he took.
        if (atWork === 1 || asHoplineError(error).code !== 'LIMIT_CONNECTIONS') this.end(error);
      } finally {
        atWork -= 1;
      }
    };
    const workers = [work()];
    this.#onBegun = () => {
      this.#onBegun = () => {};
      const { count = 0, arrived = 0 } = this.#current?.pieces ?? {};
      while (workers.length < Math.min(parallel, count - arrived)) workers.push(work());
    };
    // More of them may join while the first is waited for.
    for (const worker of workers) await worker;
    return this.finish();
  }

  /** What to send to begin, or to go on, over a circuit: with STAT a READ, where the first piece is missing for sure. */
  requests(): Message[] {
    const { file, client } = this.#options;
    if (this.#readsAhead) {
      return requestFile(file, this.#digests, client.limits, this.#piecesAtFirst);
    }
    const known = this.#current?.algorithm;
    // Another will do as well for an origin that has not this one: what is here can be read again.
    const digests = known ? [known, ...this.#digests.filter(({ name }) => name !== known.name)] : this.#digests;
    return [requestStatus(file, digests)];
  }

  /**
   * Fetches over one circuit, on which `requests` were sent, until nothing is missing; `hasFirstRead` says whether a
   * READ of the first piece was sent along. Throws what the circuit fails with.
   */
  async fetchOver(circuit: Circuit, hasFirstRead: boolean): Promise<void> {
    const fetching = this.#fetchOver(circuit, hasFirstRead);
    this.#atWork.add(fetching);
    await fetching.finally(() => this.#atWork.delete(fetching));
  }

  async #fetchOver(circuit: Circuit, hasFirstRead: boolean): Promise<void> {
    const status = await circuit.receive('status', this.#options.file);
    const joined = await this.#join(circuit, status, hasFirstRead);
    await joined?.fetcher.fetch(joined.hasFirst);
  }

  /** Takes a STATUS, and the answer to the READ that was sent along with it. Throws as `fetchOver`. */
  async begin(circuit: Circuit, status: AnswerOf<'status'>): Promise<void> {
    const joined = await this.#join(circuit, status, true);
    if (joined?.hasFirst) await joined.fetcher.fetchFirst();
  }

  /** Who fetches over a circuit, if it is let in, and whether the first piece comes; an answer that nobody wants is taken first. */
  async #join(circuit: Circuit, status: AnswerOf<'status'>, hasFirstRead: boolean): Promise<Joined | undefined> {
    const { file, client } = this.#options;
    const admitted = this.#admitting.then(() => this.#admit(circuit, status));
    this.#admitting = admitted.catch(() => {});
    const current = await admitted;
    const isWanted = current && !current.pieces.hasArrived(0) && isFirstPiece(status, client.limits);
    const hasFirst = hasFirstRead && isWanted === true;
    if (hasFirstRead && !hasFirst) await skipFirstRead(circuit, status, file, client.limits, this.#piecesAtFirst);
    if (!current || this.#over.aborted) return undefined;
    return { fetcher: this.#fetcher(circuit, status, current), hasFirst };
  }

  /** Aborts when there is nothing more to be fetched, whatever the reason. */
  get over(): Signal {
    return this.#over;
  }

  /** How many pieces have not arrived, once the file has begun. */
  get missing(): number {
    const { count = 0, arrived = 0 } = this.#current?.pieces ?? {};
    return count - arrived;
  }

  /** Settles when no circuit is at it any more, and all that came has been given to the target. */
  async settled(): Promise<void> {
    while (this.#atWork.size > 0) await Promise.allSettled(this.#atWork);
  }

  /** The file, if it is whole. Throws what ended the fetch. */
  finish(): Fetched {
    if (this.#fatal) throw this.#fatal;
    if (!this.#current?.pieces.isComplete)
      throw new HoplineError('INTERNAL', 'the fetch ended before the file was whole');
    const { start, algorithm, pieces } = this.#current;
    return fetchedFrom(start, pieces.digests, algorithm, pieces.provenBy?.key);
  }

  /** How many pieces are asked for along with STAT, besides the first. */
  get #piecesAtFirst(): number {
    const { parallel = 1, client } = this.#options;
    return piecesAtFirst(parallel === 1, client.limits);
  }

  get #readsAhead(): boolean {
    return !this.#current && !this.#options.target.mayResume;
  }

  #fetcher(circuit: Circuit, status: AnswerOf<'status'>, task: FetchTask): PieceFetcher {
    const algorithm = checkStatus(status, this.#digests, this.#options.client.limits);
    return new PieceFetcher(circuit, status.version, algorithm, task);
  }

  /** Begins with the first STATUS; lets a later one in if what is here is what its origin has. */
  async #admit(circuit: Circuit, status: AnswerOf<'status'>): Promise<Current | undefined> {
    if (this.#over.aborted) return undefined;
    try {
      const current = this.#current ?? (await this.#start(circuit, status, false));
      const isOther = status.digest !== current.algorithm.name;
      if (isOther && !this.#options.target.digestOf) throw otherDigest(circuit, status, current);
      const isSame = status.size === current.content.size && (await this.#fetcher(circuit, status, current).prove());
      return isSame ? current : await this.#startOver(circuit, status);
    } finally {
      if (this.#current) this.#onBegun();
    }
  }

  /** The origin has another file than what is here. */
  async #startOver(circuit: Circuit, status: AnswerOf<'status'>): Promise<Current | undefined> {
    const { file, onChange, target } = this.#options;
    // While others fetch what is here, it is this origin that is wrong.
    if (this.#fetchers.size > 0) throw changedError(file, circuit.hops.length);
    if (!target.isPresent && (onChange === 'fail' || this.#restarts === maxRestarts)) {
      this.end(changedError(file));
      return undefined;
    }
    this.#restarts += 1;
    return this.#start(circuit, status, true);
  }

  async #start(circuit: Circuit, status: AnswerOf<'status'>, restarted: boolean): Promise<Current> {
    const { file, target, client, onEvent } = this.#options;
    const algorithm = checkStatus(status, this.#digests, client.limits);
    const { size, pieceBytes } = status;
    const content = { file, size, pieceBytes, algorithm: algorithm.name };
    // What an earlier run left is read first, as long as that takes.
    const { reservation, left, isChanged } = await circuit
      .during(() => target.begin(content, restarted))
      .catch((error) => {
        this.end(error);
        throw error;
      });
    const pieces = new PieceMap(Math.ceil(size / pieceBytes), left, target.maxPiecesEarly);
    const leftBytes = Math.min(size, left.size * pieceBytes);
    const isNew = restarted || isChanged === true;
    const start = { kind: 'started', size, reservation, leftBytes, restarted: isNew } as const;
    onEvent(start);
    const end = (failure?: unknown) => this.end(failure);
    const own = { fetchers: this.#fetchers, over: this.#over, end, writes: new Set<GatheredWrites>() };
    this.#current = { ...this.#options, ...own, content, algorithm, pieces, start };
    return this.#current;
  }

  /** Ends the fetch for all circuits; with a failure, unless it has ended already, for good. */
  end(failure?: unknown): void {
    if (failure !== undefined) this.#fatal ??= asHoplineError(failure);
    this.#over.abort();
  }
}

/** A file of pieces that have these digests, for all of which `key` vouches. */
export function fetchedFrom(
  { size, reservation, leftBytes }: StartedEvent,
  digests: readonly string[],
  algorithm: DigestAlgorithm,
  key: string | undefined,
): Fetched {
  const piecesDigest = { algorithm: algorithm.name, hex: digestOfPieces(digests, algorithm) };
  const pieces = digests.length;
  return { size, reservation, verified: true, pieces, piecesDigest, resumedBytes: leftBytes, ...proofBy(key) };
}

/** What has left, to a stream, cannot be read again. */
function otherDigest(circuit: Circuit, { digest }: AnswerOf<'status'>, { algorithm }: Current): HoplineError {
  const message = `the origin proves pieces by ${digest}, and what was written out was proved by ${algorithm.name}`;
  return new HoplineError('PEER_PROTOCOL', message, { hop: circuit.hops.length });
}
