import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plainAnswer, sendBytes, startBeforeRaw, statusesIn } from '../support/http-peers.ts';

const host = 'Host: a.test\r\n';
const chunked = 'Transfer-Encoding: chunked\r\n';
/** Behind each request: whoever takes its end for another one than the gateway does would see this as a request. */
const behind = 'GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n';

const get = (fields: string) => `GET / HTTP/1.1\r\n${fields}\r\n`;
const post = (fields: string, body: string) => `POST / HTTP/1.1\r\n${host}${fields}\r\n${body}`;
const chunks = (body: string) => post(chunked, body);

/** What it is called, its bytes, and the status that it is refused with. */
const refused: readonly (readonly [name: string, bytes: string, status?: number])[] = [
  ['Content-Length and Transfer-Encoding', post(`Content-Length: 5\r\n${chunked}`, '0\r\n\r\n')],
  ['Transfer-Encoding and Content-Length', post(`${chunked}Content-Length: 5\r\n`, '0\r\n\r\n')],
  ['two lengths that differ', post('Content-Length: 3\r\nContent-Length: 5\r\n', 'abc')],
  ['two lengths that agree', post('Content-Length: 3\r\nContent-Length: 3\r\n', 'abc')],
  ['a list of lengths', post('Content-Length: 3, 3\r\n', 'abc')],
  ['a negative length', post('Content-Length: -3\r\n', 'abc')],
  ['a length with a sign', post('Content-Length: +3\r\n', 'abc')],
  ['a hexadecimal length', post('Content-Length: 0x3\r\n', 'abc')],
  ['a length with a space in it', post('Content-Length: 1 0\r\n', 'abc')],
  ['a length that begins with a zero', post('Content-Length: 03\r\n', 'abc')],
  ['a length of two zeros', post('Content-Length: 00\r\n', '')],
  ['a length with a fraction', post('Content-Length: 3.0\r\n', 'abc')],
  ['a length with an exponent', post('Content-Length: 3e0\r\n', 'abc')],
  ['a quoted length', post('Content-Length: "3"\r\n', 'abc')],
  ['a length behind a vertical tab', post('Content-Length:\x0b3\r\n', 'abc')],
  ['a length with a semicolon', post('Content-Length: 3;\r\n', 'abc')],
  ['a list of lengths that differ', post('Content-Length: 3, 5\r\n', 'abc')],
  ['a length of 2^64 and more', post('Content-Length: 18446744073709551619\r\n', 'abc')],
  ['a length of zero and a coding', post(`Content-Length: 0\r\n${chunked}`, '0\r\n\r\n')],
  ['a folded length', post('Content-Length:\r\n 3\r\n', 'abc')],
  ['an empty length', post('Content-Length: \r\n', 'abc')],
  ['a length above all numbers', post('Content-Length: 99999999999999999999999\r\n', 'abc')],
  ['a length above what can be counted exactly', post('Content-Length: 9007199254740993\r\n', 'abc')],
  ['chunked twice', post(`${chunked}${chunked}`, '0\r\n\r\n')],
  ['chunked twice in a list', post('Transfer-Encoding: chunked, chunked\r\n', '0\r\n\r\n')],
  ['chunked before another coding', post('Transfer-Encoding: chunked, identity\r\n', '0\r\n\r\n')],
  ['another coding before chunked', post('Transfer-Encoding: gzip, chunked\r\n', '0\r\n\r\n'), 501],
  ['a coding that is almost chunked', post('Transfer-Encoding: xchunked\r\n', '0\r\n\r\n')],
  ['a coding with a parameter', post('Transfer-Encoding: chunked;q=1\r\n', '0\r\n\r\n')],
  ['chunked and a comma', post('Transfer-Encoding: chunked,\r\n', '0\r\n\r\n')],
  ['a comma and chunked', post('Transfer-Encoding: ,chunked\r\n', '0\r\n\r\n'), 501],
  ['identity and chunked on two lines', post(`Transfer-Encoding: identity\r\n${chunked}`, '0\r\n\r\n'), 501],
  ['chunked and identity on two lines', post(`${chunked}Transfer-Encoding: identity\r\n`, '0\r\n\r\n')],
  ['a coding with a tab before the colon', post('Transfer-Encoding\t: chunked\r\n', '0\r\n\r\n')],
  ['a coding with a byte above ASCII', post('Transfer-Encoding: chunked\x80\r\n', '0\r\n\r\n')],
  ['a coding and a length in HTTP/1.0', `POST / HTTP/1.0\r\n${host}${chunked}Content-Length: 5\r\n\r\n0\r\n\r\n`],
  ['a quoted coding', post('Transfer-Encoding: "chunked"\r\n', '0\r\n\r\n')],
  ['a coding behind a vertical tab', post('Transfer-Encoding:\x0bchunked\r\n', '0\r\n\r\n')],
  ['an empty coding', post('Transfer-Encoding: \r\n', '0\r\n\r\n')],
  ['identity', post('Transfer-Encoding: identity\r\n', 'abc')],
  ['a coding in HTTP/1.0', `POST / HTTP/1.0\r\n${host}${chunked}\r\n0\r\n\r\n`],
  ['a chunk size with a space before', chunks(' 3\r\nabc\r\n0\r\n\r\n')],
  ['a chunk size with a space behind', chunks('3 \r\nabc\r\n0\r\n\r\n')],
  ['a negative chunk size', chunks('-3\r\nabc\r\n0\r\n\r\n')],
  ['a chunk size with 0x', chunks('0x3\r\nabc\r\n0\r\n\r\n')],
  ['a chunk size with an underscore', chunks('1_0\r\nabc\r\n0\r\n\r\n')],
  ['a chunk size above all numbers', chunks('fffffffffffffffff\r\nabc\r\n0\r\n\r\n')],
  ['a chunk size with a sign', chunks('+3\r\nabc\r\n0\r\n\r\n')],
  ['a chunk size with a tab behind', chunks('3\t\r\nabc\r\n0\r\n\r\n')],
  ['a chunk size with NUL', chunks('3\0\r\nabc\r\n0\r\n\r\n')],
  ['a chunk size with a comma', chunks('3,\r\nabc\r\n0\r\n\r\n')],
  ['a chunk size with a fraction', chunks('3.0\r\nabc\r\n0\r\n\r\n')],
  ['a chunk size that is no number', chunks('g\r\nabc\r\n0\r\n\r\n')],
  ['a chunk size of 2^64 and more', chunks('10000000000000003\r\nabc\r\n0\r\n\r\n')],
  ['a chunk size that ends in CR', chunks('3\rabc\r\n0\r\n\r\n')],
  ['a chunk size that ends in CR CR LF', chunks('3\r\r\nabc\r\n0\r\n\r\n')],
  ['a space before a chunk extension', chunks('3 ;a\r\nabc\r\n0\r\n\r\n')],
  ['a semicolon without a chunk extension', chunks('3;\r\nabc\r\n0\r\n\r\n')],
  ['a chunk extension with CR', chunks('3;a\rb\r\nabc\r\n0\r\n\r\n')],
  ['a quoted chunk extension with CRLF', chunks('3;a="\r\n"\r\nabc\r\n0\r\n\r\n')],
  ['a chunk without CRLF behind', chunks('3\r\nabc0\r\n\r\n')],
  ['a chunk with other bytes behind', chunks('3\r\nabcXX0\r\n\r\n')],
  ['a last chunk with a sign', chunks('3\r\nabc\r\n-0\r\n\r\n')],
  ['a last chunk with 0x', chunks('3\r\nabc\r\n0x0\r\n\r\n')],
  ['a last chunk that ends in LF', chunks('3\r\nabc\r\n0\n\r\n')],
  ['chunked content that ends in LF', chunks('3\r\nabc\r\n0\r\n\n')],
  ['chunked content without its last CRLF', chunks('3\r\nabc\r\n0\r\n')],
  ['no chunk size', chunks('\r\nabc\r\n0\r\n\r\n')],
  ['a chunk that is longer than its size', chunks('3\r\nabcd\r\n0\r\n\r\n')],
  ['a chunk size that ends in LF', chunks('3\nabc\r\n0\r\n\r\n')],
  ['a chunk that ends in LF', chunks('3\r\nabc\n0\r\n\r\n')],
  ['a chunk that ends in CR', chunks('3\r\nabc\r0\r\n\r\n')],
  ['a chunk extension with LF', chunks('3;a=\nb\r\nabc\r\n0\r\n\r\n')],
  ['a chunk extension with a control byte', chunks('3;a\x01\r\nabc\r\n0\r\n\r\n')],
  ['chunk extensions above 16 KiB', chunks(`3;a=${'b'.repeat(20_000)}\r\nabc\r\n0\r\n\r\n`), 413],
  ['a length in the trailer', chunks('0\r\nContent-Length: 3\r\n\r\n')],
  ['a space before the colon in the trailer', chunks('0\r\nX : 1\r\n\r\n')],
  ['a coding in the trailer', chunks('0\r\nTransfer-Encoding: chunked\r\n\r\n')],
  ['LF in the trailer', chunks('0\r\nX: 1\n\r\n')],
  ['CR in the trailer', chunks('0\r\nX: a\rb\r\n\r\n')],
  ['a folded trailer', chunks('0\r\nX: 1\r\n 2\r\n\r\n')],
  ['a trailer without a colon', chunks('0\r\nnothing\r\n\r\n')],
  ['a trailer that ends in LF', chunks('0\r\nX: 1\r\n\n')],
  ['lines that end in LF', `GET / HTTP/1.1\nHost: a.test\n\n`],
  ['a request line that ends in LF', `GET / HTTP/1.1\n${host}\r\n`],
  ['a field that ends in LF', get('Host: a.test\nX: 1\r\n')],
  ['a head that ends in LF', `GET / HTTP/1.1\r\n${host}\n`],
  ['CR in a value', get(`${host}X: a\rb\r\n`)],
  ['a line that ends in CR', get('Host: a.test\rX: 1\r\n')],
  ['a line that ends in CR CR LF', get(`${host}X: 1\r\r\n`)],
  ['a request line that ends in CR', `GET / HTTP/1.1\r${host}\r\n`],
  ['a request line that ends in CR CR LF', `GET / HTTP/1.1\r\r\n${host}\r\n`],
  ['CR before a colon', get(`${host}X\r: 1\r\n`)],
  ['CR in the target', `GET /\r HTTP/1.1\r\n${host}\r\n`],
  ['LF in the target', `GET /a\nb HTTP/1.1\r\n${host}\r\n`],
  ['LF CR between lines', `GET / HTTP/1.1\n\r${host}\r\n`],
  ['CR before a space in a value', get(`${host}X: a\r b\r\n`)],
  ['NUL in a value', get(`${host}X: a\0b\r\n`)],
  ['a control byte in a value', get(`${host}X: a\x01b\r\n`)],
  ['a folded value', get(`${host}X: 1\r\n 2\r\n`)],
  ['a value folded with a tab', get(`${host}X: 1\r\n\t2\r\n`)],
  ['an empty value that is folded', get(`${host}X:\r\n 2\r\n`)],
  ['a folded coding', post('Transfer-Encoding:\r\n chunked\r\n', '0\r\n\r\n')],
  ['a folded Host', get('Host:\r\n a.test\r\n')],
  ['a line of a space alone', get(`${host} \r\n`)],
  ['a first field that begins with a space', get(` ${host}`)],
  ['a space before the colon', get('Host : a.test\r\n')],
  ['a tab before the colon', post('Content-Length\t: 3\r\n', 'abc')],
  ['NUL in a name', get(`${host}X\0: 1\r\n`)],
  ['a delimiter in a name', get(`${host}X(: 1\r\n`)],
  ['a byte above ASCII in a name', get(`${host}X\xe9: 1\r\n`)],
  ['DEL in a name', get(`${host}X\x7f: 1\r\n`)],
  ['DEL in a value', get(`${host}X: \x7f\r\n`)],
  ['a space in a name', get(`${host}X Y: 1\r\n`)],
  ['a comma in a name', get(`${host}X,Y: 1\r\n`)],
  ['a quoted name', get(`${host}"X": 1\r\n`)],
  ['a colon alone', get(`${host}:\r\n`)],
  ['an empty name', get(`${host}: 1\r\n`)],
  ['a field without a colon', get(`${host}nothing\r\n`)],
  ['no Host', get('')],
  ['an empty Host', get('Host:\r\n')],
  ['two Hosts', get(`${host}Host: b.test\r\n`)],
  ['two Hosts that agree', get(`${host}${host}`)],
  ['a list of Hosts', get('Host: a.test, b.test\r\n')],
  ['a Host with a user', get('Host: user@a.test\r\n')],
  ['a Host with a path', get('Host: a.test/x\r\n')],
  ['a Host with a port that is none', get('Host: a.test:99999\r\n')],
  ['a Host with a port of zero', get('Host: a.test:0\r\n')],
  ['a Host with a negative port', get('Host: a.test:-1\r\n')],
  ['a Host with a port that is a word', get('Host: a.test:x\r\n')],
  ['a Host of a space', get('Host: \r\n')],
  ['a Host with a space in it', get('Host: a.test b.test\r\n')],
  ['a Host with a tab in it', get('Host: a.test\tb\r\n')],
  ['a Host with a query', get('Host: a.test?x\r\n')],
  ['a Host with a fragment', get('Host: a.test#x\r\n')],
  ['a Host that is a URL', get('Host: http://a.test\r\n')],
  ['a Host with quotes', get('Host: a"b\r\n')],
  ['a Host with a byte above ASCII', get('Host: \xe4.test\r\n')],
  ['a Host with an address without brackets', get('Host: ::1\r\n')],
  ['a Host with an address that does not end', get('Host: [::1\r\n')],
  ['a Host with an address and more', get('Host: [::1]x\r\n')],
  ['two Hosts in HTTP/1.0', `GET / HTTP/1.0\r\n${host}${host}\r\n`],
  ['a Host with two ports', get('Host: a.test:80:80\r\n')],
  ['a Host with an address that is none', get('Host: [::g]\r\n')],
  ['a target of another host than Host', `GET http://b.test/ HTTP/1.1\r\n${host}\r\n`],
  ['a target of another port than Host', `GET http://a.test:81/ HTTP/1.1\r\n${host}\r\n`],
  ['a target with a user', `GET http://user@a.test/ HTTP/1.1\r\n${host}\r\n`],
  ['a target of another scheme', `GET ftp://a.test/ HTTP/1.1\r\n${host}\r\n`],
  ['a target with user and password', `GET http://u:p@a.test/ HTTP/1.1\r\n${host}\r\n`],
  ['a target with a backslash in its host', `GET http://a.test\\@b.test/ HTTP/1.1\r\n${host}\r\n`],
  ['a target with NUL in its host', `GET http://a.test%00/ HTTP/1.1\r\n${host}\r\n`],
  ['a target without a host', `GET http:///x HTTP/1.1\r\n${host}\r\n`],
  ['a target with one slash', `GET http:/a.test/ HTTP/1.1\r\n${host}\r\n`],
  ['a target of https without TLS', `GET https://a.test/ HTTP/1.1\r\n${host}\r\n`, 421],
  ['a target that is an authority', `GET a.test:80 HTTP/1.1\r\n${host}\r\n`],
  ['a target that is a query', `GET ?x HTTP/1.1\r\n${host}\r\n`],
  ['CONNECT with a path', `CONNECT / HTTP/1.1\r\n${host}\r\n`],
  ['CONNECT with a URL', `CONNECT http://a.test/ HTTP/1.1\r\n${host}\r\n`],
  ['a target without a slash', `GET a HTTP/1.1\r\n${host}\r\n`],
  ['a target that is a star', `GET * HTTP/1.1\r\n${host}\r\n`],
  ['a target with a space', `GET /a b HTTP/1.1\r\n${host}\r\n`],
  ['a target with a second request in it', `GET / HTTP/1.1 /x HTTP/1.1\r\n${host}\r\n`],
  ['a target with a fragment', `GET /#x HTTP/1.1\r\n${host}\r\n`],
  ['a target with a byte above ASCII', `GET /\xe9 HTTP/1.1\r\n${host}\r\n`],
  ['a target with NUL', `GET /\0 HTTP/1.1\r\n${host}\r\n`],
  ['a tab behind the method', `GET\t/ HTTP/1.1\r\n${host}\r\n`],
  ['a space before the method', ` GET / HTTP/1.1\r\n${host}\r\n`],
  ['a space behind the version', `GET / HTTP/1.1 \r\n${host}\r\n`],
  ['a tab behind the version', `GET / HTTP/1.1\t\r\n${host}\r\n`],
  ['a space in the version', `GET / HTTP/ 1.1\r\n${host}\r\n`],
  ['a version with a leading zero', `GET / HTTP/01.1\r\n${host}\r\n`],
  ['a minor version of two digits', `GET / HTTP/1.01\r\n${host}\r\n`],
  ['a version without a point', `GET / HTTP/11\r\n${host}\r\n`],
  ['a version with a comma', `GET / HTTP/1,1\r\n${host}\r\n`],
  ['a version with a sign', `GET / HTTP/+1.1\r\n${host}\r\n`],
  ['a version with bytes behind', `GET / HTTP/1.1x\r\n${host}\r\n`],
  ['no minor version', `GET / HTTP/1\r\n${host}\r\n`],
  ['no target', `GET HTTP/1.1\r\n${host}\r\n`],
  ['no version', `GET /\r\n${host}\r\n`, 505],
  ['HTTP/0.9', `GET / HTTP/0.9\r\n${host}\r\n`, 505],
  ['HTTP/1.2', `GET / HTTP/1.2\r\n${host}\r\n`, 505],
  ['HTTP/1.9', `GET / HTTP/1.9\r\n${host}\r\n`, 505],
  ['HTTP/3.0', `GET / HTTP/3.0\r\n${host}\r\n`, 505],
  ['HTTP/2.0', `GET / HTTP/2.0\r\n${host}\r\n`, 505],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['a version in lower case', `GET / http/1.1\r\n${host}\r\n`],
  ['a method in lower case', `get / HTTP/1.1\r\n${host}\r\n`, 501],
  ['a method that nobody knows', `SMUGGLE / HTTP/1.1\r\n${host}\r\n`, 501],
  ['a method of another protocol', `DESCRIBE / RTSP/1.0\r\n${host}\r\n`, 501],
  ['a method with a byte above ASCII', `GET\xa0/ HTTP/1.1\r\n${host}\r\n`],
  ['an expectation that nobody knows', post('Expect: 200-ok\r\nContent-Length: 3\r\n', 'abc'), 417],
  ['an expectation beside the known one', post('Expect: 100-continue, x\r\nContent-Length: 3\r\n', 'abc'), 417],
  ['the known expectation in other words', post('Expect: x 100-continue\r\nContent-Length: 3\r\n', 'abc'), 417],
  ['an upgrade with content', post('Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n', 'abc'), 501],
];

