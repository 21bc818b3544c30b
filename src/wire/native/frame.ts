/**
 * The frame of the native dialect: magic, version, length, checksum, then a JSON object.
 *
 * Owns the twelve bytes before the JSON and the cap on its length. Knows nothing
 * about what the object means: wire/native/messages.ts does.
 * Format: docs/protocol/circuits.md#frames
 */

import { crc32 } from 'node:zlib';
import { bad, type Decoded, more, ok } from '../decoded.ts';

/** 0xFF never occurs in UTF-8, so no text of another dialect can begin like a frame. */
const magic = Buffer.from([0xff, 0x48, 0x4c]);
const version = 1;
const lengthAt = 4;
const checksumAt = 8;
const prefixBytes = 12;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The first byte of every frame, for telling dialects apart. */
export const firstFrameByte = 0xff;

/** The JSON of a frame that was decoded from `bytes` and used so many of them. */
export function headerOf(bytes: Buffer, used: number): Buffer {
  return bytes.subarray(prefixBytes, used);
}

/** Whether the bytes, as far as they are here, begin like a frame. */
export function beginsFrame(bytes: Buffer): boolean {
  const start = bytes.subarray(0, magic.length);
  return start.equals(magic.subarray(0, start.length));
}

/** Encodes `header`, an object or its JSON, as one frame. */
export function encodeFrame(header: object | Buffer): Buffer {
  const json = Buffer.isBuffer(header) ? header : JSON.stringify(header);
  const length = Buffer.byteLength(json);
  const frame = Buffer.allocUnsafe(prefixBytes + length);
  magic.copy(frame);
  frame[magic.length] = version;
  frame.writeUInt32BE(length, lengthAt);
  if (typeof json === 'string') frame.write(json, prefixBytes);
  else json.copy(frame, prefixBytes);
  frame.writeUInt32BE(crc32(frame.subarray(prefixBytes)), checksumAt);
  return frame;
}

/**
 * Decodes the frame at the start of `bytes`.
 * Bad: `PEER_PROTOCOL` (not a frame, damaged on the way, not JSON, not an object), `PEER_VERSION`, `LIMIT_HEAD` (over `maxHeaderBytes`).
 */
export function decodeFrame(bytes: Buffer, maxHeaderBytes: number): Decoded<object> {
  if (!beginsFrame(bytes)) {
    return bad('PEER_PROTOCOL', 'the peer sent bytes that are not a hopline frame');
  }
  const spoken = bytes[magic.length];
  if (spoken !== undefined && spoken !== version) {
    return bad('PEER_VERSION', `the peer speaks version ${spoken} of the protocol, not ${version}`);
  }
  if (bytes.length < checksumAt) return more;
  const length = bytes.readUInt32BE(lengthAt);
  if (length > maxHeaderBytes) {
    return bad('LIMIT_HEAD', `the peer sent a header of ${length} bytes; at most ${maxHeaderBytes} are taken`);
  }
  const end = prefixBytes + length;
  if (bytes.length < end) return more;
  const json = bytes.subarray(prefixBytes, end);
  // The digests of pieces vouch for content alone: a bit that flips in a name or a size would go unseen.
  if (crc32(json) !== bytes.readUInt32BE(checksumAt)) {
    return bad('PEER_PROTOCOL', 'the peer sent a header that was damaged on the way');
  }
  return decodeJson(json, end);
}

function decodeJson(bytes: Buffer, used: number): Decoded<object> {
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(bytes));
  } catch (cause) {
    return bad('PEER_PROTOCOL', 'the peer sent a header that is not JSON in UTF-8', cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return bad('PEER_PROTOCOL', 'the peer sent a header that is not a JSON object');
  }
  return ok(value, used);
}
