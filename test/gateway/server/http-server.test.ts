import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import test from 'node:test';
import type { HoplineError } from '../../../src/core/errors.ts';
import type { Ended } from '../../../src/gateway/server/http-server.ts';
import { startGateway } from '../../../src/gateway/server/start.ts';
import { ask, exchangeBytes, hopAt, startBackend, startBehind, startTestGateway } from '../../support/http.ts';

/** What the backend got, as the answer. */
const mirror: http.RequestListener = (request, response) => {
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers }));
};

interface Mirrored {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
}

test('passes a request on, rebuilt, with what a proxy says of it', async (t) => {
  const { gateway } = await startBehind(t, mirror);
  const headers = {
    Connection: 'close, X-Mine',
    'X-Mine': '1',
    'X-Forwarded-For': '6.6.6.6',
    'Proxy-Authorization': 'Basic eA==',
    TE: 'gzip',
    'X-Kept': 'yes',
  };
  const answer = await ask(gateway.port, { path: '/a/../b?c=d', headers });
  const seen: Mirrored = JSON.parse(answer.body);
  assert.equal(seen.url, '/a/../b?c=d');
  assert.equal(seen.headers['x-kept'], 'yes');
  for (const name of ['x-mine', 'proxy-authorization', 'te']) assert.equal(seen.headers[name], undefined, name);
  assert.equal(seen.headers['x-forwarded-for'], '127.0.0.1', 'what a client says of itself does not count');
  assert.match(seen.headers.via ?? '', /^1\.1 hopline-[0-9a-f]{8}$/);
  assert.equal(seen.headers.host, `127.0.0.1:${gateway.port}`);
  assert.match(seen.headers.forwarded ?? '', /^for=127\.0\.0\.1;host="127\.0\.0\.1:\d+";proto=http$/);
  assert.match(seen.headers.traceparent ?? '', /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  assert.match(String(answer.headers.via), /^1\.1 hopline-[0-9a-f]{8}$/);
});

for (const passOverrides of [undefined, false, true]) {
  test(`what overrides the target or the method ${passOverrides ? 'goes on where its site says so' : 'of a client ends here'}`, async (t) => {
    const backend = await startBackend(t, mirror);
    const sites = [{ host: '*', backend: { members: [backend.address] }, passOverrides }];
    const gateway = await startTestGateway(t, { sites });
    const headers = {
      'X-Original-URL': '/admin',
      'x-rewrite-url': '/admin',
      'X-HTTP-Method-Override': 'DELETE',
      X_HTTP_Method_Override: 'DELETE',
      'X-Other': 'kept',
    };
    const seen: Mirrored = JSON.parse((await ask(gateway.port, { headers })).body);
    const passed = Object.keys(seen.headers).filter((name) => /override|-url$/.test(name));
    assert.equal(passed.length, passOverrides ? 4 : 0, passed.join());
    assert.equal(seen.headers['x-other'], 'kept');
  });
}

for (const value of ['$remote_addr', '$' + '{host}', 'for=%{REMOTE_ADDR}e', '%[src]']) {
  test(`a field rule with the variable ${value} is refused, since nothing is expanded`, async () => {
    const backend = { members: [hopAt(9)] };
    for (const rules of [{ requestFields: { set: { 'X-A': value } } }, { answerFields: { add: { 'X-A': value } } }]) {
      const starting = startGateway({ sites: [{ host: '*', backend, ...rules }] });
      await assert.rejects(
        starting,
        (error: HoplineError) => error.code === 'USAGE_INVALID' && error.message.includes(value),
      );
    }
  });
}

test('a price in a field rule is no variable', async (t) => {
  const backend = await startBackend(t, mirror);
  const requestFields = { set: { 'X-Price': '$5.00, 100 %' } };
  const gateway = await startTestGateway(t, {
    sites: [{ host: '*', backend: { members: [backend.address] }, requestFields }],
  });
  const seen: Mirrored = JSON.parse((await ask(gateway.port)).body);
  assert.equal(seen.headers['x-price'], '$5.00, 100 %');
});

test('a client that leaves before its answer is 499 for the log, and no failure of its server', async (t) => {
  let asked = () => {};
  const isAsked = new Promise<void>((resolve) => {
    asked = resolve;
  });
  let isFirst = true;
  const backend = await startBackend(t, (_request, response) => {
    if (!isFirst) return response.end('well');
    isFirst = false;
    return asked();
  });
  let end = (_ended: Ended) => {};
  const first = new Promise<Ended>((resolve) => {
    end = resolve;
  });
  const sites = [{ host: '*', backend: { members: [backend.address] } }];
  const gateway = await startTestGateway(t, { sites, onEnded: (ended) => end(ended) });
  const client = net.connect(gateway.port, '127.0.0.1', () => client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'));
  await isAsked;
  client.destroy();
  const { status, failure, bytes } = await first;
  assert.deepEqual([status, failure?.code, bytes], [499, 'PEER_LOST', 0]);
  assert.equal((await ask(gateway.port)).body, 'well');
});

test('believes a trusted proxy about its client, and goes on with its trace', async (t) => {
  const backend = await startBackend(t, mirror);
  const sites = [{ host: '*', backend: { members: [backend.address] } }];
  const clients: string[] = [];
  const gateway = await startTestGateway(t, {
    sites,
    trusted: ['127.0.0.0/8'],
    onEnded: ({ client }) => clients.push(client),
  });
  const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
  const see = async (traceparent: string) => {
    const headers = { 'X-Forwarded-For': '6.6.6.6, 10.0.0.1', traceparent, tracestate: 'a=1,b=2' };
    return (JSON.parse((await ask(gateway.port, { headers })).body) as Mirrored).headers;
  };
  const seen = await see(`00-${trace}-00f067aa0ba902b7-01`);
  assert.equal(seen['x-forwarded-for'], '6.6.6.6, 10.0.0.1, 127.0.0.1');
  assert.match(seen.traceparent ?? '', new RegExp(`^00-${trace}-(?!00f067aa0ba902b7)[0-9a-f]{16}-01$`));
  assert.equal(seen.tracestate, 'a=1,b=2');
  assert.deepEqual(clients, ['10.0.0.1']);
  const unrecorded = await see(`00-${trace}-00f067aa0ba902b7-02`);
  assert.match(unrecorded.traceparent ?? '', new RegExp(`^00-${trace}-[0-9a-f]{16}-00$`));
  for (const wrong of [`00-${trace}-${'0'.repeat(16)}-01`, `ff-${trace}-00f067aa0ba902b7-01`]) {
    const { traceparent, tracestate } = await see(wrong);
    assert.match(traceparent ?? '', new RegExp(`^00-(?!${trace})[0-9a-f]{32}-[0-9a-f]{16}-01$`));
    assert.equal(tracestate, undefined, 'without its trace it means nothing');
  }
});

for (const trusted of [[], ['10.0.0.0/8'], ['127.0.0.0/8']]) {
  const isTrusted = trusted[0] === '127.0.0.0/8';
  test(`what a client says of where it comes from ${isTrusted ? 'goes on where it is trusted' : 'ends here'}, whatever it is called`, async (t) => {
    const backend = await startBackend(t, mirror);
    const gateway = await startTestGateway(t, {
      sites: [{ host: '*', backend: { members: [backend.address] } }],
      trusted,
    });
    const claims = {
      'X-Forwarded-Prefix': '/evil',
      X_Forwarded_Server: 'evil',
      'x-forwarded-ssl': 'on',
      'X-Host': 'evil',
      'True-Client-IP': '6.6.6.6',
      'Front-End-Https': 'on',
      Client_IP: '6.6.6.6',
      'X-Forwarded': 'for=6.6.6.6',
      'X-Original-Host': 'evil',
      'X-HTTP-Host-Override': 'evil',
      Proxy: 'http://evil',
    };
    const headers = { ...claims, 'X-Forwarder': 'kept', 'Proxy-Kind': 'kept' };
    const seen: Mirrored = JSON.parse((await ask(gateway.port, { headers })).body);
    const passed = Object.keys(claims).filter((name) => name.toLowerCase() in seen.headers);
    assert.deepEqual(passed, isTrusted ? Object.keys(claims) : []);
    assert.deepEqual([seen.headers['x-forwarder'], seen.headers['proxy-kind']], ['kept', 'kept']);
  });
}

test('serves listed hosts alone: 421 for others, and 403 for a client that takes it for its proxy', async (t) => {
  const backend = await startBackend(t, mirror);
  const servers = { members: [backend.address] };
  const gateway = await startTestGateway(t, {
    sites: [
      { host: 'www.example.org', backend: servers },
      { host: '*.example.net', backend: servers },
    ],
  });
  const statusOf = async (path: string, host: string) => (await ask(gateway.port, { path, headers: { host } })).status;
  assert.equal(await statusOf('/', 'www.example.org'), 200);
  assert.equal(await statusOf('/', 'WWW.Example.ORG.:80'), 200);
  assert.equal(await statusOf('/', 'a.b.example.net'), 200);
  assert.equal(await statusOf('/', 'example.net'), 421);
  assert.equal(await statusOf('/', 'example.com'), 421);
  assert.equal(await statusOf('http://www.example.org/x', 'www.example.org'), 200);
  assert.equal(await statusOf('http://example.com/', 'example.com'), 403);
  assert.equal(backend.requests.length, 4);
});

test('reads the absolute form as a proxy does', async (t) => {
  const { gateway } = await startBehind(t, mirror);
  const { body } = await ask(gateway.port, { path: 'http://Example.org:80/x?y', headers: { host: 'example.org' } });
  const seen: Mirrored = JSON.parse(body);
  assert.deepEqual([seen.url, seen.headers.host], ['/x?y', 'example.org']);
});

test('refuses CONNECT unless the site allows it', async (t) => {
  const echo = net.createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
  await once(echo, 'listening');
  t.after(() => echo.close());
  const { port } = echo.address() as net.AddressInfo;
  const backend = { members: [{ host: '127.0.0.1', port: port as never }] };
  const gateway = await startTestGateway(t, {
    sites: [
      { host: 'open.test', backend, connect: true },
      { host: 'closed.test', backend },
    ],
  });
  const head = (host: string) => `CONNECT ${host}:443 HTTP/1.1\r\nHost: ${host}:443\r\n\r\n`;
  assert.match(await exchangeBytes(gateway.port, head('closed.test')), /^HTTP\/1\.1 403 /);
  assert.match(await exchangeBytes(gateway.port, head('other.test')), /^HTTP\/1\.1 403 /);
  const socket = net.connect(gateway.port, '127.0.0.1').setEncoding('utf8');
  socket.write(head('open.test'));
  const [answer] = await once(socket, 'data');
  assert.match(answer, /^HTTP\/1\.1 200 /);
  socket.write('through');
  assert.deepEqual(await once(socket, 'data'), ['through']);
  socket.end();
  await once(socket, 'close');
});

test('answers an unknown method with 501', async (t) => {
  const { backend, gateway } = await startBehind(t);
  assert.match(await exchangeBytes(gateway.port, 'BREW / HTTP/1.1\r\nHost: a\r\n\r\n'), /^HTTP\/1\.1 501 /);
  assert.equal(backend.requests.length, 0);
});

test('passes content on in both directions, with trailers', async (t) => {
  const { gateway } = await startBehind(t, (request, response) => {
    response.setHeader('Trailer', 'X-After');
    request.pipe(response, { end: false });
    request.once('end', () => {
      response.addTrailers({ 'X-After': request.trailers['x-sum'] ?? 'none' });
      response.end();
    });
  });
  const bytes =
    'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n';
  const answer = await exchangeBytes(gateway.port, `${bytes}3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n`);
  assert.match(answer, /^HTTP\/1\.1 200 /);
  assert.match(answer, /abc[\s\S]*de[\s\S]*0\r\nX-After: 5\r\n\r\n$/i);
});

test('asks the backend before a client that waits may send its content', async (t) => {
  let continues = 0;
  const { backend, gateway } = await startBehind(t, (request, response) => request.pipe(response));
  backend.server.on('checkContinue', (request, response) => {
    if (request.url === '/no') {
      response.writeHead(413).end();
      return;
    }
    continues += 1;
    response.writeContinue();
    request.pipe(response);
  });
  const send = (path: string) =>
    new Promise<{ readonly status: number | undefined; readonly continued: boolean }>((resolve) => {
      const headers = { Expect: '100-continue', 'Content-Length': '4' };
      const request = http.request({
        host: '127.0.0.1',
        port: gateway.port,
        path,
        method: 'PUT',
        headers,
        agent: false,
      });
      let continued = false;
      request.on('continue', () => {
        continued = true;
        request.end('body');
      });
      request.on('response', (response) => {
        response.resume();
        request.destroy();
        resolve({ status: response.statusCode, continued });
      });
      request.on('error', () => {});
      request.flushHeaders();
    });
  assert.deepEqual(await send('/yes'), { status: 200, continued: true });
  assert.deepEqual(await send('/no'), { status: 413, continued: false });
  assert.equal(continues, 1);
});

test('passes early hints on', async (t) => {
  const { gateway } = await startBehind(t, (_request, response) => {
    response.writeEarlyHints({ link: '</style.css>; rel=preload' });
    response.end('page');
  });
  const request = http.get({ host: '127.0.0.1', port: gateway.port, agent: false });
  const hints = once(request, 'information');
  const [response] = await once(request, 'response');
  response.resume();
  const [{ statusCode, headers }] = await hints;
  assert.deepEqual([statusCode, headers.link], [103, '</style.css>; rel=preload']);
});

test('lets both ends change to WebSocket, and nothing is warned of', async (t) => {
  const warnings: Error[] = [];
  const collect = (warning: Error) => warnings.push(warning);
  process.on('warning', collect);
  t.after(() => process.off('warning', collect));
  const { backend, gateway } = await startBehind(t);
  backend.server.on('upgrade', (_request, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello');
    socket.pipe(socket);
  });
  const socket = net.connect(gateway.port, '127.0.0.1').setEncoding('utf8');
  let seen = '';
  socket.on('data', (text) => {
    seen += text;
  });
  socket.write('GET /chat HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nearly');
  while (!seen.endsWith('helloearly')) await once(socket, 'data');
  assert.match(seen, /^HTTP\/1\.1 101 /);
  socket.end('last');
  await once(socket, 'close');
  assert.match(seen, /helloearlylast$/);
  assert.deepEqual(warnings, []);
});

test('answers a request that would upgrade to what does not go through', async (t) => {
  const { gateway } = await startBehind(t, mirror);
  const answer = await exchangeBytes(
    gateway.port,
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n',
  );
  assert.match(answer, /^HTTP\/1\.1 200 /);
  assert.doesNotMatch(answer, /h2c/i);
});

test('answers requests of one connection in their order', async (t) => {
  const { gateway } = await startBehind(t, (request, response) => {
    setTimeout(() => response.end(`answer ${request.url}`), request.url === '/1' ? 30 : 0);
  });
  const one = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: a\r\n${more}\r\n`;
  const answer = await exchangeBytes(gateway.port, one('/1') + one('/2') + one('/3', 'Connection: close\r\n'));
  assert.deepEqual(answer.match(/answer \/\d/g), ['answer /1', 'answer /2', 'answer /3']);
});

test('serves a client of HTTP/1.0 without Host from the default site', async (t) => {
  const { gateway } = await startBehind(t, (_request, response) => {
    response.write('in ');
    response.end('parts');
  });
  const answer = await exchangeBytes(gateway.port, 'GET / HTTP/1.0\r\n\r\n');
  assert.match(answer, /^HTTP\/1\.1 200 /);
  assert.doesNotMatch(answer, /transfer-encoding/i);
  assert.match(answer, /\r\n\r\nin parts$/);
});

test('answers HEAD with the fields of GET and without content', async (t) => {
  const { gateway } = await startBehind(t, (_request, response) => {
    response.setHeader('Content-Length', '1000');
    response.end();
  });
  const answer = await ask(gateway.port, { method: 'HEAD' });
  assert.deepEqual([answer.headers['content-length'], answer.body], ['1000', '']);
});

test('stops TRACE and OPTIONS at Max-Forwards, and counts it down', async (t) => {
  const { backend, gateway } = await startBehind(t, mirror);
  const trace = await ask(gateway.port, { method: 'TRACE', headers: { 'Max-Forwards': '0', Cookie: 'secret' } });
  assert.equal(trace.headers['content-type'], 'message/http');
  assert.match(trace.body, /^TRACE \/ HTTP\/1\.1\r\n/);
  assert.doesNotMatch(trace.body, /secret/);
  assert.equal(
    (await ask(gateway.port, { method: 'OPTIONS', path: '*', headers: { 'Max-Forwards': '0' } })).status,
    204,
  );
  assert.equal(backend.requests.length, 0);
  const passed: Mirrored = JSON.parse(
    (await ask(gateway.port, { method: 'OPTIONS', headers: { 'Max-Forwards': '3' } })).body,
  );
  assert.equal(passed.headers['max-forwards'], '2');
});

test('refuses what comes round again', async (t) => {
  const backend = await startBackend(t);
  const sites = [{ host: '*', backend: { members: [backend.address] } }];
  const gateway = await startTestGateway(t, { name: 'Edge', sites });
  const answer = await ask(gateway.port, { headers: { Via: '1.1 other, 1.1 edge' } });
  assert.equal(answer.status, 508);
  assert.equal(answer.headers['proxy-status'], 'hopline; error=proxy_loop_detected');
  assert.equal(backend.requests.length, 0);
});

test('changes fields of requests and answers as it is told', async (t) => {
  const backend = await startBackend(t, mirror);
  const gateway = await startTestGateway(t, {
    sites: [
      {
        host: '*',
        backend: { members: [backend.address] },
        hostField: 'inner.test',
        requestFields: { set: { 'X-Set': 'new' }, remove: ['x-gone'] },
        answerFields: { add: { 'X-Added': 'too' }, remove: ['content-type'] },
      },
    ],
  });
  const answer = await ask(gateway.port, { headers: { 'x-set': 'old', 'X-Gone': '1' } });
  const { headers }: Mirrored = JSON.parse(answer.body);
  assert.deepEqual([headers.host, headers['x-set'], headers['x-gone']], ['inner.test', 'new', undefined]);
  assert.deepEqual([answer.headers['x-added'], answer.headers['content-type']], ['too', undefined]);
});

test('lets a request that is under way finish when it is closed', async (t) => {
  let finish = () => {};
  const { backend, gateway } = await startBehind(t, (_request, response) => {
    response.write('begun ');
    finish = () => response.end('and ended');
  });
  const answered = ask(gateway.port);
  while (backend.requests.length === 0) await new Promise((resolve) => setImmediate(resolve));
  const closed = gateway.close();
  await new Promise((resolve) => setImmediate(resolve));
  finish();
  assert.equal((await answered).body, 'begun and ended');
  await closed;
});

test('rules for the fields that say where a message ends, or that are the gateway’s own, are refused at the start', async () => {
  for (const name of [
    'Content-Length',
    'transfer-encoding',
    'Connection',
    'Upgrade',
    'Via',
    'Host',
    'Content_Length',
  ]) {
    const backend = { members: [hopAt(1)] };
    for (const rules of [{ set: { [name]: '5' } }, { add: { [name]: '5' } }, { remove: [name] }]) {
      for (const site of [{ requestFields: rules }, { answerFields: rules }]) {
        const start = startGateway({ sites: [{ host: 'a.test', backend, ...site }] });
        await assert.rejects(start, { code: 'USAGE_INVALID' }, `${name} ${JSON.stringify(site)}`);
      }
    }
  }
});
