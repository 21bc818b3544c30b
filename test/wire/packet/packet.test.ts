import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HoplineError } from '../../../src/core/errors.ts';
import {
  type AnswerPacket,
  createMessage,
  createPacketDecoder,
  type MessagePacket,
  type Packet,
  parseMessage,
} from '../../../src/wire/packet/packet.ts';
import {
  answerInForm,
  encodeAnswer,
  encodeProbe,
  encodeRefusal,
  encodeSetup,
  messageInForm,
} from '../../../src/wire/packet/write-packet.ts';
import { assertBad, decodeEveryWay, fuzzDecoder } from '../../support/decoding.ts';
import { anyCharacter } from '../../support/foreign-text.ts';

const maxPayloadBytes = 1024;
/** Decodes as if nothing had been looked at before. */
const decode = (bytes: Buffer) => createPacketDecoder(maxPayloadBytes)(bytes);

function decodeObject(fields: object): Packet {
  const value = decodeEveryWay(decode, Buffer.from(JSON.stringify(fields)));
  if (value.kind === 'blank') throw new Error('blank');
  return value;
}

function message(fields: object = {}): MessagePacket {
  return decodeObject({ type: 0, srcid: 5, privPoliId: 111, payload: 'xyz', ...fields }) as MessagePacket;
}

const parsed = (bytes: Buffer) => JSON.parse(bytes.toString());

/** What a decoder makes of a stream that is cut into parts, and whether the end is one between packets. */
function decodeStream(parts: readonly Buffer[]): { packets: Packet[]; rest: number } {
  const decoder = createPacketDecoder(maxPayloadBytes);
  const packets: Packet[] = [];
  let held = Buffer.alloc(0);
  for (const part of parts) {
    held = Buffer.concat([held, part]);
    for (let decoded = decoder(held); decoded.kind !== 'more' && held.length > 0; decoded = decoder(held)) {
      if (decoded.kind === 'bad') throw decoded.error;
      if (decoded.value.kind !== 'blank') packets.push(decoded.value);
      held = held.subarray(decoded.used);
    }
  }
  return { packets, rest: held.length };
}

const anyPayload = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: anyCharacter, maxLength: 40 }),
  fc.string({ unit: fc.constantFrom('{', '}', '"', '\\', '[', ' ', '\n', 'é', '😀'), maxLength: 40 }),
);

test('packets behind each other are taken apart, however they are cut and spaced', () => {
  const space = fc.string({ unit: fc.constantFrom(' ', '\n', '\t', '\r'), maxLength: 3 });
  const stream = fc.array(fc.tuple(space, anyPayload, fc.boolean()), { minLength: 1, maxLength: 5 });
  const cuts = fc.array(fc.nat({ max: 400 }), { maxLength: 12 });
  fc.assert(
    fc.property(stream, cuts, space, (items, places, tail) => {
      const texts = items.map(([before, payload, pretty]) => {
        const fields = { type: 0, srcid: 1, privPoliId: 'x', payload };
        return before + JSON.stringify(fields, undefined, pretty ? 2 : undefined);
      });
      const bytes = Buffer.from(texts.join('') + tail);
      const at = [0, ...places.filter((place) => place < bytes.length).sort((a, b) => a - b), bytes.length];
      const parts = at.slice(1).map((end, index) => bytes.subarray(at[index], end));
      const { packets, rest } = decodeStream(parts);
      assert.equal(rest, 0);
      const payloads = items.map(([, payload]) => Buffer.from(payload).toString());
      assert.deepEqual(
        packets.map((packet) => Buffer.from((packet as MessagePacket).payload).toString()),
        payloads,
      );
    }),
    { numRuns: 300 },
  );
});

test('byte by byte is no different', () => {
  const text = ' {"type":0,"privPoliId":2,"payload":"a}\\"\\\\é😀"}\r\n{"type":-2}{"type":"-2"}\n';
  const { packets, rest } = decodeStream([...Buffer.from(text)].map((byte) => Buffer.from([byte])));
  assert.deepEqual(
    packets.map(({ kind, form }) => `${kind} ${form}`),
    ['message number', 'probe number', 'probe string'],
  );
  assert.equal((packets[0] as MessagePacket).payload, 'a}"\\é😀');
  assert.equal(rest, 0);
});

