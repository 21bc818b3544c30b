/**
 * A client and a node of encrypted circuits, written from docs/security.md and docs/protocol/ alone: enough to bring a file to
 * a real node's client, and from a real node. Knows nothing of src/. Any failure is thrown.
 */

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import net from 'node:net';
import { SpecHandshake, type SpecPattern } from './spec-noise.ts';
import * as wire from './spec-wire.ts';

const pieceBytes = 1_048_576;
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

/** What a socket or a direction of records brings, in the portions that its reader asks for. */
type Take = (length: number) => Promise<Buffer>;

function takeFrom(more: () => Promise<Buffer>): Take {
  let rest: Buffer = Buffer.alloc(0);
  return async (length) => {
    while (rest.length < length) {
      const part = await more();
      assert.ok(part.length > 0, `ended with ${rest.length} bytes of ${length}`);
      rest = Buffer.concat([rest, part]);
    }
    const taken = rest.subarray(0, length);
    rest = rest.subarray(length);
    return taken;
  };
}

function takeFromSocket(socket: net.Socket): Take {
  const parts = socket.iterator({ destroyOnReturn: false });
  return takeFrom(async () => {
    const { done, value } = await parts.next();
    return done ? Buffer.alloc(0) : value;
  });
}

async function takeFrame(take: Take): Promise<Buffer> {
  const head = await take(12);
  return Buffer.concat([head, await take(wire.specFrameLength(head) - 12)]);
}

async function takeMessage(take: Take): Promise<wire.SpecMessage> {
  return wire.specMessage(await takeFrame(take));
}

/** A record as it came, of the kind that is due. */
async function takeRecord(take: Take, kind: number): Promise<Buffer> {
  const header = await take(8);
  assert.equal(header[0], 0xfe);
  assert.equal(header[1], kind);
  assert.equal(header[3], 0);
  return Buffer.concat([header, await take(header.readUInt32BE(4))]);
}

/** What a direction of records says; its end is an empty record. */
function takeFromRecords(take: Take, direction: wire.SpecDirection): Take {
  return takeFrom(async () => direction.open(await takeRecord(take, 3)));
}

/** `hello` and what follows it, so long that all of it is a multiple of 256 bytes. */
function specFirstPayload(requests: readonly wire.SpecMessage[], time: number): Buffer {
  const payload = (pad: string) => {
    const hello = { type: 'hello', time, software: 'spec/1', features: [], pad };
    return Buffer.concat([hello, ...requests].map(wire.specFrame));
  };
  const short = payload('').length % 256;
  return payload(' '.repeat((256 - short) % 256));
}

export interface SpecGet {
  /** Where the first hop listens. */
  readonly port: number;
  /** As in OPEN. */
  readonly hops: readonly string[];
  /** The public key of the last of them. */
  readonly node: Buffer;
  /** The client's own secret, for IK; without it, NK. */
  readonly own?: Buffer;
  readonly name: string;
  /** What its clock says, in milliseconds since 1970. @default the time */
  readonly time?: number;
}

/** Fetches a file of any size over an encrypted circuit, and tells what the node welcomed it with. */
export async function specGet({ port, hops, node, own, name, time = Date.now() }: SpecGet) {
  const socket = net.connect({ host: '127.0.0.1', port });
  try {
    const take = takeFromSocket(socket);
    const trace = randomBytes(16).toString('hex');
    const pattern: SpecPattern = own ? 'IK' : 'NK';
    const payload = specFirstPayload(
      [
        { type: 'stat', name, digests: ['sha256'] },
        { type: 'read', offset: 0, length: pieceBytes },
      ],
      time,
    );
    // An ephemeral key, the sealed static one of IK, and the tag of the payload.
    const header = wire.specHeader(1, pattern, 32 + (own ? 48 : 0) + payload.length + 16);
    const keys = { ephemeral: randomBytes(32), node, ...(own ? { own } : {}) };
    const handshake = new SpecHandshake(pattern, wire.specPrologue(trace, header), true, keys);
    socket.write(wire.specFrame({ type: 'open', hops, hop: 1, trace, deadlineMs: 20_000 }));
    socket.write(Buffer.concat([header, handshake.write(payload)]));

    const welcome = wire.specMessage(handshake.read((await takeRecord(take, 2)).subarray(8)));
    assert.equal(welcome.type, 'welcome');
    const [outKey, backKey] = handshake.split();
    const out = new wire.SpecDirection(outKey);
    const back = new wire.SpecDirection(backKey);
    socket.write(out.seal(Buffer.alloc(0)));

    const answers = takeFromRecords(take, back);
    const status = await takeMessage(answers);
    assert.equal(status.type, 'status', JSON.stringify(status));
    const pieces = [await takePiece(answers)];
    for (let offset = pieceBytes; offset < Number(status.size); offset += pieceBytes) {
      const read = { type: 'read', offset, length: pieceBytes, version: status.version };
      socket.write(out.seal(wire.specFrame(read)));
      pieces.push(await takePiece(answers));
    }
    socket.write(out.seal(Buffer.alloc(0)));
    assert.equal(back.open(await takeRecord(take, 3)).length, 0, 'the node ends its records');
    return { content: Buffer.concat(pieces), welcome };
  } finally {
    socket.destroy();
  }
}

