/**
 * The packets of the packet dialect: JSON objects one behind the other, without anything between them.
 *
 * Owns which fields there are; each value may be a number or a string. Knows nothing about policies or pools.
 * Invariant: a value is the text that came, since a number of JSON may hold more than one of JavaScript.
 * Format: docs/protocol/packets.md
 */

import { isUtf8 } from 'node:buffer';
import * as v from 'valibot';
import { HoplineError } from '../../core/errors.ts';
import { type Port, parsePort } from '../address.ts';
import { bad, type Decoded, more, ok } from '../decoded.ts';
import { describeIssue } from '../native/message-fields.ts';
import { type WireCode, wireCodes } from '../native/refusal.ts';
import { findMembers, type MembersOf, ObjectScanner, replaceMembers, type Span, skipSpace } from './json-object.ts';
import { type Form, formOf, inForm, textOf } from './packet-fields.ts';

export interface Received {
  /** How `type` is written, and with it what is answered. */
  readonly form: Form;
  readonly bytes: Buffer;
  /** Where the value of each field stands in `bytes`. */
  readonly members: ReadonlyMap<string, Span>;
}

export interface MessagePacket extends Received {
  readonly kind: 'message';
  /** The policy as text, whatever its form. */
  readonly policy: string;
  /** Who asks, as text. */
  readonly source: string | undefined;
  readonly payload: string;
}

export interface SetupPacket extends Received {
  readonly kind: 'setup';
  readonly policy: string;
  readonly id: string | undefined;
  readonly port: Port;
  /** A secret that lets the server register. */
  readonly token: string | undefined;
}

export interface AnswerPacket extends Received {
  readonly kind: 'answer';
  /** The server's id, and who it answers, as text. */
  readonly server: string | undefined;
  readonly destination: string | undefined;
  /** The SHA-1 that the server computed, in hex. */
  readonly payload: string;
}

export interface RefusalPacket extends Received {
  readonly kind: 'refusal';
  readonly code: WireCode | undefined;
}

interface ProbePacket extends Received {
  readonly kind: 'probe';
}

export type Packet = MessagePacket | SetupPacket | AnswerPacket | RefusalPacket | ProbePacket;
/** White space between packets is used up as `blank`, so that an end after it is an end between packets. */
export type Blank = { readonly kind: 'blank' };
export type PacketDecoder = (bytes: Buffer) => Decoded<Packet | Blank>;

const kinds: Readonly<Record<string, keyof typeof schemas>> = {
  '0': 'message',
  '1': 'setup',
  '2': 'answer',
  '-1': 'refusal',
  '-2': 'probe',
};

/** Of a string or a number, as text. */
const text = v.string('expected text or a number');
const label = v.pipe(text, v.maxLength(200));
const port = v.pipe(
  label,
  v.rawTransform<string, Port>(({ dataset, addIssue, NEVER }) => {
    const parsed = parsePort(dataset.value);
    if (parsed !== undefined) return parsed;
    addIssue({ message: 'expected a port from 1 to 65535' });
    return NEVER;
  }),
);

const schemas = {
  message: v.object({ privPoliId: label, srcid: v.optional(label), payload: text }),
  setup: v.object({ privPoliId: label, id: v.optional(label), listenport: port, token: v.optional(label) }),
  answer: v.object({ srcid: v.optional(label), destid: v.optional(label), payload: text }),
  refusal: v.object({ code: v.nullish(text) }),
  probe: v.object({}),
};

/**
 * A decoder for the packets of one connection, one after the other: it remembers how far it has looked, so until it
 * says `ok` each call must get all bytes since the end of the last packet.
 * Bad: `PEER_PROTOCOL` for what is not a packet, `LIMIT_PAYLOAD` for one longer than any with a payload of
 * `maxPayloadBytes`. A payload over the limit in a packet that is not so long is `ok`.
 */
export function createPacketDecoder(maxPayloadBytes: number): PacketDecoder {
  const maxBytes = 6 * maxPayloadBytes + 4096;
  let scanner = new ObjectScanner();
  return (bytes) => {
    const scanned = scanner.scan(bytes);
    if (scanned.kind === 'other') return bad('PEER_PROTOCOL', 'something that is not a packet where one was due');
    if (scanned.kind === 'more') return bytes.length - scanned.start > maxBytes ? tooLong(maxBytes) : more;
    scanner = new ObjectScanner();
    if (scanned.kind === 'blank') return bytes.length === 0 ? more : ok({ kind: 'blank' }, bytes.length);
    if (scanned.end - scanned.start > maxBytes) return tooLong(maxBytes);
    return parse(bytes.subarray(scanned.start, scanned.end), skipSpace(bytes, scanned.end));
  };
}

