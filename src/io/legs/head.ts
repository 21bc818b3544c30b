/**
 * Reads one head from a leg and leaves what was read past it to be read next.
 *
 * A peer may send the head and the first content in one segment, or the head a
 * byte at a time. Either way the caller gets a decoded value, and the next
 * `read` of the leg starts at the first byte after it.
 *
 * Knows nothing about what a head means: the decoder is passed in.
 * Invariant: never waits past `ms`, and holds no more bytes than the decoder asks for plus one block.
 */

import type { Clock } from '../../core/clock.ts';
import { type ErrorCode, HoplineError } from '../../core/errors.ts';
import type { Signal } from '../../core/signal.ts';
import { type Decoded, more, ok } from '../../wire/decoded.ts';
import { type Chunk, restOf } from './blocks.ts';
import type { LegLike } from './leg-like.ts';

export interface HeadOptions {
  readonly clock: Clock;
  /** Milliseconds for the whole head, however its bytes arrive. */
  readonly ms: number;
  readonly signal?: Signal | undefined;
  /** Called before waiting, and not at all when the whole head has arrived already. */
  readonly beforeWait?: () => void;
}

/** What, after a message that may be whole, says that no more of it will come. */
const endsMessage: ReadonlySet<ErrorCode> = new Set(['TIMEOUT_HEAD', 'PEER_LOST']);

/** A request or answer must be whole in time; `null` when the peer ended before its first byte. */
export async function readHead<T>(
  leg: LegLike,
  decode: (bytes: Buffer) => Decoded<T>,
  options: HeadOptions,
): Promise<T | null> {
  const ready = decodeNow(leg, decode);
  if (ready.kind === 'ok') return ready.value;
  options.beforeWait?.();
  return awaitHead(leg, decode, options);
}

async function awaitHead<T>(
  leg: LegLike,
  decode: (bytes: Buffer) => Decoded<T>,
  options: HeadOptions,
): Promise<T | null> {
  const { clock, ms, signal } = options;
  // A signal for each deadline would be much of what a short message costs.
  let late: HoplineError | undefined;
  const cancel = clock.after(ms, () => {
    late = new HoplineError('TIMEOUT_HEAD', `${leg.peer} sent no complete header within ${ms / 1000} s`);
    leg.interrupt(late);
  });
  let held: Buffer | undefined;
  try {
    for (;;) {
      if (late) throw late;
      const chunk = await leg.read(undefined, signal);
      if (chunk === null) {
        if (held === undefined) return null;
        throw new HoplineError('PEER_PROTOCOL', `${leg.peer} ended in the middle of a header`);
      }
      const bytes: Buffer = held === undefined ? chunk.bytes : Buffer.concat([held, chunk.bytes]);
      const decoded = decode(bytes);
      if (decoded.kind !== 'more') return takeHead(leg, chunk, bytes, decoded);
      held = held === undefined ? Buffer.from(bytes) : bytes;
      chunk.release();
    }
  } finally {
    cancel();
  }
}

function takeHead<T>(leg: LegLike, chunk: Chunk, bytes: Buffer, decoded: Exclude<Decoded<T>, { kind: 'more' }>): T {
  if (decoded.kind === 'ok') {
    putBack(leg, chunk, bytes, decoded.used);
    return decoded.value;
  }
  chunk.release();
  throw decoded.error;
}

/** A head that has arrived whole; heads that come many at a time need no timer each. Leaves anything else unread. */
function decodeNow<T>(leg: LegLike, decode: (bytes: Buffer) => Decoded<T>): Decoded<T> {
  const chunk = leg.readNow();
  if (!chunk) return more;
  const decoded = decode(chunk.bytes);
  if (decoded.kind === 'ok') putBack(leg, chunk, chunk.bytes, decoded.used);
  else leg.unread(chunk);
  return decoded;
}

/** A head that has arrived whole, without waiting; undefined otherwise, and then `readHead` says why. */
export function readHeadNow<T>(leg: LegLike, decode: (bytes: Buffer) => Decoded<T>): T | undefined {
  const ready = decodeNow(leg, decode);
  return ready.kind === 'ok' ? ready.value : undefined;
}

/**
 * Reads a message that has no terminator: once `decode` says `ok`, waits until `quietMs` pass without another byte.
 * The bytes are used up. Throws as `readHead`; an ended or broken stream counts as quiet, and the next read says so.
 */
export async function readUntilQuiet<T>(
  leg: LegLike,
  decode: (bytes: Buffer) => Decoded<T>,
  quietMs: number,
  options: HeadOptions,
): Promise<T | null> {
  let held = Buffer.alloc(0);
  let whole = false;
  const gather = (bytes: Buffer): Decoded<true> => {
    const decoded = decode(Buffer.concat([held, bytes]));
    if (decoded.kind === 'bad') return decoded;
    held = Buffer.concat([held, bytes]);
    whole = decoded.kind === 'ok';
    return ok(true, bytes.length);
  };
  const started = options.clock.now();
  for (;;) {
    const left = Math.max(1, options.ms - (options.clock.now() - started));
    const ms = whole ? Math.min(quietMs, left) : left;
    try {
      const part = await readHead(leg, gather, { ...options, ms });
      if (part === null) break;
    } catch (error) {
      if (whole && error instanceof HoplineError && endsMessage.has(error.code)) break;
      throw error;
    }
  }
  if (held.length === 0) return null;
  const decoded = decode(held);
  if (decoded.kind === 'ok') return decoded.value;
  throw new HoplineError('PEER_PROTOCOL', `${leg.peer} ended in the middle of a header`);
}

function putBack(leg: LegLike, chunk: Chunk, bytes: Buffer, used: number): void {
  const unused = bytes.subarray(used);
  if (unused.length <= chunk.bytes.length) {
    leg.unread(restOf(chunk, chunk.bytes.length - unused.length));
  } else {
    // A decoder that only looks leaves bytes of earlier chunks too; those are in the copy alone.
    leg.unread({ bytes: unused, release: () => {} });
    chunk.release();
  }
}

/** Reads exactly `length` bytes, or returns null if the peer ends before. Throws as `readHead`. */
export function readExactly(leg: LegLike, length: number, options: HeadOptions): Promise<Buffer | null> {
  const decode = (bytes: Buffer): Decoded<Buffer> =>
    bytes.length < length ? more : ok(Buffer.from(bytes.subarray(0, length)), length);
  return readHead(leg, decode, options);
}
