/**
 * The content of files on its way to a client: through this process where it must be hashed or sealed, inside the kernel
 * where it need not.
 *
 * Knows ranges of files and the outbox that they go into; does not know
 * which frames stand around a range.
 * Invariant: a length that was promised is sent whole. What a file no longer
 * has is sent as zeros, and the error thrown says so.
 */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { asHoplineError, type HoplineError } from '../../core/errors.ts';
import type { MovedBytes } from '../../core/metrics.ts';
import type { FileRange } from '../../io/disk/reading/read-blocks.ts';
import { changed, type VersionedFile } from '../../io/disk/reading/versioned-file.ts';
import type { KernelEngine } from '../../io/kernel/engine.ts';
import type { FileSender } from '../../io/kernel/file-sender.ts';
import type { LegLike } from '../../io/legs/leg-like.ts';
import type { RateLimit } from '../../io/rates/rate.ts';
import type { Outbox } from './outbox.ts';

/** Bytes below which a copy costs less than the calls that would save it. */
const minKernelBytes = 64 * 1024;

/** A range, and the frames that go ahead of it. */
export interface FramedRange extends FileRange {
  readonly head: Buffer;
}

interface ContentWriterOptions {
  readonly kernel: KernelEngine | undefined;
  readonly rate: RateLimit | undefined;
  readonly moved: MovedBytes['origin'];
}

export class ContentWriter {
  readonly #leg: LegLike;
  readonly #outbox: Outbox;
  readonly #kernel: KernelEngine | undefined;
  readonly #rate: RateLimit | undefined;
  #sender: FileSender | undefined;
  #isClosed = false;
  readonly #moved: MovedBytes['origin'];
  #bytes = 0;
  #usesKernel = false;

  /** `rate` is the one that the outbox writes at; what is sent is added to `moved`. */
  constructor(leg: LegLike, outbox: Outbox, { kernel, rate, moved }: ContentWriterOptions) {
    this.#leg = leg;
    this.#outbox = outbox;
    this.#kernel = kernel;
    this.#rate = rate;
    this.#moved = moved;
  }

  /** Whether content has left inside the kernel. */
  get usesKernel(): boolean {
    return this.#usesKernel;
  }

  /** Of content, that are on their way or have left. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Sends a range that nobody needs to see, and what `next` says follows it, where that can be without another step in between;
   * the rest is left to the caller. Throws `FILE_CHANGED`, `FILE_UNREADABLE`, what `next` throws, or what broke the leg.
   */
  async send(served: VersionedFile, range: FileRange, next: () => FramedRange | undefined): Promise<void> {
    const { offset, length } = range;
    // Frames that nothing is ahead of leave past the outbox too, together with the content.
    const head = length >= minKernelBytes && this.#sender && !this.#rate ? this.#outbox.take() : undefined;
    const sender = head ? this.#sender : length >= minKernelBytes ? await this.#openSender() : undefined;
    if (!sender) return this.sendSeen(served, range, () => {});
    let last = length;
    const onSlice = (bytes: number) => {
      this.#leg.touch();
      this.#count('kernel', bytes);
    };
    const goOn = (isNewTurn: boolean) => {
      // What leaves in one turn does so within a millisecond or two: to look at the file for each piece costs as much as to send it.
      if (isNewTurn) served.check();
      // At a limited rate frames count as well, and go by way of the outbox.
      const following = this.#rate ? undefined : next();
      if (following) last = following.length;
      return following;
    };
    const sent = await sender.send({ file: served.handle, offset, length, head }, onSlice, goOn);
    if (sent < last) {
      await this.sendZeros(last - sent);
      throw changed();
    }
    served.check();
  }

  /** Sends a range and shows it to `see`, block by block. Throws as `send`; then not all that was shown may be right. */
  async sendSeen(served: VersionedFile, { offset, length }: FileRange, see: (block: Buffer) => void): Promise<void> {
    let failure: HoplineError | undefined;
    let position = offset;
    const fill = async (block: Buffer) => {
      failure ??= await this.#read(served, block, position);
      if (failure) block.fill(0);
      else see(block);
      position += block.length;
      this.#count('process', block.length);
    };
    if (!(await this.#sendSealed(length, fill))) await this.#gather(length, fill);
    if (failure) throw failure;
    served.check();
  }

  /** Sends bytes of no file. Throws what broke the leg. */
  sendZeros(length: number): Promise<void> {
    return this.#gather(length, async (block) => {
      block.fill(0);
      this.#count('process', block.length);
    });
  }

  /** Lets go of the descriptor; the leg stays as it is. */
  close(): void {
    this.#isClosed = true;
    this.#sender?.close();
  }

  /** Why a block could not be filled with what the file has at `position`; undefined where it was. */
  async #read(served: VersionedFile, block: Buffer, position: number): Promise<HoplineError | undefined> {
    // What memory has is here at once, and still in the processor's caches when it is sealed; a thread would take it out of them.
    const cached = this.#kernel?.readCached(served.handle.fd, block, position) ?? 0;
    if (cached === block.length) return undefined;
    return served.readFully(block.subarray(cached), position + cached).then(() => undefined, asHoplineError);
  }

  /** Sends what `fill` brings by way of the outbox. */
  async #gather(length: number, fill: (block: Buffer) => Promise<void>): Promise<void> {
    for (let left = length; left > 0; ) {
      const block = await this.#outbox.room(left);
      await fill(block);
      this.#outbox.advance(block.length);
      left -= block.length;
      // Neither reading nor writing may have waited, and others have a turn all the same.
      if (left > 0) await nextTurn();
    }
  }

  /** The same past the outbox where the leg seals, and nothing limits it; false where there is no such way. */
  async #sendSealed(length: number, fill: (block: Buffer) => Promise<void>): Promise<boolean> {
    if (!this.#kernel || !this.#leg.openContent || this.#rate || length < minKernelBytes) return false;
    const head = this.#outbox.take();
    if (!head) await this.#outbox.drain();
    const sender = this.#leg.openContent(this.#kernel, (head?.length ?? 0) + length);
    if (sender) await sender.send(head, length, fill);
    else if (head) await this.#leg.write(head);
    return sender !== undefined;
  }

  /** What sends files inside the kernel, once everything before has left; undefined where there is no such way. */
  async #openSender(): Promise<FileSender | undefined> {
    if (!this.#kernel || this.#leg.openContent) return undefined;
    await this.#outbox.drain();
    if (this.#sender || this.#isClosed) return this.#sender;
    const socket = this.#kernel.duplicate(this.#leg.descriptor);
    if (!socket) return undefined;
    const sender = this.#kernel.openSender(socket, this.#leg.peer, this.#rate);
    void this.#leg.closed.then(() => sender.close());
    this.#sender = sender;
    return sender;
  }

  #count(path: 'kernel' | 'process', bytes: number): void {
    this.#bytes += bytes;
    this.#moved[path].back += bytes;
    if (path === 'kernel') this.#usesKernel = true;
  }
}
