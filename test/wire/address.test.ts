import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  describeHop,
  formatHop,
  hopKey,
  type Port,
  parseAddress,
  parseHop,
  parseListen,
  parsePort,
} from '../../src/wire/address.ts';
import { anyCharacter } from '../support/foreign-text.ts';

const good: [text: string, host: string, port: number][] = [
  ['127.0.0.1 7001', '127.0.0.1', 7001],
  ['127.0.0.1:7001', '127.0.0.1', 7001],
  ['  host.example.\t65535 ', 'host.example.', 65535],
  ['[::1]:7001', '::1', 7001],
  ['::1 7001', '::1', 7001],
  ['[::1] 7001', '::1', 7001],
  ['fe80::1%eth0 1', 'fe80::1%eth0', 1],
  ['my_host-1:1', 'my_host-1', 1],
  ['1.2.3.example:1', '1.2.3.example', 1],
  ['0x7f.x1:1', '0x7f.x1', 1],
];
for (const [text, host, port] of good) {
  test(`${JSON.stringify(text)} is host ${host} and port ${port}, and stays so when it is written`, () => {
    assert.deepEqual(parseHop(text), { kind: 'ok', hop: { host, port } });
    assert.deepEqual(parseHop(formatHop({ host, port })), { kind: 'ok', hop: { host, port } });
  });
}

const wrong: [text: string, expected: RegExp][] = [
  ['', /a hop, HOST PORT/],
  ['host', /a hop, HOST PORT/],
  ['host 1 2', /a hop, HOST PORT/],
  ['::1:7001', /a hop, HOST PORT/],
  [':7001', /a hop, HOST PORT/],
  ['http://host', /a hop, HOST:PORT, without ":\/\/"/],
  ['ssh://host:22', /a hop, HOST:PORT, without ":\/\/"/],
  ['HTTPS://host 443', /a hop, HOST:PORT, without ":\/\/"/],
  ['ho/st 1', /a host name or an IP address/],
  ['-host 1', /a host name or an IP address/],
  ['a..b 1', /a host name or an IP address/],
  [`${'a'.repeat(64)} 1`, /a host name or an IP address/],
  ['hôte 1', /a host name or an IP address/],
  ...[
    '0x7f.1',
    '0177.1',
    '127.1',
    '2130706433',
    '0x7f000001',
    '127.0.0.01',
    '127.0.0.1.',
    '256.0.0.1',
    'a.1',
    'a.0x',
    '0X7F.0.0.0x1.',
  ].map((host): [string, RegExp] => [`${host} 1`, /a host name or an IP address/]),
  ['host 0', /a port from 1 to 65535/],
  ['host 70000', /a port from 1 to 65535/],
  ['host:http', /a port from 1 to 65535/],
  ['host +1', /a port from 1 to 65535/],
  ['host 1e3', /a port from 1 to 65535/],
];
for (const [text, expected] of wrong) {
  test(`${JSON.stringify(text.slice(0, 30))} is not a hop, and it says what was expected`, () => {
    const parsed = parseHop(text);
    assert.equal(parsed.kind, 'bad');
    assert.match(parsed.kind === 'bad' ? parsed.expected : '', expected);
  });
}

test('any text is a hop or not, without throwing or stalling', () => {
  fc.assert(fc.property(fc.string({ unit: anyCharacter, maxLength: 400 }), (text) => void parseHop(text)));
  parseHop(`${'a-'.repeat(50_000)}! 1`);
});

test('every IP address and port survives writing and parsing', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.integer({ min: 1, max: 65535 }), (host, port) => {
      assert.deepEqual(parseHop(formatHop({ host, port })), { kind: 'ok', hop: { host, port } });
    }),
  );
});

test('a place to listen takes port 0, and a hop does not', () => {
  assert.deepEqual(parseListen('127.0.0.1:0'), { host: '127.0.0.1', port: 0 });
  assert.deepEqual(parseListen('[::]:0'), { host: '::', port: 0 });
  assert.deepEqual(parseListen('[::1]:80'), { host: '::1', port: 80 });
  for (const text of ['127.0.0.1 80', '80', ':80', '::0', '127.0.0.1', '127.0.0.1:65536']) {
    assert.equal(parseListen(text), undefined, text);
  }
});

test('a port is plain digits', () => {
  assert.equal(parsePort('65535'), 65535);
  for (const text of ['', '0', '65536', '-1', ' 1', '1.0', '0x10', '١']) assert.equal(parsePort(text), undefined, text);
});

test('a pool is a hop where a route has hops, and no address', () => {
  assert.deepEqual(parseHop(' @eu-files.2_x '), { kind: 'ok', hop: { pool: 'eu-files.2_x' } });
  assert.equal(formatHop({ pool: 'eu' }), '@eu');
  assert.equal(describeHop({ pool: 'eu', member: { host: '::1', port: 1 as Port } }), '@eu: [::1]:1');
  assert.equal(parseHop(`@${'x'.repeat(64)}`).kind, 'ok');
  for (const text of ['@', '@a b', '@a:1', `@${'x'.repeat(65)}`, '@ü', '@@a']) {
    assert.deepEqual(parseHop(text), {
      kind: 'bad',
      expected: 'the name of a pool behind "@", 1 to 64 of A-Z a-z 0-9 _ . -',
    });
  }
  assert.equal(parseAddress('@eu').kind, 'bad');
});

test('pools compare with case, and apart from hosts', () => {
  assert.notEqual(hopKey({ pool: 'EU' }), hopKey({ pool: 'eu' }));
  assert.equal(hopKey({ pool: 'eu', member: { host: 'a', port: 1 as Port } }), hopKey({ pool: 'eu' }));
});