test('a byte is looked at once, so a packet of many parts costs no more than one of few', () => {
  const decoder = createPacketDecoder(1_000_000);
  const bytes = Buffer.from(`{"type":0,"privPoliId":1,"payload":"${'x'.repeat(1_000_000)}"}`);
  let searched = 0;
  for (const end of [1, 10, 30, 500_000, 500_001, 999_000, bytes.length - 1]) {
    const part = bytes.subarray(0, end);
    const indexOf = (value: number, from: number) => {
      const found = Buffer.prototype.indexOf.call(part, value, from);
      searched += (found < 0 ? end : found + 1) - from;
      return found;
    };
    assert.equal(decoder(Object.assign(part, { indexOf })).kind, 'more');
  }
  assert.ok(searched > 900_000 && searched <= bytes.length, String(searched));
});

test('every field may be a number or a string, and both spellings of the policy do', () => {
  for (const [type, policy, srcid, payload] of [
    [0, 111, 5, 'xyz'],
    ['0', '111', '5', 'xyz'],
    [0, '111', '5', 42],
  ]) {
    for (const spelling of ['privPoliId', 'privPolyId']) {
      const packet = decodeObject({ type, [spelling]: policy, srcid, payload }) as MessagePacket;
      assert.deepEqual([packet.policy, packet.source, packet.payload], ['111', '5', String(payload)]);
      assert.equal(packet.form, typeof type);
    }
  }
});

test('an answer is in the form of its question', () => {
  const hash = 'ab'.repeat(20);
  assert.deepEqual(parsed(encodeAnswer(message(), '100', hash)), {
    type: 2,
    srcid: 100,
    destid: 5,
    payloadsize: 40,
    payload: hash,
  });
  const question = message({ type: '0', srcid: '5', privPoliId: '111' });
  assert.deepEqual(parsed(encodeAnswer(question, '100', hash)), {
    type: '2',
    srcid: '100',
    destid: '5',
    payloadsize: '40',
    payload: hash,
  });
  assert.equal(parsed(encodeAnswer(message({ srcid: undefined }), 'A 1', hash)).srcid, 'A 1');
  assert.equal(parsed(encodeAnswer(message(), '007', hash)).srcid, '007');
});

test('a message goes on as the bytes that came, but for the form of its type', () => {
  const bytes = Buffer.from('{ "type": "0" , "srcid":1, "privPolyId":7, "payload": "a\\u0062", "note": {"x": 1} }');
  const question = decodeEveryWay(decode, bytes) as MessagePacket;
  assert.deepEqual(messageInForm(question, 'string'), bytes);
  assert.equal(messageInForm(question, 'number').toString(), bytes.toString().replace('"0"', '0'));
});

/** As text, these are all different; as numbers of JavaScript, some are not, and none is written as it came. */
const numbers = ['9007199254740993', '1.0', '1e2', '123456789012345678901234567890', '-0', '1e400'];

for (const number of numbers) {
  test(`the number ${number} comes back as it came, and is compared as such`, () => {
    const bytes = Buffer.from(`{"type":0,"srcid":${number},"privPoliId":${number},"payload":"x"}`);
    const question = decodeEveryWay(decode, bytes) as MessagePacket;
    assert.deepEqual([question.policy, question.source], [number, number]);
    assert.ok(encodeAnswer(question, '100', 'ab').toString().includes(`"destid":${number},`));
    const refused = encodeRefusal(new HoplineError('POLICY_UNKNOWN', 'no server'), question).toString();
    assert.ok(refused.includes(`"srcid":${number},"privPoliId":${number},`), refused);
    assert.equal(messageInForm(question, 'string').toString(), bytes.toString().replace(':0,', ':"0",'));
    const text = Buffer.from(`{"type":"2","srcid":"9","destid":"${number}","payload":"x"}`);
    const answer = decodeEveryWay(decode, text) as AnswerPacket;
    assert.equal(answerInForm(answer, question).toString(), `{"type":2,"srcid":"9","destid":${number},"payload":"x"}`);
  });
}

