/**
 * Content that leaves a secure leg in records of its own: sealed in the memory that it was read into, and sent from there.
 *
 * Knows the sealer that it borrows, and a sender past Node's stream; does not know where content comes from.
 * Invariant: a record that was begun is sent whole, or the circuit is broken; memory is one block, whatever is sent.
 */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { asHoplineError, type HoplineError } from '../core/errors.ts';
import type { KernelEngine } from '../io/kernel/engine.ts';
import type { FileSender } from '../io/kernel/file-sender.ts';
import type { Leg } from '../io/legs/leg.ts';
import type { ContentSender } from '../io/legs/leg-like.ts';
import { tagBytes } from './records/aead.ts';
import { type RecordSealer, recordHeaderBytes } from './records/record.ts';
import type { SealedWrites } from './records/sealed-writes.ts';

/** Read, sealed and sent while they are near the processor. */
const blockBytes = 256 * 1024;
/** Before a block, so that the block begins at a page; its end holds the header of the record. */
const room = 4096;
/** What may leave without a wait before others have their turn. */
const turnBytes = 1024 * 1024;

interface SealedContentOptions {
  /** What the records pass on. */
  readonly leg: Leg;
  readonly writes: SealedWrites;
  /** Breaks the circuit. */
  readonly fail: (error: HoplineError) => void;
}

export class SealedContent implements ContentSender {
  readonly #sender: FileSender;
  readonly #options: SealedContentOptions;
  readonly #memory = Buffer.allocUnsafeSlow(room + blockBytes + tagBytes);
  #sinceTurn = 0;

  private constructor(sender: FileSender, options: SealedContentOptions) {
    this.#sender = sender;
    this.#options = options;
  }

  /** Undefined where the leg has no descriptor now. */
  static open(kernel: KernelEngine, options: SealedContentOptions): SealedContent | undefined {
    const { leg } = options;
    const socket = kernel.duplicate(leg.descriptor);
    if (!socket) return undefined;
    const sender = kernel.openSender(socket, leg.peer);
    void leg.closed.then(() => sender.close());
    return new SealedContent(sender, options);
  }

  async send(head: Buffer | undefined, length: number, fill: (block: Buffer) => Promise<void>): Promise<void> {
    const { writes, fail } = this.#options;
    const sealer = writes.lend((head?.length ?? 0) + length);
    try {
      if (head) await this.#sendBytes(sealer.seal([head]), length > 0);
      for (let left = length; left > 0; ) {
        const bytes = Math.min(left, writes.nextContentBytes());
        await this.#sendRecord(sealer, bytes, fill);
        left -= bytes;
      }
    } catch (cause) {
      const error = asHoplineError(cause);
      writes.close(error);
      fail(error);
      throw error;
    } finally {
      writes.takeBack();
    }
  }

  async #sendRecord(sealer: RecordSealer, length: number, fill: (block: Buffer) => Promise<void>): Promise<void> {
    const memory = this.#memory;
    let from = room - recordHeaderBytes;
    const box = sealer.begin(length, memory.subarray(from, room));
    for (let left = length; left > 0; from = room) {
      const block = memory.subarray(room, room + Math.min(left, blockBytes));
      await fill(block);
      box.update(block, block);
      left -= block.length;
      const end = room + block.length;
      if (left === 0) box.finish(memory.subarray(end, end + tagBytes));
      await this.#sendBytes(memory.subarray(from, left === 0 ? end + tagBytes : end), left > 0);
    }
  }

  async #sendBytes(bytes: Buffer, hasMore: boolean): Promise<void> {
    const leaving = this.#sender.sendBytes(bytes, hasMore);
    this.#sinceTurn += bytes.length;
    const isTurn = leaving !== undefined || this.#sinceTurn >= turnBytes;
    if (isTurn) await (leaving ?? nextTurn());
    if (isTurn) this.#sinceTurn = 0;
    this.#options.leg.touch();
  }
}
