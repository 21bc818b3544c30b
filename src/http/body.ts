/**
 * An answer's content as chunks, whatever it comes from: a stream, or an open file.
 *
 * Owns the wait for it: only while somebody waits does the time count, so a slow
 * reader ends nothing.
 * Invariant: content that is shorter than what was announced ends in an error; the body is closed in the end, whatever its outcome.
 */

import type { Readable } from 'node:stream';
import { type Clock, untilAborted, withDeadline } from '../core/clock.ts';
import { HoplineError } from '../core/errors.ts';
import { readBlocks } from '../io/disk/reading/read-blocks.ts';
import { idled } from '../io/legs/loss.ts';
import type { FileBody, HttpAnswer } from './exchange.ts';

const fileChunkBytes = 256 * 1024;

export interface BodyOptions {
  readonly clock: Clock;
  /** How the other side is called in messages. */
  readonly peer: string;
  /** Milliseconds that are waited for the next byte. */
  readonly stallMs: number;
  /** Bytes that were announced. */
  readonly length: number | undefined;
  readonly signal: AbortSignal;
}

/** Throws `PEER_LOST`, `TIMEOUT_IDLE`, the signal's reason, or what the body fails with. */
export async function* readBody({ body }: HttpAnswer, options: BodyOptions): AsyncGenerator<Buffer, void> {
  const { length, peer } = options;
  let bytes = 0;
  for await (const chunk of chunksOf(body, options)) {
    bytes += chunk.length;
    yield chunk;
  }
  if (length !== undefined && bytes !== length) {
    throw new HoplineError('PEER_LOST', `${peer} ended its answer after ${bytes} of ${length} bytes`);
  }
}

function chunksOf(body: HttpAnswer['body'], options: BodyOptions): AsyncIterable<Buffer> | Iterable<Buffer> {
  if (body === undefined) return [];
  if (Buffer.isBuffer(body)) return [body];
  return isFile(body) ? readFile(body) : readStream(body, options);
}

async function* readStream(stream: Readable, options: BodyOptions): AsyncGenerator<Buffer, void> {
  const chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  try {
    for (;;) {
      const next = await nextChunk(chunks, options);
      if (next.done) return;
      yield next.value;
    }
  } finally {
    stream.destroy();
  }
}

function nextChunk(chunks: AsyncIterator<Buffer>, options: BodyOptions): Promise<IteratorResult<Buffer>> {
  const { clock, peer, stallMs, signal } = options;
  const deadline = { clock, ms: stallMs, late: () => idled(peer, stallMs), outer: signal };
  return withDeadline(deadline, (due) => untilAborted(chunks.next(), due));
}

async function* readFile(file: FileBody): AsyncGenerator<Buffer, void> {
  try {
    yield* readBlocks(file.handle, file, (left) => Buffer.allocUnsafe(Math.min(fileChunkBytes, left)));
  } finally {
    await file.close();
  }
}

function isFile(body: Readable | FileBody): body is FileBody {
  return 'handle' in body;
}

/** What broke the content of an answer off, as an error of ours. */
export function brokenOff(cause: unknown): HoplineError {
  return cause instanceof HoplineError ? cause : new HoplineError('PEER_LOST', 'the answer broke off', { cause });
}
