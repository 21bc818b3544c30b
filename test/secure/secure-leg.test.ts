import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type net from 'node:net';
import { createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { systemClock } from '../../src/core/clock.ts';
import { type ErrorCode, HoplineError } from '../../src/core/errors.ts';
import { LoopShare } from '../../src/core/work/loop-share.ts';
import { readHead } from '../../src/io/legs/head.ts';
import type { Leg } from '../../src/io/legs/leg.ts';
import { acceptLegs, dialLeg } from '../../src/io/legs/open-leg.ts';
import { acceptSecureLeg, type SecureClient } from '../../src/secure/accept-secure-leg.ts';
import { EarlyWindow } from '../../src/secure/handshake/early-window.ts';
import { type OpenSecureOptions, openSecureLeg } from '../../src/secure/open-secure-leg.ts';
import { nodeAead } from '../../src/secure/records/aead.ts';
import { chooseAead } from '../../src/secure/records/openssl.ts';
import { RecordOpener, RecordSealer } from '../../src/secure/records/record.ts';
import type { DirectionOptions } from '../../src/secure/records/sealed-direction.ts';
import { SecureLeg } from '../../src/secure/secure-leg.ts';
import { ok } from '../../src/wire/decoded.ts';
import { newKey } from '../../src/wire/keys/key.ts';
import { decodeAnswer, decodeRequest, encodeMessage, type Message } from '../../src/wire/native/messages.ts';
import { FakeClock, makeLeg, readAll } from '../support/legs.ts';

const trace = '00112233445566778899aabbccddeeff';
const maxHeaderBytes = 64 * 1024;
const node = newKey().key;
const client = newKey().key;
const mib = 1024 * 1024;
const stat: Message = { type: 'stat', name: 'secret/plan.txt', digests: ['sha256'] };
const read: Message = { type: 'read', offset: 0, length: 100 };

/** What passes between the two ends, one record or anything else at a time. */
type Alter = (bytes: Buffer, index: number) => readonly Buffer[];

interface Settings {
  readonly requests?: readonly Message[];
  readonly own?: OpenSecureOptions['own'];
  readonly open?: Partial<OpenSecureOptions>;
  readonly accept?: Partial<Parameters<typeof acceptSecureLeg>[1]>;
  readonly forward?: Alter;
  readonly back?: Alter;
}

interface Ends {
  readonly near: SecureLeg;
  readonly accepted: Promise<SecureClient>;
  /** What the node's end stands on. */
  readonly below: Leg;
  /** All that was seen between the ends. */
  readonly seen: Buffer[];
  /** The hop's two sockets. */
  readonly hop: { readonly near: net.Socket; readonly far: net.Socket };
}

/** A client and a node with a hop between them that sees, and may alter, every record. */
async function connect(t: TestContext, settings: Settings = {}): Promise<Ends> {
  const [left, right] = await Promise.all([makeLeg(t), makeLeg(t)]);
  const seen: Buffer[] = [];
  pass(left.peer, right.peer, seen, settings.forward);
  pass(right.peer, left.peer, seen, settings.back);
  const window = new EarlyWindow({ clock: systemClock, wallClock: Date.now, earlyMs: 10_000, maxEarly: 100 });
  // What was made in the millisecond of the start may be from before it.
  const wallClock = () => Date.now() + 1;
  const common = { trace, clock: systemClock, ms: 10_000, maxHeaderBytes };
  const aead = chooseAead();
  const accepted = acceptSecureLeg(right.leg, {
    ...common,
    own: node,
    window,
    share: new LoopShare(),
    unconfirmedBytes: mib,
    aead,
    ...settings.accept,
  });
  accepted.catch((error) => right.leg.destroy(error));
  const { requests = [], own = client } = settings;
  const options = { ...common, remote: node.public, own, requests, wallClock, aead: nodeAead, ...settings.open };
  return {
    near: openSecureLeg(left.leg, options),
    accepted,
    below: right.leg,
    seen,
    hop: { near: left.peer, far: right.peer },
  };
}

function pass(from: net.Socket, to: net.Socket, seen: Buffer[], alter: Alter = (bytes) => [bytes]): void {
  let held = Buffer.alloc(0);
  let index = 0;
  from.on('data', (bytes) => {
    seen.push(bytes);
    held = Buffer.concat([held, bytes]);
    while (held.length >= 8 && held.length >= 8 + held.readUInt32BE(4)) {
      const length = 8 + held.readUInt32BE(4);
      for (const part of alter(held.subarray(0, length), index)) to.write(part);
      held = held.subarray(length);
      index += 1;
    }
  });
  from.on('end', () => to.end());
  from.on('close', () => from.errored && to.destroy());
}

function failsWith(...codes: ErrorCode[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof HoplineError, String(error));
    assert.ok(codes.includes(error.code), `${error.code}: ${error.message}`);
    return true;
  };
}