for (const [name, bytes, status = 400] of refused) {
  test(`${name}: refused with ${status}, the connection closed, and nothing behind it is a request`, async (t) => {
    const { backend, gateway } = await startBeforeRaw(t);
    const text = await sendBytes(gateway.port, bytes + behind);
    assert.deepEqual(statusesIn(text), [status], text);
    assert.doesNotMatch(backend.received(), /smuggled/);
    // What of a content was fine may have been passed on, without an end.
    if (!bytes.includes(chunked)) assert.equal(backend.received(), '');
    assert.doesNotMatch(backend.received(), /(^|\n)0\r\n/);
  });
}

for (const [name, bytes] of [
  ['in the request line', 'GET / HT'],
  ['in the head', `GET / HTTP/1.1\r\n${host}X: `],
  ['in content of a known length', post('Content-Length: 10\r\n', 'abc')],
  ['between chunks', chunks('3\r\nabc\r\n')],
  ['in a chunk', chunks('a\r\nabc')],
  ['in the trailer', chunks('0\r\nX: 1\r\n')],
] as const) {
  test(`a request that ends early, ${name}, is never passed on as if it were whole`, async (t) => {
    const { backend, gateway } = await startBeforeRaw(t);
    const text = await sendBytes(gateway.port, bytes, { end: true });
    assert.doesNotMatch(text, /HTTP\/1\.1 200/);
    assert.doesNotMatch(backend.received(), /(^|\n)0\r\n/);
  });
}

