/**
 * A file at the end of a route, open for reading ranges of it: verified bytes alone, over whichever circuit there is.
 *
 * One circuit at a time, begun by STAT and the first READ in one go. When it
 * breaks, another one goes on behind the last verified byte, at any origin that has the same version and key.
 * Invariant: all bytes read from one open file are of one key and version, or the read fails with `FILE_CHANGED`.
 */

import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { untilAborted } from '../../core/clock.ts';
import { asHoplineError, HoplineError } from '../../core/errors.ts';
import { eitherOf, OwnSignal } from '../../core/signal.ts';
import { availableDigests } from '../../io/digests/digest.ts';
import { nameCopy } from '../../io/disk/reading/versioned-file.ts';
import { describeHop } from '../../wire/address.ts';
import type { AnswerOf, Message, RequestOf } from '../../wire/native/messages.ts';
import type { Circuit } from '../circuit/circuit.ts';
import type { KeptCircuits } from '../circuit/kept-circuits.ts';
import { type Proof, proofBy } from '../download-result.ts';
import { requestStatus } from '../pieces/receive-piece.ts';
import { ContentStream } from './content-stream.ts';
import { cutAtPiece, RangeFetcher, type RangeOptions, type RemoteRange } from './range-fetcher.ts';

export interface RemoteFile extends Proof {
  /** Bytes. */
  readonly size: number;
  /** Changes when the file does; the same for every origin with the same key whose copy has this size and modification time. */
  readonly version: string;
  /** When the file was last modified, in milliseconds since 1970, if the origin says so. */
  readonly modified: number | undefined;
  /** The circuit that it was opened over, as the logs of its nodes call it. */
  readonly circuit: string;
  /**
   * The bytes of a range, which must lie within the file. Reads are served one after the other. Destroying one before its end
   * closes the file. The stream fails with what no other circuit could mend.
   */
  read(offset: number, length: number): Readable;
  /** Ends the circuit, and reads that have not ended. */
  close(): Promise<void>;
}

type Identity = Omit<RemoteFile, 'read' | 'close'>;

export interface RemoteReaderOptions extends RangeOptions {
  /** What is likely to be read first, and is asked for at once; it may lie behind the end. */
  readonly ahead?: RemoteRange | undefined;
  /** Those that other files have left. */
  readonly kept: KeptCircuits;
  /** The file has been found over this circuit. */
  readonly onOpen: (circuit: Circuit) => void;
}

/** Opens a file. Throws what the circuits do, such as `FILE_NOT_FOUND`; `INTERRUPTED` with an aborted signal. */
export async function openRemoteFile(options: RemoteReaderOptions): Promise<RemoteFile> {
  const reader = new RemoteReader(options);
  const identity = await reader.opened;
  return { ...identity, read: (offset, length) => reader.read(offset, length), close: () => reader.close() };
}

class RemoteReader {
  readonly opened: Promise<Identity>;
  readonly #options: RemoteReaderOptions;
  readonly #over = new OwnSignal();
  readonly #running: Promise<void>;
  readonly #reads: ContentStream[] = [];
  /** Origins that had another version. */
  readonly #changed = new Set<string>();
  #ahead: RequestOf<'read'> | undefined;
  #identity: Identity | undefined;
  #failure: HoplineError | undefined;
  #onOpened: (identity: Identity) => void = () => {};
  #onRead = () => {};
  /** Between reads, with nothing due on the circuit: then it can be kept. */
  #isIdle = false;
  #isDone = false;

  constructor(options: RemoteReaderOptions) {
    this.#options = options;
    this.opened = new Promise((resolve, reject) => {
      this.#onOpened = resolve;
      this.#over.addEventListener('abort', () => reject(this.#failure));
    });
    this.#running = this.#run().catch((error) => this.#end(error));
  }

