/**
 * Fetches several files over one route, and over one circuit as long as that holds: asks for many ahead of the answers.
 *
 * A small file is one STAT and one READ, and is held in memory until it has been
 * verified. What a larger one has beyond its first piece is fetched once no
 * other file is under way, since a READ applies to the file of the last STAT.
 * A failure that is one file's own leaves the others alone.
 * Invariant: bytes on disk were reserved first, and memory holds at most the small files that wait for the disk.
 */

import { asHoplineError, HoplineError } from '../core/errors.ts';
import type { DigestAlgorithm } from '../io/digest.ts';
import type { Hop } from '../wire/address.ts';
import type { AnswerOf, Message } from '../wire/messages.ts';
import { Circuit, type ClientContext } from './circuit.ts';
import {
  checkStatus,
  type Fetched,
  fetchPieces,
  isFirstPiece,
  mismatchError,
  receiveContent,
  receivePiece,
  requestFile,
  skipFirstRead,
} from './fetch-pieces.ts';
import type { Reservation, Target } from './target.ts';

export interface FileJob {
  readonly file: string;
  readonly target: Target;
}

/** A file that has arrived whole and verified; small ones are not on disk yet. */
export interface FetchedFile extends Fetched {
  readonly size: number;
  readonly algorithm: DigestAlgorithm;
  /** Without one, nothing was reserved or written yet, and `content` is to be. */
  readonly reservation?: Reservation;
  readonly content?: Buffer;
}

export interface FilesSink {
  /** Settles when the next file may come. Must not throw. */
  readonly fetched: (job: FileJob, fetched: FetchedFile) => Promise<void>;
  readonly failed: (job: FileJob, failure: HoplineError) => Promise<void>;
  readonly onStarted: (job: FileJob, size: number, reservation: Reservation) => void;
  readonly onBytes: (count: number) => void;
  readonly onRetry: (job: FileJob, piece: number, attempt: number) => void;
}

interface Begun {
  readonly job: FileJob;
  readonly status: AnswerOf<'status'>;
  readonly digest: DigestAlgorithm;
  readonly reservation: Reservation;
  /** Of the first piece, if that is in the target. */
  readonly firstDigest: string | undefined;
}

/** Fetches every job. Throws when the route fails; whatever job the sink has not heard of is then not fetched. */
export async function fetchFiles(
  hops: readonly Hop[],
  jobs: readonly FileJob[],
  digests: readonly DigestAlgorithm[],
  client: ClientContext,
  sink: FilesSink,
): Promise<void> {
  const run = new FilesRun(jobs, digests, client, sink);
  while (run.isDue) {
    const circuit = await Circuit.open(hops, run.requestAhead(), client);
    try {
      await run.receive(circuit);
    } finally {
      await circuit.close();
    }
  }
}

class FilesRun {
  readonly #waiting: FileJob[];
  readonly #asked: FileJob[] = [];
  readonly #begun: Begun[] = [];
  readonly #attempts = new Map<FileJob, number>();
  readonly #digests: readonly DigestAlgorithm[];
  readonly #client: ClientContext;
  readonly #sink: FilesSink;

  constructor(jobs: readonly FileJob[], digests: readonly DigestAlgorithm[], client: ClientContext, sink: FilesSink) {
    this.#waiting = [...jobs].reverse();
    this.#digests = digests;
    this.#client = client;
    this.#sink = sink;
  }

  get isDue(): boolean {
    return this.#waiting.length + this.#asked.length + this.#begun.length > 0;
  }

  /** Requests for the next files, many in one go; none while a large one is to be finished first. */
  requestAhead(): Message[] {
    const { limits } = this.#client;
    const requests: Message[] = [];
    if (this.#begun.length > 0 || this.#asked.length > limits.maxFilesAhead / 2) return requests;
    while (this.#asked.length < limits.maxFilesAhead) {
      const job = this.#waiting.pop();
      if (!job) break;
      this.#asked.push(job);
      requests.push(...requestFile(job.file, this.#digests, limits));
    }
    return requests;
  }

  /** Takes answers until nothing is due, or until a failure has left requests behind whose answers nobody wants. */
  async receive(circuit: Circuit): Promise<void> {
    while (this.isDue) {
      const inStep = await this.#receiveNext(circuit);
      if (!inStep) {
        this.#waiting.push(...this.#asked.splice(0).reverse());
        return;
      }
      circuit.send(this.requestAhead());
    }
  }

  /** Takes the answers about one file. Resolves to whether the next answer will be about the next file. */
  async #receiveNext(circuit: Circuit): Promise<boolean> {
    const job = this.#asked.shift();
    if (job) {
      const status = await this.#receiveStatus(circuit, job);
      if (!status) return true;
      // A refusal is the whole answer; a disk that failed leaves content behind that is still to come.
      return (await this.#attempt(job, () => this.#receiveFirst(circuit, job, status))) !== 'disk';
    }
    const begun = this.#begun.shift();
    if (!begun) return true;
    return (await this.#attempt(begun.job, () => this.#receiveRest(circuit, begun))) === 'fine';
  }

  /** Does one step of a file. A failure that is the file's own is told; any other is the circuit's, and thrown. */
  async #attempt(job: FileJob, step: () => Promise<void>): Promise<'fine' | 'refused' | 'disk'> {
    try {
      await step();
      return 'fine';
    } catch (error) {
      const failure = asHoplineError(error);
      if (!/^(FILE|DISK|HASH)_/.test(failure.code)) throw failure;
      await this.#sink.failed(job, failure);
      return failure.code.startsWith('FILE_') ? 'refused' : 'disk';
    }
  }

  /** Undefined after a refusal, which the READ behind STAT has then got too. */
  async #receiveStatus(circuit: Circuit, job: FileJob): Promise<AnswerOf<'status'> | undefined> {
    let status: AnswerOf<'status'> | undefined;
    const outcome = await this.#attempt(job, async () => {
      status = await circuit.receive('status', job.file);
    });
    if (outcome !== 'fine') await circuit.receive('refused');
    return status;
  }

