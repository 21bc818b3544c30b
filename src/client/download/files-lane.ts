/**
 * Several files over one circuit as long as that holds, and over another when it does not: asks for many ahead of the answers.
 *
 * A small file is one STAT and one READ, and is held in memory until it has been
 * verified. What a larger one has beyond its first piece is fetched once no
 * other file is under way, since a READ applies to the file of the last STAT; so is one that an earlier run began.
 * A failure that is one file's own leaves the others alone.
 * Invariant: bytes on disk were reserved first, and memory holds at most the small files that wait for the disk; what a lane
 * leaves undone is there for the others.
 */

import { asHoplineError, type HoplineError } from '../../core/errors.ts';
import { availableDigests } from '../../io/digests/digest.ts';
import type { AnswerOf, Message } from '../../wire/native/messages.ts';
import type { Circuit, ClientContext } from '../circuit/circuit.ts';
import type { Circuits } from '../circuit/circuits.ts';
import { PieceWindow } from '../pieces/piece-window.ts';
import {
  checkStatus,
  isFirstPiece,
  mismatchError,
  receivePiece,
  requestFile,
  requestStatus,
  skipFirstRead,
} from '../pieces/receive-piece.ts';
import { FileFetch, fetchedFrom } from './fetch-file.ts';
import type { BegunFile, FileJob, FilesListener, FilesWork } from './files-work.ts';
import type { FetchFileOptions } from './piece-fetcher.ts';

export class FilesLane {
  readonly #circuits: Circuits;
  readonly #work: FilesWork;
  readonly #window: PieceWindow<FileJob>;
  readonly #digests = availableDigests();
  readonly #client: ClientContext;
  readonly #listener: FilesListener;

  constructor(work: FilesWork, circuits: Circuits, client: ClientContext, listener: FilesListener) {
    this.#circuits = circuits;
    this.#work = work;
    this.#window = new PieceWindow(work.filesAhead, client.limits);
    this.#client = client;
    this.#listener = listener;
  }

