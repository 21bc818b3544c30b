/**
 * One upload over one circuit: which of its pieces are here, and where they go.
 *
 * Takes pieces that have been verified. What came before a break counts if it was the same
 * client's, and its file is still of the same version. Does not know how pieces arrive.
 * Invariant: until `commit` has settled the file is as it was before.
 * Rules: docs/protocol/requests.md#uploads, docs/resume.md
 */

import type { BigIntStats } from 'node:fs';
import path from 'node:path';
import { HoplineError } from '../../core/errors.ts';
import type { Signal } from '../../core/signal.ts';
import type { GiveBack } from '../../core/work/budget.ts';
import { chooseDigest, type DigestAlgorithm } from '../../io/digests/digest.ts';
import { versionOf } from '../../io/disk/reading/versioned-file.ts';
import { isHeldWhole, WholeTarget } from '../../io/disk/whole/whole-target.ts';
import { FileTarget } from '../../io/disk/writing/file-target.ts';
import type { Voucher } from '../../io/disk/writing/target.ts';
import type { DiskCalls } from '../../io/kernel/libc.ts';
import type { Chunk } from '../../io/legs/blocks.ts';
import { type AnswerOf, maxMissingRanges } from '../../wire/native/messages.ts';
import { judgeWritten } from '../authority/below-rights.ts';
import type { Grant } from '../authority/grant.ts';
import type { NodeContext } from '../context.ts';
import { servedRoot } from '../root.ts';
import type { Claim, Claimant, FinishedUpload } from './claims.ts';
import { beginTarget, isSameUpload, voucherOf } from './earlier-pieces.ts';
import { MissingPieces } from './missing-pieces.ts';
import { checkCut, contentOfPut, countPieces, lengthOfPiece, type PutRequest } from './put-request.ts';
import { checkReplaces, placeUpload, type UploadPlace } from './upload-place.ts';
import type { UploadSlot } from './upload-slots.ts';

/** Whoever sends a PUT. */
interface UploadingClient extends Claimant {
  /** What it may do. */
  readonly grant: Grant;
  /** As `LegLike.sealedBy` of its circuit. */
  readonly sealedBy: string | undefined;
  /** Aborts when its circuit has ended. */
  readonly gone: Signal;
}

export class Upload {
  readonly algorithm: DigestAlgorithm;
  /** How many pieces the file has. */
  readonly pieces: number;
  readonly size: number;
  readonly #put: PutRequest;
  readonly #placed: Placed;
  readonly #giveBack: GiveBack | undefined;
  readonly #target: UploadTarget | undefined;
  readonly #missing: MissingPieces;
  #finished: FinishedUpload | undefined;
  #lastDigest = '';

  private constructor(put: PutRequest, placed: Placed, { target, giveBack, left, finished }: Begun) {
    this.algorithm = placed.algorithm;
    this.size = put.size;
    this.pieces = countPieces(put);
    this.#put = put;
    this.#placed = placed;
    this.#target = target;
    this.#giveBack = giveBack;
    this.#finished = finished;
    this.#missing = new MissingPieces(finished ? 0 : this.pieces, left);
  }

  /**
   * Makes room for the file of a PUT, and reads what an earlier circuit left of it.
   * Throws `UPLOAD_DENIED`, `AUTH_DENIED`, `FILE_DENIED`, `PEER_PROTOCOL`, `LIMIT_UPLOADS` and the codes of a target.
   */
  static async begin(put: PutRequest, node: NodeContext, client: UploadingClient): Promise<Upload> {
    const { uploads, limits } = node;
    if (!uploads.rules) throw new HoplineError('UPLOAD_DENIED', 'the node takes no uploads');
    client.grant.checkWrite(put.name);
    const { maxBytes = Number.POSITIVE_INFINITY } = uploads.rules;
    const most = Math.min(maxBytes, client.grant.rights.maxUploadBytes ?? Number.POSITIVE_INFINITY);
    if (put.size > most) {
      const message = `an upload of ${put.size} bytes is more than the ${most} that the node takes`;
      throw new HoplineError('UPLOAD_DENIED', message, { reason: 'EFBIG' });
    }
    checkCut(put, limits);
    const algorithm = chooseDigest(node.digests, put.digests);
    if (!algorithm) throw new HoplineError('PEER_PROTOCOL', 'the client knows none of the digests that this node has');
    try {
      return await Upload.#place(put, node, client, algorithm);
    } catch (error) {
      // A directory that another upload had made for nothing may have gone from under this one's feet: once more.
      if (!(error instanceof HoplineError && error.code === 'DISK_FAILED' && error.reason === 'ENOENT')) throw error;
      return Upload.#place(put, node, client, algorithm);
    }
  }

