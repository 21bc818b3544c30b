import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { after, test } from 'node:test';
import { type Logger, silentLogger } from '../../../src/index.ts';
import { makeCertificate as makeNamedCertificate } from '../../support/certificate.ts';
import { addressOf, startChain, startPeer, until } from '../../support/chain.ts';
import { mainFile, runProgram, startProgram } from '../../support/program.ts';
import { makeTempRoot } from '../../support/temp-root.ts';
import { makeCertificate, startWebServer } from '../../support/web-server.ts';

// Nobody's own cache is touched, nor answers for a port that another run had.
process.env.HOPLINE_CACHE = mkdtempSync(path.join(tmpdir(), 'hopline-test-'));
after(() => rmSync(process.env.HOPLINE_CACHE ?? '', { recursive: true, force: true }));

/** Answers with `content`, or the range of it that was asked for, under `etag`; cut short after `cutAt` bytes. */
function sendFile(request: IncomingMessage, response: ServerResponse, content: Buffer, etag: string, cutAt?: number) {
  const [, from] = /^bytes=(\d+)-$/.exec(request.headers.range ?? '') ?? [];
  const isPart = from !== undefined && request.headers['if-range'] === etag;
  const offset = isPart ? Number(from) : 0;
  response.writeHead(isPart ? 206 : 200, {
    ETag: etag,
    'Content-Type': 'application/x-test',
    'Content-Length': content.length - offset,
    ...(isPart ? { 'Content-Range': `bytes ${offset}-${content.length - 1}/${content.length}` } : {}),
  });
  if (cutAt === undefined) response.end(content.subarray(offset));
  else response.write(content.subarray(offset, offset + cutAt), () => setTimeout(() => response.destroy(), 50));
}

test('fetch writes text to stdout and nothing else, and sends what was asked for', async (t) => {
  const server = await startWebServer(t, (_, response) => {
    response.setHeader('Content-Type', 'text/html').end('<p>hello\n');
  });
  const { code, stdout, stderr } = await runProgram(t, ['fetch', `${server.url}/a?b=c#d`, '-H', 'X-One:  1 ']);
  assert.deepEqual([code, stdout, stderr], [0, '<p>hello\n', '']);
  const [request] = server.requests;
  assert.equal(request?.url, '/a?b=c');
  assert.equal(request?.headers.host, `127.0.0.1:${server.port}`);
  assert.equal(request?.headers['x-one'], '1');
});

test('fetch is part of the trace of its environment, unless the user names another', async (t) => {
  const server = await startWebServer(t, (_, response) => response.end('here'));
  const of = (id: string, version = '00') => `${version}-${id.repeat(32)}-${'7'.repeat(16)}-01`;
  const [ours, own] = [of('a'), of('b')];
  const asked = [
    [ours, [], ours],
    [of('a', 'cc'), [], ours],
    [ours, ['-H', `Traceparent: ${own}`], own],
    [of('0'), [], undefined],
    [`${ours}\r\nX: 1`, [], undefined],
  ] as const;
  for (const [TRACEPARENT, more, sent] of asked) {
    const { code, stderr } = await runProgram(t, ['fetch', server.url, ...more], { env: { TRACEPARENT } });
    assert.deepEqual([code, stderr], [0, '']);
    assert.equal(server.requests.pop()?.headers.traceparent, sent, TRACEPARENT);
  }
});

