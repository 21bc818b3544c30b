/**
 * One file on its way to an origin: what is known of it there, and the last word that makes it visible.
 *
 * Each circuit begins with PUT and learns what is missing at its origin. Does not know how pieces go over a circuit.
 * Invariant: progress counts what an origin has acknowledged, and nothing else.
 * Specification: docs/protocol/requests.md#uploads
 */

import { randomBytes } from 'node:crypto';
import { asHoplineError, HoplineError } from '../../core/errors.ts';
import { OwnSignal, type Signal } from '../../core/signal.ts';
import { availableDigests, ownDigest } from '../../io/digests/digest.ts';
import type { Vouched } from '../../io/disk/writing/target.ts';
import type { AnswerOf, Message } from '../../wire/native/messages.ts';
import type { Circuit } from '../circuit/circuit.ts';
import { type Proof, proofBy } from '../download-result.ts';
import { compareDigests } from '../pieces/compare-digests.ts';
import { PieceMap } from '../pieces/piece-map.ts';
import { checkStatus, chosenDigest, requestStatus } from '../pieces/receive-piece.ts';
import type { UploadedFile } from '../upload-result.ts';
import { SourcePieces } from './source-pieces.ts';
import { PieceSender, type SendFileOptions } from './upload-pieces.ts';

export class FileSend {
  readonly #options: SendFileOptions;
  readonly #offered = availableDigests();
  readonly #upload = randomBytes(16).toString('hex');
  readonly #over = new OwnSignal();
  readonly #cut: SourcePieces;
  #resumedBytes: number | undefined;
  #bytes = 0;
  /** The most that was ever acknowledged. */
  #mostBytes = 0;
  #sentBytes = 0;
  #committed: (Pick<UploadedFile, 'hops' | 'replaced' | 'alreadyThere'> & Proof) | undefined;
  /** COMMIT has left, and no answer has come: the file may be in its place. */
  #isInDoubt = false;
  #fatal: HoplineError | undefined;

  /** Throws `USAGE_INVALID` for a file that is larger than any upload. */
  constructor(options: SendFileOptions) {
    this.#options = options;
    this.#cut = new SourcePieces(options.source, options.client.limits);
  }

