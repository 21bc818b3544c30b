/**
 * Several files on their way to one origin: a few at once, each circuit used for one file after the other.
 *
 * Owns which file is sent next and what became of each. Does not know how a file goes over a circuit.
 * Invariant: when `send` has settled every file has its outcome, and no open file is left here.
 */

import { asHoplineError, type HoplineError } from '../../core/errors.ts';
import type { Circuit, ClientContext } from '../circuit/circuit.ts';
import type { Circuits } from '../circuit/circuits.ts';
import type { FileOutcome } from '../download-result.ts';
import type { UploadEvent, UploadsEvent } from '../transfer-events.ts';
import type { UploadResult } from '../upload-result.ts';
import { SourceFile } from './source-file.ts';
import { sendAlone, withoutUploads } from './upload.ts';
import { FileSend } from './upload-file.ts';

/** A file here, and the name that it gets at the origin. */
export interface FileToSend {
  readonly source: string;
  readonly file: string;
}

/** What is sent, and how. */
export interface UploadsOptions {
  /** No two may get the same name. */
  readonly files: readonly FileToSend[];
  /** Replaces files at the origin, if its node is started to allow that. @default false */
  readonly force?: boolean | undefined;
  /** How many files are on their way at once, each over a circuit of its own. @default 4 */
  readonly parallel?: number | undefined;
  /** Must not throw. */
  readonly onEvent?: ((event: UploadsEvent) => void) | undefined;
}

/** Each file waits for the origin's disk, which others can use meanwhile. */
const atOnce = 4;

/** A file that is open here, and on its way. */
interface Sending {
  readonly place: number;
  readonly file: string;
  readonly source: SourceFile;
  readonly send: FileSend;
}

/** Files on their way over circuits that the caller has. */
export class UploadsRun {
  readonly outcomes: FileOutcome<UploadResult>[] = [];
  readonly #circuits: Circuits;
  readonly #options: UploadsOptions;
  readonly #client: ClientContext;
  readonly #startedMs: number;
  /** Of each file under way, the bytes that the origin has. */
  readonly #moving = new Map<string, number>();
  /** Files of lanes that got no circuit. */
  readonly #returned: Sending[] = [];
  #atWork = 0;
  #next = 0;
  #settled = 0;
  #bytes = 0;
  #failure: HoplineError | undefined;

  constructor(circuits: Circuits, options: UploadsOptions, client: ClientContext) {
    this.#circuits = circuits;
    this.#options = options;
    this.#client = client;
    this.#startedMs = client.clock.now();
  }

