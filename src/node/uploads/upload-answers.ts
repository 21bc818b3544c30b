/**
 * The uploads of one circuit: answers PUT, WRITE and COMMIT.
 *
 * A piece is written while the next one arrives, and answered when it is with
 * the system; a disk that fails is told at once, not when the client speaks next.
 * What a client sent ahead of an answer that turned out to be a refusal is refused as well, and the next PUT is taken as it comes.
 * Invariant: at most two pieces are held, one that arrives and one that is being written.
 * Specification: docs/protocol/requests.md#uploads
 */

import { every } from '../../core/clock.ts';
import { asHoplineError, HoplineError } from '../../core/errors.ts';
import { OwnSignal, type Signal } from '../../core/signal.ts';
import { ownerOf } from '../../core/work/budget.ts';
import { PieceBlocks } from '../../io/kernel/piece-blocks.ts';
import type { Chunk } from '../../io/legs/blocks.ts';
import type { LegLike } from '../../io/legs/leg-like.ts';
import { readWithin } from '../../io/rates/limited-leg.ts';
import type { RateLimit } from '../../io/rates/rate.ts';
import { type Message, type RequestOf, refusal } from '../../wire/native/messages.ts';
import { namesOf, type Open } from '../../wire/native/open-message.ts';
import type { Grant } from '../authority/grant.ts';
import type { NodeContext } from '../context.ts';
import { checkCut, lengthOfPiece } from './put-request.ts';
import { Upload } from './received-upload.ts';

export interface ReceiverOptions {
  readonly leg: LegLike;
  readonly open: Open;
  readonly node: NodeContext;
  /** What the client may do. */
  readonly grant: Grant;
  /** Of what comes from the client. */
  readonly rate: RateLimit | undefined;
  /** Sends an answer at once. Throws what broke the leg. */
  readonly send: (message: Message) => Promise<void>;
}

/** Milliseconds after which a client hears that its answer takes time: well within what the least patient one waits. */
const workingMs = 1000;

export class Receiver {
  readonly #options: ReceiverOptions;
  readonly #failed = new OwnSignal();
  #gone: OwnSignal | undefined;
  readonly #blocks = new PieceBlocks();
  #put: RequestOf<'put'> | undefined;
  #upload: Upload | undefined;
  /** Why the last PUT was refused, or a piece of it. */
  #refused: HoplineError | undefined;
  /** Of content, that were written. */
  bytes = 0;
  /** The piece before, until it has been answered. Never rejects. */
  #storing: Promise<void> = Promise.resolve();
  #cancelEnd = () => {};

  constructor(options: ReceiverOptions) {
    this.#options = options;
  }

  /** Aborts when a piece could not be written, with the reason; nothing more is to be waited for then. */
  get failure(): Signal {
    return this.#failed;
  }

  /** Settles when every piece so far has been answered. Throws if one could not be written. */
  async settle(): Promise<void> {
    await this.#storing;
    this.#failed.throwIfAborted();
  }

  /** Begins an upload and ends the one before it. Throws as `Upload.begin`. */
  async put(request: RequestOf<'put'>): Promise<void> {
    const { leg, node, grant, send } = this.#options;
    await this.close();
    this.#put = request;
    this.#refused = undefined;
    // Who has gone may have come back over another circuit: what is left of this one must not get in its way.
    if (leg.failure) throw leg.failure;
    const owner = ownerOf(leg.address?.host ?? leg.peer);
    const end = (reason: HoplineError) => this.#end(reason);
    const client = { owner, grant, sealedBy: leg.sealedBy, end, gone: this.#untilGone() };
    this.#upload = await this.#working(() => Upload.begin(request, node, client)).catch((error) => {
      this.#refused = asHoplineError(error);
      throw error;
    });
    const { ready } = this.#upload;
    const missing = ready.missing.reduce((sum, [, count]) => sum + count, 0);
    node.log.info({ ...this.#fields(), bytes: request.size, missing, pieces: this.#upload.pieces }, 'upload begun');
    await send(ready);
  }

  /** Takes a piece. Throws `HASH_MISMATCH` if it is not what its digest says, `PEER_PROTOCOL`, and what broke the leg. */
  async write({ index, digest }: RequestOf<'write'>): Promise<void> {
    const { rate } = this.#options;
    if (!this.#upload && this.#put && this.#refused) return this.#drop(index, this.#put, this.#refused);
    const upload = this.#current('WRITE');
    const block = this.#blocks.take(upload.lengthOf(index));
    const hasher = upload.algorithm.start();
    // The time for which the limit holds it back is not the client's.
    const within = rate && {
      allow: (wanted: number) => upload.slot.during(rate.allow(wanted, this.#failed)),
      giveBack: (bytes: number) => rate.giveBack(bytes),
    };
    try {
      await this.#fill(block.bytes, within, (part) => {
        upload.slot.moved(part.length);
        hasher.update(part);
      });
      const isRight = hasher.digest() === digest;
      await this.settle();
      if (!isRight) {
        this.#refused = new HoplineError('HASH_MISMATCH', `piece ${index} came damaged`);
        throw this.#refused;
      }
      this.#storing = this.#store(upload, { index, digest, block });
    } catch (error) {
      block.release();
      throw error;
    }
  }

  /** Takes a piece of an upload that was refused, for the sake of what follows it, and refuses it as well. */
  async #drop(index: number, put: RequestOf<'put'>, refused: HoplineError): Promise<void> {
    const { node, open, rate, send } = this.#options;
    checkCut(put, node.limits);
    const length = lengthOfPiece(put, index);
    const memory = Buffer.allocUnsafeSlow(Math.min(length, node.limits.maxBlockBytes));
    for (let left = length; left > 0; left -= memory.length) await this.#fill(memory.subarray(0, left), rate, () => {});
    await send(refusal(refused, open.hop));
  }

  /** Fills `memory` with raw bytes that follow a WRITE, and shows each part of them to `see`. */
  async #fill(memory: Buffer, within: Parameters<typeof readWithin>[0], see: (part: Buffer) => void): Promise<void> {
    const { leg } = this.#options;
    const signal = this.#failed;
    for (let filled = 0; filled < memory.length; ) {
      const rest = memory.subarray(filled);
      const read = (allowed: number) => leg.readInto(rest.subarray(0, allowed), signal);
      const count = await readWithin(within, rest.length, signal, read);
      if (count === 0) throw new HoplineError('PEER_LOST', `${leg.peer} ended in the middle of a piece`);
      see(rest.subarray(0, count));
      filled += count;
    }
  }

