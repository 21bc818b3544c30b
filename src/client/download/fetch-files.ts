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
import { availableDigests, digestOfPieces } from '../../io/digests/digest.ts';
import type { Target } from '../../io/disk/writing/target.ts';
import type { AnswerOf, Message } from '../../wire/native/messages.ts';
import type { Circuit, ClientContext } from '../circuit/circuit.ts';
import type { Circuits } from '../circuit/circuits.ts';
import { type Fetched, proofBy } from '../download-result.ts';
import type { FilesEvent } from '../transfer-events.ts';
import { type FetchFileOptions, FileFetch } from './fetch-file.ts';
import { mismatchError } from './piece-fetcher.ts';
import { checkStatus, isFirstPiece, receivePiece, requestFile, requestStatus, skipFirstRead } from './receive-piece.ts';

export interface FileJob {
  readonly file: string;
  readonly target: Target;
}

/** Whom `fetchFiles` tells what becomes of each. Must not throw. */
export interface FilesSink {
  /**
   * A file has come and is verified; `finish` brings it into its target, which is not committed, and throws as that does.
   * Settles when the next file may come.
   */
  readonly arrived: (job: FileJob, finish: () => Promise<Fetched>) => Promise<void>;
  /** Likewise. */
  readonly failed: (job: FileJob, failure: HoplineError) => Promise<void>;
  readonly onBytes: (count: number) => void;
  readonly onEvent: (event: FilesEvent) => void;
}

interface Begun {
  readonly job: FileJob;
  readonly fetch: FileFetch;
}

/** Fetches every job. Throws when no circuit can be had; whatever job the sink has not heard of is then not fetched. */
export async function fetchFiles(
  circuits: Circuits,
  jobs: readonly FileJob[],
  client: ClientContext,
  sink: FilesSink,
): Promise<void> {
  const run = new FilesRun(circuits, jobs, client, sink);
  // A circuit may have to be left because of one file alone, while others are still to come.
  while (run.isDue) {
    await circuits.run(
      () => run.requestAhead(),
      (circuit) => run.receive(circuit),
    );
  }
}

class FilesRun {
  readonly #circuits: Circuits;
  readonly #waiting: FileJob[];
  readonly #asked: FileJob[] = [];
  readonly #begun: Begun[] = [];
  readonly #attempts = new Map<FileJob, number>();
  readonly #digests = availableDigests();
  readonly #client: ClientContext;
  readonly #sink: FilesSink;

  constructor(circuits: Circuits, jobs: readonly FileJob[], client: ClientContext, sink: FilesSink) {
    this.#circuits = circuits;
    this.#waiting = [...jobs].reverse();
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
      requests.push(
        ...(readsAhead(job) ? requestFile(job.file, this.#digests, limits) : [requestStatus(job.file, this.#digests)]),
      );
    }
    return requests;
  }

  /** Takes answers until nothing is due, or until a failure has left requests behind whose answers nobody wants. */
  async receive(circuit: Circuit): Promise<void> {
    try {
      while (this.isDue) {
        const inStep = await this.#receiveNext(circuit);
        if (!inStep) return;
        circuit.send(this.requestAhead());
      }
    } finally {
      this.#waiting.push(...this.#asked.splice(0).reverse());
    }
  }

  /** Takes the answers about one file. Resolves to whether the next answer will be about the next file. */
  async #receiveNext(circuit: Circuit): Promise<boolean> {
    const [job] = this.#asked;
    if (job) {
      const status = await this.#receiveStatus(circuit, job);
      // A refusal is the whole answer; a disk that failed leaves content behind that is still to come.
      const outcome = status && (await this.#attempt(job, () => this.#receiveFirst(circuit, job, status)));
      this.#asked.shift();
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
      await this.#sink.failed(job, failure);
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
    const { onBytes, onEvent } = this.#sink;
    const tell: FetchFileOptions['onEvent'] = (event) => onEvent({ file: job.file, ...event });
    const shared = { client: this.#client, circuits: this.#circuits, onBytes, onEvent: tell };
    const fetch = new FileFetch({ ...job, ...shared });
    try {
      // For what is on disk already the origin is asked for digests, and those would be of the file of the last STAT.
      if (readsAhead(job)) await fetch.begin(circuit, status, true);
    } catch (error) {
      if (!asHoplineError(error).code.startsWith('DISK_')) throw error;
      await skipFirstRead(circuit, status, job.file, limits);
      return this.#sink.failed(job, asHoplineError(error));
    }
    this.#begun.push({ job, fetch });
  }

  async #receiveSmall(circuit: Circuit, job: FileJob, status: AnswerOf<'status'>): Promise<void> {
    const { file } = job;
    const { size, pieceBytes, version } = status;
    const algorithm = checkStatus(status, this.#digests, this.#client.limits);
    const { onBytes, onEvent } = this.#sink;
    const piece = await receivePiece(circuit, { file, offset: 0, length: size, algorithm }, onBytes);
    if (piece) {
      this.#circuits.progressed(circuit);
      const content = { file, size, pieceBytes, algorithm: algorithm.name };
      const vouched = { digest: piece.digest, version, key: circuit.key?.text };
      return this.#sink.arrived(job, async () => {
        const { reservation } = await job.target.begin(content);
        onEvent({ kind: 'started', file, size, reservation, leftBytes: 0, restarted: false });
        if (size > 0) await job.target.write({ index: 0, position: 0, chunks: piece.chunks, vouched });
        const digests = size > 0 ? [piece.digest] : [];
        const piecesDigest = { algorithm: algorithm.name, hex: digestOfPieces(digests, algorithm) };
        const facts = { size, reservation, verified: true, pieces: digests.length, piecesDigest, resumedBytes: 0 };
        return { ...facts, ...proofBy(vouched.key) };
      });
    }
    onBytes(-size);
    const attempt = (this.#attempts.get(job) ?? 0) + 1;
    this.#attempts.set(job, attempt);
    if (attempt > this.#client.limits.maxPieceRetries) {
      return this.#sink.failed(job, mismatchError(0, 1, attempt, circuit));
    }
    onEvent({ kind: 'retry', file, piece: 0, attempt, hops: circuit.hops });
    this.#waiting.push(job);
  }

  async #receiveRest(circuit: Circuit, { job, fetch }: Begun): Promise<void> {
    circuit.send(fetch.requests());
    await fetch.fetchOver(circuit, false);
    const fetched = fetch.finish();
    await this.#sink.arrived(job, async () => fetched);
  }
}

/** Whether the first piece is asked for along with the status: not where it may be on disk already. */
function readsAhead({ target }: FileJob): boolean {
  return !target.mayResume;
}