test('every way to fail has its exit code, and an error page is shown', async (t) => {
  const server = await startWebServer(t, (request, response) => {
    response.statusCode = Number(request.url?.slice(1));
    if (response.statusCode === 302) response.setHeader('Location', '/200');
    response.end(response.statusCode === 304 ? undefined : `page ${request.url}\n`);
  });
  const silent = await startPeer(t, () => {});
  const babbler = await startPeer(t, (socket) => socket.end('SSH-2.0-x\r\n'));
  const hasty = await startPeer(t, (socket) => socket.end());
  const table = [
    [`${server.url}/200`, 0, /^page/],
    [`${server.url}/304`, 0, /^$/],
    [`${server.url}/302`, 5, /redirects to \/200 \(status 302\)\n {2}hint: use -L/],
    [`${server.url}/404`, 11, /answered 404 Not Found\n/],
    [`${server.url}/503`, 12, /answered 503 Service Unavailable\n/],
    ['ftp://127.0.0.1/', 2, /expected a URL/],
    ['http://no-such-name.invalid/', 4, /does not resolve/],
    [`https://127.0.0.1:${server.port}/`, 4, /does not speak TLS on that port/],
    [`http://${babbler.address}/`, 5, /is not HTTP/],
    [`http://${hasty.address}/`, 4, /was (lost|closed)/],
    [`http://${silent.address}/`, 9, /did not answer within 0.3 s/],
  ] as const;
  await Promise.all(
    table.map(async ([url, exit, said]) => {
      const { code, stdout, stderr } = await runProgram(t, [
        'fetch',
        url,
        '-q',
        ...(exit === 9 ? ['--idle-timeout', '0.3'] : []),
      ]);
      assert.equal(code, exit, `${url}: ${stderr}`);
      assert.match(exit === 0 ? stdout : stderr, said);
      if (/\/(404|503|302)$/.test(url)) assert.match(stdout, /^page /);
      assert.doesNotMatch(stderr, /\n {4}at /);
    }),
  );
});

test('a port that nobody listens on is refused in a line', async (t) => {
  const probe = net.createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as net.AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  const { code, stderr } = await runProgram(t, ['fetch', `127.0.0.1:${port}`]);
  assert.equal(code, 4);
  assert.match(stderr, /^hopline: no connection to 127\.0\.0\.1:\d+: connection refused\n {2}hint: .*\n$/);
});

test('-o saves the file under its name, once, unless told to replace it', async (t) => {
  const out = await makeTempRoot(t);
  const content = await out.writeRandom('content', 3_000_001);
  const server = await startWebServer(t, (request, response) => sendFile(request, response, content, '"v1"'));
  const { code, stdout, stderr } = await runProgram(t, ['fetch', `${server.url}/dir/x.bin`, '-o', `${out.path}/new/`]);
  assert.deepEqual([code, stderr], [0, '']);
  assert.match(
    stdout,
    /^url +http.*\nsaved .*new\/x\.bin\nsize +2\.9 MiB \(3000001 bytes\)\ntype +application\/x-test\n/,
  );
  assert.deepEqual(await readFile(path.join(out.path, 'new/x.bin')), content);
  const again = await runProgram(t, ['fetch', `${server.url}/dir/x.bin`, '-o', `${out.path}/new/`]);
  assert.equal(again.code, 8);
  assert.equal(server.requests.length, 1);
  const forced = await runProgram(t, ['fetch', `${server.url}/dir/x.bin`, '-o', `${out.path}/new/x.bin`, '--force']);
  assert.match(forced.stdout, /replaced the earlier one/);
  assert.deepEqual(await out.list(), ['content', 'new']);
});

test('an empty file, one of unknown size, and an answer without content are saved as what they are', async (t) => {
  const out = await makeTempRoot(t);
  const server = await startWebServer(t, (request, response) => {
    if (request.url === '/empty') return response.end();
    if (request.url === '/none') return response.writeHead(204).end();
    response.write('one ');
    return response.end('two');
  });
  for (const name of ['empty', 'none', 'chunked']) {
    const { code, stderr } = await runProgram(t, ['fetch', `${server.url}/${name}`, '-o', name], { cwd: out.path });
    assert.deepEqual([code, stderr], [0, ''], name);
  }
  assert.deepEqual(await out.list(), ['chunked', 'empty']);
  assert.equal(await readFile(path.join(out.path, 'chunked'), 'utf8'), 'one two');
});

