/**
 * Records: the header that stands before what was sealed, and the two ends of one direction.
 *
 * Owns the memory of the records. Does not know sockets or handshakes.
 * Invariant: no byte is given out before the tag over it was right; a length is judged before memory of it is taken; after
 * a failure nothing more is opened.
 * Format: docs/protocol/encryption.md#records
 */

import { HoplineError } from '../../core/errors.ts';
import type { Chunk } from '../../io/legs/blocks.ts';
import { type BoxOpener, type BoxSealer, tagBytes } from './aead.ts';
import { type DirectionOptions, SealedDirection } from './sealed-direction.ts';

/** Never the first byte of UTF-8, nor of a frame. */
export const firstRecordByte = 0xfe;
export const recordHeaderBytes = 8;
/** What a client's record holds at most: a node has memory for one of each circuit. */
export const maxClientContent = 64 * 1024;
/** What a node's record holds at most: a piece, and frames around it. */
export const maxNodeContent = 1024 * 1024 + 64 * 1024;

export const recordKinds = { first: 1, answer: 2, data: 3 } as const;

interface RecordHeader {
  readonly kind: number;
  readonly pattern: number;
  /** Of what follows. */
  readonly length: number;
}

export function encodeRecordHeader({ kind, pattern, length }: RecordHeader): Buffer {
  const header = Buffer.alloc(recordHeaderBytes);
  header[0] = firstRecordByte;
  header[1] = kind;
  header[2] = pattern;
  header.writeUInt32BE(length, 4);
  return header;
}

/** Undefined for what is no header. */
export function decodeRecordHeader(header: Buffer): RecordHeader | undefined {
  const [first, kind, pattern, reserved] = header;
  if (header.length !== recordHeaderBytes || first !== firstRecordByte || reserved !== 0) return undefined;
  if (kind === undefined || pattern === undefined) return undefined;
  return { kind, pattern, length: header.readUInt32BE(4) };
}

export class RecordSealer {
  readonly maxContent: number;
  readonly #direction: SealedDirection;
  #memory = Buffer.alloc(0);
  #box: BoxSealer | undefined;

  constructor(options: DirectionOptions) {
    this.maxContent = options.maxContent;
    this.#direction = new SealedDirection(options);
  }

  /** Records one behind the other, each of its parts, in memory that the next are sealed into; one without any is the end of the direction. */
  seal(...records: readonly (readonly Buffer[])[]): Buffer {
    const lengths = records.map((parts) => parts.reduce((sum, part) => sum + part.length, 0));
    const headers = lengths.map((length) => this.#headerOf(length));
    const whole = lengths.reduce((sum, length) => sum + recordHeaderBytes + length + tagBytes, 0);
    if (this.#memory.length < whole) {
      const largest = Math.max(whole, recordHeaderBytes + this.maxContent + tagBytes);
      this.#memory = Buffer.allocUnsafeSlow(Math.min(roomFor(whole), largest));
    }
    let at = 0;
    for (const [index, header] of headers.entries()) {
      header.copy(this.#memory, at);
      const box = this.#memory.subarray(
        at + recordHeaderBytes,
        at + recordHeaderBytes + (lengths[index] as number) + tagBytes,
      );
      const { key, counter } = this.#direction.next();
      this.#direction.aead.seal(key, counter, header, records[index] as readonly Buffer[], box);
      at += recordHeaderBytes + box.length;
    }
    return this.#memory.subarray(0, whole);
  }

  /** Begins a record of `length` bytes that come in parts, and writes its header; what it gives seals them in place, and then the tag. */
  begin(length: number, header: Buffer): Pick<BoxSealer, 'update' | 'finish'> {
    this.#headerOf(length).copy(header);
    const { key, counter } = this.#direction.next();
    this.#box ??= this.#direction.aead.newSealer();
    this.#box.begin(key, counter, header);
    return this.#box;
  }

  forget(): void {
    this.#direction.forget();
    this.#box?.close();
  }

  #headerOf(length: number): Buffer {
    if (length > this.maxContent) throw new HoplineError('INTERNAL', `a record of ${length} bytes`);
    return encodeRecordHeader({ kind: recordKinds.data, pattern: 0, length: length + tagBytes });
  }
}

/** What came of some bytes: how many belong to the record at hand, and what it says once it is whole. */
export interface Opened {
  readonly used: number;
  /** Empty at the end of the direction. */
  readonly content?: Chunk;
}

/** A record with so much content waits behind its header until it is said where that goes. No client sends such. */
const minPlacedBytes = 2 * maxClientContent;

const nowhere = Buffer.alloc(0);

/** Memory for records that nobody holds: who writes to disk gives several back at once, and new memory costs more than the cipher. */
const maxFreeBlocks = 16;

export class RecordOpener {
  readonly #maxContent: number;
  readonly #direction: SealedDirection;
  readonly #box: BoxOpener;
  readonly #header = Buffer.alloc(recordHeaderBytes);
  readonly #tag = Buffer.alloc(tagBytes);
  readonly #free: Buffer[] = [];
  #blockBytes = 0;
  /** What the content at hand goes into; undefined for memory that somebody else has the use of. */
  #block: Buffer | undefined;
  #content: Buffer | undefined;
  /** Bytes of content in the record at hand, and how many bytes of the record are here. */
  #length = 0;
  #filled = 0;
  #isBroken = false;