  /** Fetches as long as there is anything to fetch. Throws when no circuit can be had. */
  async run(): Promise<void> {
    try {
      // A circuit may have to be left because of one file alone, while others are still to come.
      while (this.#isDue) {
        await this.#circuits.run(
          () => this.#requestFirst(),
          (circuit) => this.#receive(circuit),
        );
      }
    } finally {
      this.#giveBack();
    }
  }

  get #isDue(): boolean {
    return this.#work.isDue || this.#window.due.length > 0;
  }

  /** What a circuit begins with: what was asked for over one that did not come to be is asked for anew. */
  #requestFirst(): Message[] {
    this.#giveBack();
    return this.#requestAhead();
  }

  #giveBack(): void {
    this.#work.waiting.push(...this.#window.giveBack().toReversed());
  }

  /** Requests for the next files, many in one go; none while a large one is to be finished first. */
  #requestAhead(): Message[] {
    const { limits } = this.#client;
    if (this.#work.begun.length > 0) return [];
    const jobs = this.#window.askAhead(() => this.#work.waiting.pop());
    return jobs.flatMap((job) =>
      readsAhead(job) ? requestFile(job.file, this.#digests, limits) : requestStatus(job.file, this.#digests),
    );
  }

  /** Takes answers until nothing is due, or until a failure has left requests behind whose answers nobody wants. */
  async #receive(circuit: Circuit): Promise<void> {
    try {
      while (this.#isDue) {
        const inStep = await this.#receiveNext(circuit);
        if (!inStep) return;
        circuit.send(this.#requestAhead());
      }
    } finally {
      this.#giveBack();
    }
  }

  /** Takes the answers about one file. Resolves to whether the next answer will be about the next file. */
  async #receiveNext(circuit: Circuit): Promise<boolean> {
    const [job] = this.#window.due;
    if (job) {
      const status = await this.#receiveStatus(circuit, job);
      // A refusal is the whole answer; a disk that failed leaves content behind that is still to come.
      const outcome = status && (await this.#attempt(job, () => this.#receiveFirst(circuit, job, status)));
      this.#window.shift();
      return outcome !== 'disk';
    }
    const begun = this.#work.take();
    if (!begun) return true;
    const outcome = await this.#attempt(begun.job, () => this.#receiveRest(circuit, begun))
      .catch((error) => {
        this.#work.begun.unshift(begun);
        throw error;
      })
      .finally(() => this.#work.leave(begun));
    // Where others helped, a piece may be due that nobody waits for.
    if (outcome === 'fine') return this.#work.parallel === 1 || circuit.isSettled;
    // A file that is here and differs has left nothing behind: all it asked for are digests, and they have come.
    return begun.job.target.isPresent === true && circuit.isSettled;
  }

  /** Does one step of a file. A failure that is the file's own is told; any other is the circuit's, and thrown. */
  async #attempt(job: FileJob, step: () => Promise<void>): Promise<'fine' | 'refused' | 'disk'> {
    try {
      await step();
      return 'fine';
    } catch (error) {
      const failure = asHoplineError(error);
      if (!isItsOwn(failure)) throw failure;
      await job.failed(failure);
      return /^(FILE|AUTH)_/.test(failure.code) ? 'refused' : 'disk';
    }
  }

  /** Undefined after a refusal, which a READ behind STAT has then got too. */
  async #receiveStatus(circuit: Circuit, job: FileJob): Promise<AnswerOf<'status'> | undefined> {
    let status: AnswerOf<'status'> | undefined;
    const outcome = await this.#attempt(job, async () => {
      status = await circuit.receive('status', job.file);
    });
    if (outcome !== 'fine' && readsAhead(job)) await circuit.receive('refused');
    return status;
  }

  async #receiveFirst(circuit: Circuit, job: FileJob, status: AnswerOf<'status'>): Promise<void> {
    const { limits } = this.#client;
    const { size } = status;
    if (readsAhead(job) && size <= limits.maxBlockBytes && (size === 0 || isFirstPiece(status, limits))) {
      return this.#receiveSmall(circuit, job, status);
    }
    const { onBytes, onEvent } = this.#listener;
    const tell: FetchFileOptions['onEvent'] = (event) => {
      onEvent({ file: job.file, ...event });
      // From now on it is known how much there is to help with.
      if (event.kind === 'started') this.#work.tell();
    };
    const { parallel } = this.#work;
    const shared = { client: this.#client, circuits: this.#circuits, parallel, onBytes, onEvent: tell };
    const fetch = new FileFetch({ ...job, ...shared });
    try {
      // For what is on disk already the origin is asked for digests, and those would be of the file of the last STAT.
      if (readsAhead(job)) await fetch.begin(circuit, status);
    } catch (error) {
      if (!asHoplineError(error).code.startsWith('DISK_')) throw error;
      await skipFirstRead(circuit, status, job.file, limits);
      return job.failed(asHoplineError(error));
    }
    this.#work.begun.push({ job, fetch });
    this.#work.tell();
  }

  async #receiveSmall(circuit: Circuit, job: FileJob, status: AnswerOf<'status'>): Promise<void> {
    const { file } = job;
    const { size, pieceBytes, version } = status;
    const algorithm = checkStatus(status, this.#digests, this.#client.limits);
    const { onBytes, onEvent } = this.#listener;
    const piece = await receivePiece(circuit, { file, offset: 0, length: size, algorithm }, onBytes);
    if (piece) {
      this.#circuits.progressed(circuit);
      const content = { file, size, pieceBytes, algorithm: algorithm.name };
      const vouched = { digest: piece.digest, version, key: circuit.key?.text };
      return job.arrived(async () => {
        const { reservation } = await job.target.begin(content);
        const start = { kind: 'started', size, reservation, leftBytes: 0, restarted: false } as const;
        onEvent({ file, ...start });
        if (size > 0) await job.target.write({ index: 0, position: 0, chunks: piece.chunks, vouched });
        return fetchedFrom(start, size > 0 ? [piece.digest] : [], algorithm, vouched.key);
      });
    }
    onBytes(-size);
    const attempt = this.#window.damaged(job);
    if (attempt === undefined) return job.failed(mismatchError(0, 1, circuit, this.#client.limits));
    onEvent({ kind: 'retry', file, piece: 0, attempt, hops: circuit.hops });
    this.#work.waiting.push(job);
  }

  async #receiveRest(circuit: Circuit, { job, fetch }: BegunFile): Promise<void> {
    if (!fetch.over.aborted) {
      circuit.send(fetch.requests());
      await fetch.fetchOver(circuit, false).catch((error) => {
        // Whoever helped may have ended it.
        if (fetch.over.aborted) return;
        const failure = asHoplineError(error);
        if (!isItsOwn(failure)) throw failure;
        fetch.end(failure);
      });
    }
    await fetch.settled();
    const fetched = fetch.finish();
    await job.arrived(async () => fetched);
  }
}

/** Whether the first piece is asked for along with the status: not where it may be on disk already. */
function readsAhead({ target }: FileJob): boolean {
  return !target.mayResume;
}

/** Whether a failure leaves other files, and the circuit, as they are. */
function isItsOwn({ code }: HoplineError): boolean {
  return /^(FILE|DISK|HASH)_|^AUTH_DENIED$/.test(code);
}
