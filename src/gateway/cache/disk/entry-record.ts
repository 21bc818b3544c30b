/**
 * A stored answer: what is known of it, and the bytes of that in its file.
 *
 * A file is the content, from its first byte on; then the digests of its
 * blocks; then what is known of it, as JSON; then a trailer of fixed length
 * with the checksum of the JSON. What is known can so be written anew, after the
 * origin has confirmed it, without touching the content.
 * Pure: bytes to values and back. Invariant: a file that was not written to
 * its end, or has changed since, is not taken for an entry.
 * The format: docs/http/cache.md#on-disk
 */

import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { ageOf, type Terms } from '../../../http/caching/storing-rules.ts';
import type { Selection } from '../../../http/caching/vary.ts';
import type { RawFields } from '../../../http/exchange.ts';

/** What an answer is stored with. */
export interface EntryHead {
  /** Scheme, authority and target. */
  readonly key: string;
  readonly selection: Selection;
  readonly status: number;
  readonly reason: string;
  /** As they leave, but for Age. */
  readonly fields: RawFields;
  readonly terms: Terms;
  /** When it arrived, or was last confirmed; milliseconds since 1970. */
  readonly arrivedMs: number;
}

/** What a file says about its content. */
export interface EntryRecord {
  readonly head: EntryHead;
  readonly contentBytes: number;
  readonly blockBytes: number;
  readonly algorithm: string;
  /** The digest, in hex, of the digests of the blocks. */
  readonly root: string;
}

export const trailerBytes = 48;
/** Of one block's digest: both algorithms have this length. */
export const digestBytes = 32;
/** The head of an answer is far shorter; damage must not make anyone take much memory. */
const maxRecordBytes = 1024 * 1024;
const magic = Buffer.from('hopcach1');

const seconds = v.pipe(v.number(), v.minValue(0));
const size = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const recordSchema = v.object({
  head: v.object({
    key: v.string(),
    selection: v.array(v.tuple([v.string(), v.nullable(v.string())])),
    status: v.pipe(v.number(), v.integer(), v.minValue(200), v.maxValue(999)),
    reason: v.string(),
    fields: v.array(v.string()),
    terms: v.object({
      lifetimeS: seconds,
      ageS: seconds,
      staleWhileRevalidateS: seconds,
      staleIfErrorS: seconds,
      mustRevalidate: v.boolean(),
      noCache: v.boolean(),
    }),
    arrivedMs: v.number(),
  }),
  contentBytes: size,
  blockBytes: v.pipe(size, v.minValue(1)),
  algorithm: v.string(),
  root: v.string(),
});

/** What follows the digests of the blocks in a file. */
export function encodeRecord(record: EntryRecord): Buffer {
  const json = Buffer.from(JSON.stringify(record));
  const trailer = Buffer.alloc(trailerBytes);
  magic.copy(trailer);
  trailer.writeUInt32BE(json.length, magic.length);
  checksum(json).copy(trailer, trailerBytes - digestBytes);
  return Buffer.concat([json, trailer]);
}

/** Bytes of the record before a trailer, or undefined if it is none. */
export function recordBytes(trailer: Buffer): number | undefined {
  if (trailer.length !== trailerBytes || !trailer.subarray(0, magic.length).equals(magic)) return undefined;
  const length = trailer.readUInt32BE(magic.length);
  return length <= maxRecordBytes ? length : undefined;
}

/** The record before a trailer, in a file of `fileBytes`; undefined if anything about it is not as it was written. */
export function decodeRecord(json: Buffer, trailer: Buffer, fileBytes: number): EntryRecord | undefined {
  if (!checksum(json).equals(trailer.subarray(trailerBytes - digestBytes))) return undefined;
  const parsed = v.safeParse(recordSchema, parseJson(json));
  if (!parsed.success) return undefined;
  const record = parsed.output;
  return recordOffset(record) + json.length + trailerBytes === fileBytes ? record : undefined;
}

/** Where in the file the record begins. */
export function recordOffset({ contentBytes, blockBytes }: EntryRecord): number {
  return contentBytes + Math.ceil(contentBytes / blockBytes) * digestBytes;
}

/** What people are told of a stored answer. */
export interface ListedEntry {
  readonly url: string;
  readonly status: number;
  /** Of its file. */
  readonly bytes: number;
  /** Seconds. */
  readonly ageS: number;
  /** Seconds that it is fresh still; 0 and less for a stale one. */
  readonly ttlS: number;
}

export function describeEntry(record: EntryRecord, bytes: number, nowMs: number): ListedEntry {
  const { key, status, terms, arrivedMs } = record.head;
  const ageS = ageOf(terms, arrivedMs, nowMs);
  return { url: key, status, bytes, ageS, ttlS: terms.noCache ? 0 : terms.lifetimeS - ageS };
}

function checksum(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}
