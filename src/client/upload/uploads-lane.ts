/**
 * Files to one origin over one circuit as long as that holds, and over another when it does not: small ones are sent ahead of the
 * answers, where the origin takes them so.
 *
 * Does not know which files there are. A failure that is one file's own leaves the others alone.
 * Invariant: a file has its outcome, is with one lane, or is with the others again; what is sent and not answered is bounded,
 * in files and in bytes.
 * Specification: docs/protocol/requests.md#files-ahead
 */

import { asHoplineError, type HoplineError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import type { DigestAlgorithm } from '../../io/digests/digest.ts';
import type { Circuit } from '../circuit/circuit.ts';
import type { Circuits } from '../circuit/circuits.ts';
import type { SourceFile } from './source/source-file.ts';
import { sendAlone } from './upload.ts';
import type { FileSend } from './upload-file.ts';

/** A file that is open here, and on its way. */
export interface Sending {
  /** Among the files of the run. */
  readonly place: number;
  readonly file: string;
  readonly source: SourceFile;
  readonly send: FileSend;
}

/** What the lanes share. Nothing of it throws. */
export interface UploadsWork {
  /** How many files a lane sends ahead of the answers: few enough that there are some for each. */
  readonly filesAhead: number;
  /** The next file to send, if there is any. */
  take(): Promise<Sending | undefined>;
  /** These are for whoever takes files next. */
  giveBack(files: readonly Sending[]): void;
  /** A file has its outcome: what it failed with, or what it came to. */
  settle(file: Sending, failure: HoplineError | undefined): Promise<void>;
  /** No circuit can be had: why no file can be sent then, or undefined if other lanes go on with those that they have. */
  fail(error: HoplineError): HoplineError | undefined;
}

interface Refused {
  readonly file: Sending;
  readonly failure: HoplineError;
}

/** Pieces as large as which the files that are sent ahead are together: all of that may wait here for the system to take it. */
const piecesAhead = 4;

export class UploadsLane {
  readonly #work: UploadsWork;
  readonly #circuits: Circuits;
  readonly #bytesAhead: number;
  /** What the circuit begins with, or goes on with once nothing is due. */
  #next: Sending | undefined;
  /** Sent ahead: the next answer is about the first of them. */
  readonly #due: Sending[] = [];
  /** Their names are taken at the origin. What has them is looked at once nothing is due. */
  readonly #taken: Refused[] = [];

  constructor(work: UploadsWork, circuits: Circuits, { pieceBytes }: Pick<Limits, 'pieceBytes'>) {
    this.#work = work;
    this.#circuits = circuits;
    this.#bytesAhead = piecesAhead * pieceBytes;
  }

  /** Sends one file after the other, as long as there are any. Never throws. */
  async run(): Promise<void> {
    for (let next = await this.#work.take(); next; next = await this.#work.take()) {
      this.#next = next;
      try {
        await this.#circuits.run(
          () => this.#next?.send.requests() ?? [],
          (circuit) => this.#sendOver(circuit),
        );
      } catch (error) {
        const failure = this.#work.fail(asHoplineError(error));
        if (failure && this.#next) await this.#work.settle(this.#next, failure);
        if (failure) this.#next = undefined;
        this.#giveBack();
        if (!failure) return;
      }
    }
  }

  /** Sends files over a circuit that begins with one, until it takes no more. Throws what the circuit fails with. */
  async #sendOver(circuit: Circuit): Promise<void> {
    try {
      for (let now = this.#next; now; now = this.#next) {
        const failure = await ownFailure(now.send.sendOver(circuit));
        this.#next = undefined;
        const goesOn = (await this.#end(circuit, now, failure)) && circuit.isSettled;
        if (!goesOn || !(await this.#sendAhead(circuit, now.send.ahead))) break;
        circuit.send(this.#next ? (this.#next as Sending).send.requests() : []);
      }
    } catch (error) {
      // What the next circuit begins with.
      this.#next ??= this.#due.shift();
      const next = this.#next;
      this.#next = undefined;
      this.#giveBack();
      this.#next = next;
      throw error;
    }
    this.#giveBack();
  }

  /**
   * Sends small files, and takes their answers, up to one that has to wait until nothing is due; resolves to whether the circuit
   * can take that. Throws what the circuit fails with.
   */
  async #sendAhead(circuit: Circuit, algorithm: DigestAlgorithm | undefined): Promise<boolean> {
    for (;;) {
      await this.#fill(circuit, algorithm);
      const [due] = this.#due;
      if (!due) break;
      if (!(await this.#takeAhead(circuit, due))) return false;
    }
    for (let taken = this.#taken.shift(); taken; taken = this.#taken.shift()) {
      if (!(await this.#end(circuit, taken.file, taken.failure))) return false;
    }
    return circuit.isSettled;
  }

  /** `algorithm` is that of the origin, if it takes files ahead. */
  async #fill(circuit: Circuit, algorithm: DigestAlgorithm | undefined): Promise<void> {
    while (!this.#next && this.#hasRoom) {
      const file = await this.#work.take();
      if (!file) return;
      if (!algorithm || !file.send.isSmall) {
        this.#next = file;
        return;
      }
      await file.send.sendAhead(circuit, algorithm);
      if (file.send.failure) await this.#work.settle(file, file.send.failure);
      else this.#due.push(file);
    }
  }

  get #hasRoom(): boolean {
    const bytes = this.#due.reduce((sum, { source }) => sum + source.size, 0);
    return this.#due.length < this.#work.filesAhead && bytes < this.#bytesAhead;
  }

  /** Takes the answers about the first file that is due; resolves to whether those about the next will come. */
  async #takeAhead(circuit: Circuit, file: Sending): Promise<boolean> {
    const failure = await ownFailure(file.send.takeAhead(circuit));
    this.#due.shift();
    if (failure?.code === 'DISK_EXISTS') {
      this.#taken.push({ file, failure });
      return true;
    }
    if (!failure && !file.send.isDone) {
      // It came damaged.
      this.#work.giveBack([file]);
      return true;
    }
    return this.#end(circuit, file, failure);
  }

  /** Tells the outcome of a file of which nothing is due; resolves to whether the circuit can take others. */
  async #end(circuit: Circuit, file: Sending, failure: HoplineError | undefined): Promise<boolean> {
    const { send } = file;
    if (failure?.code === 'DISK_BUSY') {
      // A circuit of ours that broke may still hold the name: that passes, and is waited for alone.
      this.#giveBack();
      const alone = await sendAlone(send, this.#circuits).then(() => undefined, asHoplineError);
      await this.#work.settle(file, alone);
      return false;
    }
    let isUsable = failure === undefined || leavesCircuit(failure);
    if (failure?.code === 'DISK_EXISTS' && circuit.isSettled) {
      circuit.send(send.lookRequests());
      // Whatever fails now, what was refused is told.
      isUsable = await send.lookOver(circuit).then(
        () => circuit.isSettled,
        (error) => leavesCircuit(asHoplineError(error)),
      );
    }
    await this.#work.settle(file, send.isDone ? undefined : (failure ?? send.failure));
    return isUsable;
  }

  #giveBack(): void {
    const next = this.#next ? [this.#next] : [];
    this.#next = undefined;
    this.#work.giveBack([...next, ...this.#due.splice(0), ...this.#taken.splice(0).map(({ file }) => file)]);
  }
}

/** What a file fails with on its own; undefined for one that does not. Throws what its circuit fails with. */
async function ownFailure(sent: Promise<void>): Promise<HoplineError | undefined> {
  try {
    await sent;
    return undefined;
  } catch (error) {
    const failure = asHoplineError(error);
    if (isItsOwn(failure)) return failure;
    throw failure;
  }
}

/** Whether a circuit takes further requests after this refusal. */
function leavesCircuit({ code }: HoplineError): boolean {
  return code.startsWith('FILE_') || code === 'AUTH_DENIED';
}

/** Whether a failure leaves other files as they are. */
function isItsOwn({ code, reason }: HoplineError): boolean {
  return /^(FILE|DISK|HASH)_|^AUTH_DENIED$/.test(code) || (code === 'UPLOAD_DENIED' && reason === 'EFBIG');
}
