/**
 * The packets of the packet dialect: JSON objects one behind the other, without anything between them.
 *
 * Owns the fields and their forms: every value may be a number or a string, and
 * an answer is in the form of its question. Knows nothing about policies or pools.
 * Invariant: what is passed on unchanged is passed on as the bytes that came.
 * Format: docs/protocol.md#packets
 */

import { isUtf8 } from 'node:buffer';
import * as v from 'valibot';
import { HoplineError } from '../core/errors.ts';
import { type Port, parsePort } from './address.ts';
import { bad, type Decoded, more, ok } from './decoded.ts';
import { ObjectScanner, skipSpace } from './json-object.ts';
import { type WireCode, wireCodes } from './refusal.ts';

type Scalar = string | number;
/** How `type` is written, and with it what is answered. */
export type Form = 'number' | 'string';

interface Received {
  readonly form: Form;
  /** Everything that it holds, as it came. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly bytes: Buffer;
}

export interface MessagePacket extends Received {
  readonly kind: 'message';
  /** The policy as text, whatever its form. */
  readonly policy: string;
  /** Who asks; as it came. */
  readonly source: Scalar | undefined;
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

const label = v.pipe(v.union([v.string(), v.number()]), v.transform(String), v.maxLength(200));
const text = v.pipe(v.union([v.string(), v.number()]), v.transform(String));
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
  refusal: v.object({}),
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
    if (scanned.kind === 'other') return bad('PEER_PROTOCOL', 'the peer sent something that is not a packet');
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
  if (decoded.kind === 'bad') throw new HoplineError('USAGE_INVALID', `the packet: ${decoded.error.message}`);
  if (decoded.kind === 'more' || decoded.value.kind !== 'message' || decoded.used < bytes.length) {
    throw new HoplineError('USAGE_INVALID', 'the packet: expected one JSON object with "type": 0, and nothing else');
  }
  const message = decoded.value;
  return id === undefined
    ? message
    : parseMessage(JSON.stringify({ ...message.fields, srcid: inForm(id, message.form) }));
}

/** A message as client `id` sends it. Throws `USAGE_INVALID` for a policy that is too long. */
export function createMessage(id: string, policy: string, payload: string): MessagePacket {
  const payloadsize = Buffer.byteLength(payload);
  return parseMessage(
    JSON.stringify({ type: 0, srcid: inForm(id, 'number'), privPoliId: policy, payloadsize, payload }),
  );
}

/** The setup of a server that listens on `listenport`. */
export function encodeSetup(id: string, policy: string, listenport: number, token?: string): Buffer {
  return encode({ type: 1, id: inForm(id, 'number'), privPolyId: policy, listenport, token });
}

export function encodeProbe(form: Form): Buffer {
  return encode({ type: inForm(-2, form) });
}

/** The answer of server `id` to a message. */
export function encodeAnswer({ form, source }: MessagePacket, id: string, hash: string): Buffer {
  const asked = typeof source === 'string' ? 'string' : form;
  return encode({
    type: inForm(2, form),
    srcid: inForm(id, asked),
    destid: source,
    payloadsize: inForm(hash.length, form),
    payload: hash,
  });
}

/** A packet of type -1: for a packet that was understood, with its fields, but for the payload and a secret. */
export function encodeRefusal(error: HoplineError, question?: Received): Buffer {
  const { payload: _payload, payloadsize: _size, token: _token, ...fields } = question?.fields ?? {};
  const code = wireCodes.find((known) => known === error.code) ?? 'INTERNAL';
  return encode({ ...fields, type: inForm(-1, question?.form ?? 'number'), code, payload: error.message });
}

/** A message for a server that writes `type` in `form`. */
export function messageInForm(message: MessagePacket, form: Form): Buffer {
  return message.form === form ? message.bytes : encode({ ...message.fields, type: inForm(0, form) });
}

/** What a server answered, in the form of the question. */
export function answerInForm(answer: AnswerPacket | RefusalPacket, { form, source }: MessagePacket): Buffer {
  const { fields } = answer;
  const isSame = answer.form === form && (source === undefined || fields.destid === source || !('destid' in fields));
  if (isSame) return answer.bytes;
  const changed: Record<string, unknown> = { ...fields, type: inForm(fields.type as Scalar, form) };
  if (isScalar(fields.payloadsize)) changed.payloadsize = inForm(fields.payloadsize, form);
  if (source !== undefined && String(fields.destid) === String(source)) changed.destid = source;
  return encode(changed);
}

function parse(bytes: Buffer, used: number): Decoded<Packet> {
  const fields = parseObject(bytes);
  if (!fields) return bad('PEER_PROTOCOL', 'the peer sent a packet that is not JSON in UTF-8');
  const { type } = fields;
  const kind = isScalar(type) ? kinds[String(type)] : undefined;
  if (!kind) return bad('PEER_PROTOCOL', 'the peer sent a packet without a type from -2 to 2');
  const { privPoliId = fields.privPolyId } = fields;
  const parsed = v.safeParse(schemas[kind], privPoliId === fields.privPoliId ? fields : { ...fields, privPoliId });
  if (!parsed.success) {
    const [issue] = parsed.issues;
    const message = `the peer sent a malformed packet of type ${type}: ${v.getDotPath(issue)}: ${issue.message}`;
    return bad('PEER_PROTOCOL', message);
  }
  // The block that the bytes are in is read into again; a packet may be kept for another try.
  const received: Received = {
    form: typeof type === 'string' ? 'string' : 'number',
    fields,
    bytes: Buffer.from(bytes),
  };
  return ok(assemble(kind, received, parsed.output as Values), used);
}

interface Values {
  readonly privPoliId: string;
  readonly srcid?: string;
  readonly destid?: string;
  readonly id?: string;
  readonly listenport: Port;
  readonly token?: string;
  readonly payload: string;
}

function assemble(kind: keyof typeof schemas, received: Received, values: Values): Packet {
  const { privPoliId: policy, payload, srcid, destid, id, listenport, token } = values;
  switch (kind) {
    case 'message':
      return { kind, ...received, policy, source: received.fields.srcid as Scalar | undefined, payload };
    case 'setup':
      return { kind, ...received, policy, id, port: listenport, token };
    case 'answer':
      return { kind, ...received, server: srcid, destination: destid, payload };
    case 'refusal':
      return { kind, ...received, code: wireCodes.find((known) => known === received.fields.code) };
    case 'probe':
      return { kind, ...received };
  }
}

function parseObject(bytes: Buffer): Record<string, unknown> | undefined {
  if (!isUtf8(bytes)) return undefined;
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}

function tooLong(maxBytes: number): Decoded<never> {
  return bad('LIMIT_PAYLOAD', `the peer sent a packet of more than ${maxBytes} bytes`);
}

function isScalar(value: unknown): value is Scalar {
  return typeof value === 'string' || typeof value === 'number';
}

/** A value as a number if it is one in plain digits and numbers are asked for, and as a string otherwise. */
function inForm(value: Scalar, form: Form): Scalar {
  if (form === 'string') return String(value);
  return /^(0|-?[1-9]\d{0,14})$/.test(String(value)) ? Number(value) : value;
}

function encode(fields: object): Buffer {
  return Buffer.from(JSON.stringify(fields));
}
