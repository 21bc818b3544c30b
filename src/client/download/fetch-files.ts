/**
 * Fetches several files over one circuit as long as that holds, and over another when it does not: asks for many ahead
 * of the answers.
 *
 * A small file is one STAT and one READ, and is held in memory until it has been
 * verified. What a larger one has beyond its first piece is fetched once no
 * other file is under way, since a READ applies to the file of the last STAT; so is one that an earlier run began.
 * A failure that is one file's own leaves the others alone.
 * Invariant: bytes on disk were reserved first, and memory holds at most the small files that wait for the disk.
 */

import { asHoplineError, type HoplineError } from '../../core/errors.ts';
import { availableDigests } from '../../io/digests/digest.ts';
import type { Target } from '../../io/disk/writing/target.ts';
import type { AnswerOf, Message } from '../../wire/native/messages.ts';
import type { Circuit, ClientContext } from '../circuit/circuit.ts';
import type { Circuits } from '../circuit/circuits.ts';
import type { Fetched } from '../download-result.ts';
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
import type { FilesEvent } from '../transfer-events.ts';
import { FileFetch, fetchedFrom } from './fetch-file.ts';
import type { FetchFileOptions } from './piece-fetcher.ts';

/** A file to fetch, and who hears what becomes of it. Must not throw. */
export interface FileJob {
  readonly file: string;
  readonly target: Target;
  /**
   * It has come and is verified; `finish` brings it into its target, which is not committed, and throws as that does.
   * Settles when the next file may come.
   */
  readonly arrived: (finish: () => Promise<Fetched>) => Promise<void>;
  /** Likewise. */
  readonly failed: (failure: HoplineError) => Promise<void>;
}

/** Who hears what happens meanwhile. Must not throw. */
interface Listener {
  readonly onBytes: (count: number) => void;
  readonly onEvent: (event: FilesEvent) => void;
}

interface Begun {
  readonly job: FileJob;
  readonly fetch: FileFetch;
}

export class FilesRun {
  readonly #circuits: Circuits;
  readonly #waiting: FileJob[];
  readonly #begun: Begun[] = [];
  readonly #window: PieceWindow<FileJob>;
  readonly #digests = availableDigests();
  readonly #client: ClientContext;
  readonly #listener: Listener;

  constructor(circuits: Circuits, jobs: readonly FileJob[], client: ClientContext, listener: Listener) {
    this.#circuits = circuits;
    this.#waiting = [...jobs].reverse();
    const { limits } = client;
    this.#window = new PieceWindow(limits.maxFilesAhead, limits);
    this.#client = client;
    this.#listener = listener;
  }

  /** Fetches every job. Throws when no circuit can be had; what became of no job by then is then not fetched. */
  async run(): Promise<void> {
    // A circuit may have to be left because of one file alone, while others are still to come.
    while (this.#isDue) {
      await this.#circuits.run(
        () => this.#requestAhead(),
        (circuit) => this.#receive(circuit),
      );
    }
  }

  get #isDue(): boolean {
    return this.#waiting.length + this.#window.due.length + this.#begun.length > 0;
  }

  /** Requests for the next files, many in one go; none while a large one is to be finished first. */
  #requestAhead(): Message[] {
    const { limits } = this.#client;
    if (this.#begun.length > 0) return [];
    const jobs = this.#window.askAhead(() => this.#waiting.pop());
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
      this.#waiting.push(...this.#window.giveBack().toReversed());
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
    const [begun] = this.#begun;
    if (!begun) return true;
    const outcome = await this.#attempt(begun.job, () => this.#receiveRest(circuit, begun));
    this.#begun.shift();
    // A file that is here and differs has left nothing behind: all it asked for are digests, and they have come.
    return outcome === 'fine' || (begun.job.target.isPresent === true && circuit.isSettled);
  }

  /** Does one step of a file. A failure that is the file's own is told; any other is the circuit's, and thrown. */
  async #attempt(job: FileJob, step: () => Promise<void>): Promise<'fine' | 'refused' | 'disk'> {
    try {
      await step();
      return 'fine';
    } catch (error) {
      const failure = asHoplineError(error);
      if (!/^(FILE|DISK|HASH)_|^AUTH_DENIED$/.test(failure.code)) throw failure;
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
    const tell: FetchFileOptions['onEvent'] = (event) => onEvent({ file: job.file, ...event });
    const shared = { client: this.#client, circuits: this.#circuits, onBytes, onEvent: tell };
    const fetch = new FileFetch({ ...job, ...shared });
    try {
      // For what is on disk already the origin is asked for digests, and those would be of the file of the last STAT.
      if (readsAhead(job)) await fetch.begin(circuit, status, true);
    } catch (error) {
      if (!asHoplineError(error).code.startsWith('DISK_')) throw error;
      await skipFirstRead(circuit, status, job.file, limits);
      return job.failed(asHoplineError(error));
    }
    this.#begun.push({ job, fetch });
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
    this.#waiting.push(job);
  }

  async #receiveRest(circuit: Circuit, { job, fetch }: Begun): Promise<void> {
    circuit.send(fetch.requests());
    await fetch.fetchOver(circuit, false);
    const fetched = fetch.finish();
    await job.arrived(async () => fetched);
  }
}

/** Whether the first piece is asked for along with the status: not where it may be on disk already. */
function readsAhead({ target }: FileJob): boolean {
  return !target.mayResume;
}