/**
 * A message from the text of a packet; with `id`, as from that client.
 * Throws `USAGE_INVALID` for what is not a packet of type 0. No length is too long for it.
 */
export function parseMessage(text: string, id?: string): MessagePacket {
  const bytes = Buffer.from(text);
  const decoded = createPacketDecoder(bytes.length)(bytes);
  if (decoded.kind === 'bad') throw new HoplineError('USAGE_INVALID', decoded.error.message);
  if (decoded.kind === 'more' || decoded.value.kind !== 'message' || decoded.used < bytes.length) {
    throw new HoplineError('USAGE_INVALID', 'expected one JSON object with "type": 0, and nothing else');
  }
  const message = decoded.value;
  if (id === undefined) return message;
  return parseMessage(
    replaceMembers(message, { srcid: inForm(id, formOf(message, 'srcid') ?? message.form) }).toString(),
  );
}

/** A message as client `id` sends it. Throws `USAGE_INVALID` for a policy that is too long. */
export function createMessage(id: string, policy: string, payload: string): MessagePacket {
  const payloadsize = String(Buffer.byteLength(payload));
  return parseMessage(JSON.stringify({ type: '0', srcid: id, privPoliId: policy, payloadsize, payload }));
}

function parse(bytes: Buffer, used: number): Decoded<Packet> {
  if (!isObject(bytes)) return bad('PEER_PROTOCOL', 'a packet that is not JSON in UTF-8');
  const members = findMembers(bytes);
  const type = textOf({ bytes, members }, 'type');
  const kind = type === undefined ? undefined : kinds[type];
  if (!kind) return bad('PEER_PROTOCOL', 'a packet without a type from -2 to 2');
  const texts = readTexts({ bytes, members });
  const parsed = v.safeParse(schemas[kind], { ...texts, privPoliId: texts.privPoliId ?? texts.privPolyId });
  if (!parsed.success) {
    const [issue] = parsed.issues;
    return bad('PEER_PROTOCOL', `a malformed packet of type ${type}: ${describeIssue(issue)}`);
  }
  // The block that the bytes are in is read into again; a packet may be kept for another try.
  const received: Received = {
    form: formOf({ bytes, members }, 'type') ?? 'number',
    bytes: Buffer.from(bytes),
    members,
  };
  return ok(assemble(kind, received, parsed.output as Values), used);
}

const fieldNames = ['srcid', 'destid', 'privPoliId', 'privPolyId', 'id', 'listenport', 'token', 'payload', 'code'];

function readTexts(received: MembersOf): Record<string, string | null> {
  return Object.fromEntries(
    fieldNames.flatMap((name) => (received.members.has(name) ? [[name, textOf(received, name) ?? null]] : [])),
  );
}

interface Values {
  readonly privPoliId: string;
  readonly srcid?: string;
  readonly destid?: string;
  readonly id?: string;
  readonly listenport: Port;
  readonly token?: string;
  readonly code?: string;
  readonly payload: string;
}

function assemble(kind: keyof typeof schemas, received: Received, values: Values): Packet {
  const { privPoliId: policy, payload, srcid, destid, id, listenport, token, code } = values;
  switch (kind) {
    case 'message':
      return { kind, ...received, policy, source: srcid, payload };
    case 'setup':
      return { kind, ...received, policy, id, port: listenport, token };
    case 'answer':
      return { kind, ...received, server: srcid, destination: destid, payload };
    case 'refusal':
      return { kind, ...received, code: wireCodes.find((known) => known === code) };
    case 'probe':
      return { kind, ...received };
  }
}

function isObject(bytes: Buffer): boolean {
  if (!isUtf8(bytes)) return false;
  try {
    JSON.parse(bytes.toString());
    return true;
  } catch {
    return false;
  }
}

function tooLong(maxBytes: number): Decoded<never> {
  return bad('LIMIT_PAYLOAD', `a packet of more than ${maxBytes} bytes`);
}
