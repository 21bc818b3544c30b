/** READs that stand for several pieces: what an origin makes of them, and how a client gets on with one that knows of none. */

import assert from 'node:assert/strict';
import { appendFile } from 'node:fs/promises';
import path from 'node:path';
import { Writable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import type { Circuit } from '../../src/client/circuit/circuit.ts';
import { type DownloadEvent, download, parseVia } from '../../src/index.ts';
import { encodeFrame } from '../../src/wire/native/frame.ts';
import type { Message } from '../../src/wire/native/messages.ts';
import { startChain } from '../support/chain.ts';
import { openCircuit } from '../support/circuits.ts';
import { flipAt, startTamperer } from '../support/tamper.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const pieceBytes = 4096;
/** A client asks for 32 pieces at first, knowing nothing. */
const limits = { pieceBytes, maxReadsAhead: 2 };
const headBytes = 12;

type Read = Message & { readonly type: 'read' };

async function start(t: TestContext, pieces: number) {
  const root = await makeTempRoot(t);
  const content = await root.writeRandom('data.bin', pieces * pieceBytes - 100);
  const { nodes } = await startChain(t, 1, root.path, { limits });
  return { content, nodes, port: nodes[0]?.address.port ?? 0, file: path.join(root.path, 'data.bin') };
}

/** Each whole frame as `alter` makes it anew. */
function byFrame(alter: (header: Message) => object): (bytes: Buffer) => Buffer {
  let held: Buffer = Buffer.alloc(0);
  return (bytes) => {
    held = Buffer.concat([held, bytes]);
    const passed: Buffer[] = [];
    while (held.length >= headBytes && held.length >= headBytes + held.readUInt32BE(4)) {
      const end = headBytes + held.readUInt32BE(4);
      passed.push(encodeFrame(alter(JSON.parse(String(held.subarray(headBytes, end))))));
      held = held.subarray(end);
    }
    return Buffer.concat(passed);
  };
}

/** Downloads into a stream; what came, and what was told. */
async function get(address: string) {
  const parts: Buffer[] = [];
  const events: DownloadEvent[] = [];
  const output = new Writable({
    write: (bytes: Buffer, _encoding, done) => {
      parts.push(bytes);
      done();
    },
  });
  const onEvent = (event: DownloadEvent) => void events.push(event);
  const result = await download({ route: parseVia(address, 'data.bin'), output, limits, onEvent });
  return { result, events, came: Buffer.concat(parts) };
}

/** The pieces that READs ask for, in their order. */
function piecesOf(reads: readonly Read[]): number[] {
  return reads.flatMap(({ offset, more = 0 }) =>
    Array.from({ length: more + 1 }, (_, index) => offset / pieceBytes + index),
  );
}

for (const isOld of [false, true]) {
  const who = isOld
    ? 'an origin that knows one READ for each piece'
    : 'an origin that takes one READ for several pieces';
  test(`of ${who}, each piece is asked for once`, async (t) => {
    const { content, port } = await start(t, 100);
    const reads: Read[] = [];
    const forward = byFrame((header) => {
      if (header.type !== 'read') return header;
      reads.push(header);
      const { more, ...one } = header;
      return isOld ? one : header;
    });
    const { result, came } = await get(await startTamperer(t, port, { forward }));
    assert.ok(came.equals(content));
    assert.deepEqual([result.verified, result.pieces, result.wastedBytes], [true, 100, 0]);
    const [first, ...others] = reads;
    assert.deepEqual(first, { type: 'read', offset: 0, length: pieceBytes, more: 31 });
    assert.ok(others.every(({ version, more }) => version !== undefined && !(isOld && more !== undefined)));
    const asked = isOld ? [0, ...piecesOf(others)] : piecesOf(reads);
    assert.deepEqual(asked, [...Array(100).keys()]);
  });
}

test('a file of one piece costs no more than the READ for it', async (t) => {
  const { content, port } = await start(t, 1);
  const reads: Message[] = [];
  const forward = byFrame((header) => {
    if (header.type === 'read') reads.push(header);
    return header;
  });
  const { came } = await get(await startTamperer(t, port, { forward }));
  assert.ok(came.equals(content));
  assert.equal(reads.length, 1);
});

test('behind a damaged piece, a stream holds no more pieces than it may, and what came too early comes again', async (t) => {
  const { content, port } = await start(t, 30);
  const back = flipAt([1500 + pieceBytes]);
  let connections = 0;
  const address = await startTamperer(t, port, () => {
    connections += 1;
    return { back };
  });
  const { result, events, came } = await get(address);
  assert.ok(came.equals(content));
  assert.equal(connections, 1);
  assert.equal(events.filter(({ kind }) => kind === 'retry').length, 1);
  assert.ok(result.wastedBytes > 0 && result.verified);
});

/** The pieces that come, up to the first answer that is no DATA: how long each is, and how many it says that follow. */
async function receivePieces(circuit: Circuit, count: number): Promise<(readonly [number, number | undefined])[]> {
  const came: [number, number | undefined][] = [];
  while (came.length < count) {
    const { length, more } = await circuit.receive('data');
    await circuit.receiveInto(Buffer.alloc(length), () => {});
    came.push([length, more]);
    if (came.length < count) await circuit.receive('end');
  }
  return came;
}

const stat: Message = { type: 'stat', name: 'data.bin', digests: ['sha256'] };
const ping: Message = { type: 'ping' };

test('an origin sends as many pieces as one READ stands for, as far as the file goes', async (t) => {
  const { nodes } = await start(t, 4);
  const circuit = await openCircuit(t, nodes, [
    stat,
    { type: 'read', offset: 0, length: pieceBytes, more: 1 },
    { type: 'read', offset: pieceBytes, length: pieceBytes, more: 1000 },
    { type: 'read', offset: 1, length: pieceBytes, more: 2 },
    ping,
  ]);
  await circuit.receive('status');
  const last = pieceBytes - 100;
  assert.deepEqual(await receivePieces(circuit, 6), [
    [pieceBytes, 1],
    [pieceBytes, undefined],
    [pieceBytes, 2],
    [pieceBytes, 1],
    [last, undefined],
    // What is no piece stands for itself alone.
    [pieceBytes, 0],
  ]);
  await circuit.receive('end');
  assert.equal(circuit.isSettled, false);
  await circuit.receive('pong');
  assert.equal(circuit.isSettled, true);
});

test('an origin that sends more pieces than were asked for breaks the protocol', async (t) => {
  const { port } = await start(t, 30);
  const address = await startTamperer(t, port, { back: (bytes) => tellMore(bytes, 99) });
  await assert.rejects(get(address), { code: 'PEER_PROTOCOL', message: /sends more pieces than were asked for/ });
});

/** The first DATA says that `more` follow. */
function tellMore(bytes: Buffer, more: number): Buffer {
  const at = bytes.indexOf('{"type":"data"');
  if (at < 0) return bytes;
  const end = bytes.indexOf('}', at) + 1;
  const header = JSON.parse(String(bytes.subarray(at, end)));
  encodeFrame({ ...header, more: header.more && more }).copy(bytes, at - headBytes);
  return bytes;
}

test('a refusal is the last answer to a READ that stands for several', async (t) => {
  const { nodes, file } = await start(t, 4);
  const circuit = await openCircuit(t, nodes, [stat]);
  const { version } = await circuit.receive('status');
  await appendFile(file, 'more');
  circuit.send([{ type: 'read', offset: 0, length: pieceBytes, version, more: 3 }, ping]);
  await receivePieces(circuit, 1);
  await assert.rejects(circuit.receive('end'), { code: 'FILE_CHANGED' });
  await circuit.receive('pong');
});
