/**
 * The bytes on their way from an origin to its client: frames and content, gathered in blocks.
 *
 * Two blocks in turn: one is filled while the other is written. Small answers
 * share a block, and so a segment; whoever fills it says when to send.
 * Invariant: memory is two blocks, small until content needs them large.
 */

import type { Clock } from '../../core/clock.ts';
import type { Writer } from '../../io/rates/limited-leg.ts';

const firstBlockBytes = 16 * 1024;

export class Outbox {
  readonly #writer: Writer;
  readonly #maxBlockBytes: number;
  readonly #clock: Clock;
  readonly #blocks: Buffer[] = [];
  readonly #writes: Promise<void>[] = [];
  #turn = 0;
  #filled = 0;
  /** Since when something has been gathered. */
  #sinceMs = 0;
  /** Blocks on their way. */
  #leaving = 0;

  constructor(writer: Writer, maxBlockBytes: number, clock: Clock) {
    this.#writer = writer;
    this.#maxBlockBytes = maxBlockBytes;
    this.#clock = clock;
  }

  /** For how many milliseconds what has been gathered has waited; 0 if there is nothing. */
  get waitedMs(): number {
    return this.#filled === 0 ? 0 : this.#clock.now() - this.#sinceMs;
  }

  /** Appends a copy of `bytes`. Throws what broke the leg. */
  async append(bytes: Buffer): Promise<void> {
    for (let copied = 0; copied < bytes.length; ) {
      const room = await this.room(bytes.length - copied);
      copied += bytes.copy(room, 0, copied);
      this.advance(room.length);
    }
  }

  /** A place for the next bytes, at most `length` of them: to be filled, then counted by `advance`. Throws what broke the leg. */
  async room(length: number): Promise<Buffer> {
    if (this.#filled > 0 && this.#filled === this.#blocks[this.#turn]?.length) this.flush();
    await this.#writes[this.#turn];
    let block = this.#blocks[this.#turn];
    if (!block || (this.#filled === 0 && block.length < Math.min(length, this.#maxBlockBytes))) {
      const bytes = length > firstBlockBytes ? this.#maxBlockBytes : firstBlockBytes;
      block = Buffer.allocUnsafeSlow(Math.min(bytes, this.#maxBlockBytes));
      this.#blocks[this.#turn] = block;
    }
    return block.subarray(this.#filled, Math.min(block.length, this.#filled + length));
  }

  advance(length: number): void {
    if (this.#filled === 0) this.#sinceMs = this.#clock.now();
    this.#filled += length;
  }

  /**
   * What has been gathered, for the caller to send past the writer; nothing while anything is on its way. It must have left
   * before more is gathered.
   */
  take(): Buffer | undefined {
    if (this.#filled === 0 || this.#leaving > 0) return undefined;
    const taken = (this.#blocks[this.#turn] as Buffer).subarray(0, this.#filled);
    this.#filled = 0;
    return taken;
  }

  /** Sends what has been gathered; a failure is thrown by whoever waits for the block next. */
  flush(): void {
    if (this.#filled === 0) return;
    const write = this.#writer.write((this.#blocks[this.#turn] as Buffer).subarray(0, this.#filled));
    this.#leaving += 1;
    const left = () => {
      this.#leaving -= 1;
    };
    write.then(left, left);
    this.#writes[this.#turn] = write;
    this.#turn = 1 - this.#turn;
    this.#filled = 0;
  }

  /** Settles when the kernel has everything. Throws what broke the leg. */
  async drain(): Promise<void> {
    this.flush();
    await Promise.all(this.#writes);
  }
}
