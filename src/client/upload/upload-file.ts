/**
 * One file on its way to an origin: what is known of it there, and the last word that makes it visible.
 *
 * Each circuit begins with PUT and learns what is missing at its origin. Owns
 * the digests of the file. Does not know how pieces go over a circuit.
 * Invariant: progress counts what an origin has acknowledged, and nothing else.
 * Specification: docs/protocol/requests.md#uploads
 */

import { randomBytes } from 'node:crypto';
import { asHoplineError, HoplineError } from '../../core/errors.ts';
import type { Limits } from '../../core/limits.ts';
import { OwnSignal, type Signal } from '../../core/signal.ts';
import { availableDigests, type DigestAlgorithm, digestOfPieces, ownDigest } from '../../io/digests/digest.ts';
import type { Vouched } from '../../io/disk/writing/target.ts';
import type { AnswerOf, Message } from '../../wire/native/messages.ts';
import type { Circuit } from '../circuit/circuit.ts';
import { type Proof, proofBy } from '../download-result.ts';
import { digestsAhead } from '../pieces/asking-ahead.ts';
import { PieceMap } from '../pieces/piece-map.ts';
import { PieceWindow } from '../pieces/piece-window.ts';
import { checkStatus, chosenDigest, requestStatus } from '../pieces/receive-piece.ts';
import type { UploadedFile } from '../upload-result.ts';
import { PieceSender, type SendFileOptions } from './upload-pieces.ts';

