/**
 * Several files on their way to one origin: a few at once, each circuit used for one file after the other.
 *
 * Owns which file is sent next and what became of each. Does not know how a file goes over a circuit.
 * Invariant: when `uploadFiles` has settled every file has its outcome, and no socket, timer or open file is left here.
 */

import { asHoplineError, HoplineError } from '../../core/errors.ts';
import { type OptionNames, refuseUnknown } from '../../core/failure/known-names.ts';
import { checkName, type RoutePlan } from '../../wire/route.ts';
import type { Circuit, ClientContext } from '../circuit/circuit.ts';
import { Circuits } from '../circuit/circuits.ts';
import type { FileOutcome } from '../download-result.ts';
import { type TransferOptions, transferNames, withClient } from '../transfer.ts';
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

export interface UploadFilesOptions extends TransferOptions {
  /** The ways to the origin. */
  readonly routes: RoutePlan['routes'];
  /** No two may get the same name. */
  readonly files: readonly FileToSend[];
  /** Replaces files at the origin, if its node is started to allow that. @default false */
  readonly force?: boolean | undefined;
  /** Must not throw. */
  readonly onEvent?: ((event: UploadsEvent) => void) | undefined;
}

const names = {
  ...transferNames,
  routes: true,
  files: true,
  force: true,
  onEvent: true,
} as const satisfies OptionNames<UploadFilesOptions>;

/** Each file waits for the origin's disk, which others can use meanwhile. */
const atOnce = 4;

/**
 * Sends files over one route; the outcomes come in the order of `files`.
 * A file that fails does not stop the others; a route that fails, or an aborted signal (`INTERRUPTED`), is the error of
 * every file that was not sent. Throws for a mistake in the options.
 */
export async function uploadFiles(options: UploadFilesOptions): Promise<readonly FileOutcome<UploadResult>[]> {
  refuseUnknown(options, { by: 'uploadFiles', names });
  const { routes, files } = options;
  checkNames(files, options.limits?.maxNameBytes);
  return withClient(options, async (client) => {
    const circuits = await Circuits.over(routes, client, options);
    const run = new UploadsRun(circuits, options, client);
    await run.send();
    return run.outcomes;
  });
}

/** Throws `USAGE_INVALID` for two files of one name, and as `checkName`. */
export function checkNames(files: readonly FileToSend[], maxNameBytes: number | undefined): void {
  const byName = new Map<string, string>();
  for (const { source, file } of files) {
    checkName(file, maxNameBytes, 'the name at the origin');
    const other = byName.get(file);
    if (other !== undefined) {
      throw new HoplineError('USAGE_INVALID', `${other} and ${source} would both get the name "${file}" at the origin`);
    }
    byName.set(file, source);
  }
}

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
  readonly #options: Pick<UploadFilesOptions, 'files' | 'force' | 'onEvent'>;
  readonly #client: ClientContext;
  readonly #startedMs: number;
  /** Of each file under way, the bytes that the origin has. */
  readonly #moving = new Map<string, number>();
  #next = 0;
  #settled = 0;
  #bytes = 0;
  #failure: HoplineError | undefined;

  constructor(
    circuits: Circuits,
    options: Pick<UploadFilesOptions, 'files' | 'force' | 'onEvent'>,
    client: ClientContext,
  ) {
    this.#circuits = circuits;
    this.#options = options;
    this.#client = client;
    this.#startedMs = client.clock.now();
  }

  /** Never throws. */
  async send(): Promise<void> {
    const lanes = Math.min(atOnce, this.#options.files.length);
    await Promise.all(Array.from({ length: lanes }, () => this.#sendInTurn()));
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
        // What no circuit could mend is no better for the files behind it.
        this.#failure ??= this.#client.signal.aborted
          ? asHoplineError(this.#client.signal.reason)
          : withoutUploads(asHoplineError(error));
        if (now) await this.#settle(now, this.#failure);
      }
    }
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