test('what is behind a refused request on a kept connection is not read any more', async (t) => {
  const { backend, gateway } = await startBeforeRaw(t);
  const bytes = get(host) + post('Content-Length: 3\r\nContent-Length: 3\r\n', 'abc') + behind;
  const text = await sendBytes(gateway.port, bytes);
  assert.deepEqual(statusesIn(text), [200, 400]);
  assert.doesNotMatch(backend.received(), /smuggled/);
});

for (const [name, first, second, connections] of [
  ['safe ones beside each other', 'GET', 'GET', 2],
  ['one that may change something before all behind it', 'DELETE', 'GET', 1],
  ['one that may change something behind all before it', 'GET', 'DELETE', 1],
] as const) {
  test(`RFC 9112, 9.3.2: pipelined requests, ${name}`, async (t) => {
    const { backend, gateway } = await startBeforeRaw(t);
    const line = (method: string, path: string) => `${method} ${path} HTTP/1.1\r\n${host}`;
    const text = await sendBytes(
      gateway.port,
      `${line(first, '/first')}\r\n${line(second, '/second')}Connection: close\r\n\r\n`,
    );
    assert.deepEqual(statusesIn(text), [200, 200]);
    // What waits for an answer finds its connection free.
    assert.equal(backend.connections(), connections);
    assert.match(backend.received(), /\/first.*\/second/s);
  });
}