test('after a cut the same command fetches the rest, and the bytes are equal', async (t) => {
  const out = await makeTempRoot(t);
  const content = await out.writeRandom('content', 5_000_000);
  let cutAt: number | undefined = 3_500_000;
  const server = await startWebServer(t, (request, response) => sendFile(request, response, content, '"v1"', cutAt));
  const args = ['fetch', `${server.url}/x.bin`, '-o', 'x.bin'];
  const first = await runProgram(t, args, { cwd: out.path });
  assert.equal(first.code, 4, first.stderr);
  assert.match(first.stderr, /kept 3\.0 MiB; the same command goes on from there\nhopline: /);
  assert.deepEqual(await out.list(), ['.x.bin.part', '.x.bin.part.journal', 'content']);
  cutAt = undefined;
  const second = await runProgram(t, args, { cwd: out.path });
  assert.equal(second.code, 0, second.stderr);
  assert.match(second.stderr, /^going on: 3\.0 MiB of 4\.8 MiB are here\n/);
  assert.equal(server.requests[1]?.headers.range, 'bytes=3145728-');
  assert.equal(server.requests[1]?.headers['if-range'], '"v1"');
  assert.deepEqual(await readFile(path.join(out.path, 'x.bin')), content);
  assert.deepEqual(await out.list(), ['content', 'x.bin']);
});

test('--checksum is compared before the file gets its name, of all of it wherever it came from', async (t) => {
  const out = await makeTempRoot(t);
  const content = await out.writeRandom('content', 5_000_000);
  let cutAt: number | undefined = 3_500_000;
  const server = await startWebServer(t, (request, response) => sendFile(request, response, content, '"v1"', cutAt));
  const of = (bytes: Buffer) => `sha512:${createHash('sha512').update(bytes).digest('hex')}`;
  const get = (checksum: string, ...args: string[]) =>
    runProgram(t, ['fetch', `${server.url}/x.bin`, '--checksum', checksum, ...args], { cwd: out.path });
  assert.equal((await get(of(content), '-o', 'x.bin')).code, 4);
  cutAt = undefined;
  const resumed = await get(of(content), '-o', 'x.bin');
  assert.equal(resumed.code, 0, resumed.stderr);
  assert.match(resumed.stderr, /^going on: 3\.0 MiB of 4\.8 MiB are here\n/);
  assert.match(resumed.stdout, /\ndigest +sha512 [0-9a-f]{128}, as --checksum says\n/);
  const part = content.subarray(1000, 2000);
  assert.equal((await get(of(part), '-o', 'part', '-H', 'Range: bytes=1000-1999')).code, 0);
  const wrong = await get(of(part), '-o', 'y.bin');
  assert.deepEqual([wrong.code, wrong.stdout], [7, '']);
  assert.match(wrong.stderr, /^hopline: the file has sha512 [0-9a-f]{128}, not [0-9a-f]{128} as --checksum says\n/m);
  // Nor is anything left of it, of which nobody could say what of it is wrong.
  assert.deepEqual(await out.list(), ['content', 'part', 'x.bin']);
  assert.deepEqual([(await get(of(content))).code, (await get(of(part))).code], [0, 7]);
  assert.equal((await get(of(part), '--head')).code, 2);
});

test('a file that changed in between is fetched anew, whatever the server makes of the range', async (t) => {
  const out = await makeTempRoot(t);
  const old = await out.writeRandom('old', 3_000_000);
  const content = await out.writeRandom('content', 2_500_000);
  for (const how of ['200', '206', '416', 'longer'] as const) {
    let isNew = false;
    const server = await startWebServer(t, (request, response) => {
      if (!isNew) return sendFile(request, response, old, '"v1"', 2_500_000);
      const { range } = request.headers;
      if (range && how === '416') return response.writeHead(416).end();
      // Servers that do not know If-Range.
      if (range && how === '206') request.headers['if-range'] = '"v2"';
      return sendFile(request, response, content, how === 'longer' ? '"v1"' : '"v2"');
    });
    const args = ['fetch', `${server.url}/x.bin`, '-o', `${how}.bin`];
    assert.equal((await runProgram(t, args, { cwd: out.path })).code, 4);
    isNew = true;
    const { code, stderr } = await runProgram(t, args, { cwd: out.path });
    assert.equal(code, 0, `${how}: ${stderr}`);
    assert.ok(server.requests[1]?.headers.range, how);
    assert.deepEqual(await readFile(path.join(out.path, `${how}.bin`)), content, how);
  }
});

