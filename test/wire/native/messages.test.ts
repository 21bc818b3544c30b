import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HoplineError } from '../../../src/core/errors.ts';
import { headerOf } from '../../../src/wire/native/frame.ts';
import {
  decodeAnswer,
  decodeRequest,
  encodeMessage,
  type Message,
  refusal,
} from '../../../src/wire/native/messages.ts';
import { decodeOpen, namesOf, passOpenOn } from '../../../src/wire/native/open-message.ts';
import { wireCodes } from '../../../src/wire/native/refusal.ts';
import { assertBad, decodeEveryWay, fuzzDecoder, rawFrame } from '../../support/decoding.ts';

const cap = 64 * 1024;
const asOpen = (bytes: Buffer) => decodeOpen(bytes, cap);
const asRequest = (bytes: Buffer) => decodeRequest(bytes, cap);
const asAnswer = (bytes: Buffer) => decodeAnswer(bytes, cap);
const trace = '0123456789abcdef0123456789abcdef';
const open = {
  type: 'open' as const,
  hops: ['127.0.0.1:7001', '[::1]:7002'],
  hop: 1,
  trace,
  deadlineMs: 30000,
} satisfies Message;
const status = { type: 'status', size: 5, version: 'v1', pieceBytes: 1048576, digest: 'blake3' } as const;

/** A frame of `base` with some fields replaced or, where undefined, left out. */
function altered(base: object, fields: object): Buffer {
  return rawFrame(JSON.stringify({ ...base, ...fields }));
}

test('an OPEN is decoded with its hops as hosts and ports', () => {
  const hops = [
    { host: '127.0.0.1', port: 7001 },
    { host: '::1', port: 7002 },
  ];
  const { header, ...value } = decodeEveryWay(asOpen, encodeMessage(open));
  assert.deepEqual(value, { ...open, hops });
  assert.equal(header.toString(), JSON.stringify(open));
});

const put: Message & { type: 'put' } = {
  type: 'put',
  name: 'a/б.pdf',
  size: 5,
  pieceBytes: 1024,
  version: 'v1',
  upload: trace,
  digests: ['sha256'],
};
const requests: Message[] = [
  { type: 'stat', name: 'a/б.pdf', digests: ['blake3', 'sha256'] },
  { type: 'read', offset: 0, length: 1048576, version: 'v1' },
  { type: 'read', offset: Number.MAX_SAFE_INTEGER, length: 1 },
  { type: 'read', offset: 0, length: 1, more: 65_535 },
  { type: 'list', name: 'фото' },
  { type: 'list', name: 'фото', depth: 1 },
  { type: 'list', name: 'фото', digests: ['blake3', 'sha256'] },
  { type: 'ping' },
  { type: 'probe', up: 0, down: Number.MAX_SAFE_INTEGER },
  put,
  { ...put, force: true },
  { type: 'write', index: 0, digest: 'ab'.repeat(32) },
  { type: 'commit' },
];
const answers: Message[] = [
  status,
  { type: 'data', offset: 0, length: 0 },
  { type: 'data', offset: 0, length: 1, more: 0 },
  { type: 'end', digest: 'ab'.repeat(32) },
  {
    type: 'listing',
    entries: [
      { kind: 'directory', path: '', mode: 0o777, mtimeNs: '-9223372036854775808' },
      { kind: 'file', path: 'a', size: Number.MAX_SAFE_INTEGER, mode: 0, mtimeNs: '9223372036854775807' },
      { kind: 'link', path: 'b', target: '/etc/passwd' },
      { kind: 'other', path: 'c' },
    ],
    last: true,
    skipped: { names: 0, unreadable: 1, unfinished: 2 },
  },
  { type: 'listing', entries: [], last: false },
  {
    type: 'listing',
    entries: [{ kind: 'file', path: 'a', size: 1, mode: 0, mtimeNs: '0', digest: 'ab'.repeat(32) }],
    last: false,
    digest: 'blake3',
  },
  { type: 'pong', software: 'hopline/1' },
  { type: 'pong', software: 'hopline/1', roles: ['origin', 'a role of tomorrow'], load: { open: 0, max: 1 } },
  {
    type: 'pong',
    software: 'hopline/1',
    features: ['probe', 'a request of tomorrow'],
    kernel: false,
    time: 1764470000000,
    uptimeS: 0,
  },
  { type: 'probed', down: 1 },
  { type: 'refused', code: 'PEER_UNREACHABLE', hop: 2, reason: 'ECONNREFUSED' },
  { type: 'refused', code: 'FILE_NOT_FOUND', hop: 256 },
  { type: 'ready', digest: 'blake3', missing: [] },
  { type: 'ready', digest: 'blake3', missing: Array.from({ length: 1024 }, (_, index) => [index * 2, 1]) },
  { type: 'stored', index: 7 },
  { type: 'working' },
  { type: 'committed', replaced: true },
];
for (const message of requests) {
  test(`a ${message.type} request comes back as it was sent`, () => {
    assert.deepEqual(decodeEveryWay(asRequest, encodeMessage(message)), message);
  });
}
for (const message of answers) {
  test(`a ${message.type} answer comes back as it was sent`, () => {
    assert.deepEqual(decodeEveryWay(asAnswer, encodeMessage(message)), message);
  });
}