test('a request that waits behind a refused one is not acted upon', async (t) => {
  const { backend, gateway } = await startBeforeRaw(t);
  const refusedOne = post('Content-Length: 3\r\nExpect: x\r\n', 'abc');
  const bytes = `DELETE /first HTTP/1.1\r\n${host}\r\n${refusedOne}DELETE /third HTTP/1.1\r\n${host}\r\n`;
  assert.deepEqual(statusesIn(await sendBytes(gateway.port, bytes)), [200, 417]);
  assert.doesNotMatch(backend.received(), /third/);
});

test('RFC 9112, 9.6: a request that waits behind an answer which ends the connection is not acted upon', async (t) => {
  const { backend, gateway } = await startBeforeRaw(t);
  // Whether content follows such a request is not known once it has its answer without 100.
  const asked = post('Content-Length: 3\r\nExpect: 100-continue\r\n', 'abc');
  const bytes = `${asked}DELETE /second HTTP/1.1\r\n${host}\r\n`;
  assert.deepEqual(statusesIn(await sendBytes(gateway.port, bytes)), [200]);
  assert.doesNotMatch(backend.received(), /second/);
});

test('chunk extensions end at the gateway, and chunks are framed anew', async (t) => {
  const { backend, gateway } = await startBeforeRaw(t);
  const bytes = post(`${chunked}Connection: close\r\n`, '003;name="v;al";x\r\nabc\r\n0;last\r\n\r\n');
  assert.deepEqual(statusesIn(await sendBytes(gateway.port, bytes)), [200]);
  const [head = '', body] = backend.received().split(/\r\n\r\n(.*)/s);
  assert.equal(body, '3\r\nabc\r\n0\r\n\r\n');
  assert.equal(head.match(/transfer-encoding/gi)?.length, 1);
});

