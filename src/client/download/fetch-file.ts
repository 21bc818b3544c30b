/**
 * One file, fetched over as many circuits as there are: each takes the next missing piece, and none is waited for.
 *
 * Owns what is known of the file and what each origin's word on it is worth.
 * How a circuit comes about is circuits.ts's affair, how pieces come over it piece-fetcher.ts's.
 * Invariant: no two versions are mixed that were not compared; in the end one key and version vouch for every piece.
 * Rules: docs/resume.md#versions
 */

import { asHoplineError, HoplineError } from '../../core/errors.ts';
import { availableDigests, digestOfPieces } from '../../io/digests/digest.ts';
import type { Target } from '../../io/disk/writing/target.ts';
import type { AnswerOf, Message } from '../../wire/native/messages.ts';
import type { Circuit, ClientContext } from '../circuit/circuit.ts';
import type { Circuits } from '../circuit/circuits.ts';
import { type Fetched, proofBy } from '../download-result.ts';
import type { RetryEvent, StartedEvent } from '../transfer-events.ts';
import { type FetchTask, PieceFetcher } from './piece-fetcher.ts';
import { PieceMap } from './piece-map.ts';
import { checkStatus, isFirstPiece, requestFile, requestStatus, skipFirstRead } from './receive-piece.ts';

export interface FetchFileOptions {
  readonly file: string;
  readonly target: Target;
  readonly client: ClientContext;
  /** What becomes of a file that has changed: fetched anew, or given up. @default 'restart' */
  readonly onChange?: 'restart' | 'fail' | undefined;
  /** How many circuits fetch at once. @default 1 */
  readonly parallel?: number | undefined;
  readonly circuits: Circuits;
  /** Called as content arrives, and with a negative count when it was worth nothing. Must not throw. */
  readonly onBytes: (count: number) => void;
  /** Must not throw. */
  readonly onEvent: (event: StartedEvent | RetryEvent) => void;
}

/** How often a file may change before it is given up. */
const maxRestarts = 3;

interface Current extends FetchTask {
  readonly start: StartedEvent;
}