  async #receiveFirst(circuit: Circuit, job: FileJob, status: AnswerOf<'status'>): Promise<void> {
    const { limits } = this.#client;
    const digest = checkStatus(status, this.#digests, limits);
    const { size } = status;
    if (size <= limits.maxBlockBytes && (size === 0 || isFirstPiece(status, limits))) {
      await this.#receiveSmall(circuit, job, size, digest);
    } else {
      await this.#receiveBeginning(circuit, job, status, digest);
    }
  }

  async #receiveSmall(circuit: Circuit, job: FileJob, size: number, algorithm: DigestAlgorithm): Promise<void> {
    const received = await receiveContent(circuit, job.file, size, algorithm);
    if (received) {
      const { content, digest } = received;
      this.#sink.onBytes(size);
      await this.#sink.fetched(job, { size, pieces: Math.sign(size), digest, algorithm, content });
      return;
    }
    const attempt = (this.#attempts.get(job) ?? 0) + 1;
    this.#attempts.set(job, attempt);
    if (attempt > this.#client.limits.maxPieceRetries) return this.#sink.failed(job, mismatchError(0, 1, attempt));
    this.#sink.onRetry(job, 0, attempt);
    this.#waiting.push(job);
  }

  async #receiveBeginning(
    circuit: Circuit,
    job: FileJob,
    status: AnswerOf<'status'>,
    digest: DigestAlgorithm,
  ): Promise<void> {
    const { target, file } = job;
    const { limits } = this.#client;
    let reservation: Reservation;
    try {
      reservation = await target.reserve(status.size);
    } catch (error) {
      await skipFirstRead(circuit, status, file, limits);
      return this.#sink.failed(job, asHoplineError(error));
    }
    this.#sink.onStarted(job, status.size, reservation);
    let firstDigest: string | undefined;
    if (isFirstPiece(status, limits)) {
      const { onBytes } = this.#sink;
      firstDigest = await receivePiece(0, { circuit, file, status, digest, target, onBytes });
    } else {
      await skipFirstRead(circuit, status, file, limits);
    }
    const begun = { job, status, digest, reservation, firstDigest };
    if (firstDigest === undefined || status.size > status.pieceBytes) this.#begun.push(begun);
    else await this.#finish(begun, { pieces: 1, digest: firstDigest });
  }

  async #receiveRest(circuit: Circuit, begun: Begun): Promise<void> {
    const { job, status, digest, firstDigest } = begun;
    const { file, target } = job;
    const { version, pieceBytes } = status;
    const asked = firstDigest === undefined ? 0 : 1;
    circuit.send([
      { type: 'stat', name: file, digests: [digest.name] },
      { type: 'read', offset: asked * pieceBytes, length: pieceBytes, version },
    ]);
    const now = await circuit.receive('status', file);
    if (now.version !== version || now.pieceBytes !== pieceBytes) {
      throw new HoplineError('FILE_CHANGED', `"${file}" changed at the origin while it was fetched`);
    }
    const { limits } = this.#client;
    const { onBytes } = this.#sink;
    const onRetry = (piece: number, attempt: number) => this.#sink.onRetry(job, piece, attempt);
    const options = { circuit, file, status, digest, target, limits, onBytes, onRetry, asked, firstDigest };
    await this.#finish(begun, await fetchPieces(options));
  }

  #finish({ job, status, digest: algorithm, reservation }: Begun, fetched: Fetched): Promise<void> {
    return this.#sink.fetched(job, { ...fetched, size: status.size, algorithm, reservation });
  }
}
