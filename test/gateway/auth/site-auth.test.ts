import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { blockList, parseNetworks } from '../../../src/io/names/networks.ts';
import { makeCache } from '../../support/caches.ts';
import { until } from '../../support/chain.ts';
import { ask, exchangeBytes } from '../../support/http.ts';
import { basic, password, startGuarded, token } from '../../support/site-auth.ts';

const both = { basic: 'users', bearer: 'tokens' };
const right = basic('alice', password);
const bearer = `Bearer ${token}`;

function head(method: string, ...fields: readonly string[]): string {
  return [`${method} /secret HTTP/1.1`, 'Host: site.test', ...fields, '', ''].join('\r\n');
}

test('a request without credentials is told which there are, and reaches no server', async (t) => {
  const { port, requests, ended } = await startGuarded(t, { rules: both });
  const { status, headers, body } = await ask(port);
  assert.equal(status, 401);
  assert.equal(headers['www-authenticate'], 'Basic realm="site.test", charset="UTF-8", Bearer realm="site.test"');
  assert.equal(headers['cache-control'], 'no-store');
  assert.match(body, /^hopline: /);
  assert.equal(requests.length, 0);
  assert.equal(ended[0]?.failure?.code, 'AUTH_REQUIRED');
});

test('the right password and the right token go no further than the gateway', async (t) => {
  const { port, requests, ended } = await startGuarded(t, { rules: both });
  for (const authorization of [right, bearer, `bASIC   ${right.slice(6)}`, `bearer ${token}`]) {
    assert.equal((await ask(port, { headers: { Authorization: authorization } })).status, 200, authorization);
  }
  assert.equal(requests.length, 4);
  for (const { headers } of requests) assert.equal(headers.authorization, undefined);
  assert.deepEqual(
    ended.map(({ user }) => user),
    ['alice', undefined, 'alice', undefined],
  );
});

test('a field of its own may take the place of the credentials', async (t) => {
  const site = { requestFields: { set: { Authorization: 'Bearer inner' } } };
  const { port, requests } = await startGuarded(t, { rules: both, site });
  await ask(port, { headers: { Authorization: bearer } });
  assert.equal(requests[0]?.headers.authorization, 'Bearer inner');
});

const wrong: readonly (readonly [what: string, authorization: string])[] = [
  ['another password', basic('alice', 'other')],
  ['a user who is not there', basic('bob', password)],
  ['no user', basic('', password)],
  ['a name of a property', basic('__proto__', password)],
  ['another case of a name', basic('Alice', password)],
  ['a part of the token', `Bearer ${token.slice(1)}`],
  ['more than the token', `Bearer ${token}a`],
  ['an empty token', 'Bearer '],
  ['a token in place of a password', `Basic ${token}`],
  ['a hash in place of a token', right.replace('Basic', 'Bearer')],
  ['two in one field', `${right}, ${right}`],
  ['something behind it', `${right} x`],
  ['parameters', `Basic realm="x", token=${token}`],
  ['a scheme alone', 'Basic'],
  ['base64 that is cut', right.replace(/=+$/, '')],
  ['base64 of URLs', 'Basic YWxpY2U6cGE_cw=='],
  ['no UTF-8', `Basic ${Buffer.from('alice:\xff', 'latin1').toString('base64')}`],
  ['a control character', basic('alice', `${password}\0`)],
  ['no colon', `Basic ${Buffer.from('alice').toString('base64')}`],
  ['another scheme', 'Digest username="alice"'],
];

test('whatever is not exactly the credentials of the site is 401', async (t) => {
  const { port, requests, ended } = await startGuarded(t, { rules: both });
  for (const [what, authorization] of wrong) {
    const answer = await exchangeBytes(port, head('GET', `Authorization: ${authorization}`, 'Connection: close'));
    assert.match(answer, /^HTTP\/1\.1 401 /, what);
    assert.doesNotMatch(answer, /alice/, what);
  }
  assert.equal(requests.length, 0);
  for (const { user, failure } of ended) {
    assert.equal(user, undefined);
    assert.match(failure?.code ?? '', /^AUTH_/);
  }
});

