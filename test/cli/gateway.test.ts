import assert from 'node:assert/strict';
import { copyFile, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import tls from 'node:tls';
import { makeCertificate, noCertificates } from '../support/certificate.ts';
import { until } from '../support/chain.ts';
import { ask, startBackend } from '../support/http.ts';
import { runProgram, type Started, startProgram } from '../support/program.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const noSignals = process.platform === 'win32' && 'Windows has no signals';

async function portOf(gateway: Started): Promise<number> {
  return Number(/listening on 127\.0\.0\.1:(\d+)/.exec(await gateway.saw(/listening on .*\n/))?.[1]);
}

test('a gateway shares the requests of a site among its servers, and ends cleanly', { skip: noSignals }, async (t) => {
  const backends = [await startBackend(t), await startBackend(t)];
  const site = `www.test=${backends.map(({ address }) => `${address.host}:${address.port}`).join(',')}`;
  const gateway = startProgram(t, ['gateway', '--listen', '127.0.0.1:0', '--site', site]);
  const port = await portOf(gateway);
  for (let index = 0; index < 4; index += 1) {
    assert.equal((await ask(port, { headers: { Host: 'www.test' } })).body, 'ok');
  }
  assert.deepEqual(
    backends.map(({ requests }) => requests.length),
    [2, 2],
  );
  const { status, body } = await ask(port, { headers: { Host: 'other.test' } });
  assert.equal(status, 421);
  assert.match(body, /^hopline: other\.test is not served here\n/);
  gateway.child.kill('SIGINT');
  const { code, stdout } = await gateway.finished;
  assert.equal(code, 0);
  assert.equal(stdout, `listening on 127.0.0.1:${port}\n`);
});

test('a site can be files, below a directory or behind a chain of nodes', async (t) => {
  const root = await makeTempRoot(t);
  const content = Array.from({ length: 300_000 }, (_, index) => `${index}\n`.padStart(10)).join('');
  await writeFile(path.join(root.path, 'data.txt'), content);
  const node = startProgram(t, ['node', '--listen', '127.0.0.1:0', '--root', root.path]);
  const hop = /listening on (\S+)/.exec(await node.saw(/listening on \S+\n/))?.[1];
  const sites = ['--site', `local.test=root:${root.path}`, '--site', `far.test=route:${hop}`];
  const port = await portOf(startProgram(t, ['gateway', '--listen', '127.0.0.1:0', ...sites]));
  for (const host of ['local.test', 'far.test']) {
    const headers = { Host: host, Range: 'bytes=1000000-1000999' };
    const { status, body } = await ask(port, { path: '/data.txt', headers });
    assert.equal(status, 206);
    assert.equal(body, content.slice(1_000_000, 1_001_000), host);
  }
});

test('with --cache an answer that may be kept is asked for once, and the log says so', async (t) => {
  const root = await makeTempRoot(t);
  const backend = await startBackend(t, (_request, response) => {
    response.setHeader('Cache-Control', 'max-age=60').end('kept');
  });
  const site = `*=${backend.address.host}:${backend.address.port}`;
  const log = ['--access-log', '-', '--log-format', 'json'];
  const args = ['--site', site, '--cache', path.join(root.path, 'cache'), ...log];
  const gateway = startProgram(t, ['gateway', '--listen', '127.0.0.1:0', ...args]);
  const port = await portOf(gateway);
  for (let index = 0; index < 3; index += 1) assert.equal((await ask(port, { path: '/kept' })).body, 'kept');
  assert.equal(backend.requests.length, 1);
  await gateway.saw(/"cache":"miss".*\n.*"cache":"hit".*\n.*"cache":"hit"/);
});

test('the access log is a combined line for each request, in a new file after SIGHUP', {
  skip: noSignals,
}, async (t) => {
  const root = await makeTempRoot(t);
  const backend = await startBackend(t);
  const file = path.join(root.path, 'access.log');
  const site = `*=${backend.address.host}:${backend.address.port}`;
  const args = ['--site', site, '--access-log', file, '--mask-query', 'token'];
  const gateway = startProgram(t, ['gateway', '--listen', '127.0.0.1:0', ...args]);
  const port = await portOf(gateway);
  await ask(port, { path: '/first?token=secret', headers: { 'User-Agent': 'test' } });
  await until(async () => (await readFile(file, 'utf8')).includes('/first'));
  await rename(file, `${file}.1`);
  gateway.child.kill('SIGHUP');
  await until(() =>
    readFile(file).then(
      () => true,
      () => false,
    ),
  );
  await ask(port, { path: '/second' });
  gateway.child.kill('SIGTERM');
  assert.equal((await gateway.finished).code, 0);
  const line = await readFile(`${file}.1`, 'utf8');
  assert.match(line, /^127\.0\.0\.1 - - \[\S+ \+0000\] "GET \/first\?token=\*\*\* HTTP\/1\.1" 200 2 "-" "test"\n$/);
  assert.match(await readFile(file, 'utf8'), /"GET \/second HTTP\/1\.1" 200 2 /);
});

test('with --log-format json a line has site, backend, times and the id of the trace', async (t) => {
  const backend = await startBackend(t);
  const site = `*=${backend.address.host}:${backend.address.port}`;
  const args = ['--site', site, '--access-log', '-', '--log-format', 'json'];
  const gateway = startProgram(t, ['gateway', '--listen', '127.0.0.1:0', ...args]);
  await ask(await portOf(gateway), { path: '/x' });
  const [text = ''] = /^\{.*\}$/m.exec(await gateway.saw(/^\{.*\}$/m)) ?? [];
  const { time, firstByteMs, totalMs, id, ...line } = JSON.parse(text);
  assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000);
  assert.ok(firstByteMs > 0 && firstByteMs <= totalMs);
  assert.equal(backend.requests[0]?.headers.traceparent?.slice(3, 35), id);
  assert.deepEqual(line, {
    client: '127.0.0.1',
    site: '*',
    backend: `127.0.0.1:${backend.address.port}`,
    method: 'GET',
    target: '/x',
    version: '1.1',
    status: 200,
    bytes: 2,
    retries: 0,
  });
});