export class FileSend {
  readonly #options: SendFileOptions;
  readonly #offered = availableDigests();
  readonly #upload = randomBytes(16).toString('hex');
  readonly #over = new OwnSignal();
  readonly #pieceBytes: number;
  readonly #pieces: number;
  #algorithm: DigestAlgorithm | undefined;
  #digests: (string | undefined)[];
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
    const { size } = options.source;
    this.#pieceBytes = choosePieceBytes(size, options.client.limits);
    this.#pieces = Math.ceil(size / this.#pieceBytes);
    this.#digests = new Array(this.#pieces);
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
    const resumedBytes = this.#resumedBytes ?? 0;
    const wastedBytes = Math.max(0, this.#sentBytes - (this.#options.source.size - resumedBytes));
    const digests = { pieces: this.#pieces, piecesDigest: await this.#digest() };
    return { ...this.#committed, ...digests, digest: ownDigest(digests), resumedBytes, wastedBytes };
  }

  /** Bytes that the origin has acknowledged last, and keeps for a later run: it keeps no books of a file of one piece. */
  get keptBytes(): number {
    return this.#pieces > 1 ? this.#bytes : 0;
  }

  #ask(): Message {
    return requestStatus(this.#options.file, this.#offered);
  }

  #put(): Message {
    const { file, source, force } = this.#options;
    const { size, version } = source;
    const put = { type: 'put', name: file, size, pieceBytes: this.#pieceBytes, version, upload: this.#upload } as const;
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
    const algorithm = chosenDigest(ready.digest, this.#offered);
    if (algorithm.name !== this.#algorithm?.name) this.#digests = new Array(this.#pieces);
    this.#algorithm = algorithm;
    const pieces = this.#piecesAt(ready);
    const onStored = (index: number, digest: string) => {
      this.#digests[index] = digest;
      this.#bytes += this.#lengthOf(index);
      // An origin that loses again what it had must not be sent it for ever.
      if (this.#bytes > this.#mostBytes) circuits.progressed(circuit);
      this.#mostBytes = Math.max(this.#mostBytes, this.#bytes);
      this.#tellProgress();
    };
    const task = { ...this.#options, pieceBytes: this.#pieceBytes, algorithm, pieces, onStored };
    const sender = new PieceSender(circuit, task);
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
    const algorithm = checkStatus(status, this.#offered, client.limits);
    if (algorithm.name !== this.#algorithm?.name) this.#digests = new Array(this.#pieces);
    this.#algorithm = algorithm;
    const rangeOf = (index: number) => ({ offset: index * this.#pieceBytes, length: this.#lengthOf(index) });
    const window = new PieceWindow<number>(client.limits.maxReadsAhead, client.limits);
    const next = this.#digests.keys();
    const buffer = this.#newBuffer();
    let isSame = true;
    for (let came = 0; ; came += 1) {
      // All answers are taken, also behind one that differs: the circuit may be used for something else then.
      const ahead = window.askAhead(() => (isSame ? next.next().value : undefined), digestsAhead(came, client.limits));
      circuit.send(ahead.map((index) => ({ type: 'digest', ...rangeOf(index), version: status.version }) as const));
      const [index] = window.due;
      if (index === undefined) return isSame;
      const bytes: Buffer | undefined = isSame ? await source.readPiece(buffer, rangeOf(index).offset) : undefined;
      const { digest } = await circuit.receive('end', file);
      window.shift();
      if (bytes) this.#digests[index] = algorithm.digestOf(bytes).toString('hex');
      isSame &&= this.#digests[index] === digest;
    }
  }

  /** The pieces, of which all that the origin does not miss have arrived. Throws `PEER_PROTOCOL` for some that the file has not. */
  #piecesAt({ missing }: AnswerOf<'ready'>): PieceMap {
    const { source, onEvent } = this.#options;
    const there = new Map<number, Vouched>();
    let leftBytes = 0;
    let end = 0;
    for (const [first, count] of [...missing, [this.#pieces, 0] as const]) {
      if (first < end || count > this.#pieces - first) {
        throw new HoplineError('PEER_PROTOCOL', 'the origin misses pieces that the file does not have');
      }
      for (; end < first; end += 1) {
        there.set(end, { digest: this.#digests[end] ?? '', version: source.version });
        leftBytes += this.#lengthOf(end);
      }
      end = first + count;
    }
    this.#bytes = leftBytes;
    if (this.#resumedBytes === undefined) onEvent({ kind: 'started', size: source.size, leftBytes });
    else this.#tellProgress();
    this.#resumedBytes ??= leftBytes;
    return new PieceMap(this.#pieces, there);
  }

  #tellProgress(): void {
    this.#options.onEvent({ kind: 'progress', bytes: this.#bytes, size: this.#options.source.size });
  }

  #lengthOf(index: number): number {
    return Math.min(this.#pieceBytes, this.#options.source.size - index * this.#pieceBytes);
  }

  #newBuffer(): Buffer {
    return Buffer.allocUnsafeSlow(Math.min(this.#options.source.size, this.#pieceBytes));
  }

  /** Of the pieces that an earlier run had sent the digests are not known yet. */
  async #digest(): Promise<UploadedFile['piecesDigest']> {
    const { source, client } = this.#options;
    const algorithm = this.#algorithm;
    if (!algorithm) return null;
    try {
      const buffer = this.#newBuffer();
      for (let index = 0; index < this.#pieces; index += 1) {
        if (this.#digests[index] !== undefined) continue;
        client.signal.throwIfAborted();
        const bytes = await source.readPiece(buffer, index * this.#pieceBytes);
        this.#digests[index] = algorithm.digestOf(bytes).toString('hex');
      }
    } catch {
      return null;
    }
    return { algorithm: algorithm.name, hex: digestOfPieces(this.#digests as string[], algorithm) };
  }

  /** Ends the sending for good: no other circuit can mend it. */
  #fail(error: unknown): void {
    this.#fatal ??= asHoplineError(error);
    this.#over.abort();
  }
}

/** The client's own cut, in larger pieces where these would be too many. */
function choosePieceBytes(size: number, { pieceBytes, maxReadBytes, maxUploadPieces }: Limits): number {
  let chosen = pieceBytes;
  while (Math.ceil(size / chosen) > maxUploadPieces && chosen * 2 <= maxReadBytes) chosen *= 2;
  if (Math.ceil(size / chosen) <= maxUploadPieces) return chosen;
  throw new HoplineError('USAGE_INVALID', `an upload has at most ${chosen * maxUploadPieces} bytes, not ${size}`);
}
