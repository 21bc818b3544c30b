import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeFrame, encodeFrame, firstFrameByte } from '../../../src/wire/native/frame.ts';
import { assertBad, decodeEveryWay, fuzzDecoder, rawFrame } from '../../support/decoding.ts';

const cap = 64 * 1024;
const decode = (bytes: Buffer) => decodeFrame(bytes, cap);

test('a frame is decoded whole, and every strict prefix of it waits for more', () => {
  const header = { type: 'ping', note: 'größer ✓' };
  assert.deepEqual(decodeEveryWay(decode, encodeFrame(header)), header);
});

test('a frame begins with the byte that tells the native dialect', () => {
  assert.equal(encodeFrame({})[0], firstFrameByte);
  assert.deepEqual(encodeFrame({}), Buffer.from('ff484c0100000002a3a6bf437b7d', 'hex'));
});

test('any JSON object survives encoding and decoding', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue({ noUnicodeString: false })), (object) => {
      const header = JSON.parse(JSON.stringify(object)) as object;
      assert.deepEqual(decodeEveryWay(decode, encodeFrame(header)), header);
    }),
    { numRuns: 60 },
  );
});

test('bytes behind a frame are not used', () => {
  const frame = encodeFrame({ type: 'ping' });
  const decoded = decode(Buffer.concat([frame, Buffer.from('behind')]));
  assert.equal(decoded.kind === 'ok' && decoded.used, frame.length);
});

test('arbitrary bytes never throw and never use more than there is', () => {
  fuzzDecoder(decode, [
    rawFrame('', 10),
    rawFrame('{"a":', 30),
    Buffer.from([0xff]),
    Buffer.from([0xff, 0x48, 0x4c, 1, 0, 0]),
  ]);
});

test('a bit that flips anywhere in a frame is never taken for another header', () => {
  const frame = encodeFrame({ type: 'status', size: 9048576 });
  for (let bit = 0; bit < frame.length * 8; bit += 1) {
    const flipped = Buffer.from(frame);
    flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    assert.notEqual(decode(flipped).kind, 'ok', `bit ${bit}`);
  }
});

test('a wrong byte anywhere in the magic is refused at that byte', () => {
  assertBad(decode, Buffer.from('G'), 'PEER_PROTOCOL', /not a hopline frame/);
  assertBad(decode, Buffer.from([0xff, 0x48, 0x4d]), 'PEER_PROTOCOL');
  assert.equal(decode(Buffer.from([0xff, 0x48])).kind, 'more');
});

test('another version is refused at the version byte, by name', () => {
  assertBad(decode, Buffer.from([0xff, 0x48, 0x4c, 2]), 'PEER_VERSION', /version 2 .* not 1/);
  assertBad(decode, Buffer.from([0xff, 0x48, 0x4c, 0]), 'PEER_VERSION');
});

test('a length over the cap is refused before its bytes arrive, and one at the cap is taken', () => {
  const limited = (bytes: Buffer) => decodeFrame(bytes, 10);
  assertBad(limited, rawFrame('', 11), 'LIMIT_HEAD', /11 bytes; at most 10/);
  assertBad(limited, rawFrame('', 0xffffffff), 'LIMIT_HEAD');
  assert.equal(limited(rawFrame('', 10)).kind, 'more');
  assert.deepEqual(decodeEveryWay(limited, rawFrame('{"a":1234}')), { a: 1234 });
});

for (const json of ['', '[]', '[{}]', '"text"', 'null', 'true', '12', '{', '{}}', '\ufeff\ufeff{}', '{"a":01}']) {
  test(`a header of ${JSON.stringify(json)} is refused`, () => {
    assertBad(decode, rawFrame(json), 'PEER_PROTOCOL');
  });
}

test('a header that is not UTF-8 is refused', () => {
  assertBad(decode, rawFrame(Buffer.from('7b2261223a22c328227d', 'hex')), 'PEER_PROTOCOL', /not JSON in UTF-8/);
});

test('JSON as deep as the cap allows is decided without overflowing the stack', () => {
  const depth = cap / 2 - 10;
  const deep = decode(rawFrame(`{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`));
  assert.ok(deep.kind === 'ok' || deep.kind === 'bad');
  assertBad(decode, rawFrame('['.repeat(cap)), 'PEER_PROTOCOL');
});

test('a __proto__ key is data and changes no prototype', () => {
  const value = decodeEveryWay(decode, rawFrame('{"__proto__":{"polluted":true}}'));
  assert.equal(Object.getPrototypeOf(value), Object.prototype);
  assert.equal('polluted' in {}, false);
});