const requestOf = (leg: SecureLeg) =>
  readHead(leg, (bytes) => decodeRequest(bytes, maxHeaderBytes), { clock: systemClock, ms: 10_000 });
const answerOf = (leg: SecureLeg) =>
  readHead(leg, (bytes) => decodeAnswer(bytes, maxHeaderBytes), { clock: systemClock, ms: 10_000 });

for (const own of [client, undefined]) {
  const pattern = own ? 'IK' : 'NK';

  test(`${pattern}: requests arrive with the first message, answers come back, and neither is seen between`, async (t) => {
    const { near, accepted, seen } = await connect(t, { requests: [stat, read], open: { own } });
    const { leg, key } = await accepted;
    assert.deepEqual(key?.bytes, own?.public.bytes);
    assert.equal((await requestOf(leg))?.type, 'stat');
    assert.equal((await requestOf(leg))?.type, 'read');
    leg.post(encodeMessage({ type: 'status', size: 5, version: 'v-secret', pieceBytes: mib, digest: 'sha256' }));
    const answer = await answerOf(near);
    assert.ok(answer?.type === 'status' && answer.size === 5);
    const all = Buffer.concat(seen).toString('latin1');
    for (const text of ['secret', 'stat', 'hello', 'welcome', client.public.bytes.toString('latin1')]) {
      assert.ok(!all.includes(text), text);
    }
    assert.equal((seen[0] as Buffer)[0], 0xfe);
  });
}

test('megabytes pass each way at once, and each end sees the other one end', async (t) => {
  const { near, accepted } = await connect(t);
  const { leg } = await accepted;
  const [forward, back] = [randomBytes(5 * mib + 3), randomBytes(7 * mib + 1)];
  const send = async (by: SecureLeg, bytes: Buffer) => {
    await by.write(bytes);
    by.end();
  };
  const all = [readAll(leg), readAll(near), send(near, forward), send(leg, back)] as const;
  const [atNode, atClient] = await Promise.all(all);
  assert.ok(atNode.equals(forward));
  assert.ok(atClient.equals(back));
  assert.equal(near.failure, undefined);
  assert.equal(leg.failure, undefined);
  await Promise.all([near.linger(1000), leg.linger(1000)]);
});

/** Lets all pass, and notes how long each record of the node is, with its header and tag. */
function measureBack(): { lengths: number[]; back: Alter } {
  const lengths: number[] = [];
  const back: Alter = (bytes) => {
    lengths.push(bytes.length);
    return [bytes];
  };
  return { lengths, back };
}

test('what is written while corked leaves in one record', async (t) => {
  const { lengths, back } = measureBack();
  const { near, accepted } = await connect(t, { back });
  const { leg } = await accepted;
  await leg.confirmed;
  leg.cork();
  leg.post(Buffer.alloc(10, 1));
  const written = leg.write(Buffer.alloc(1000, 2));
  leg.post(Buffer.alloc(5, 3));
  leg.uncork();
  await written;
  leg.end();
  assert.equal((await readAll(near)).length, 1015);
  assert.deepEqual(lengths.slice(1), [8 + 1015 + 16, 8 + 16]);
});

test('the first records of a node are short, so that a long leg does not hold back what has come', async (t) => {
  const { lengths, back } = measureBack();
  const { near, accepted } = await connect(t, { back });
  const { leg } = await accepted;
  await leg.confirmed;
  const sent = leg.write(randomBytes(4 * mib)).then(() => leg.end());
  assert.equal((await readAll(near)).length, 4 * mib);
  await sent;
  const content = lengths.slice(1).map((length) => length - 8 - 16);
  assert.deepEqual(
    content.slice(0, 5),
    [64, 128, 256, 512, 1024].map((kib) => kib * 1024),
  );
});