  /** What a circuit that `sendOver` gets begins with. */
  requests(): readonly Message[] {
    return [this.#isInDoubt ? this.#ask() : this.#put()];
  }

  /** What one begins with that `lookOver` gets. */
  lookRequests(): readonly Message[] {
    return [this.#ask()];
  }

  /** Whether the file is at its place, or was found to be there. */
  get isDone(): boolean {
    return this.#committed !== undefined;
  }

  /** What ended the sending for good, on this machine: no other circuit can mend it. */
  get failure(): HoplineError | undefined {
    return this.#fatal;
  }

  /** Aborts with that. */
  get over(): Signal {
    return this.#over;
  }

  /** What it came to, once it is done. Throws what ended the sending. */
  async result(): Promise<UploadedFile> {
    if (this.#fatal) throw this.#fatal;
    if (!this.#committed) throw new HoplineError('INTERNAL', 'the sending ended before the file was whole');
    const { source, client } = this.#options;
    const resumedBytes = this.#resumedBytes ?? 0;
    const wastedBytes = Math.max(0, this.#sentBytes - (source.size - resumedBytes));
    const digests = { pieces: this.#cut.count, piecesDigest: await this.#cut.digest(client.signal) };
    return { ...this.#committed, ...digests, digest: ownDigest(digests), resumedBytes, wastedBytes };
  }

  /** Bytes that the origin has acknowledged last, and keeps for a later run: it keeps no books of a file of one piece. */
  get keptBytes(): number {
    return this.#cut.count > 1 ? this.#bytes : 0;
  }

  #ask(): Message {
    return requestStatus(this.#options.file, this.#offered);
  }

  #put(): Message {
    const { file, source, force } = this.#options;
    const { size, version } = source;
    const put = {
      type: 'put',
      name: file,
      size,
      pieceBytes: this.#cut.pieceBytes,
      version,
      upload: this.#upload,
    } as const;
    return { ...put, digests: this.#offered.map(({ name }) => name), ...(force ? { force } : {}) };
  }

  /** Sends what is missing over a circuit that began with PUT, and COMMIT. Throws what the circuit fails with. */
  async sendOver(circuit: Circuit): Promise<void> {
    const { file } = this.#options;
    if (this.#isInDoubt) {
      if (await this.#isThere(circuit)) {
        // What it was that COMMIT replaced, its lost answer said.
        this.#committed = { hops: circuit.hops, replaced: false, alreadyThere: false, ...proofBy(circuit.key?.text) };
        return;
      }
      circuit.send([this.#put()]);
    }
    const ready = await circuit.receive('ready', file);
    await this.#sendMissing(circuit, ready);
  }

  async #sendMissing(circuit: Circuit, ready: AnswerOf<'ready'>): Promise<void> {
    const { file, source, circuits } = this.#options;
    this.#cut.digestBy(chosenDigest(ready.digest, this.#offered));
    const pieces = this.#piecesAt(ready);
    const onStored = (index: number) => {
      this.#bytes += this.#cut.rangeOf(index).length;
      // An origin that loses again what it had must not be sent it for ever.
      if (this.#bytes > this.#mostBytes) circuits.progressed(circuit);
      this.#mostBytes = Math.max(this.#mostBytes, this.#bytes);
      this.#tellProgress();
    };
    const sender = new PieceSender(circuit, { ...this.#options, cut: this.#cut, pieces, onStored });
    await sender
      .run((error) => this.#fail(error))
      .finally(() => {
        this.#sentBytes += sender.sentBytes;
      });
    if (this.#over.aborted) return;
    try {
      source.check();
    } catch (error) {
      return this.#fail(error);
    }
    // Once: an origin that always ends here must not be asked for ever.
    if (!this.#isInDoubt) circuits.progressed(circuit);
    this.#isInDoubt = true;
    circuit.send([{ type: 'commit' }]);
    const { replaced } = await circuit.receive('committed', file);
    this.#committed = { hops: circuit.hops, replaced, alreadyThere: false, ...proofBy(circuit.key?.text) };
  }

  /** A file has the name at the origin, over a circuit that began with STAT: it may be this one. */
  async lookOver(circuit: Circuit): Promise<void> {
    if (!(await this.#isThere(circuit))) return;
    this.#resumedBytes = this.#options.source.size;
    this.#committed = { hops: circuit.hops, replaced: false, alreadyThere: true, ...proofBy(circuit.key?.text) };
  }

  /** Whether the origin has the file, as it is here: the answer to a STAT is due. Throws what the circuit fails with. */
  async #isThere(circuit: Circuit): Promise<boolean> {
    const { file, source, client } = this.#options;
    const status = await circuit.receive('status', file).catch((error) => {
      // Who may not read what he has sent asks again: an origin remembers what was completed.
      if (/^(FILE_NOT_FOUND|AUTH_DENIED)$/.test(asHoplineError(error).code)) return undefined;
      throw error;
    });
    if (status?.size !== source.size) return false;
    this.#cut.digestBy(checkStatus(status, this.#offered, client.limits));
    const buffer = this.#cut.newBuffer();
    return compareDigests(circuit, client.limits, {
      file,
      version: status.version,
      indexes: new Array(this.#cut.count).keys(),
      rangeOf: (index) => this.#cut.rangeOf(index),
      digestHere: async (index) => (await this.#cut.read(index, buffer)).digest,
    });
  }

  /** The pieces, of which all that the origin does not miss have arrived. Throws `PEER_PROTOCOL` for some that the file has not. */
  #piecesAt({ missing }: AnswerOf<'ready'>): PieceMap {
    const { source, onEvent } = this.#options;
    const there = new Map<number, Vouched>();
    let leftBytes = 0;
    let end = 0;
    for (const [first, count] of [...missing, [this.#cut.count, 0] as const]) {
      if (first < end || count > this.#cut.count - first) {
        throw new HoplineError('PEER_PROTOCOL', 'the origin misses pieces that the file does not have');
      }
      for (; end < first; end += 1) {
        there.set(end, { digest: this.#cut.digestOf(end), version: source.version });
        leftBytes += this.#cut.rangeOf(end).length;
      }
      end = first + count;
    }
    this.#bytes = leftBytes;
    if (this.#resumedBytes === undefined) onEvent({ kind: 'started', size: source.size, leftBytes });
    else this.#tellProgress();
    this.#resumedBytes ??= leftBytes;
    return new PieceMap(this.#cut.count, there);
  }

  #tellProgress(): void {
    this.#options.onEvent({ kind: 'progress', bytes: this.#bytes, size: this.#options.source.size });
  }

  /** Ends the sending for good: no other circuit can mend it. */
  #fail(error: unknown): void {
    this.#fatal ??= asHoplineError(error);
    this.#over.abort();
  }
}
