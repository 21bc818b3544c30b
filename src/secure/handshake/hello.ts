/**
 * What the two messages of a handshake carry: hello with the first requests, and welcome.
 *
 * Invariant: what is asked for ahead of everything is little, and changes nothing at the node.
 * Format: docs/protocol/encryption.md#handshake
 */

import * as v from 'valibot';
import { HoplineError } from '../../core/errors.ts';
import { decodeFrame, encodeFrame } from '../../wire/native/frame.ts';
import { decodeRequest, encodeMessage, type Message } from '../../wire/native/messages.ts';

/** Requests in a first message. */
const maxEarlyRequests = 16;
/** Bytes of them, which leaves room in a message of Noise. */
const maxEarlyBytes = 32 * 1024;
/** What a first message's length is a multiple of, so that it says little about the names in it. */
const padBytes = 256;

const earlyTypes: ReadonlySet<string> = new Set(['stat', 'read', 'ping'] satisfies Message['type'][]);

const shortText = v.pipe(v.string(), v.maxLength(200));
const features = v.pipe(v.array(shortText), v.maxLength(64));

const hello = v.object({
  type: v.literal('hello'),
  /** Milliseconds since 1970, by the client's clock. */
  time: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  software: shortText,
  features,
});

const welcome = v.object({
  type: v.literal('welcome'),
  software: shortText,
  features,
  /** Whether the requests that came with hello are answered at once. */
  early: v.boolean(),
});

export type Welcome = v.InferOutput<typeof welcome>;

/** The requests that may go with hello: the first ones, up to one that may not, or has no room. */
export function countEarly(requests: readonly Message[]): number {
  let bytes = 0;
  let count = 0;
  for (const request of requests) {
    bytes += encodeMessage(request).length;
    if (!earlyTypes.has(request.type) || bytes > maxEarlyBytes || count === maxEarlyRequests) break;
    count += 1;
  }
  return count;
}

export function encodeHello(now: number, software: string, early: readonly Message[]): Buffer {
  const requests = Buffer.concat(early.map(encodeMessage));
  const fields = { type: 'hello', time: now, software, features: [] };
  const unpadded = encodeFrame({ ...fields, pad: '' }).length + requests.length;
  const pad = '.'.repeat((padBytes - (unpadded % padBytes)) % padBytes);
  return Buffer.concat([encodeFrame({ ...fields, pad }), requests]);
}

/** When it was made, and the frames of the requests behind it. Throws `PEER_PROTOCOL`. */
export function decodeHello(payload: Buffer, maxHeaderBytes: number): { time: number; early: Buffer } {
  const { value, used } = decodeFirst(hello, payload, maxHeaderBytes);
  const early = payload.subarray(used);
  let at = 0;
  for (let count = 0; at < early.length; count += 1) {
    const decoded = decodeRequest(early.subarray(at), maxHeaderBytes);
    if (decoded.kind === 'bad') throw decoded.error;
    if (decoded.kind === 'more' || count === maxEarlyRequests || !earlyTypes.has(decoded.value.type)) throw unfit();
    at += decoded.used;
  }
  return { time: value.time, early };
}

export function encodeWelcome(software: string, early: boolean): Buffer {
  return encodeFrame({ type: 'welcome', software, features: [], early } satisfies Welcome);
}

/** Throws `PEER_PROTOCOL`. */
export function decodeWelcome(payload: Buffer, maxHeaderBytes: number): Welcome {
  const { value, used } = decodeFirst(welcome, payload, maxHeaderBytes);
  if (used !== payload.length) throw unfit();
  return value;
}

function decodeFirst<Schema extends v.GenericSchema>(schema: Schema, payload: Buffer, maxHeaderBytes: number) {
  const frame = decodeFrame(payload, maxHeaderBytes);
  if (frame.kind === 'bad') throw frame.error;
  const parsed = frame.kind === 'ok' ? v.safeParse(schema, frame.value) : undefined;
  if (frame.kind !== 'ok' || !parsed?.success) throw unfit();
  return { value: parsed.output, used: frame.used };
}

function unfit(): HoplineError {
  return new HoplineError('PEER_PROTOCOL', 'the peer sent a handshake with something in it that has no place there');
}