test('requests that may not be early, and all behind them, arrive in records in their order', async (t) => {
  const list: Message = { type: 'list', name: 'secret' };
  const { accepted } = await connect(t, { requests: [stat, list, read] });
  const { leg } = await accepted;
  const types = [(await requestOf(leg))?.type, (await requestOf(leg))?.type, (await requestOf(leg))?.type];
  assert.deepEqual(types, ['stat', 'list', 'read']);
});

const alterations: readonly (readonly [string, Alter])[] = [
  ['changed', (bytes, index) => [index === 3 ? flip(bytes, 20) : bytes]],
  ['with another length', (bytes, index) => [index === 3 ? flip(bytes, 7) : bytes, bytes, bytes]],
  ['of another kind', (bytes, index) => [index === 3 ? flip(bytes, 1) : bytes]],
  ['left out', (bytes, index) => (index === 3 ? [] : [bytes])],
  ['repeated', (bytes, index) => (index === 3 ? [bytes, bytes] : [bytes])],
];

for (const [how, alter] of alterations) {
  for (const direction of ['forward', 'back'] as const) {
    test(`a record that is ${how} on the way ${direction} resets the circuit, and nothing of it is read`, async (t) => {
      const { near, accepted } = await connect(t, { [direction]: alter });
      const { leg } = await accepted;
      await leg.confirmed;
      const [from, to] = direction === 'forward' ? [near, leg] : [leg, near];
      const read = collect(to);
      const parts = Array.from({ length: 6 }, (_, index) => Buffer.alloc(50, index + 1));
      for (const part of parts) await from.write(part).catch(() => {});
      const { bytes, error } = await read;
      failsWith('SECURE_FAILED')(error);
      const whole = Buffer.concat(parts);
      assert.ok(bytes.length < whole.length && bytes.equals(whole.subarray(0, bytes.length)));
      await Promise.all([near.closed, leg.closed]);
      await assert.rejects(to.write(Buffer.alloc(1)), failsWith('SECURE_FAILED'));
    });
  }
}

test('a record of the other direction, and one behind the end, reset the circuit', async (t) => {
  const last: Buffer[] = [];
  const kept = (bytes: Buffer) => {
    last.push(Buffer.from(bytes));
    return [bytes];
  };
  const { near, accepted, hop } = await connect(t, { back: kept });
  const { leg } = await accepted;
  await leg.confirmed;
  await leg.write(Buffer.from('to the client'));
  assert.equal(String((await near.read())?.bytes), 'to the client');
  hop.far.write(last[1] as Buffer);
  await assert.rejects(leg.read(), failsWith('SECURE_FAILED'));
  await near.closed;

  // The first message, the record that confirms, and the end.
  const second = await connect(t, { forward: (bytes, index) => (index === 2 ? [bytes, bytes] : [bytes]) });
  const { leg: other } = await second.accepted;
  second.near.end();
  await other.closed;
  failsWith('SECURE_FAILED')(other.failure);
});

test('a connection that ends without the end of its records was lost', async (t) => {
  const { near, accepted, hop } = await connect(t);
  const { leg } = await accepted;
  await leg.confirmed;
  await leg.write(Buffer.from('half'));
  assert.equal(String((await near.read())?.bytes), 'half');
  hop.near.end();
  await assert.rejects(near.read(), failsWith('PEER_LOST'));
  hop.far.end();
  await assert.rejects(leg.read(), failsWith('PEER_LOST'));
});

test('a node with another key does not answer, nor one that is asked behind another OPEN', async (t) => {
  for (const accept of [{ own: newKey().key }, { trace: trace.replace('00', '01') }]) {
    const { near, accepted } = await connect(t, { accept, requests: [stat] });
    await assert.rejects(accepted, failsWith('SECURE_FAILED'));
    await assert.rejects(near.read(), failsWith('PEER_LOST'));
  }
});

test('an answer that was changed, is of another kind or too long is not taken, and nothing more is sent', async (t) => {
  const answers: readonly Alter[] = [
    (bytes) => [flip(bytes, 30)],
    (bytes) => [flip(bytes, 1)],
    (bytes) => [flip(bytes, 2)],
    (bytes) => [flip(bytes, 5)],
    () => [encodeMessage({ type: 'pong', software: 'x' })],
  ];
  for (const back of answers) {
    const { near, seen, accepted } = await connect(t, { back });
    near.post(Buffer.from('more'));
    await accepted;
    await assert.rejects(near.read(), failsWith('SECURE_FAILED'));
    await near.closed;
    // The first message, and the answer that was not taken.
    assert.ok(seen.every((bytes) => bytes[1] !== 3));
  }
});