  /** Makes the file of the upload visible. Throws `PEER_PROTOCOL` while pieces are missing, and as a target. */
  async commit(): Promise<void> {
    const { node, open, send } = this.#options;
    if (this.#refused && !this.#upload?.isWhole) return send(refusal(this.#refused, open.hop));
    const upload = this.#current('COMMIT');
    const { isFinished } = upload;
    const { replaced } = await this.#working(() => upload.slot.during(upload.commit()));
    this.#upload = undefined;
    this.#refused = undefined;
    await upload.end();
    if (!isFinished) {
      node.metrics.uploaded += 1;
      node.log.info({ ...this.#fields(), bytes: upload.size, pieces: upload.pieces, replaced }, 'file uploaded');
    }
    await send({ type: 'committed', replaced });
  }

  /** Ends an unfinished upload; what came of it waits for the next circuit. Never throws. */
  async close(): Promise<void> {
    this.#cancelEnd();
    const upload = this.#upload;
    if (!upload) return;
    this.#upload = undefined;
    await this.#storing;
    const bytes = await upload.end();
    this.#options.node.log.info({ ...this.#fields(), kept: bytes, of: upload.size }, 'upload ended unfinished');
  }

  /** Does what a client waits for, and tells it every now and then that this is under way. Throws what `work` does. */
  #working<Result>(work: () => Promise<Result>): Promise<Result> {
    const { node, send } = this.#options;
    // What broke the leg shows elsewhere.
    const stop = every(node.clock, workingMs, () => send({ type: 'working' }).catch(() => {}));
    return work().finally(stop);
  }

  /** Aborts when the client is gone. Most circuits upload nothing, and need none. */
  #untilGone(): Signal {
    if (this.#gone) return this.#gone;
    const { leg } = this.#options;
    const gone = new OwnSignal();
    this.#gone = gone;
    void leg.closed.then(() => gone.abort(new HoplineError('PEER_LOST', `${leg.peer} is gone`)));
    return gone;
  }

  /** Ends the circuit: a client that goes on over another one does not listen any more, any other is told why. */
  #end(reason: HoplineError): void {
    if (reason.code === 'PEER_LOST') this.#options.leg.destroy(reason);
    else this.#fail(reason);
  }

  /** The client is told instead of what it asks next. One that takes its time over an answer may not hold file and memory so long. */
  #fail(reason: HoplineError): void {
    if (this.#failed.aborted) return;
    const { leg, node } = this.#options;
    this.#failed.abort(reason);
    this.#cancelEnd = node.clock.after(node.limits.lingerMs, () => leg.destroy(reason));
  }

  #current(what: string): Upload {
    if (this.#upload) return this.#upload;
    throw new HoplineError('PEER_PROTOCOL', `a ${what} came without an upload`);
  }

  async #store(upload: Upload, { index, digest, block }: StoredPiece): Promise<void> {
    const { node, send } = this.#options;
    try {
      await upload.slot.during(upload.write(index, digest, [block]));
      this.bytes += upload.lengthOf(index);
      node.metrics.moved.origin.process.forward += upload.lengthOf(index);
      await send({ type: 'stored', index });
    } catch (error) {
      this.#fail(asHoplineError(error));
    }
  }

  #fields(): object {
    const { leg, open } = this.#options;
    return { peer: leg.peer, ...namesOf(open) };
  }
}

interface StoredPiece {
  readonly index: number;
  readonly digest: string;
  readonly block: Chunk;
}