test('a request line is written anew from its parts', async (t) => {
  const { backend, gateway } = await startBeforeRaw(t);
  const bytes =
    '\r\nGET   HTTP://A.test:80?x=1 HTTP/1.1\r\nhOST: a.TEST\r\nConnection: close, X-Gone\r\nX-Gone: 1\r\n\r\n';
  assert.deepEqual(statusesIn(await sendBytes(gateway.port, bytes)), [200]);
  const lines = backend.received().split('\r\n');
  assert.equal(lines[0], 'GET /?x=1 HTTP/1.1');
  assert.equal(lines.filter((line) => /^host:/i.test(line)).length, 1);
  assert.match(backend.received(), /^host: a\.test\r$/im);
  assert.doesNotMatch(backend.received(), /x-gone/i);
});

test('a field that an underscore makes look like one of the gateway, or of the framing, goes no further', async (t) => {
  const { backend, gateway } = await startBeforeRaw(t);
  const fields =
    'X_Forwarded_For: 1.2.3.4\r\nX-Forwarded_Host: b.test\r\nContent_Length: 9\r\nTransfer_Encoding: chunked\r\n';
  const bytes = get(`${host}${fields}X_Own: kept\r\nConnection: close\r\n`);
  assert.deepEqual(statusesIn(await sendBytes(gateway.port, bytes)), [200]);
  assert.doesNotMatch(backend.received(), /x_forwarded|forwarded_host|content_length|transfer_encoding/i);
  assert.match(backend.received(), /^X_Own: kept\r$/m);
});