test('a token that is wrong is told so, as RFC 6750 has it', async (t) => {
  const { port } = await startGuarded(t, { rules: { bearer: 'tokens' } });
  const { headers } = await ask(port, { headers: { Authorization: `Bearer ${'b'.repeat(32)}` } });
  assert.equal(headers['www-authenticate'], 'Bearer realm="site.test", error="invalid_token"');
  const { headers: none } = await ask(port, { headers: { Authorization: right } });
  assert.equal(none['www-authenticate'], 'Bearer realm="site.test"', 'a site of tokens knows no passwords');
});

for (const [first, second] of [
  [right, basic('alice', 'other')],
  ['Basic x', right],
  [right, right],
]) {
  test(`two fields of credentials are 400: ${first === second ? 'the same' : first === right ? 'right first' : 'right last'}`, async (t) => {
    const { port, requests } = await startGuarded(t, { rules: both });
    const fields = [`Authorization: ${first}`, `aUTHORIZATION: ${second}`, 'Connection: close'];
    assert.match(await exchangeBytes(port, head('GET', ...fields)), /^HTTP\/1\.1 400 /);
    assert.equal(requests.length, 0);
  });
}

test('credentials behind content, in another field, or folded, are none', async (t) => {
  const { port, requests } = await startGuarded(t, { rules: both });
  const trailer = `${head('POST', 'Transfer-Encoding: chunked', 'Trailer: Authorization', 'Connection: close')}0\r\nAuthorization: ${bearer}\r\n\r\n`;
  assert.match(await exchangeBytes(port, trailer), /^HTTP\/1\.1 401 /);
  for (const field of [`Proxy-Authorization: ${bearer}`, `X-Authorization: ${bearer}`, `Cookie: ${bearer}`]) {
    assert.match(await exchangeBytes(port, head('GET', field, 'Connection: close')), /^HTTP\/1\.1 401 /, field);
  }
  for (const field of [`Authorization : ${bearer}`, `Authorization: Bearer\r\n ${token}`]) {
    assert.match(await exchangeBytes(port, head('GET', field, 'Connection: close')), /^HTTP\/1\.1 400 /, field);
  }
  assert.equal(requests.length, 0);
});

test('what is not well formed is 400 before anybody is asked who he is', async (t) => {
  const { port } = await startGuarded(t, { rules: both });
  const doubtful = head('POST', 'Content-Length: 1', 'Content-Length: 2', 'Connection: close');
  assert.match(await exchangeBytes(port, doubtful), /^HTTP\/1\.1 400 /);
  const long = head('GET', `Authorization: Bearer ${'a'.repeat(40_000)}`);
  assert.match(await exchangeBytes(port, long), /^HTTP\/1\.1 431 /);
});

for (const method of ['HEAD', 'OPTIONS', 'POST', 'PUT', 'DELETE', 'TRACE', 'PROPFIND', 'PURGE']) {
  test(`${method} is judged as any other method`, async (t) => {
    const { port, requests } = await startGuarded(t, { rules: both });
    const fields = ['Max-Forwards: 0', 'Connection: close'];
    assert.match(await exchangeBytes(port, head(method, ...fields)), /^HTTP\/1\.1 401 /);
    assert.equal(requests.length, 0);
  });
}

test('OPTIONS of * and an absolute URL are judged', async (t) => {
  const { port, requests } = await startGuarded(t, { rules: both });
  for (const target of ['OPTIONS *', 'GET http://site.test/', 'GET //site.test/', 'GET /%2e%2e/secret']) {
    const answer = await exchangeBytes(port, `${target} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n`);
    assert.match(answer, /^HTTP\/1\.1 401 /, target);
  }
  assert.equal(requests.length, 0);
});