async function takePiece(take: Take): Promise<Buffer> {
  const data = await takeMessage(take);
  assert.equal(data.type, 'data', JSON.stringify(data));
  const content = await take(Number(data.length));
  const end = await takeMessage(take);
  assert.deepEqual([end.type, end.digest], ['end', sha256(content)]);
  return content;
}

/** What came in, for a test to look at. */
export interface SpecServed {
  pattern?: number;
  client?: Buffer | undefined;
  hello?: wire.SpecMessage;
  /** Requests that came with the first message, and those in records behind it. */
  readonly early: string[];
  readonly later: string[];
  ended?: boolean;
}

/** Serves one file, whatever name is asked for, on one connection, to its end. `isEarly`: whether requests of the first message are answered before the client's first record. */
export async function specServe(
  socket: net.Socket,
  own: Buffer,
  content: Buffer,
  isEarly: boolean,
): Promise<SpecServed> {
  const served: SpecServed = { early: [], later: [] };
  const take = takeFromSocket(socket);
  const open = await takeMessage(take);
  assert.equal(open.type, 'open', JSON.stringify(open));
  const first = await takeRecord(take, 1);
  served.pattern = first.readUInt8(2);
  const pattern = served.pattern === 1 ? 'IK' : 'NK';
  const prologue = wire.specPrologue(String(open.trace), first.subarray(0, 8));
  const handshake = new SpecHandshake(pattern, prologue, false, { ephemeral: randomBytes(32), own });
  const payload = handshake.read(first.subarray(8));
  assert.equal(payload.length % 256, 0);
  const [hello, ...early] = wire.specMessages(payload);
  assert.equal(hello?.type, 'hello');
  Object.assign(served, { client: handshake.theirs.static, hello });

  const welcome = wire.specFrame({ type: 'welcome', software: 'spec/1', features: [], early: isEarly });
  const answer = handshake.write(welcome);
  socket.write(Buffer.concat([wire.specHeader(2, undefined, answer.length), answer]));
  const [inKey, backKey] = handshake.split();
  const incoming = new wire.SpecDirection(inKey);
  const back = new wire.SpecDirection(backKey);
  const confirm = async () => assert.equal(incoming.open(await takeRecord(take, 3)).length, 0);
  if (!isEarly) await confirm();
  for (const request of early) {
    served.early.push(request.type);
    socket.write(back.seal(specAnswer(request, content)));
  }
  if (isEarly) await confirm();
  // A client's frames may begin and end anywhere in records; its end is an empty one.
  let rest: Buffer = Buffer.alloc(0);
  for (;;) {
    const part = incoming.open(await takeRecord(take, 3));
    if (part.length === 0) break;
    rest = Buffer.concat([rest, part]);
    while (rest.length >= 12 && rest.length >= wire.specFrameLength(rest)) {
      const request = wire.specMessage(rest);
      rest = rest.subarray(wire.specFrameLength(rest));
      served.later.push(request.type);
      socket.write(back.seal(specAnswer(request, content)));
    }
  }
  socket.write(back.seal(Buffer.alloc(0)));
  served.ended = true;
  socket.end();
  // How the connection closes behind both ends says nothing any more.
  await new Promise((resolve) => socket.once('close', resolve));
  return served;
}

function specAnswer(request: wire.SpecMessage, content: Buffer): Buffer {
  if (request.type === 'ping') return wire.specFrame({ type: 'pong', software: 'spec/1' });
  if (request.type === 'stat') {
    const status = { type: 'status', size: content.length, version: '1', pieceBytes, digest: 'sha256' };
    return wire.specFrame(status);
  }
  const offset = Number(request.offset);
  const part = content.subarray(offset, offset + Number(request.length));
  if (request.type === 'digest') return wire.specFrame({ type: 'end', digest: sha256(part) });
  assert.equal(request.type, 'read');
  const data = wire.specFrame({ type: 'data', offset, length: part.length });
  return Buffer.concat([data, part, wire.specFrame({ type: 'end', digest: sha256(part) })]);
}
