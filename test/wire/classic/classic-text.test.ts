import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  decodeClassicRequest,
  decodeClassicSize,
  encodeClassicRequest,
  goAhead,
} from '../../../src/wire/classic/classic-text.ts';
import { parseRoute, preferredRoute } from '../../../src/wire/route.ts';
import { assertBad, decodeEveryWay, fuzzDecoder } from '../../support/decoding.ts';

const cap = 1024;
const request = (bytes: Buffer) => decodeClassicRequest(bytes, cap);
const mayGrow = ['more', 'ok'];
const decodeText = (text: string) => decodeEveryWay(request, Buffer.from(text), mayGrow);

const good: [what: string, text: string, hops: number, onward: string][] = [
  ['without a final newline', 'a.pdf\nh1 1\nh2 2', 2, 'a.pdf\nh2 2'],
  ['with a final newline', 'a.pdf\nh1 1\nh2 2\n', 2, 'a.pdf\nh2 2'],
  ['with CRLF', 'a.pdf\r\nh1 1\r\nh2 2\r\n', 2, 'a.pdf\nh2 2'],
  ['for the last hop', 'a.pdf\nh1 1', 1, 'a.pdf'],
  ['with host:port and IPv6', 'a.pdf\nh1:1\n::1 2\n[::1]:3', 3, 'a.pdf\n::1 2\n::1 3'],
  ['with a blank line before the hops', 'a.pdf\n\nh1 1\nh2 2', 2, 'a.pdf\nh2 2'],
];
for (const [what, text, hops, onward] of good) {
  test(`a request ${what} is read, and goes on plainly, without the first hop`, () => {
    const value = decodeText(text);
    assert.deepEqual([value.name, value.hops.length, value.onward.toString()], ['a.pdf', hops, onward]);
  });
}

test('a name with a byte order mark, spaces or another script is read', () => {
  assert.equal(decodeText('\uFEFFБюджет 2026.pdf\nh 1').name, 'Бюджет 2026.pdf');
});

test('a port that is cut by a segment border grows', () => {
  assert.equal(decodeText('a\nh 99').hops[0]?.port, 99);
  assert.equal(decodeText('a\nh 9900').hops[0]?.port, 9900);
  assert.equal(request(Buffer.from('a\nh 1\nh ')).kind, 'more');
});

test('a line that cannot become a hop is refused once it has ended, or is too long to become one', () => {
  assertBad(request, Buffer.from('a\nno hop at all\nh'), 'PEER_PROTOCOL', /not a hop: expected/);
  assertBad(request, Buffer.from(`a\n${'x'.repeat(270)}`), 'PEER_PROTOCOL');
});

test('a request over the cap is refused, and one at the cap is read', () => {
  const text = `${'a'.repeat(cap - 4)}\nh 1`;
  assert.equal(decodeText(text).hops.length, 1);
  assertBad(request, Buffer.from(`${text}2`), 'LIMIT_HEAD');
});

test('arbitrary bytes never throw', () => {
  fuzzDecoder(request, [Buffer.from('a\n'), Buffer.from('a\nh 1\n'), Buffer.from('\n')]);
  fuzzDecoder(decodeClassicSize, [Buffer.from('1'), Buffer.from('Address')]);
});

test('any route comes back as it was encoded', () => {
  const port = fc.integer({ min: 1, max: 65535 });
  fc.assert(
    fc.property(fc.uniqueArray(port, { minLength: 1, maxLength: 32 }), (ports) => {
      const route = preferredRoute(parseRoute(['a b/ü', ...ports.map((each) => `10.0.0.1 ${each}`)].join('\n')));
      const { name, hops } = decodeText(encodeClassicRequest(route, cap).toString());
      assert.deepEqual({ file: name, hops }, route);
    }),
    { numRuns: 30 },
  );
});

test('a route that no original program reads whole is not encoded', () => {
  const route = preferredRoute(parseRoute(`${'a/'.repeat(600)}b\nh 1`));
  assert.throws(() => encodeClassicRequest(route, cap), { code: 'ROUTE_TOO_LONG' });
});

const sizes: [text: string, value: object][] = [
  ['0', { kind: 'size', size: 0 }],
  ['1234567890', { kind: 'size', size: 1234567890 }],
  ['9007199254740991', { kind: 'size', size: Number.MAX_SAFE_INTEGER }],
  ['NA', { kind: 'not-found' }],
  ['Address not found', { kind: 'unreachable' }],
];
for (const [text, value] of sizes) {
  test(`a server that says ${text} is understood`, () => {
    assert.deepEqual(decodeEveryWay(decodeClassicSize, Buffer.from(text), mayGrow), value);
  });
}

for (const text of [
  '-1',
  '1.5',
  '1e3',
  ' 1',
  '12\n',
  'NAN',
  'x',
  '9007199254740992',
  '\xff',
  '0x10',
  'Address not found!',
]) {
  test(`${JSON.stringify(text)} is refused as a size`, () => {
    assertBad(decodeClassicSize, Buffer.from(text, 'latin1'), 'PEER_PROTOCOL');
  });
}

test('a size of endless zeros is refused', () => {
  assertBad(decodeClassicSize, Buffer.from('0'.repeat(100_000)), 'PEER_PROTOCOL');
});

test('the go-ahead is the four bytes that every original program reads', () => {
  assert.equal(goAhead.toString(), 'ack_');
});