  /** Never throws. */
  async send(): Promise<void> {
    const { files, parallel = atOnce } = this.#options;
    const lanes = Math.min(parallel, files.length);
    this.#atWork = lanes;
    await Promise.all(Array.from({ length: lanes }, () => this.#sendInTurn()));
    // What a lane left when the last of the others had just ended.
    this.#atWork = 1;
    if (this.#returned.length > 0) await this.#sendInTurn();
  }

  /** Sends one file after the other, as long as there are any. Never throws. */
  async #sendInTurn(): Promise<void> {
    for (let sending = await this.#open(); sending; sending = await this.#open()) {
      let now: Sending | undefined = sending;
      try {
        await this.#circuits.run(
          () => now?.send.requests() ?? [],
          async (circuit) => {
            while (now) {
              const goesOn = await this.#sendOver(circuit, now);
              now = goesOn ? await this.#open() : undefined;
              if (now) circuit.send(now.send.requests());
            }
          },
        );
      } catch (error) {
        // Who takes no further circuit still serves those that he took.
        if (now && this.#atWork > 1 && isFull(asHoplineError(error))) {
          this.#returned.push(now);
          break;
        }
        // What no circuit could mend is no better for the files behind it.
        this.#failure ??= this.#client.signal.aborted
          ? asHoplineError(this.#client.signal.reason)
          : withoutUploads(asHoplineError(error));
        if (now) await this.#settle(now, this.#failure);
      }
    }
    this.#atWork -= 1;
  }

  /** Sends a file over a circuit that begins with it; resolves to whether the circuit can take another. Throws what the circuit fails with. */
  async #sendOver(circuit: Circuit, sending: Sending): Promise<boolean> {
    const { send } = sending;
    let failure: HoplineError | undefined;
    try {
      await send.sendOver(circuit);
    } catch (error) {
      failure = asHoplineError(error);
      if (!isItsOwn(failure)) throw failure;
    }
    if (failure?.code === 'DISK_BUSY') {
      // A circuit of ours that broke may still hold the name: that passes, and is waited for alone.
      failure = await sendAlone(send, this.#circuits).then(() => undefined, asHoplineError);
      await this.#settle(sending, failure);
      return false;
    }
    let isUsable = failure === undefined || leavesCircuit(failure);
    if (failure?.code === 'DISK_EXISTS' && circuit.isSettled) {
      circuit.send(send.lookRequests());
      // Whatever fails now, what was refused is told.
      isUsable = await send.lookOver(circuit).then(
        () => true,
        (error) => leavesCircuit(asHoplineError(error)),
      );
    }
    await this.#settle(sending, send.isDone ? undefined : (failure ?? send.failure));
    return isUsable && circuit.isSettled;
  }

  /** The next file that can be sent; those that cannot have failed. */
  async #open(): Promise<Sending | undefined> {
    const { files, force = false } = this.#options;
    const returned = this.#returned.pop();
    if (returned) return returned;
    for (;;) {
      const place = this.#next;
      const chosen = files[place];
      if (!chosen) return undefined;
      this.#next += 1;
      const { file } = chosen;
      if (this.#failure) {
        this.#tell(place, { file, error: this.#failure });
        continue;
      }
      let source: SourceFile | undefined;
      try {
        source = await SourceFile.open(chosen.source);
        const onEvent = (event: UploadEvent) => this.#hear(file, event);
        const send = new FileSend({ file, source, force, client: this.#client, circuits: this.#circuits, onEvent });
        return { place, file, source, send };
      } catch (error) {
        await source?.close();
        this.#tell(place, { file, error: asHoplineError(error) });
      }
    }
  }

  #hear(file: string, event: UploadEvent): void {
    const { onEvent = () => {} } = this.#options;
    if (event.kind === 'started') {
      onEvent({ file, ...event });
      this.#move(file, event.leftBytes);
    } else if (event.kind === 'progress') this.#move(file, event.bytes);
    else if (event.kind === 'retry') onEvent({ file, ...event });
  }

  #move(file: string, bytes: number): void {
    this.#bytes += bytes - (this.#moving.get(file) ?? 0);
    this.#moving.set(file, bytes);
    this.#options.onEvent?.({ kind: 'progress', bytes: this.#bytes, settled: this.#settled });
  }

  async #settle({ place, file, source, send }: Sending, failure: HoplineError | undefined): Promise<void> {
    const { size } = source;
    try {
      if (failure) throw failure;
      const sent = await send.result();
      const elapsedMs = this.#client.clock.now() - this.#startedMs;
      // What was rerouted is that of the run, not of one file.
      this.#tell(place, { file, result: { file, size, ...sent, reroutes: 0, elapsedMs } });
    } catch (error) {
      const { keptBytes: bytes } = send;
      // Pieces of another version are worth nothing to the next run.
      const isWorth = bytes > 0 && asHoplineError(error).code !== 'FILE_CHANGED';
      if (isWorth) this.#options.onEvent?.({ kind: 'kept', file, bytes, size });
      this.#tell(place, { file, error: asHoplineError(error) });
    } finally {
      this.#moving.delete(file);
      await source.close();
    }
  }

  #tell(place: number, outcome: FileOutcome<UploadResult>): void {
    this.outcomes[place] = outcome;
    this.#settled += 1;
    this.#options.onEvent?.({ kind: 'settled', ...outcome });
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

/** Whether a node takes no further circuit, or no further upload. */
function isFull({ code }: HoplineError): boolean {
  return code === 'LIMIT_CONNECTIONS' || code === 'LIMIT_UPLOADS';
}