test('what a node on the way says in plain is for the client to judge, and does not take part in what is read', async (t) => {
  const taken: string[] = [];
  const takePlain: OpenSecureOptions['takePlain'] = (bytes) => {
    const decoded = decodeAnswer(bytes, maxHeaderBytes);
    if (decoded.kind !== 'ok') return decoded;
    taken.push(decoded.value.type);
    if (decoded.value.type === 'refused') throw new HoplineError(decoded.value.code, 'refused on the way');
    return ok(undefined, decoded.used);
  };
  const told: Message = { type: 'taken', hop: 2, address: '127.0.0.1:7001' };
  const back: Alter = (bytes, index) => (index === 0 ? [encodeMessage(told), bytes] : [bytes]);
  const { near, accepted } = await connect(t, { back, open: { takePlain } });
  const { leg } = await accepted;
  await leg.write(Buffer.from('sealed'));
  assert.equal(String((await near.read())?.bytes), 'sealed');
  assert.deepEqual(taken, ['taken']);

  const refused: Message = { type: 'refused', code: 'POLICY_DENIED', hop: 1 };
  const other = await connect(t, { back: () => [encodeMessage(refused)], open: { takePlain } });
  await assert.rejects(other.near.read(), failsWith('POLICY_DENIED'));
});

test('a first message that comes again is not answered before its client has shown that it is there', async (t) => {
  const messages: Buffer[] = [];
  const window = new EarlyWindow({ clock: systemClock, wallClock: () => Date.now(), earlyMs: 10_000, maxEarly: 100 });
  const forward: Alter = (bytes) => {
    messages.push(Buffer.from(bytes));
    return [bytes];
  };
  const first = await connect(t, { requests: [stat], forward, accept: { window } });
  const { leg } = await first.accepted;
  assert.equal((await requestOf(leg))?.type, 'stat');

  const again = await makeLeg(t);
  const clock = new FakeClock();
  again.peer.write(messages[0] as Buffer);
  const common = { trace, clock, ms: 10_000, maxHeaderBytes, unconfirmedBytes: mib, aead: nodeAead };
  const { leg: replayed } = await acceptSecureLeg(again.leg, { ...common, own: node, window, share: new LoopShare() });
  await once(again.peer, 'data');
  const asked = requestOf(replayed);
  // Whoever replays has no key for a record.
  clock.advance(9_999);
  assert.equal(replayed.readNow(), undefined);
  clock.advance(1);
  await assert.rejects(asked, failsWith('TIMEOUT_HEAD'));
});

test('an unconfirmed client gets no more than it may, and the rest once it has shown that it is there', async (t) => {
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const received: number[] = [];
  const { near, accepted, hop } = await connect(t, {
    requests: [stat],
    forward: (bytes, index) => {
      if (index === 0) return [bytes];
      void held.then(() => hop.far.write(bytes));
      return [];
    },
    back: (bytes) => {
      received.push(bytes.length);
      return [bytes];
    },
    accept: { unconfirmedBytes: 1000 },
  });
  const { leg } = await accepted;
  assert.equal((await requestOf(leg))?.type, 'stat');
  const written = leg.write(Buffer.alloc(5000, 7));
  const chunk = await near.read();
  assert.equal(chunk?.bytes.length, 1000);
  assert.deepEqual(received.slice(1), [8 + 1000 + 16]);
  release();
  await written;
  leg.end();
  assert.equal((await readAll(near)).length, 4000);
});

test('a first message that asks for what may not be early, or for too much, is refused', async (t) => {
  const { near, accepted } = await connect(t, { open: { requests: Array<Message>(40).fill({ type: 'ping' }) } });
  const { leg } = await accepted;
  for (let count = 0; count < 40; count += 1) assert.equal((await requestOf(leg))?.type, 'ping');
  assert.equal(near.failure, undefined);
});

