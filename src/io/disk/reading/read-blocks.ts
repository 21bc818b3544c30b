/** Reading a part of an open file: whole into one buffer, or block by block; less where the file ends before. */

/** An open file, as far as reading it takes. */
export interface ReadableFile {
  /** None that anybody has, once it is closed. */
  readonly fd: number;
  read(buffer: Buffer, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }>;
  close(): Promise<void>;
}

export interface FileRange {
  /** Bytes. */
  readonly offset: number;
  readonly length: number;
}

/** Fills `buffer` from `position` on; resolves to how much of it the file has. Throws what the system says. */
export async function fill(handle: ReadableFile, buffer: Buffer, position: number): Promise<number> {
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}

/** The range in blocks; `next` gives the memory for one, of which the last may need less. Throws what `fill` and `next` do. */
export async function* readBlocks(
  handle: ReadableFile,
  { offset, length }: FileRange,
  next: (left: number) => Buffer,
): AsyncGenerator<Buffer, void> {
  for (let done = 0; done < length; ) {
    const block = next(length - done).subarray(0, length - done);
    const filled = await fill(handle, block, offset + done);
    if (filled > 0) yield block.subarray(0, filled);
    if (filled < block.length) return;
    done += filled;
  }
}