test('--retry goes on by itself, and a 404 meanwhile leaves the part for later', async (t) => {
  const out = await makeTempRoot(t);
  const content = await out.writeRandom('content', 4_000_000);
  const served = [1_500_000, 'busy', 1_200_000, undefined] as const;
  let count = 0;
  const server = await startWebServer(t, (request, response) => {
    const cutAt = served[count++];
    if (cutAt === 'busy') response.writeHead(503).end('busy');
    else sendFile(request, response, content, '"v1"', cutAt);
  });
  const { code, stderr } = await runProgram(t, ['fetch', `${server.url}/x`, '-o', 'x', '--retry', '5'], {
    cwd: out.path,
  });
  assert.equal(code, 0, stderr);
  assert.equal(stderr.match(/trying again in/g)?.length, 3);
  assert.deepEqual(await readFile(path.join(out.path, 'x')), content);
  assert.deepEqual(
    server.requests.map(({ headers }) => headers.range),
    [undefined, 'bytes=1048576-', 'bytes=1048576-', 'bytes=2097152-'],
  );
});

test('Ctrl-C keeps the part and exits with 130', async (t) => {
  const out = await makeTempRoot(t);
  const content = await out.writeRandom('content', 3_000_000);
  const server = await startWebServer(t, (_, response) => {
    response.writeHead(200, { ETag: '"v1"', 'Content-Length': content.length });
    response.write(content.subarray(0, 2_200_000));
  });
  const args = ['fetch', `${server.url}/x`, '-o', 'x', '--json'];
  const { child, finished, saw } = startProgram(t, args, { cwd: out.path });
  await saw(/"started"/);
  const journal = path.join(out.path, '.x.part.journal');
  await until(async () => /piece 1 /.test(await readFile(journal, 'utf8').catch(() => '')));
  child.kill('SIGINT');
  const { code, stdout } = await finished;
  assert.equal(code, 130);
  assert.match(stdout, /"event":"kept","bytes":2097152/);
  assert.deepEqual(await out.list(), ['.x.part', '.x.part.journal', 'content']);
});

test('an answer that ends early, or stalls, is no success, be it cut by length or in chunks', async (t) => {
  const heads = {
    length: 'Content-Length: 10\r\n\r\nhello',
    chunked: 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n',
  };
  for (const [how, rest] of Object.entries(heads)) {
    const cut = await startPeer(t, (socket) => socket.once('data', () => socket.end(`HTTP/1.1 200 OK\r\n${rest}`)));
    const ended = await runProgram(t, ['fetch', cut.address]);
    assert.deepEqual([ended.code, ended.stdout], [4, 'hello'], how);
    const stalling = await startPeer(t, (socket) =>
      socket.once('data', () => socket.write(`HTTP/1.1 200 OK\r\n${rest}`)),
    );
    const stalled = await runProgram(t, ['fetch', stalling.address, '--idle-timeout', '1.5']);
    assert.deepEqual([stalled.code, stalled.stdout], [9, 'hello'], how);
    const late = await runProgram(t, ['fetch', stalling.address, '--deadline', '0.5']);
    assert.equal(late.code, 9);
    assert.match(late.stderr, /took longer than 0\.5 s/);
  }
});