  read(offset: number, length: number): Readable {
    const stream = new ContentStream(offset, length, () => this.#end());
    if (length === 0) stream.push(null);
    else if (this.#failure || this.#isDone) stream.destroy(this.#failure ?? closed());
    else {
      this.#reads.push(stream);
      this.#onRead();
    }
    return stream;
  }

  async close(): Promise<void> {
    this.#isDone = true;
    // What was kept must not hear of an end.
    if (this.#isIdle && this.#reads.length === 0) this.#onRead();
    else this.#end();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { circuits } = this.#options;
    if (await this.#runKept()) return;
    await circuits.run(
      () => this.#requests(),
      (circuit) => this.#serve(circuit),
      this.#over,
    );
  }

  /** Serves reads over a circuit that was kept, if there is one; false if another is needed, which then says why. */
  async #runKept(): Promise<boolean> {
    const { kept, client } = this.#options;
    const { signal, release } = eitherOf(client.signal, this.#over);
    const circuit = kept.take({ ...client, signal });
    if (!circuit) {
      release();
      return false;
    }
    try {
      circuit.send(this.#requests());
      await this.#serve(circuit);
      return true;
    } catch {
      return this.#over.aborted;
    } finally {
      await circuit.close();
      release();
    }
  }

  /** Ends all, with the first error for those who wait. */
  #end(error: unknown = closed()): void {
    this.#failure ??= asHoplineError(error);
    this.#over.abort(this.#failure);
    for (const stream of this.#reads.splice(0)) stream.destroy(this.#failure);
  }

  /** STAT and the next READ in one go: a short range costs one round trip. */
  #requests(): Message[] {
    const { name, client, ahead } = this.#options;
    const [due] = this.#reads;
    const { offset, length } = due ? { offset: due.position, length: due.end - due.position } : (ahead ?? {});
    const stat = requestStatus(name, availableDigests());
    if (offset === undefined || length === undefined || (this.#identity && !due)) {
      this.#ahead = undefined;
      return [stat];
    }
    this.#ahead = { type: 'read', ...cutAtPiece(offset, offset + length, client.limits.pieceBytes) };
    return [stat, this.#ahead];
  }

  /** Serves reads over one circuit until it fails or all is over. */
  async #serve(circuit: Circuit): Promise<void> {
    const { name, client, kept, onOpen } = this.#options;
    const ahead = this.#ahead;
    const status = await circuit.receive('status', name);
    const fetcher = new RangeFetcher(circuit, status, this.#options, ahead);
    this.#identify(status, circuit);
    onOpen(circuit);
    while (!this.#over.aborted) {
      const [due] = this.#reads;
      if (due) {
        await fetcher.fill(due);
        this.#reads.shift();
      } else {
        this.#isIdle = circuit.isSettled;
        await untilAborted(this.#nextRead(), this.#over);
        this.#isIdle = false;
        if (this.#isDone) return kept.keep(circuit, client);
      }
    }
  }

  #nextRead(): Promise<void> {
    return new Promise((resolve) => {
      this.#onRead = resolve;
    });
  }

  /** Throws `FILE_CHANGED` if this is not the file that was opened; the second time at one origin, for good. */
  #identify(status: AnswerOf<'status'>, { hops, key, trace }: Circuit): void {
    const identity = { ...identify(status, key?.text), circuit: trace };
    if (!this.#identity) {
      this.#identity = identity;
      this.#onOpened(identity);
    }
    if (identity.version === this.#identity.version) return;
    const message = `"${this.#options.name}" is not the same any more as what was read of it before`;
    const error = new HoplineError('FILE_CHANGED', message, { hop: hops.length });
    const origin = hops.slice(-1).map(describeHop).join();
    if (this.#changed.has(origin)) this.#end(error);
    this.#changed.add(origin);
    throw error;
  }
}

function closed(): HoplineError {
  return new HoplineError('INTERRUPTED', 'the file was closed');
}

/** Copies of one file have versions of their own at each origin, but one time. */
function identify({ size, version, mtimeNs }: AnswerOf<'status'>, key: string | undefined): Omit<Identity, 'circuit'> {
  const proof = proofBy(key);
  if (mtimeNs === undefined) return { size, version: nameVersion(version, key), modified: undefined, ...proof };
  const time = BigInt(mtimeNs);
  return { size, version: nameVersion(nameCopy(size, time), key), modified: Number(time / 1_000_000n), ...proof };
}

/** A version by another key is another one. Whoever is shown it need not learn the key. */
function nameVersion(version: string, key: string | undefined): string {
  return key === undefined ? version : `${version}-${createHash('sha256').update(key).digest('hex').slice(0, 16)}`;
}
