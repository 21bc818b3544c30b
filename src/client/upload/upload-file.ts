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
import { availableDigests, type DigestAlgorithm, ownDigest } from '../../io/digests/digest.ts';
import type { AnswerOf, Message } from '../../wire/native/messages.ts';
import type { Circuit } from '../circuit/circuit.ts';
import { type Proof, proofBy } from '../download-result.ts';
import type { PieceMap } from '../pieces/piece-map.ts';
import { chosenDigest, requestStatus } from '../pieces/receive-piece.ts';
import type { UploadedFile } from '../upload-result.ts';
import { isThere } from './is-there.ts';
import { SourcePieces } from './source/source-pieces.ts';
import { PieceSender, piecesAt, type SendFileOptions } from './upload-pieces.ts';
import { isOfOneFile, receiveAhead, sendWhole, takeWhole } from './whole-file.ts';

type Outcome = Pick<UploadedFile, 'replaced' | 'alreadyThere'>;

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
  #committed: (Pick<UploadedFile, 'hops'> & Outcome & Proof) | undefined;
  /** COMMIT has left, and no answer has come: the file may be in its place. */
  #isInDoubt = false;
  /** Whether it was before what was sent last. */
  #wasInDoubt = false;
  #isDamaged = false;
  #ahead: DigestAlgorithm | undefined;
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

  /** What ended the sending for good, on this machine. */
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
    const cut = { size, pieceBytes: this.#cut.pieceBytes, version };
    const digests = this.#offered.map(({ name }) => name);
    return { type: 'put', name: file, ...cut, upload: this.#upload, digests, ...(force ? { force } : {}) };
  }

  /** Whether all of it goes in one piece, and none came damaged: then it may be sent ahead. */
  get isSmall(): boolean {
    return this.#cut.count <= 1 && !this.#isDamaged;
  }

  /** The digest by which the origin that `sendOver` came to takes files ahead of its answers; undefined if it takes none. */
  get ahead(): DigestAlgorithm | undefined {
    return this.#ahead;
  }

  /** Sends what is missing over a circuit that began with `requests`, and COMMIT. Throws what the circuit fails with. */
  async sendOver(circuit: Circuit): Promise<void> {
    if (this.#isInDoubt) {
      if (await this.#isThere(circuit)) {
        // What it was that COMMIT replaced, its lost answer said.
        this.#end(circuit, {});
        return;
      }
      circuit.send([this.#put()]);
    }
    this.#wasInDoubt = this.#isInDoubt;
    const pieces = this.#begin(await circuit.receive('ready', this.#options.file));
    if (this.#ahead && this.isSmall && !pieces.isComplete) {
      await this.#sendWhole(circuit, []);
      if (!this.#over.aborted) await this.#takeWhole(circuit, pieces);
      if (!this.#isDamaged) return;
    }
    await this.#sendMissing(circuit, pieces);
  }

  /**
   * Sends all of a file that `isSmall`, behind requests that are not answered; `takeAhead` takes its answers. If the file cannot be
   * read, nothing is sent, and that is the `failure`.
   */
  async sendAhead(circuit: Circuit, algorithm: DigestAlgorithm): Promise<void> {
    this.#cut.digestBy(algorithm);
    await this.#sendWhole(circuit, [this.#put()]);
  }

  /**
   * Takes the answers to what `sendAhead` sent, all of them where the file is refused. One that came damaged is not done then, and
   * not small any more. Throws what the circuit fails with.
   */
  async takeAhead(circuit: Circuit): Promise<void> {
    const { file } = this.#options;
    try {
      const ready = await receiveAhead(circuit, 'ready', { file, behind: this.#cut.count + 1 });
      await this.#takeWhole(circuit, this.#begin(ready));
    } catch (error) {
      // Where the origin has refused it, COMMIT has changed nothing.
      if (isOfOneFile(error)) this.#isInDoubt = this.#wasInDoubt;
      throw error;
    }
  }

  async #sendWhole(circuit: Circuit, requests: readonly Message[]): Promise<void> {
    const { source } = this.#options;
    try {
      source.check();
      await sendWhole(circuit, requests, this.#cut);
    } catch (error) {
      return this.#fail(error);
    }
    this.#sentBytes += source.size;
    this.#wasInDoubt = this.#isInDoubt;
    this.#isInDoubt = true;
  }

  async #takeWhole(circuit: Circuit, pieces: PieceMap): Promise<void> {
    const { file, circuits, onEvent } = this.#options;
    const onStored = () => pieces.isComplete || this.#noteStored(circuit, 0);
    const committed = await takeWhole(circuit, { file, cut: this.#cut, onStored });
    if (committed) {
      circuits.progressed(circuit);
      return this.#end(circuit, committed);
    }
    this.#isInDoubt = this.#wasInDoubt;
    this.#isDamaged = true;
    onEvent({ kind: 'retry', piece: 0, attempt: 1, hops: circuit.hops });
  }

  async #sendMissing(circuit: Circuit, pieces: PieceMap): Promise<void> {
    const { file, source, circuits } = this.#options;
    const onStored = (index: number) => this.#noteStored(circuit, index);
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
    this.#end(circuit, { replaced });
  }

  #noteStored(circuit: Circuit, index: number): void {
    this.#bytes += this.#cut.rangeOf(index).length;
    // An origin that loses again what it had must not be sent it for ever.
    if (this.#bytes > this.#mostBytes) this.#options.circuits.progressed(circuit);
    this.#mostBytes = Math.max(this.#mostBytes, this.#bytes);
    this.#tellProgress();
  }

  /** A file has the name at the origin, over a circuit that began with STAT: it may be this one. */
  async lookOver(circuit: Circuit): Promise<void> {
    if (!(await this.#isThere(circuit))) return;
    // Of one whose COMMIT was not answered it is the name that this client has given it.
    if (!this.#isInDoubt) this.#resumedBytes = this.#options.source.size;
    this.#end(circuit, { alreadyThere: !this.#isInDoubt });
  }

  #isThere(circuit: Circuit): Promise<boolean> {
    return isThere(circuit, { ...this.#options, cut: this.#cut, offered: this.#offered });
  }

  /** What READY says of the file, told to whoever hears of progress. Throws `PEER_PROTOCOL`. */
  #begin(ready: AnswerOf<'ready'>): PieceMap {
    const { source, onEvent } = this.#options;
    const algorithm = chosenDigest(ready.digest, this.#offered);
    this.#cut.digestBy(algorithm);
    this.#ahead = ready.ahead ? algorithm : undefined;
    const { pieces, leftBytes } = piecesAt(ready, this.#cut, source);
    this.#bytes = leftBytes;
    if (this.#resumedBytes === undefined) onEvent({ kind: 'started', size: source.size, leftBytes });
    else this.#tellProgress();
    // What an unanswered COMMIT left there is of this run.
    this.#resumedBytes ??= this.#wasInDoubt ? 0 : leftBytes;
    return pieces;
  }

  #tellProgress(): void {
    this.#options.onEvent({ kind: 'progress', bytes: this.#bytes, size: this.#options.source.size });
  }

  /** The file is at its place. */
  #end({ hops, key }: Circuit, { replaced = false, alreadyThere = false }: Partial<Outcome>): void {
    this.#committed = { hops, replaced, alreadyThere, ...proofBy(key?.text) };
  }

  /** Ends the sending for good: no other circuit can mend it. */
  #fail(error: unknown): void {
    this.#fatal ??= asHoplineError(error);
    this.#over.abort();
  }
}
