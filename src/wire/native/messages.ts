/**
 * The messages of the native dialect: what the header of a frame may say.
 *
 * Behind OPEN, which builds a circuit, STAT, READ, DIGEST, LIST, PING and PROBE, and PUT, WRITE and COMMIT for uploads, are the
 * client's requests to the origin, and CONNECT to the end of an encrypted tunnel; TAKEN tells back which member of a pool is on the circuit; the other messages are
 * the answers. One definition a message serves both ends: the schema checks what arrives, its type shapes what is sent.
 * Unknown fields are ignored, so that a later version may add some.
 * Format: docs/protocol/circuits.md#messages
 */

import * as v from 'valibot';
import type { HoplineError } from '../../core/errors.ts';
import { parseAddress } from '../address.ts';
import type { Decoded } from '../decoded.ts';
import { encodeFrame } from './frame.ts';
import { count, decodeAs, hexDigest, kindsOf, parsedBy, positive, shortText } from './message-fields.ts';
import type { OpenFields } from './open-message.ts';
import { wireCodes } from './refusal.ts';

const address = parsedBy(parseAddress);

/** What the system calls a failure, or the name of a limit. */
const reasonPattern = /^[A-Z0-9_]{1,40}$/;

/** Permission bits, without those that would give a file another user's rights. */
const mode = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0o777));
/** Nanoseconds since 1970, in decimal, since JSON has no numbers that long. */
const timeNs = v.pipe(
  v.string(),
  v.regex(/^(0|-?[1-9][0-9]{0,18})$/),
  v.check((text) => BigInt.asIntN(64, BigInt(text)) === BigInt(text), 'expected 64 bits'),
);
/** Relative to the directory that is listed; empty for itself. */
const entryPath = v.pipe(v.string(), v.maxLength(4096));

const entry = v.variant('kind', [
  v.object({
    kind: v.literal('file'),
    path: entryPath,
    size: count,
    mode,
    mtimeNs: timeNs,
    /** Of all its bytes, where LIST asked for it and the origin knows it. */
    digest: v.optional(hexDigest),
  }),
  v.object({ kind: v.literal('directory'), path: entryPath, mode, mtimeNs: timeNs }),
  /** Where it points is for people to read, and for nothing else. */
  v.object({ kind: v.literal('link'), path: entryPath, target: v.optional(v.pipe(v.string(), v.maxLength(1024))) }),
  /** A socket, a device: there, but nothing that could be sent. */
  v.object({ kind: v.literal('other'), path: entryPath }),
]);

const name = v.pipe(v.string(), v.maxLength(4096));
/** Digest algorithms that the client knows, the best first. */
const digests = v.pipe(v.array(shortText), v.maxLength(16));

const request = v.variant('type', [
  v.object({ type: v.literal('stat'), name, digests }),
  v.object({
    type: v.literal('read'),
    offset: count,
    length: positive,
    /** The version that STATUS gave; without it, whichever was opened. */
    version: v.optional(shortText),
    /** READs of as many bytes that it stands for besides, each from the end of the one before, as far as the file goes. */
    more: v.optional(v.pipe(count, v.maxValue(65_535))),
  }),
  /** READ without the bytes: answered by END. */
  v.object({ type: v.literal('digest'), offset: count, length: positive, version: shortText }),
  /** `depth`: how many levels of what is below the directory; without it, all. `digests`: those of small files are told, if known. */
  v.object({ type: v.literal('list'), name, depth: v.optional(count), digests: v.optional(digests) }),
  v.object({ type: v.literal('ping') }),
  /** Measures the way: `up` raw bytes follow this frame, and nobody looks at them; `down` are asked for. */
  v.object({ type: v.literal('probe'), up: count, down: count }),
  /** Begins an upload, or goes on with one. */
  v.object({
    type: v.literal('put'),
    name,
    size: count,
    pieceBytes: positive,
    /** The client's name for the version of its file, as STATUS has the origin's. */
    version: shortText,
    /** Names one run of a client, so that it can take over from a circuit of its own that broke. */
    upload: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)),
    digests,
    /** Whether a file that is there may be replaced. */
    force: v.optional(v.boolean()),
  }),
  /** One piece of the upload: its raw bytes follow this frame. */
  v.object({ type: v.literal('write'), index: count, digest: hexDigest }),
  v.object({ type: v.literal('commit') }),
  /** First on an encrypted circuit, and in place of all others: what follows CONNECTED is between the client and the address. */
  v.object({ type: v.literal('connect'), address }),
]);

/** Ranges in one READY: they fit a header whatever their numbers are. */
export const maxMissingRanges = 1024;