test('-d sends data, or a file as a stream of its length, with its type', async (t) => {
  const out = await makeTempRoot(t);
  const content = await out.writeRandom('data.bin', 3_000_000);
  const bodies: Buffer[] = [];
  const server = await startWebServer(t, async (request, response) => {
    bodies.push(await buffer(request));
    if (request.url === '/moved') response.writeHead(307, { Location: '/here' });
    response.end();
  });
  const file = ['-d', `@${out.path}/data.bin`];
  assert.equal((await runProgram(t, ['fetch', `${server.url}/here`, ...file])).code, 0);
  assert.equal((await runProgram(t, ['fetch', `${server.url}/moved`, ...file, '-L', '-X', 'PUT'])).code, 0);
  assert.equal((await runProgram(t, ['fetch', server.url, '-d', 'a=ü', '-H', 'content-type: x/y'])).code, 0);
  assert.deepEqual(
    server.requests.map(({ method, headers }) => [method, headers['content-length'], headers['content-type']]),
    [
      ['POST', '3000000', 'application/octet-stream'],
      ['PUT', '3000000', 'application/octet-stream'],
      ['PUT', '3000000', 'application/octet-stream'],
      ['POST', '4', 'x/y'],
    ],
  );
  for (const body of bodies.slice(0, 3)) assert.ok(body.equals(content));
  const missing = await runProgram(t, ['fetch', server.url, '-d', '@no-such-file']);
  assert.equal(missing.code, 2);
});

test('HEAD shows the head, and -i shows it in front of the content', async (t) => {
  const server = await startWebServer(t, (_, response) => response.setHeader('X-Two', '2').end('body'));
  const head = await runProgram(t, ['fetch', server.url, '-I']);
  assert.equal(head.code, 0);
  assert.match(head.stdout, /^HTTP\/1\.1 200 OK\nX-Two: 2\n.*\n\n$/s);
  assert.equal(server.requests[0]?.method, 'HEAD');
  const both = await runProgram(t, ['fetch', server.url, '-i']);
  assert.match(both.stdout, /^HTTP\/1\.1 200 OK\n.*\n\nbody$/s);
});

test('redirects are followed with -L, ten of them, without credentials for others', async (t) => {
  const other = await startWebServer(t, (_, response) => response.end('there\n'));
  const server = await startWebServer(t, (request, response) => {
    const to = request.url === '/loop' ? '/loop' : `${other.url}/`;
    response.writeHead(302, { Location: to }).end('gone');
  });
  const url = server.url.replace('://', '://user:secret@');
  const { code, stdout, stderr } = await runProgram(t, ['fetch', `${url}/a`, '-L', '-H', 'Cookie: a=1']);
  assert.deepEqual([code, stdout, stderr], [0, 'there\n', '']);
  assert.ok(server.requests[0]?.headers.authorization);
  assert.equal(server.requests[0]?.headers.cookie, 'a=1');
  assert.equal(other.requests[0]?.headers.authorization, undefined);
  assert.equal(other.requests[0]?.headers.cookie, undefined);
  const loop = await runProgram(t, ['fetch', `${url}/loop`, '-L']);
  assert.equal(loop.code, 5);
  assert.match(loop.stderr, /redirects more than 10 times/);
  assert.doesNotMatch(loop.stderr, /secret/);
  assert.equal(server.requests.length, 12);
});

test('the log has a line for each request, and no password', async (t) => {
  const out = await makeTempRoot(t);
  const server = await startWebServer(t, (request, response) => {
    if (request.url === '/') response.writeHead(301, { Location: '/a%20b' }).end();
    else response.setHeader('Content-Type', 'text/plain; charset=utf-8').end('12345');
  });
  const url = server.url.replace('://', '://user:secret@');
  await runProgram(t, ['fetch', url, '-L', '--log', 'log', '-o', 'a b'], { cwd: out.path });
  await runProgram(t, ['fetch', 'http://u:secret@no-such-name.invalid/', '--log', 'log'], { cwd: out.path });
  const log = await readFile(path.join(out.path, 'log'), 'utf8');
  const stamp = String.raw`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`;
  const lines = [
    `${stamp} "GET ${server.url}/" 301 - 0 -`,
    `${stamp} "GET ${server.url}/a%20b" 200 text/plain 5 ".*a b"`,
    `${stamp} "- http://no-such-name.invalid/" PEER_UNRESOLVED - - -`,
  ];
  assert.match(log, new RegExp(`^${lines.join('\n')}\n$`));
});