for (const [args, expected] of [
  [[], /required option '--listen/],
  [['--listen', '127.0.0.1:0'], /required option '--site/],
  [['--listen', '127.0.0.1', '--site', '*=a'], /Expected HOST:PORT/],
  [['--listen', '127.0.0.1:0', '--site', 'a.test'], /--site: read "a\.test", expected HOST=SERVER/],
  [['--listen', '127.0.0.1:0', '--site', '*='], /--site: read "\*=", expected HOST=SERVER/],
  [['--listen', '127.0.0.1:0', '--site', '*=a:99999'], /--site: read "\*=a:99999", expected a server/],
  [['--listen', '127.0.0.1:0', '--site', '*=ftp://a'], /--site: read "\*=ftp:\/\/a", expected a server/],
  [['--listen', '127.0.0.1:0', '--site', '*=http://a,https://b'], /https:\/\/ before all servers of a site/],
  [['--listen', '127.0.0.1:0', '--site', 'a*b=c'], /site: read "a\*b", expected a host name/],
  [['--listen', '127.0.0.1:0', '--site', '*=a', '--balance', 'fair'], /Allowed choices are round-robin/],
  [['--listen', '127.0.0.1:0', '--site', '*=a', '--trusted', '10.0.0.0/99'], /--trusted: read "10\.0\.0\.0\/99"/],
  [['--listen', '127.0.0.1:0', '--site', '*=a', '--tls-cert', 'x'], /--tls-cert and --tls-key go together/],
  [
    ['--listen', '127.0.0.1:0', '--site', '*=a', '--tls-cert', 'no', '--tls-key', 'no'],
    /cannot read the certificate no/,
  ],
  [
    ['--listen', '127.0.0.1:0', '--site', '*=a', '--tls-cert', 'package.json', '--tls-key', 'package.json'],
    /what is given as the certificate is none in PEM/,
  ],
] as const) {
  test(`gateway ${args.join(' ')} is a usage error with a hint`, async (t) => {
    const { code, stdout, stderr } = await runProgram(t, ['gateway', ...args]);
    assert.equal(code, 2);
    assert.equal(stdout, '');
    assert.match(stderr, expected);
    assert.match(stderr, /hint: see --help/);
    assert.doesNotMatch(stderr, /\n\s+at /);
  });
}

test('an access log that cannot be written is told before anything is served', async (t) => {
  const args = ['--site', '*=127.0.0.1:9', '--access-log', path.join('no', 'such', 'access.log')];
  const { code, stdout, stderr } = await runProgram(t, ['gateway', '--listen', '127.0.0.1:0', ...args]);
  assert.equal(code, 8);
  assert.equal(stdout, '');
  assert.match(stderr, /cannot write .*access\.log: the directory .* does not exist; make it, or name another place/);
});

test('SIGHUP brings a new certificate into use, and one that is none leaves the old', {
  skip: noSignals || noCertificates,
}, async (t) => {
  const root = await makeTempRoot(t);
  const [first, second] = [await makeCertificate(root.path, 'first.test'), await makeCertificate(root.path, 'b.test')];
  const [cert, key] = [path.join(root.path, 'site.pem'), path.join(root.path, 'site.key')];
  const install = async ({ certFile, keyFile }: typeof first) => {
    await copyFile(certFile, cert);
    await copyFile(keyFile, key);
  };
  await install(first);
  const backend = await startBackend(t);
  const site = `*=${backend.address.host}:${backend.address.port}`;
  const args = ['--site', site, '--tls-cert', cert, '--tls-key', key, '--json'];
  const gateway = startProgram(t, ['gateway', '--listen', '127.0.0.1:0', ...args]);
  const port = await portOf(gateway);
  assert.deepEqual(await askOverTls(port, 'first.test', first.cert), { name: 'first.test', status: '200' });
  assert.equal(backend.requests[0]?.headers['x-forwarded-proto'], 'https');
  await install(second);
  gateway.child.kill('SIGHUP');
  await gateway.saw(/another certificate is in use from now on/);
  await gateway.saw(/certificate read again/);
  assert.deepEqual(await askOverTls(port, 'b.test', second.cert), { name: 'b.test', status: '200' });
  await writeFile(cert, 'nothing');
  gateway.child.kill('SIGHUP');
  await gateway.saw(/all stays as it is/);
  await copyFile((await makeCertificate(root.path, 'rsa.test', 'rsa')).certFile, cert);
  gateway.child.kill('SIGHUP');
  await gateway.saw(/all stays as it is: the certificate and its key do not belong together/);
  assert.deepEqual(await askOverTls(port, 'b.test', second.cert), { name: 'b.test', status: '200' });
  assert.equal((await gateway.saw(/expires on/)).match(/the certificate expires on/g)?.length, 2);
});

/** The name in the certificate that the gateway shows, and the status of an answer. */
function askOverTls(port: number, servername: string, ca: string): Promise<{ name: string; status: string }> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host: '127.0.0.1', port, servername, ca });
    let text = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk;
    });
    socket.once('error', reject);
    let name = '';
    socket.once('secureConnect', () => {
      name = String(socket.getPeerCertificate().subject.CN);
      socket.write(`GET / HTTP/1.1\r\nHost: ${servername}\r\nConnection: close\r\n\r\n`);
    });
    socket.once('close', () => resolve({ name, status: text.split(' ')[1] ?? '' }));
  });
}