test('whatever a packet holds, only what needs another form is written anew', () => {
  const value = fc.json({ maxDepth: 3 });
  const field = fc.tuple(fc.string({ unit: anyCharacter, maxLength: 8 }), value);
  const space = fc.string({ unit: fc.constantFrom(' ', '\n', '\t'), maxLength: 2 });
  fc.assert(
    fc.property(fc.array(field, { maxLength: 5 }), fc.array(field, { maxLength: 5 }), space, (before, after, gap) => {
      const write = (fields: typeof before) =>
        fields.map(([name, text]) => `${gap}${JSON.stringify(`x${name}`)}${gap}:${gap}${text}${gap}`);
      const own = `${gap}"type"${gap}:${gap}0${gap}`;
      const fields = [...write(before), own, '"privPoliId":1', '"srcid":"c"', '"payload":"p"', ...write(after)];
      const text = `{${fields.join(',')}}`;
      const decoded = createPacketDecoder(100_000)(Buffer.from(text));
      assert.ok(decoded.kind === 'ok' && decoded.value.kind === 'message');
      const expected = text.replace(own, own.replace('0', '"0"'));
      assert.equal(messageInForm(decoded.value, 'string').toString(), expected);
    }),
  );
});

test('of two fields of one name the last counts, as it does for those who read them', () => {
  const question = decode(Buffer.from('{"type":0,"privPoliId":1,"payload":"a","privPoliId":"2","payload":"b"}'));
  assert.ok(question.kind === 'ok' && question.value.kind === 'message');
  assert.deepEqual([question.value.policy, question.value.payload], ['2', 'b']);
});

test('what a server answers is brought into the form of the question, and else left alone', () => {
  const fields = { type: 2, srcid: 9, destid: 5, payloadsize: 40, payload: 'x', extra: true };
  const answer = decodeObject(fields) as AnswerPacket;
  assert.equal(answerInForm(answer, message()), answer.bytes);
  const question = message({ type: '0', srcid: '5' });
  assert.deepEqual(parsed(answerInForm(answer, question)), { ...fields, type: '2', destid: '5', payloadsize: '40' });
  const other = message({ srcid: 6 });
  assert.deepEqual(parsed(answerInForm(answer, other)), fields);
});

test('a refusal carries the fields of its question in their form, a code and no payload of others', () => {
  const error = new HoplineError('POLICY_UNKNOWN', 'no server');
  const question = message({ type: '0', privPoliId: 'PP_9', payloadsize: '3' });
  assert.deepEqual(parsed(encodeRefusal(error, question)), {
    type: '-1',
    srcid: 5,
    privPoliId: 'PP_9',
    code: 'POLICY_UNKNOWN',
    payload: 'no server',
  });
  const refusal = decodeEveryWay(decode, encodeRefusal(new HoplineError('LISTEN_FAILED', 'a secret')));
  assert.equal(refusal.kind === 'refusal' && refusal.code, 'INTERNAL');
  const foreign = decodeObject({ type: -1, code: 'SOMETHING_ELSE' });
  assert.equal(foreign.kind === 'refusal' && foreign.code, undefined);
});

test('a refusal does not repeat a token', () => {
  const setup = decodeObject({ type: 1, id: 1, privPolyId: 'PP_1', listenport: 124, token: 'a secret' });
  const refusal = encodeRefusal(new HoplineError('REGISTER_DENIED', 'no'), setup);
  assert.deepEqual(Object.keys(parsed(refusal)).sort(), ['code', 'id', 'listenport', 'payload', 'privPolyId', 'type']);
});

