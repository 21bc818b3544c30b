/**
 * Whether a file here is the one at an origin: the digests of its pieces are asked for, and not one byte of it.
 *
 * Invariant: every piece was compared with the same version at the origin, and the file here did not change meanwhile.
 */

import { HoplineError } from '../../core/errors.ts';
import { type OptionNames, refuseUnknown } from '../../core/failure/known-names.ts';
import { availableDigests } from '../../io/digests/digest.ts';
import type { AnswerOf } from '../../wire/native/messages.ts';
import { checkName } from '../../wire/route.ts';
import type { Circuit, ClientContext } from '../circuit/circuit.ts';
import type { Circuits } from '../circuit/circuits.ts';
import { compareDigests } from '../pieces/compare-digests.ts';
import { checkStatus, requestStatus } from '../pieces/receive-piece.ts';
import type { UploadEvent } from '../transfer-events.ts';
import { SourceFile } from '../upload/source/source-file.ts';
import { type LookOptions, type LookResult, look, lookNames } from './look.ts';

export interface CompareFileOptions extends Omit<LookOptions, 'onEvent'> {
  /** Path below the origin's root. */
  readonly file: string;
  /** The file here. */
  readonly path: string;
  /** `started`, `progress` as pieces are compared, and `reroute`. Must not throw. */
  readonly onEvent?: ((event: UploadEvent) => void) | undefined;
}

const names = { ...lookNames, file: true, path: true } as const satisfies OptionNames<CompareFileOptions>;

export interface CompareResult extends LookResult {
  readonly isSame: boolean;
  /** Bytes at the origin. */
  readonly size: number;
  /** Bytes here. */
  readonly localSize: number;
  /** Of the file at the origin. */
  readonly pieces: number;
  /** The pieces that differ, from 0; none where the sizes do, since no piece is then compared. */
  readonly differing: readonly number[];
}

/** Compares a file here with the one at the origin. Throws `USAGE_INVALID` for what cannot be read here, and what the circuits do. */
export async function compareFile(options: CompareFileOptions): Promise<CompareResult> {
  refuseUnknown(options, { by: 'compareFile', names });
  const { file, path } = options;
  checkName(file, options.limits?.maxNameBytes);
  const source = await SourceFile.open(path);
  try {
    const comparison = new Comparison(source, options);
    const result = await look(options, {
      request: requestStatus(file, availableDigests()),
      answer: (circuit, circuits, client) => comparison.run(circuit, circuits, client),
    });
    source.check();
    return { ...result, ...comparison.outcome };
  } finally {
    await source.close();
  }
}

class Comparison {
  readonly #source: SourceFile;
  readonly #options: CompareFileOptions;
  #status: AnswerOf<'status'> | undefined;
  /** The piece that is compared next. */
  #next = 0;
  /** As far as any version was compared. */
  #furthest = 0;
  #differing: number[] = [];

  constructor(source: SourceFile, options: CompareFileOptions) {
    this.#source = source;
    this.#options = options;
  }

  get outcome(): Pick<CompareResult, 'isSame' | 'size' | 'localSize' | 'pieces' | 'differing'> {
    if (!this.#status) throw new HoplineError('INTERNAL', 'a comparison has no answer and no failure');
    const { size } = this.#status;
    const { size: localSize } = this.#source;
    const isSame = size === localSize && this.#differing.length === 0;
    return { isSame, size, localSize, pieces: this.#pieces, differing: this.#differing };
  }

  /** Goes on with the comparison over a circuit that began with STAT. Throws what the circuit and the file here fail with. */
  async run(circuit: Circuit, circuits: Circuits, client: ClientContext): Promise<void> {
    const { file, onEvent = () => {} } = this.#options;
    const status = await circuit.receive('status', file);
    const algorithm = checkStatus(status, availableDigests(), client.limits);
    this.#begin(status);
    if (status.size !== this.#source.size) return;
    const buffer = Buffer.allocUnsafeSlow(Math.min(status.size, status.pieceBytes));
    await compareDigests(circuit, client.limits, {
      file,
      version: status.version,
      indexes: this.#left(),
      rangeOf: (index) => this.#rangeOf(index),
      digestHere: async (index) => {
        const bytes = await this.#source.readPiece(buffer, this.#rangeOf(index).offset);
        return algorithm.digestOf(bytes).toString('hex');
      },
      onCompared: (index, isSame) => {
        if (!isSame) this.#differing.push(index);
        this.#next = index + 1;
        // A file that changes again and again is not compared for ever.
        if (this.#next > this.#furthest) circuits.progressed(circuit);
        this.#furthest = Math.max(this.#furthest, this.#next);
        const { offset, length } = this.#rangeOf(index);
        onEvent({ kind: 'progress', bytes: offset + length, size: status.size });
        return true;
      },
    });
  }

  /** What was compared with another version is worth nothing. */
  #begin(status: AnswerOf<'status'>): void {
    const { version, digest, pieceBytes } = this.#status ?? {};
    const isKnown = version === status.version && digest === status.digest && pieceBytes === status.pieceBytes;
    this.#status = status;
    if (isKnown) return;
    this.#next = 0;
    this.#differing = [];
    this.#options.onEvent?.({ kind: 'started', size: status.size, leftBytes: 0 });
  }

  /** The pieces that have not been compared yet. */
  *#left(): Generator<number, undefined> {
    for (let index = this.#next; index < this.#pieces; index += 1) yield index;
    return undefined;
  }

  get #pieces(): number {
    const { size = 0, pieceBytes = 1 } = this.#status ?? {};
    return Math.ceil(size / pieceBytes);
  }

  #rangeOf(index: number): { readonly offset: number; readonly length: number } {
    const { size = 0, pieceBytes = 1 } = this.#status ?? {};
    const offset = index * pieceBytes;
    return { offset, length: Math.min(pieceBytes, size - offset) };
  }
}