test('any READ in range comes back as it was sent', () => {
  const count = fc.nat({ max: Number.MAX_SAFE_INTEGER });
  fc.assert(
    fc.property(count, count, fc.string({ maxLength: 100 }), (offset, length, version) => {
      const read: Message = { type: 'read', offset, length: length + 1, version };
      const decoded = asRequest(encodeMessage(read));
      assert.equal(decoded.kind, Number.isSafeInteger(length + 1) ? 'ok' : 'bad');
      if (decoded.kind === 'ok') assert.deepEqual(decoded.value, read);
    }),
  );
});

test('arbitrary bytes and arbitrary JSON never throw', () => {
  for (const decode of [asOpen, asRequest, asAnswer]) {
    fuzzDecoder(decode, [rawFrame('{"type":"', 40), rawFrame('{"type":"read","offset":', 60)]);
    fc.assert(fc.property(fc.jsonValue(), (value) => void decode(rawFrame(JSON.stringify(value)))));
    fc.assert(
      fc.property(
        fc.constantFrom('open', 'stat', 'read', 'status', 'refused', 'put', 'write', 'ready', 'stored'),
        fc.object(),
        (type, rest) => {
          assert.equal(decode(rawFrame(JSON.stringify({ ...rest, type }))).kind, 'bad');
        },
      ),
    );
  }
});

test('what an OPEN holds and nobody knows goes on byte for byte, and counts for nothing', () => {
  const unknown = `"later": [9007199254740993, 1e400, -0, 1.0, {"x":null}], "__proto__": {"hop":9}, "d":${'['.repeat(20_000)}${']'.repeat(20_000)}`;
  const json = JSON.stringify(open).replace('{', `{ ${unknown} ,`);
  const value = decodeEveryWay(asOpen, rawFrame(json));
  assert.deepEqual(new Set(Object.keys(value)), new Set([...Object.keys(open), 'header']));
  assert.equal(Object.getPrototypeOf(value), Object.prototype);
  const passed = passOpenOn(value, { hops: ['b:2'], hop: 2, deadlineMs: 7, behind: 3 });
  const hops = JSON.stringify(open.hops);
  const expected = json
    .replace(`"hops":${hops}`, '"hops":["b:2"]')
    .replace(`"hop":${open.hop},`, '"hop":2,')
    .replace(`"deadlineMs":${open.deadlineMs}`, '"deadlineMs":7')
    .replace(/\}$/, ',"behind":3}');
  assert.equal(headerOf(passed, passed.length).toString(), expected);
  assert.equal(asOpen(passed).kind, 'ok');
});

test('the traceparent of an OPEN is read, where it is one, and goes on as it came', () => {
  const text = `00-${trace}-00f067aa0ba902b7-01`;
  const value = decodeEveryWay(asOpen, encodeMessage({ ...open, traceparent: text }));
  assert.deepEqual(value.traceparent, { traceId: trace, parentId: '00f067aa0ba902b7', isSampled: true });
  assert.deepEqual(namesOf(value), { hop: 1, trace, traceId: trace });
  const passed = passOpenOn(value, { hop: 2 });
  assert.ok(headerOf(passed, passed.length).includes(`"traceparent":"${text}"`));
  for (const wrong of [text.toUpperCase(), 'x'.repeat(50_000), 1, null, [text]]) {
    const odd = asOpen(altered(open, { traceparent: wrong }));
    assert.equal(odd.kind === 'ok' && odd.value.traceparent, undefined);
  }
});

test('fields of a request that nobody knows are left out', () => {
  const request = asRequest(rawFrame('{"type":"ping","later":1}'));
  assert.deepEqual(request.kind === 'ok' && request.value, { type: 'ping' });
});

test('a header of deeply nested unknown fields is still decided', () => {
  const json = JSON.stringify({ type: 'ping' }).replace('}', `,"x":${'['.repeat(30_000)}${']'.repeat(30_000)}}`);
  assert.notEqual(asRequest(rawFrame(json)).kind, 'more');
});

