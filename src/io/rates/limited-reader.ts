/** Takes bytes from a leg no faster than a limit allows; what it holds back stays with the leg, which then stops reading. */

import { type Chunk, splitChunk } from '../legs/blocks.ts';
import type { Leg } from '../legs/leg.ts';
import type { RateLimit } from './rate.ts';

/** As much of a chunk that was just read as the limit allows by now; the rest is read next. Throws the signal's reason. */
export async function holdBack(
  leg: Leg,
  chunk: Chunk,
  rate: RateLimit | undefined,
  signal: AbortSignal,
): Promise<Chunk> {
  if (!rate) return chunk;
  const allowed = await rate.allow(chunk.bytes.length, signal);
  if (allowed === chunk.bytes.length) return chunk;
  const [head, tail] = splitChunk(chunk, allowed);
  leg.unread(tail);
  return head;
}