  constructor(options: DirectionOptions) {
    this.#maxContent = options.maxContent;
    this.#direction = new SealedDirection(options);
    this.#box = options.aead.newOpener();
  }

  /** Bytes that have come of the record at hand. */
  get filled(): number {
    return this.#filled;
  }

  /** Bytes of the record at hand that have not come yet, as far as is known. */
  get due(): number {
    return this.#filled < recordHeaderBytes ? 0 : recordHeaderBytes + this.#length + tagBytes - this.#filled;
  }

  /** Bytes of content of the record at hand, if it waits for a place; otherwise 0. */
  get unplaced(): number {
    const isWaiting = this.#filled === recordHeaderBytes && !this.#content;
    return isWaiting ? this.#length : 0;
  }

  /** Where more of a large record's content may be received, to be taken from there and opened in place; empty where none may. */
  get room(): Buffer {
    const isOpen = this.#length >= minPlacedBytes && this.#content !== undefined && !this.#isBroken;
    return isOpen ? (this.#content as Buffer).subarray(this.#filled - recordHeaderBytes) : nowhere;
  }

  /** Has the content that waits for a place go into `memory`, of its length. @default memory of its own */
  place(memory?: Buffer): void {
    this.#block = memory ? undefined : this.#takeBlock();
    this.#content = memory ?? this.#block?.subarray(0, this.#length);
    const { key, counter } = this.#direction.next();
    this.#box.begin(key, counter, this.#header, this.#content as Buffer);
  }

  /** The memory that `place` was given is not to be used any more; what was received there and not taken yet moves too. */
  keep(): void {
    if (!this.#content || this.#block || this.#isBroken) return;
    this.#block = this.#takeBlock();
    this.#content = this.#block.subarray(0, this.#length);
    this.#box.moveTo(this.#content);
  }

  /** Takes what belongs to the next record, but nothing behind the header of one that waits for a place. Throws `SECURE_FAILED`, and from then on for anything. */
  take(bytes: Buffer): Opened {
    if (this.#isBroken) throw altered('the circuit has failed already');
    try {
      return this.#take(bytes);
    } catch (error) {
      this.forget();
      throw error;
    }
  }

  forget(): void {
    this.#isBroken = true;
    this.#box.close();
    this.#direction.forget();
  }

  /** The content is opened as it comes, out of the memory that it was read into. */
  #take(bytes: Buffer): Opened {
    let used = 0;
    if (this.#filled < recordHeaderBytes) {
      used = bytes.copy(this.#header, this.#filled, 0, recordHeaderBytes - this.#filled);
      this.#filled += used;
      if (this.#filled < recordHeaderBytes) return { used };
      this.#begin();
      if (this.#length >= minPlacedBytes) return { used };
    }
    if (!this.#content) this.place();
    const due = recordHeaderBytes + this.#length - this.#filled;
    if (due > 0 && used < bytes.length) {
      const part = bytes.subarray(used, used + due);
      this.#box.update(part);
      this.#filled += part.length;
      used += part.length;
    }
    const tagged = this.#filled - recordHeaderBytes - this.#length;
    if (tagged < 0) return { used };
    const copied = bytes.copy(this.#tag, tagged, used, used + tagBytes - tagged);
    this.#filled += copied;
    used += copied;
    return tagged + copied < tagBytes ? { used } : { used, content: this.#finish() };
  }

  #begin(): void {
    const header = decodeRecordHeader(this.#header);
    if (!header || header.kind !== recordKinds.data || header.pattern !== 0) throw altered('it is no record of data');
    const { length } = header;
    if (length < tagBytes || length > this.#maxContent + tagBytes) throw altered(`it has ${length} bytes`);
    this.#length = length - tagBytes;
  }

  #takeBlock(): Buffer {
    if (this.#length > this.#blockBytes) {
      this.#blockBytes = Math.min(roomFor(this.#length), this.#maxContent);
      this.#free.length = 0;
    }
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#blockBytes);
  }

  #finish(): Chunk {
    if (!this.#box.finish(this.#tag)) throw altered('it does not authenticate');
    const [bytes, block] = [this.#content as Buffer, this.#block];
    this.#block = undefined;
    this.#content = undefined;
    this.#filled = 0;
    return { bytes, release: () => block && this.#recycle(block) };
  }

  #recycle(block: Buffer): void {
    if (block.length === this.#blockBytes && this.#free.length < maxFreeBlocks) this.#free.push(block);
  }
}

/** Memory grows by doubling, so that a circuit of small records has little of it. */
function roomFor(length: number): number {
  return Math.max(4096, 2 ** Math.ceil(Math.log2(length)));
}

/** A record is not what the other end sent. */
export function altered(why: string): HoplineError {
  return new HoplineError('SECURE_FAILED', `a record was changed on the way: ${why}`);
}