  static async #place(
    put: PutRequest,
    node: NodeContext,
    { owner, grant, end, gone, sealedBy }: UploadingClient,
    algorithm: DigestAlgorithm,
  ): Promise<Upload> {
    const { uploads, leftovers, limits } = node;
    const root = servedRoot(node);
    const judge = judgeWritten(grant, root);
    const place = await placeUpload(root, put.name, limits.maxNameBytes, { by: node.hold, judge });
    const made = [...place.made];
    const leave = async (isFinished: boolean) => {
      await place.leave();
      if (!isFinished) await leftovers.add(place.path, owner, made);
    };
    let claim: Claim | undefined;
    try {
      claim = await uploads.claim(place.path, put.upload, { owner, end });
      made.unshift(...leftovers.take(place.path));
      const voucher = voucherOf(put, sealedBy);
      const remember = async (file: BigIntStats, digest: string) => {
        const key = { version: versionOf(file), algorithm: algorithm.name, pieceBytes: limits.pieceBytes, pieces: 1 };
        if (file.size > 0 && file.size <= limits.pieceBytes) (await node.digestCache.open(key)).set(0, digest);
      };
      const placed = { algorithm, place, claim, grant, gone, leave, voucher, remember };
      return await claim.slot.during(Upload.#open(put, node, placed));
    } catch (error) {
      claim?.release();
      await leave(false);
      throw error;
    }
  }

  static async #open(put: PutRequest, { uploads }: NodeContext, placed: Placed): Promise<Upload> {
    const { algorithm, place, claim, grant, gone: signal } = placed;
    const finished = uploads.finished(place.path, put.upload);
    const isSame = finished && isSameUpload(finished, put, placed.voucher);
    if (isSame) return new Upload(put, placed, { finished, left: [] });
    const force = put.force === true && uploads.rules?.force === true && grant.rights.mayReplace;
    const replaces = await checkReplaces(place, force);
    const isSmall = !replaces && isHeldWhole(put);
    const files = isSmall ? await uploads.newFiles(path.dirname(place.way), place.device) : undefined;
    // Without a share the disk's space is not set aside, but taken as content comes.
    const giveBack = files ? undefined : await uploads.reserve(claim.slot.owner, put.size, place.way);
    const { calls } = uploads;
    const disk = giveBack ? calls : withoutReserving(calls);
    const options = { way: place.way, force, replaces, calls: disk, signal };
    const target = files ? new WholeTarget(place.path, options, files) : new FileTarget(place.path, options);
    try {
      const left = await beginTarget(target, contentOfPut(put, place.name, algorithm.name), placed.voucher);
      return new Upload(put, placed, { target, giveBack, left });
    } catch (error) {
      giveBack?.();
      throw error;
    }
  }

  /** What a client needs to know to go on. */
  get ready(): AnswerOf<'ready'> {
    const missing = this.#missing.ranges(maxMissingRanges);
    return { type: 'ready', digest: this.algorithm.name, missing, ahead: true };
  }

  /** What the upload has for as long as it moves bytes. */
  get slot(): UploadSlot {
    return this.#placed.claim.slot;
  }

  /** Whether no piece is missing. */
  get isWhole(): boolean {
    return this.#missing.count === 0;
  }

  /** Whether the file is at its place, since this circuit's COMMIT or an earlier one's. */
  get isFinished(): boolean {
    return this.#finished !== undefined;
  }

  /** Bytes of piece `index`. Throws `PEER_PROTOCOL` if there is no such piece. */
  lengthOf(index: number): number {
    return lengthOfPiece(this.#put, index);
  }

  /** Writes a piece whose digest was compared, unless it is here already; releases its chunks. Throws as a target. */
  async write(index: number, digest: string, chunks: readonly Chunk[]): Promise<void> {
    if (!this.#target || !this.#missing.has(index)) {
      for (const chunk of chunks) chunk.release();
      return;
    }
    this.#lastDigest = digest;
    const vouched = { digest, ...this.#placed.voucher };
    await this.#target.write({ index, position: index * this.#put.pieceBytes, chunks, vouched });
    this.#missing.remove(index);
  }

  /** Makes the file durable and visible. Throws `PEER_PROTOCOL` while pieces are missing, and as a target. */
  async commit(): Promise<FinishedUpload> {
    const { count } = this.#missing;
    if (count > 0) throw new HoplineError('PEER_PROTOCOL', `a COMMIT came ${count} pieces early`);
    if (this.#target && !this.#finished) {
      await this.#placed.place.check();
      await this.#target.commit();
      if (this.#target instanceof WholeTarget && this.#target.settled) {
        await this.#placed.remember(this.#target.settled, this.#lastDigest);
      }
    }
    const replaced = this.#target?.replaces ?? false;
    this.#finished ??= { replaced, size: this.size, voucher: this.#placed.voucher };
    this.#placed.claim.finish(this.#finished);
    return this.#finished;
  }

  /** Lets go of the file; resolves to how many bytes of an unfinished one are kept for the next circuit. Never throws. */
  async end(): Promise<number> {
    if (!this.#finished && this.#missing.count < this.pieces) await this.#target?.giveBack(this.#missingBytes());
    const bytes = this.#finished ? 0 : ((await this.#target?.keep()) ?? 0);
    this.#giveBack?.();
    this.#placed.claim.release();
    await this.#placed.leave(this.#finished !== undefined);
    return bytes;
  }

  *#missingBytes(): Generator<[position: number, bytes: number]> {
    const { pieceBytes } = this.#put;
    for (const [first, count] of this.#missing.ranges()) {
      const position = first * pieceBytes;
      yield [position, Math.min(this.size, (first + count) * pieceBytes) - position];
    }
  }
}

type UploadTarget = FileTarget | WholeTarget;

interface Placed {
  /** Whose word the pieces are that come. */
  readonly voucher: Voucher;
  readonly algorithm: DigestAlgorithm;
  readonly place: UploadPlace;
  readonly claim: Claim;
  readonly grant: Grant;
  readonly gone: Signal;
  /** Takes note of the digest of a small file that is at its place. */
  readonly remember: (file: BigIntStats, digest: string) => Promise<void>;
  /** Lets go of the place. Unless the file is finished, what is left of it is noted. Never throws. */
  readonly leave: (isFinished: boolean) => Promise<void>;
}

interface Begun {
  /** Ends the share of what is set aside. */
  readonly giveBack?: GiveBack | undefined;
  /** Without one, the upload was completed over an earlier circuit. */
  readonly target?: UploadTarget;
  readonly finished?: FinishedUpload;
  readonly left: Iterable<number>;
}

function withoutReserving({ fallocate: _, ...others }: DiskCalls): DiskCalls {
  return others;
}