for (const host of ['site.test.', 'SITE.test', 'site.test:80', 'site.test:99', ' site.test']) {
  test(`a host that is written ${JSON.stringify(host)} is judged, beside a site that is for everybody`, async (t) => {
    const { port, requests } = await startGuarded(t, { rules: both, site: { host: 'site.test' }, others: ['*'] });
    const asked = `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
    assert.match(await exchangeBytes(port, asked), /^HTTP\/1\.1 401 /);
    assert.equal(requests.length, 0);
    const other = await exchangeBytes(port, asked.replace(host, 'other.test'));
    assert.match(other, /^HTTP\/1\.1 200 /, 'another name is another site');
  });
}

test('what a connection is told to drop of its fields does not get past the judgement', async (t) => {
  const { port, requests } = await startGuarded(t, { rules: both });
  const fields = ['Connection: close, authorization', `Authorization: ${bearer}`];
  assert.match(await exchangeBytes(port, head('GET', ...fields)), /^HTTP\/1\.1 200 /);
  assert.equal(requests[0]?.headers.authorization, undefined);
});

test('a client that would upgrade is judged, and one that may is let through', async (t) => {
  const { port, requests } = await startGuarded(t, { rules: both });
  const upgrade = ['Connection: Upgrade', 'Upgrade: websocket'];
  assert.match(await exchangeBytes(port, head('GET', ...upgrade)), /^HTTP\/1\.1 401 /);
  assert.equal(requests.length, 0);
  assert.match(await exchangeBytes(port, head('GET', ...upgrade, `Authorization: ${bearer}`)), /^HTTP\/1\.1 200 /);
  assert.equal(requests.length, 1);
});

test('CONNECT goes by the credentials for a proxy', async (t) => {
  const { port, requests } = await startGuarded(t, { rules: both, site: { connect: true } });
  const connect = (...fields: readonly string[]) =>
    ['CONNECT site.test:80 HTTP/1.1', 'Host: site.test:80', ...fields, '', ''].join('\r\n');
  const refused = await exchangeBytes(port, connect(`Authorization: ${bearer}`));
  assert.match(refused, /^HTTP\/1\.1 407 .*\r\nProxy-Authenticate: Basic realm="site\.test"/s);
  const inside = `${connect(`Proxy-Authorization: ${bearer}`)}GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
  assert.match(await exchangeBytes(port, inside), /^HTTP\/1\.1 200 OK\r\n\r\nHTTP\/1\.1 200 OK/);
  assert.equal(requests.length, 1);
});

test('each request of a kept connection is judged, and those sent ahead', async (t) => {
  const { port, requests } = await startGuarded(t, { rules: both });
  const bytes = [
    head('GET', `Authorization: ${bearer}`),
    head('GET'),
    head('GET', `Authorization: ${bearer}`),
    head('GET', 'Connection: close'),
  ].join('');
  const answers = (await exchangeBytes(port, bytes)).match(/HTTP\/1\.1 \d+/g);
  assert.deepEqual(answers, ['HTTP/1.1 200', 'HTTP/1.1 401', 'HTTP/1.1 200', 'HTTP/1.1 401']);
  assert.equal(requests.length, 2);
});

test('a client that waits for 100 is refused before it sends its content', async (t) => {
  const { port, requests } = await startGuarded(t, { rules: both });
  const socket = net.connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  socket.write(head('POST', 'Content-Length: 1000000', 'Expect: 100-continue'));
  const [bytes] = await once(socket, 'data');
  assert.match(String(bytes), /^HTTP\/1\.1 401 /);
  assert.equal(requests.length, 0);
});

test('a site that asks for addresses alone passes credentials on', async (t) => {
  const { port, requests } = await startGuarded(t, { rules: { addresses: ['127.0.0.0/8'] } });
  assert.equal((await ask(port, { headers: { Authorization: right } })).status, 200);
  assert.equal(requests[0]?.headers.authorization, right);
});

test('from another address even the right credentials are 403, and the connection goes on', async (t) => {
  const { port, requests, ended } = await startGuarded(t, { rules: { ...both, addresses: ['192.0.2.0/24', '::1'] } });
  const bytes = head('GET', `Authorization: ${bearer}`) + head('GET', 'Connection: close');
  const answer = await exchangeBytes(port, bytes);
  assert.deepEqual(answer.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 403', 'HTTP/1.1 403']);
  assert.doesNotMatch(answer, /WWW-Authenticate/i);
  assert.equal(requests.length, 0);
  assert.equal(ended[0]?.failure?.code, 'AUTH_DENIED');
});

const proxied: readonly (readonly [forwarded: string, status: number])[] = [
  ['192.0.2.7', 200],
  ['192.0.2.7, 198.51.100.1', 403],
  ['198.51.100.1, 192.0.2.7', 200],
  ['192.0.2.7, 127.0.0.9', 200],
  ['::ffff:192.0.2.7', 200],
  ['unknown', 403],
  ['192.0.2.7, unknown', 403],
  ['192.0.2.7:80', 403],
  ['', 403],
];

test('behind a trusted proxy it goes by whom that names, and from anybody else by the peer', async (t) => {
  const rules = { addresses: ['192.0.2.0/24'] };
  const behind = await startGuarded(t, { rules, trusted: ['127.0.0.0/8'] });
  for (const [forwarded, status] of proxied) {
    const headers = { 'X-Forwarded-For': forwarded };
    assert.equal((await ask(behind.port, { headers })).status, status, forwarded);
  }
  const direct = await startGuarded(t, { rules });
  const claims = { 'X-Forwarded-For': '192.0.2.7', 'X-Real-IP': '192.0.2.7', Forwarded: 'for=192.0.2.7' };
  assert.equal((await ask(direct.port, { headers: claims })).status, 403);
});

test('CONNECT through a trusted proxy goes by whom that names as well', async (t) => {
  const rules = { addresses: ['127.0.0.0/8'] };
  const { port } = await startGuarded(t, { rules, trusted: ['127.0.0.1'], site: { connect: true } });
  const connect = 'CONNECT site.test:80 HTTP/1.1\r\nHost: site.test:80\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n';
  assert.match(await exchangeBytes(port, connect), /^HTTP\/1\.1 403 /);
});

test('an address in IPv4 that came in as IPv6 is the one that it is', () => {
  const list = blockList(parseNetworks(['192.0.2.0/24'], 'test'));
  assert.ok(list.check('::ffff:192.0.2.1', 'ipv6'));
});

test('what the cache holds is for those alone who may ask, and is the same for each of them', async (t) => {
  const { cache } = await makeCache(t);
  const answer: Parameters<typeof startGuarded>[1]['answer'] = (_request, response) => {
    response.setHeader('Cache-Control', 'max-age=60').end('kept');
  };
  const site = { wrap: (exchange: Parameters<typeof cache.wrap>[0]) => cache.wrap(exchange, {}) };
  const { port, requests, ended } = await startGuarded(t, { rules: both, site, answer });
  assert.equal((await ask(port, { headers: { Authorization: right } })).body, 'kept');
  assert.equal((await ask(port, { headers: { Authorization: bearer } })).body, 'kept');
  assert.equal(requests.length, 1, 'a credential that was judged is no reason to ask again');
  for (const method of ['GET', 'HEAD']) {
    const { status, headers } = await ask(port, { method, headers: { 'Cache-Control': 'only-if-cached' } });
    assert.equal(status, 401);
    assert.equal(headers['cache-status'], undefined);
    assert.equal(headers.age, undefined);
  }
  for (const fields of [{ 'If-None-Match': '*' }, { Range: 'bytes=0-1' }]) {
    assert.equal((await ask(port, { headers: fields })).status, 401);
  }
  await until(() => ended.length === 6);
  assert.equal(requests.length, 1);
});