for (const hop of ['', 'no-port', 'a:0', 'a:70000', 'a:http', '::1:7001', '-a:1', 'a b c', `${'a'.repeat(300)}:1`]) {
  test(`an OPEN with ${JSON.stringify(hop.slice(0, 20))} for a hop is refused by its place`, () => {
    assertBad(asOpen, altered(open, { hops: ['a:1', hop] }), 'PEER_PROTOCOL', /malformed OPEN: hops\.1/);
  });
}

test('33 hops decode, since the cap on a route is the node’s to apply; 257 are not looked at', () => {
  const hops = (count: number) => Array.from({ length: count }, (_, index) => `a:${index + 1}`);
  assert.equal(asOpen(altered(open, { hops: hops(33) })).kind, 'ok');
  assertBad(asOpen, altered(open, { hops: hops(257) }), 'PEER_PROTOCOL', /hops/);
});

const wrongOpens = [
  { hops: [] },
  { hops: 'a:1' },
  { hops: [1] },
  { hop: 0 },
  { hop: 257 },
  { hop: '1' },
  { trace: trace.toUpperCase() },
  { trace: `${trace}0` },
  { deadlineMs: 0 },
  { deadlineMs: 1e300 },
  { deadlineMs: -1 },
  { type: 'stat' },
  { trace: undefined },
];
for (const fields of wrongOpens) {
  test(`an OPEN with ${Object.entries(fields).join(' ')} is refused`, () => {
    assertBad(asOpen, altered(open, fields), 'PEER_PROTOCOL', /malformed OPEN/);
  });
}

test('numbers that are not exact are refused wherever a count stands', () => {
  for (const size of ['1e300', '9007199254740992', '-1', '0.5', '"5"', 'null']) {
    const json = JSON.stringify(status).replace('"size":5', `"size":${size}`);
    assertBad(asAnswer, rawFrame(json), 'PEER_PROTOCOL', /size/);
  }
});

test('a message of the other direction is refused', () => {
  assertBad(asRequest, encodeMessage(status), 'PEER_PROTOCOL');
  assertBad(asAnswer, encodeMessage({ type: 'ping' }), 'PEER_PROTOCOL');
  assertBad(asAnswer, rawFrame('{}'), 'PEER_PROTOCOL');
});

test('a refusal may not carry a code of its own making nor a reason that is not a word', () => {
  const refused = { type: 'refused', code: 'POLICY_DENIED', hop: 1 };
  assertBad(asAnswer, altered(refused, { code: 'INTERRUPTED' }), 'PEER_PROTOCOL');
  assertBad(asAnswer, altered(refused, { code: 'constructor' }), 'PEER_PROTOCOL');
  assertBad(asAnswer, altered(refused, { reason: 'see \u001b[31m' }), 'PEER_PROTOCOL');
});

test('every error becomes a refusal that decodes, and one that must not travel becomes INTERNAL', () => {
  for (const code of wireCodes) {
    assert.deepEqual(decodeEveryWay(asAnswer, encodeMessage(refusal(new HoplineError(code, 'x'), 3))), {
      type: 'refused',
      code,
      hop: 3,
    });
  }
  const local = refusal(new HoplineError('PEER_LOST', 'x', { reason: 'EPIPE' }), 1);
  assert.deepEqual(local, { type: 'refused', code: 'INTERNAL', hop: 1, reason: 'EPIPE' });
});

for (const fields of [
  { upload: trace.slice(1) },
  { upload: trace.toUpperCase() },
  { pieceBytes: 0 },
  { size: -1 },
  { size: 2 ** 53 },
  { version: 'v'.repeat(201) },
  { name: 'n'.repeat(4097) },
  { digests: 'sha256' },
  { digests: Array(17).fill('sha256') },
  { force: 1 },
]) {
  test(`a PUT with ${JSON.stringify(fields).slice(0, 40)} is refused`, () => {
    assertBad(asRequest, altered(put, fields), 'PEER_PROTOCOL', /malformed request/);
  });
}

test('a READY with ranges that are none, or with more than fit a header, is refused', () => {
  const ready = { type: 'ready', digest: 'sha256' };
  const many = Array.from({ length: 1025 }, (_, index) => [index * 2, 1]);
  for (const missing of [[[0]], [[0, 0]], [[-1, 1]], [[0, 1, 2]], [0, 1], [[0.5, 1]], {}, many]) {
    assertBad(asAnswer, altered(ready, { missing }), 'PEER_PROTOCOL', /missing/);
  }
});

test('the most ranges that a READY may hold fit a header, whatever their numbers are', () => {
  const missing = Array.from({ length: 1024 }, (): [number, number] => [
    Number.MAX_SAFE_INTEGER,
    Number.MAX_SAFE_INTEGER,
  ]);
  assert.ok(encodeMessage({ type: 'ready', digest: 'd'.repeat(200), missing }).length <= cap);
});