const bad = 'HTTP/1.1 200 OK\r\n';
for (const [name, answer] of [
  ['Content-Length and Transfer-Encoding', `${bad}Content-Length: 2\r\n${chunked}\r\n2\r\nok\r\n0\r\n\r\n`],
  ['Transfer-Encoding and Content-Length', `${bad}${chunked}Content-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n`],
  ['two lengths that differ', `${bad}Content-Length: 2\r\nContent-Length: 3\r\n\r\nok`],
  ['two lengths that agree', `${bad}Content-Length: 2\r\nContent-Length: 2\r\n\r\nok`],
  ['a negative length', `${bad}Content-Length: -2\r\n\r\nok`],
  ['a length with a sign', `${bad}Content-Length: +2\r\n\r\nok`],
  ['a hexadecimal length', `${bad}Content-Length: 0x2\r\n\r\nok`],
  ['a list of lengths', `${bad}Content-Length: 2, 2\r\n\r\nok`],
  ['an empty length', `${bad}Content-Length:\r\n\r\nok`],
  ['a length above all numbers', `${bad}Content-Length: 99999999999999999999999\r\n\r\nok`],
  ['chunked before another coding', `${bad}Transfer-Encoding: chunked, identity\r\n\r\n2\r\nok\r\n0\r\n\r\n`],
  ['a coding that nobody knows', `${bad}Transfer-Encoding: xchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`],
  ['a coding in HTTP/1.0', `HTTP/1.0 200 OK\r\n${chunked}\r\n2\r\nok\r\n0\r\n\r\n`],
  ['a field that ends in LF', `${bad}X: 1\nContent-Length: 2\r\n\r\nok`],
  ['CR in a value', `${bad}X: a\rb\r\nContent-Length: 2\r\n\r\nok`],
  ['a field without a colon', `${bad}nothing\r\nContent-Length: 2\r\n\r\nok`],
  ['an empty name', `${bad}: 1\r\nContent-Length: 2\r\n\r\nok`],
  ['a space in a name', `${bad}X Y: 1\r\nContent-Length: 2\r\n\r\nok`],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok'],
  ['a status of four digits', 'HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok'],
  ['a version in lower case', 'http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'],
  ['HTTP/2.0', 'HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok'],
  ['chunked twice', `${bad}${chunked}${chunked}\r\n2\r\nok\r\n0\r\n\r\n`],
  ['another coding before chunked', `${bad}Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`],
  ['a folded value', `${bad}X: 1\r\n 2\r\nContent-Length: 2\r\n\r\nok`],
  ['a space before the colon', `${bad}Content-Length : 2\r\n\r\nok`],
  ['lines that end in LF', 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok'],
  ['NUL in a value', `${bad}X: \0\r\nContent-Length: 2\r\n\r\nok`],
  ['a status that is none', 'HTTP/1.1 2x0 OK\r\nContent-Length: 2\r\n\r\nok'],
  ['another protocol', 'SSH-2.0-OpenSSH_9.6\r\n'],
] as const) {
  test(`an answer with ${name} is 502 to the client, and its connection is not used again`, async (t) => {
    const { backend, gateway } = await startBeforeRaw(t, answer);
    const text = await sendBytes(gateway.port, get(`${host}Connection: close\r\n`));
    assert.deepEqual(statusesIn(text), [502], text);
    assert.match(text, /^proxy-status: \S*hopline\S*; ?error=http_protocol_error/im);
    await sendBytes(gateway.port, get(`${host}Connection: close\r\n`));
    assert.equal(backend.connections(), 2);
  });
}

test('a second answer that nobody asked for reaches nobody', async (t) => {
  const { gateway } = await startBeforeRaw(t, `${plainAnswer}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL`);
  for (let request = 0; request < 5; request += 1) {
    assert.doesNotMatch(await sendBytes(gateway.port, get(`${host}Connection: close\r\n`)), /EVIL/);
  }
});
