import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { detectDialect } from '../../src/wire/dialect.ts';
import { encodeFrame } from '../../src/wire/native/frame.ts';
import { fuzzDecoder } from '../support/decoding.ts';

const cap = 1024;
const detect = (bytes: Buffer) => detectDialect(bytes, cap);

/** What is decided after as few bytes as it takes, and after how many. */
function decideEarliest(bytes: Buffer): readonly [dialect: string, after: number] {
  for (let length = 0; length <= bytes.length; length += 1) {
    const decoded = detect(bytes.subarray(0, length));
    if (decoded.kind === 'ok') return [decoded.value, length];
    assert.equal(decoded.kind, 'more');
  }
  return ['more', bytes.length];
}

const line = 'GET / HTTP/1.1\r\n';
const samples: [what: string, bytes: Buffer, dialect: string, after: number][] = [
  ['a frame', encodeFrame({ type: 'ping' }), 'native', 1],
  ['a TLS hello', Buffer.from('160301', 'hex'), 'tls', 1],
  ['a pickle', Buffer.from('80047d', 'hex'), 'pickle', 1],
  ['a NUL', Buffer.from([0]), 'unknown', 1],
  ['an empty line', Buffer.from('\n'), 'unknown', 1],
  ['a JSON object', Buffer.from('{"type": 0}'), 'packet', 2],
  ['a JSON object over lines', Buffer.from('{\r\n  "type": 0}'), 'packet', 6],
  ['an empty object', Buffer.from('{ }'), 'packet', 3],
  ['an array', Buffer.from('[{"type": 0}]'), 'packet', 1],
  ['a blank', Buffer.from(' {"type": 0}'), 'unknown', 1],
  ['an HTTP request', Buffer.from(line), 'http', line.length],
  ['an HTTP request with an absolute target', Buffer.from('HEAD http://h/ HTTP/1.0\n'), 'http', 24],
  ['a name and a hop', Buffer.from('a.pdf\nh 1'), 'classic', 6],
  ['a name with a byte order mark', Buffer.from('\uFEFFa\nh 1'), 'classic', 5],
  ['a name that begins like HTTP', Buffer.from('GET a.pdf\nh 1'), 'classic', 10],
  ['a name in braces', Buffer.from('{a}\nh 1'), 'classic', 4],
  ['a line that has not ended', Buffer.from('a.pdf'), 'more', 5],
  ['a line over the cap', Buffer.from(`${'a'.repeat(cap + 5)}\n`), 'unknown', cap + 1],
];
for (const [what, bytes, dialect, after] of samples) {
  test(`${what} is ${dialect} after ${after} bytes`, () => {
    assert.deepEqual(decideEarliest(bytes), [dialect, after]);
  });
}

test('nothing is used up', () => {
  for (const [, bytes] of samples) {
    const decoded = detect(bytes);
    if (decoded.kind === 'ok') assert.equal(decoded.used, 0);
  }
});

test('how the bytes are cut into segments does not change what is decided', () => {
  for (const [, bytes, dialect] of samples) {
    const whole = detect(bytes);
    assert.equal(whole.kind === 'ok' ? whole.value : whole.kind, dialect);
  }
  const text = fc.array(fc.constantFrom('{', ' ', '\n', '"', 'a', 'GET / HTTP/1.1', '\xff', 'a'.repeat(cap)));
  fc.assert(
    fc.property(text, (parts) => {
      const bytes = Buffer.from(parts.join(''), 'latin1');
      const [early] = decideEarliest(bytes);
      const whole = detect(bytes);
      assert.equal(whole.kind === 'ok' ? whole.value : whole.kind, early);
    }),
    { numRuns: 50 },
  );
});

test('arbitrary bytes never throw', () => {
  fuzzDecoder(detect, [Buffer.from('{'), Buffer.from('GET ')]);
});