test('a proxy gets the whole URL for http, and opens a tunnel for https', async (t) => {
  const out = await makeTempRoot(t);
  const certificate = makeCertificate(out.path, 'localhost');
  if (!certificate) return t.skip('there is no openssl command here');
  const secure = await startWebServer(t, (_, response) => response.end('secret\n'), certificate);
  const seen: string[] = [];
  const proxy = http.createServer((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers['proxy-authorization']}`);
    response.end('by proxy\n');
  });
  proxy.on('connect', (request: IncomingMessage, socket: net.Socket) => {
    seen.push(`${request.method} ${request.url}`);
    if (request.url !== `localhost:${secure.port}`) return socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
    const onward = net.connect(secure.port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.pipe(onward).pipe(socket);
    });
    onward.on('error', () => socket.destroy());
    return socket.on('error', () => onward.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  t.after(() => proxy.close().closeAllConnections());
  const address = `127.0.0.1:${(proxy.address() as net.AddressInfo).port}`;
  const plain = await runProgram(t, ['fetch', 'http://no-such-name.invalid/x', '--proxy', `u:p@${address}`]);
  assert.equal(plain.stdout, 'by proxy\n');
  const args = ['fetch', '--proxy', address, '--cacert', certificate.file];
  const tunnel = await runProgram(t, [...args, secure.url]);
  assert.deepEqual([tunnel.code, tunnel.stdout, tunnel.stderr], [0, 'secret\n', '']);
  const refused = await runProgram(t, [...args, 'https://no-such-name.invalid/']);
  assert.equal(refused.code, 5);
  assert.match(refused.stderr, /opens no tunnel to no-such-name\.invalid:443 \(status 403\)/);
  assert.deepEqual(seen, [
    'GET http://no-such-name.invalid/x Basic dTpw',
    `CONNECT localhost:${secure.port}`,
    'CONNECT no-such-name.invalid:443',
  ]);
});

test('--via connects through hops, for https and redirects too, and a hop that refuses is named', async (t) => {
  const out = await makeTempRoot(t);
  const certificate = makeCertificate(out.path, 'localhost');
  if (!certificate) return t.skip('there is no openssl command here');
  const secure = await startWebServer(t, (_, response) => response.end('through hops\n'), certificate);
  const plain = await startWebServer(t, (_, response) => response.writeHead(302, { Location: secure.url }).end());
  const traces: unknown[] = [];
  const log: Logger = { ...silentLogger, info: ({ traceId }) => traceId !== undefined && traces.push(traceId) };
  const { nodes } = await startChain(t, 2, out.path, { log });
  const via = nodes.map(addressOf).join(',');
  const args = ['fetch', plain.url, '-L', '--via', via, '--cacert', certificate.file];
  const env = { TRACEPARENT: `00-${'a'.repeat(32)}-${'7'.repeat(16)}-01` };
  const { code, stdout, stderr } = await runProgram(t, args, { env });
  assert.deepEqual([code, stdout, stderr], [0, 'through hops\n', '']);
  await until(() => traces.length === 4);
  assert.deepEqual(new Set(traces), new Set(['a'.repeat(32)]), 'two tunnels over two hops are in the logs by it');
  const refused = await runProgram(t, ['fetch', 'http://192.0.2.1/', '--via', via]);
  assert.equal(refused.code, 5);
  assert.match(refused.stderr, /^hopline: hop 2 \(127\.0\.0\.1:\d+\) is not allowed to open a leg to/);
  const wrong = await runProgram(t, ['fetch', plain.url, '--via', 'x']);
  assert.equal(wrong.code, 3);
});

test('a certificate must be right: known, of that name, and not expired', async (t) => {
  const out = await makeTempRoot(t);
  const right = makeCertificate(out.path, 'localhost');
  const wrong = makeCertificate(out.path, 'other.example');
  if (!right || !wrong) return t.skip('there is no openssl command here');
  const server = await startWebServer(t, (_, response) => response.end('ok\n'), right);
  const known = await runProgram(t, ['fetch', server.url, '--cacert', right.file]);
  assert.deepEqual([known.code, known.stdout], [0, 'ok\n'], known.stderr);
  const unknown = await runProgram(t, ['fetch', server.url]);
  assert.equal(unknown.code, 4);
  assert.match(unknown.stderr, /vouches for its certificate itself .*\n {2}hint: .*--cacert FILE/);
  assert.equal((await runProgram(t, ['fetch', server.url, '--insecure'])).stdout, 'ok\n');
  const misnamed = await startWebServer(t, (_, response) => response.end('ok\n'), wrong);
  const other = await runProgram(t, ['fetch', misnamed.url, '--cacert', wrong.file]);
  assert.equal(other.code, 4);
  assert.match(other.stderr, /its certificate is for another name: CN=other\.example /);
  const named = await makeNamedCertificate(out.path, 'third.example');
  const ofNamed = { cert: Buffer.from(named.cert), key: Buffer.from(named.key), file: named.certFile };
  const alternative = await startWebServer(t, (_, response) => response.end('ok\n'), ofNamed);
  const third = await runProgram(t, ['fetch', alternative.url, '--cacert', named.certFile]);
  assert.match(third.stderr, /its certificate is for another name: DNS:third\.example /);
  const none = await runProgram(t, ['fetch', server.url, '--cacert', mainFile]);
  assert.deepEqual([none.code, none.stdout], [2, '']);
  assert.match(none.stderr, /holds no certificate in PEM/);
});

test('a certificate that has expired is refused', async (t) => {
  const out = await makeTempRoot(t);
  const expired = makeCertificate(out.path, 'localhost', -1);
  if (!expired) return t.skip('there is no openssl command here');
  const server = await startWebServer(t, (_, response) => response.end('ok\n'), expired);
  const { code, stderr } = await runProgram(t, ['fetch', server.url, '--cacert', expired.file]);
  assert.equal(code, 4);
  assert.match(stderr, /its certificate has expired/);
});

test('a reader that goes away ends the fetch', async (t) => {
  const server = await startWebServer(t, (_, response) => {
    const block = Buffer.alloc(65_536);
    const more = () => {
      while (response.write(block));
    };
    response.on('drain', more);
    more();
  });
  const { child, finished, saw } = startProgram(t, ['fetch', server.url]);
  await saw(/\0/);
  child.stdout?.destroy();
  const { code, stderr } = await finished;
  assert.equal(code, 8);
  assert.match(stderr, /cannot write the output: the other end was closed/);
});

test('an output that takes nothing more is told as such', {
  skip: !existsSync('/dev/full') && 'no /dev/full',
}, async (t) => {
  const server = await startWebServer(t, (_, response) => response.end('hello'));
  const command = `"${process.execPath}" "${mainFile}" fetch ${server.url} > /dev/full`;
  const child = spawn(command, { shell: true, stdio: ['ignore', 'ignore', 'pipe'] });
  assert.match(await text(child.stderr), /cannot write the output: the disk is full/);
});

test('on a terminal of 60 columns the bar fits, and binary content is not let in', async (t) => {
  const hasScript = spawnSync('script', ['--version']).error === undefined && process.platform === 'linux';
  if (!hasScript) return t.skip('there is no script command here that makes a terminal');
  const out = await makeTempRoot(t);
  const server = await startWebServer(t, (_, response) => {
    response.writeHead(200, { 'Content-Length': 3_000_000, 'Content-Type': 'application/zip' });
    response.write(Buffer.alloc(1_500_000), () => setTimeout(() => response.end(Buffer.alloc(1_500_000)), 1000));
  });
  const show = async (...args: string[]) => {
    const command = `stty cols 60; "${process.execPath}" "${mainFile}" fetch ${server.url} ${args.join(' ')}`;
    const child = spawn('script', ['-qec', command, '/dev/null'], { cwd: out.path, stdio: ['ignore', 'pipe', 'pipe'] });
    const [shown] = await Promise.all([text(child.stdout), once(child, 'close')]);
    return { code: child.exitCode, shown };
  };
  const bar = await show('-o', 'x');
  assert.equal(bar.code, 0);
  assert.match(bar.shown, /% \[=+ +\] .*MiB/);
  // The bar is drawn over itself, with sequences in between that move the cursor.
  const moves = new RegExp(`[\\r\\n]|${String.fromCharCode(27)}\\[[0-9;]*[A-Za-z]`);
  for (const line of bar.shown.split(moves)) assert.ok(line.length <= 60, line);
  const refused = await show();
  assert.equal(refused.code, 2);
  assert.match(refused.shown, /is application\/zip, which is not for a terminal: write it to a file with -o/);
  assert.doesNotMatch(refused.shown, /\0/);
});

test('fields and methods that would cut a message otherwise are refused', async (t) => {
  const wrong = [
    ['-H', 'Content-Length: 3'],
    ['-H', 'transfer-encoding: chunked'],
    ['-H', 'A: b\r\nC: d'],
    ['-H', 'no colon'],
    ['-X', 'GET /'],
    ['-X', 'CONNECT'],
    ['-I', '-o', 'x'],
  ];
  for (const flags of wrong) {
    const { code } = await runProgram(t, ['fetch', '127.0.0.1:1', ...flags]);
    assert.equal(code, 2, flags.join(' '));
  }
});

test('a fetched page can be read from a pipe, byte by byte as it was sent', async (t) => {
  const out = await makeTempRoot(t);
  const content = await out.writeRandom('content', 200_000);
  await writeFile(path.join(out.path, 'x'), content);
  const server = await startWebServer(t, (_, response) => response.end(content));
  const { child } = startProgram(t, ['fetch', server.url]);
  child.stdout?.setEncoding('latin1');
  assert.ok(child.stdout);
  assert.ok(Buffer.from(await text(child.stdout), 'latin1').equals(content));
});

test('-o - is stdout; with --json, what is not saved is not among the lines; a file that was not made is told', async (t) => {
  const out = await makeTempRoot(t);
  const server = await startWebServer(t, (request, response) => {
    response.statusCode = Number(request.url?.slice(1));
    response.end(response.statusCode === 204 ? undefined : `page ${request.url}\n`);
  });
  const options = { cwd: out.path };
  const stdout = await runProgram(t, ['fetch', `${server.url}/200`, '-o', '-'], options);
  assert.deepEqual([stdout.code, stdout.stdout], [0, 'page /200\n']);
  const failed = await runProgram(t, ['fetch', `${server.url}/404`, '-o', 'new', '--json', '-i'], options);
  const events = failed.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).event);
  assert.deepEqual([failed.code, events[0], events.at(-1)], [11, 'head', 'error']);
  assert.match(failed.stderr, /^HTTP\/1\.1 404 [\s\S]*\npage \/404\n$/);
  const none = await runProgram(t, ['fetch', `${server.url}/204`, '-o', 'new'], options);
  assert.equal(none.code, 0);
  assert.match(none.stdout, /\nsaved +nothing: status 204 has no content\n$/);
  assert.deepEqual(await out.list(), []);
});