const answer = v.variant('type', [
  v.object({
    type: v.literal('status'),
    size: count,
    version: shortText,
    pieceBytes: positive,
    digest: shortText,
    /** When the file was last modified, and who may do what with it; an origin need not say. */
    mtimeNs: v.optional(timeNs),
    mode: v.optional(mode),
  }),
  /** `length` raw bytes follow this frame, and then END or REFUSED. */
  v.object({
    type: v.literal('data'),
    offset: count,
    length: count,
    /** Of those that READ asks for besides, how many follow; without it, the origin does not know of any. */
    more: v.optional(count),
  }),
  v.object({ type: v.literal('end'), digest: hexDigest }),
  /** One of several that answer one LIST. */
  v.object({
    type: v.literal('listing'),
    entries: v.array(entry),
    last: v.boolean(),
    /** The algorithm of the digests of entries. */
    digest: v.optional(shortText),
    /** With the last: how many entries are missing because of their names, because they cannot be read, or are part files. */
    skipped: v.optional(v.object({ names: count, unreadable: count, unfinished: count })),
  }),
  v.object({
    type: v.literal('pong'),
    software: shortText,
    /** What it does besides: docs/protocol/requests.md lists the words. */
    roles: v.optional(v.pipe(v.array(shortText), v.maxLength(16))),
    /** Its connections, now and at most. */
    load: v.optional(v.object({ open: count, max: positive })),
    /** The public key that it says it has; nobody vouches for that. */
    key: v.optional(v.pipe(v.string(), v.maxLength(90))),
    /** Its clock, in milliseconds since 1970. */
    time: v.optional(count),
    /** Seconds since it started. */
    uptimeS: v.optional(count),
    /** Requests that it answers, and that nodes before it did not know: docs/protocol/requests.md lists the words. */
    features: v.optional(v.pipe(v.array(shortText), v.maxLength(16))),
    /** Whether bytes may pass it inside the kernel. */
    kernel: v.optional(v.boolean()),
  }),
  /** All of a PROBE has come; `down` raw bytes follow this frame. */
  v.object({ type: v.literal('probed'), down: count }),
  /** The end of a tunnel is connected: what follows is what it says. */
  v.object({ type: v.literal('connected') }),
  /** The upload may go on: these pieces are missing, as ranges of the first and how many. */
  v.object({
    type: v.literal('ready'),
    digest: shortText,
    missing: v.pipe(v.array(v.strictTuple([count, positive])), v.maxLength(maxMissingRanges)),
    /** Whether WRITE and COMMIT may come before READY on this circuit, and behind a PUT that is refused. */
    ahead: v.optional(v.boolean()),
  }),
  v.object({ type: v.literal('stored'), index: count }),
  /** READY or COMMITTED takes its time: the origin is at it. */
  v.object({ type: v.literal('working') }),
  /** The relay before a pool says which member it took; before anything that comes from there. */
  v.object({
    type: v.literal('taken'),
    /** The place of the pool in the route, from 1. */
    hop: v.pipe(positive, v.maxValue(256)),
    address,
  }),
  v.object({ type: v.literal('committed'), replaced: v.boolean() }),
  v.object({
    type: v.literal('refused'),
    code: v.picklist(wireCodes),
    /** The place in the route of the node that refused, from 1. */
    hop: v.pipe(positive, v.maxValue(256)),
    /** The operating system's word for it, such as ECONNREFUSED. */
    reason: v.optional(v.pipe(v.string(), v.regex(reasonPattern))),
  }),
]);

const requestKinds = kindsOf(request.options);
const answerKinds = kindsOf(answer.options);

export type Request = v.InferOutput<typeof request>;
export type Answer = v.InferOutput<typeof answer>;
/** What is sent; hops travel as text. */
export type Message = OpenFields | v.InferInput<typeof request> | v.InferInput<typeof answer>;

export type Listed = v.InferOutput<typeof entry>;

export type AnswerOf<Type extends Answer['type']> = Extract<Answer, { type: Type }>;

export type RequestOf<Type extends Request['type']> = Extract<Request, { type: Type }>;

/** Encodes one message as a frame. */
export function encodeMessage(message: Message): Buffer {
  return encodeFrame(message);
}

/** Decodes a request to the origin. */
export function decodeRequest(bytes: Buffer, maxHeaderBytes: number): Decoded<Request> {
  return decodeAs(request, 'request', bytes, maxHeaderBytes, requestKinds);
}

/** Decodes an answer to the client. */
export function decodeAnswer(bytes: Buffer, maxHeaderBytes: number): Decoded<Answer> {
  return decodeAs(answer, 'answer', bytes, maxHeaderBytes, answerKinds);
}

/** The REFUSED that tells the client of `error`, sent by the node at place `hop`. */
export function refusal(error: HoplineError, hop: number): Message {
  const code = wireCodes.find((known) => known === error.code) ?? 'INTERNAL';
  // The name of a limit is written like any other reason there: maxUploads, MAX_UPLOADS.
  const reason = error.reason?.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase();
  return { type: 'refused', code, hop, ...(reason !== undefined && reasonPattern.test(reason) ? { reason } : {}) };
}