test('garbage in place of a first message is refused at its header', async (t) => {
  const window = new EarlyWindow({ clock: systemClock, wallClock: Date.now, earlyMs: 10_000, maxEarly: 100 });
  const common = { trace, clock: systemClock, ms: 10_000, maxHeaderBytes, unconfirmedBytes: mib, aead: nodeAead };
  for (const header of [
    'fe02000000000100',
    'fe01020000000100',
    'fe01010100000100',
    'fe0101000000005f',
    'fe01010000010000',
    'fd01010000000100',
  ]) {
    const { leg, peer } = await makeLeg(t);
    peer.write(Buffer.from(header, 'hex'));
    await assert.rejects(
      acceptSecureLeg(leg, { ...common, own: node, window, share: new LoopShare() }),
      failsWith('SECURE_FAILED'),
      header,
    );
  }
});

test('a leg that stands on records can be read again after its reader was interrupted, and says when it is quiet', async (t) => {
  const { near, accepted, below } = await connect(t);
  const { leg } = await accepted;
  await leg.confirmed;
  const asked = leg.read();
  assert.ok(below.interrupt(new Error('gave way')));
  await assert.rejects(asked, /gave way/);
  await near.write(Buffer.from('still'));
  assert.equal(String((await leg.read())?.bytes), 'still');
  const waiting = near.read();
  assert.ok(near.interrupt(new Error('enough')));
  await assert.rejects(waiting, /enough/);
  const controller = new AbortController();
  const aborted = near.read(undefined, controller.signal);
  controller.abort(new Error('stop'));
  await assert.rejects(aborted, /stop/);
  await leg.write(Buffer.from('abcdef'));
  const chunk = await near.read(4);
  assert.equal(String(chunk?.bytes), 'abcd');
  assert.ok(near.hasUnread && !near.isQuiet);
  if (chunk) near.unread(chunk);
  assert.equal(String(near.readNow()?.bytes), 'abcd');
  assert.equal(String(near.readNow()?.bytes), 'ef');
  assert.ok(near.isQuiet && leg.isQuiet);
  assert.equal(near.descriptor, undefined);
});

test('a reader that stops, stops the peer', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const options = { idleMs: 10_000, maxBlockBytes: 64 * 1024 };
  const arrived = new Promise<Leg>((resolve) => acceptLegs(server, () => options, resolve));
  const near = await dialLeg('127.0.0.1', (server.address() as net.AddressInfo).port, options);
  const far = await arrived;
  server.close();
  const [sealed, opened] = [new SecureLeg(far), new SecureLeg(near)];
  t.after(async () => {
    for (const leg of [sealed, opened]) leg.destroy();
    await Promise.all([sealed.closed, opened.closed]);
  });
  const keys = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)].map((key) => () => ({
    key: Buffer.from(key),
    aead: nodeAead,
    maxContent: mib,
  }));
  const [back, forward] = keys as [() => DirectionOptions, () => DirectionOptions];
  opened.begin({ sealer: new RecordSealer(forward()), opener: new RecordOpener(back()) });
  const unconfirmed = { early: Buffer.alloc(0), isEarly: true, maxBytes: mib };
  sealed.begin({ sealer: new RecordSealer(back()), opener: new RecordOpener(forward()), unconfirmed });

  const total = 64;
  let written = 0;
  const writing = (async () => {
    for (; written < total; written += 1) await sealed.write(Buffer.alloc(mib));
    sealed.end();
  })();
  // One that has not gone on after so many turns of the loop will not before somebody reads.
  for (let [turns, before] = [0, 0]; turns < 2000; turns += 1, await turn()) {
    if (written > before) turns = 0;
    before = written;
  }
  assert.ok(written > 0 && written < total / 2, `${written} of ${total} MiB left`);
  assert.equal((await readAll(opened)).length, total * mib);
  await writing;
});

function flip(bytes: Buffer, at: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[at] = (changed[at] as number) ^ 1;
  return changed;
}

/** What a leg receives until it fails or ends. */
async function collect(leg: SecureLeg): Promise<{ bytes: Buffer; error?: unknown }> {
  const parts: Buffer[] = [];
  try {
    for (let chunk = await leg.read(); chunk; chunk = await leg.read()) {
      parts.push(Buffer.from(chunk.bytes));
      chunk.release();
    }
    return { bytes: Buffer.concat(parts) };
  } catch (error) {
    return { bytes: Buffer.concat(parts), error };
  }
}