test('what is sent is what is understood', () => {
  const setup = decodeEveryWay(decode, encodeSetup('100', 'PP_1', 124));
  assert.ok(setup.kind === 'setup', setup.kind);
  assert.deepEqual([setup.id, setup.policy, setup.port, setup.token], ['100', 'PP_1', 124, undefined]);
  const secret = decodeEveryWay(decode, encodeSetup('100', 'PP_1', 124, 'a token of both'));
  assert.equal(secret.kind === 'setup' && secret.token, 'a token of both');
  assert.deepEqual(parsed(encodeProbe('string')), { type: '-2' });
  const sent = createMessage('5', 'PP_1', 'é');
  assert.deepEqual([sent.source, sent.policy, sent.payload], ['5', 'PP_1', 'é']);
});

test('a file holds one message; another client may be named, in the form of the file', () => {
  const text = '{"type":"0","privPoliId":"PP_1","srcid":"5","payload":"xyz"}\n';
  assert.equal(parseMessage(text).bytes.toString(), text.trim());
  assert.equal(parseMessage(text, '7').bytes.toString(), text.trim().replace('"5"', '"7"'));
  const added = parseMessage('{"type":0,"privPoliId":1,"payload":"x"}', '7');
  assert.equal(added.bytes.toString(), '{"type":0,"privPoliId":1,"payload":"x","srcid":7}');
  assert.equal(parseMessage(JSON.stringify({ type: 0, privPoliId: 1, payload: 'x'.repeat(1e6) })).payload.length, 1e6);
  for (const wrong of ['', '{', 'xyz', '{"type":-2}', text + text, '{"type":0,"payload":"x"}']) {
    assert.throws(() => parseMessage(wrong), { code: 'USAGE_INVALID' }, wrong);
  }
});

const rows: readonly (readonly [what: string, text: string])[] = [
  ['an array', '[1]'],
  ['a word', 'hello'],
  ['a pickle', '\x80\x04}'],
  ['two values where one was due', '{"type":0 "x":1}'],
  ['a type that is no scalar', '{"type":[0]}'],
  ['no type', '{"payload":"x"}'],
  ['a payload that is no text', '{"type":0,"privPoliId":1,"payload":{"a":1}}'],
  ['a policy that is no text', '{"type":0,"privPoliId":[1],"payload":"x"}'],
  ['a policy of 201 characters', `{"type":0,"privPoliId":"${'x'.repeat(201)}","payload":"x"}`],
  ['a setup without a port', '{"type":1,"privPolyId":1}'],
  ['a port that is no number', '{"type":1,"privPolyId":1,"listenport":"http"}'],
];
for (const [what, text] of rows) {
  test(`${what} is not a packet`, () => assertBad(decode, Buffer.from(text, 'latin1'), 'PEER_PROTOCOL'));
}

test('a packet has a longest length, whatever it holds; white space before it does not count', () => {
  const most = 6 * maxPayloadBytes + 4096;
  const start = '{"type":-2,"x":"';
  assertBad(decode, Buffer.from(start + 'x'.repeat(most)), 'LIMIT_PAYLOAD');
  assertBad(decode, Buffer.from(`${start}${'x'.repeat(most)}"}`), 'LIMIT_PAYLOAD');
  const full = `${start}${'x'.repeat(most - start.length - 2)}"}`;
  assert.equal(decode(Buffer.from(' '.repeat(100) + full)).kind, 'ok');
  assert.equal(decode(Buffer.from(' '.repeat(most) + start)).kind, 'more');
  const escaped = JSON.stringify({ type: 0, privPoliId: 1, payload: '' }).replace('""', `"${'\\u0001'.repeat(1024)}"`);
  const packet = decode(Buffer.from(escaped));
  assert.ok(packet.kind === 'ok' && packet.value.kind === 'message', packet.kind);
  assert.equal(packet.value.payload.length, 1024);
});

test('deep nesting is no way to break it', () => {
  assert.equal(decode(Buffer.from(`{"type":-2,"x":${'['.repeat(4000)}${']'.repeat(4000)}}`)).kind, 'ok');
});

test('arbitrary bytes never throw', () => {
  fuzzDecoder(decode, [Buffer.from('{"type":0,'), Buffer.from('{"'), Buffer.from(' {')]);
});