export class FileFetch {
  readonly #options: FetchFileOptions;
  readonly #digests = availableDigests();
  readonly #over = new AbortController();
  readonly #fetchers = new Set<PieceFetcher>();
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
          () => this.#firstRequests(),
          (circuit) => this.fetchOver(circuit, this.#readsAhead),
          this.#over.signal,
        );
      } catch (error) {
        // Who takes no further circuit still serves those that he took.
        if (atWork === 1 || asHoplineError(error).code !== 'LIMIT_CONNECTIONS') this.#fail(error);
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

  /** What to send to begin, or to go on, over a circuit. */
  requests(): Message[] {
    const { file } = this.#options;
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
    const status = await circuit.receive('status', this.#options.file);
    await this.begin(circuit, status, hasFirstRead);
    await this.#fetchRest(circuit, status);
  }

  /** Takes a STATUS, and the answer to the READ that was sent along with it. Throws as `fetchOver`. */
  async begin(circuit: Circuit, status: AnswerOf<'status'>, hasFirstRead: boolean): Promise<void> {
    const { file, client } = this.#options;
    const admitted = this.#admitting.then(() => this.#admit(circuit, status));
    this.#admitting = admitted.catch(() => {});
    const current = await admitted;
    if (!hasFirstRead) return;
    const isWanted = current && !current.pieces.hasArrived(0) && isFirstPiece(status, client.limits);
    if (!isWanted) return skipFirstRead(circuit, status, file, client.limits);
    await this.#fetching(circuit, status, current, (fetcher) => fetcher.fetchFirst());
  }

  /** The file, if it is whole. Throws what ended the fetch. */
  finish(): Fetched {
    if (this.#fatal) throw this.#fatal;
    if (!this.#current?.pieces.isComplete)
      throw new HoplineError('INTERNAL', 'the fetch ended before the file was whole');
    const { start, algorithm, pieces } = this.#current;
    const { size, reservation, leftBytes } = start;
    const piecesDigest = { algorithm: algorithm.name, hex: digestOfPieces(pieces.digests, algorithm) };
    const facts = { size, reservation, verified: true, pieces: pieces.count, piecesDigest, resumedBytes: leftBytes };
    return { ...facts, ...proofBy(pieces.provenBy?.key) };
  }

  get #readsAhead(): boolean {
    return !this.#current && !this.#options.target.mayResume;
  }

  #firstRequests(): Message[] {
    const { file, client } = this.#options;
    return this.#readsAhead ? requestFile(file, this.#digests, client.limits) : this.requests();
  }

  async #fetchRest(circuit: Circuit, status: AnswerOf<'status'>): Promise<void> {
    const current = this.#current;
    if (!current || this.#over.signal.aborted) return;
    await this.#fetching(circuit, status, current, async (fetcher) => {
      await fetcher.fetch(this.#fetchers);
      // Every piece is here; before they count as one file, one key and version must vouch for all of them.
      if (!current.pieces.provenBy && !(await fetcher.prove())) this.#fail(changedError(this.#options.file));
      this.#over.abort();
    });
  }

  async #fetching(
    circuit: Circuit,
    status: AnswerOf<'status'>,
    task: FetchTask,
    work: (fetcher: PieceFetcher) => Promise<void>,
  ): Promise<void> {
    const fetcher = this.#fetcher(circuit, status, task);
    this.#fetchers.add(fetcher);
    try {
      await work(fetcher);
    } finally {
      this.#fetchers.delete(fetcher);
    }
  }

  #fetcher(circuit: Circuit, status: AnswerOf<'status'>, task: FetchTask): PieceFetcher {
    const { limits, clock } = this.#options.client;
    const algorithm = checkStatus(status, this.#digests, limits);
    return new PieceFetcher(circuit, { version: status.version, algorithm }, task, clock.now);
  }

  /** Begins with the first STATUS; lets a later one in if what is here is what its origin has. */
  async #admit(circuit: Circuit, status: AnswerOf<'status'>): Promise<Current | undefined> {
    if (this.#over.signal.aborted) return undefined;
    try {
      const current = this.#current ?? (await this.#start(circuit, status, false));
      const isOther = status.digest !== current.algorithm.name;
      if (isOther && !this.#options.target.digestOf) throw otherDigest(circuit, status, current);
      if (await this.#isSame(circuit, status, current)) return current;
      return await this.#startOver(circuit, status);
    } finally {
      if (this.#current) this.#onBegun();
    }
  }

  async #isSame(circuit: Circuit, status: AnswerOf<'status'>, current: Current): Promise<boolean> {
    return status.size === current.content.size && this.#fetcher(circuit, status, current).prove();
  }

  /** The origin has another file than what is here. */
  async #startOver(circuit: Circuit, status: AnswerOf<'status'>): Promise<Current | undefined> {
    const { file, onChange, target } = this.#options;
    // While others fetch what is here, it is this origin that is wrong.
    if (this.#fetchers.size > 0) throw changedError(file, circuit.hops.length);
    if (!target.isPresent && (onChange === 'fail' || this.#restarts === maxRestarts)) {
      this.#fail(changedError(file));
      return undefined;
    }
    this.#restarts += 1;
    return this.#start(circuit, status, true);
  }

  async #start(circuit: Circuit, status: AnswerOf<'status'>, restarted: boolean): Promise<Current> {
    const { file, target, client, parallel = 1, circuits, onBytes, onEvent } = this.#options;
    const algorithm = checkStatus(status, this.#digests, client.limits);
    const { size, pieceBytes } = status;
    const content = { file, size, pieceBytes, algorithm: algorithm.name };
    // What an earlier run left is read first, as long as that takes.
    const { reservation, left, isChanged } = await circuit
      .during(() => target.begin(content, restarted))
      .catch((error) => {
        this.#fail(error);
        throw error;
      });
    const pieces = new PieceMap(Math.ceil(size / pieceBytes), left, target.maxPiecesEarly);
    const leftBytes = Math.min(size, left.size * pieceBytes);
    const start = {
      kind: 'started',
      size,
      reservation,
      leftBytes,
      restarted: restarted || isChanged === true,
    } as const;
    onEvent(start);
    const shared = {
      target,
      writes: new Set<Promise<void>>(),
      limits: client.limits,
      isShared: parallel > 1,
      over: this.#over.signal,
      circuits,
      onBytes,
      onEvent,
      onFatal: (error: unknown) => this.#fail(error),
    };
    this.#current = { content, algorithm, pieces, start, ...shared };
    return this.#current;
  }

  /** Ends the fetch for all. */
  #fail(error: unknown): void {
    this.#fatal ??= asHoplineError(error);
    this.#over.abort();
  }
}

/** What has left, to a stream, cannot be read again. */
function otherDigest(circuit: Circuit, { digest }: AnswerOf<'status'>, { algorithm }: Current): HoplineError {
  const message = `the origin proves pieces by ${digest}, and what was written out was proved by ${algorithm.name}`;
  return new HoplineError('PEER_PROTOCOL', message, { hop: circuit.hops.length });
}

function changedError(file: string, hop?: number): HoplineError {
  const message = `"${file}" is not the same as what was fetched of it before`;
  return new HoplineError('FILE_CHANGED', message, hop === undefined ? {} : { hop });
}
