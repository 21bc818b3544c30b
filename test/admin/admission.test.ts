import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { checkAdmin, parseAdminAddress } from '../../src/admin/admin-address.ts';
import { HoplineError } from '../../src/index.ts';
import { ask, connectSilent, openAdminOf } from '../support/admin.ts';
import { startChain, until } from '../support/chain.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const nothing = { addresses: [] };
const paths = ['/', '/metrics', '/healthz', '/readyz', '/api/status', '/api/circuits', '/api/events', '/page.js'];

test('a name in Host is refused everywhere, addresses and localhost are not', async (t) => {
  const { port } = await openAdminOf(t, nothing);
  for (const path of paths) {
    for (const host of ['evil.example', `evil.example:${port}`, '127.0.0.1.evil.example', 'localhost.evil.example']) {
      assert.equal((await ask({ port }, path, { headers: { Host: host } })).status, 421, `${path} for ${host}`);
    }
  }
  for (const host of [`127.0.0.1:${port}`, 'localhost', `LOCALHOST:${port}`, '[::1]', `[::1]:${port}`]) {
    assert.equal((await ask({ port }, '/healthz', { headers: { Host: host } })).status, 200, host);
  }
});

test('the page of another site gets nothing, and the own page does', async (t) => {
  const { port } = await openAdminOf(t, nothing);
  const host = `127.0.0.1:${port}`;
  for (const origin of [
    'http://evil.example',
    'null',
    `https://${host}`,
    `http://127.0.0.1:${port + 1}`,
    'http://localhost',
  ]) {
    const { status } = await ask({ port }, '/api/status', { headers: { Host: host, Origin: origin } });
    assert.equal(status, 403, origin);
  }
  const foreign = { Host: host, 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors' };
  assert.equal((await ask({ port }, '/api/events', { headers: foreign })).status, 403);
  const link = { Host: host, 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate' };
  assert.equal((await ask({ port }, '/', { headers: link })).status, 200);
  const own = await ask({ port }, '/api/status', { headers: { Host: host, Origin: `http://${host}` } });
  assert.equal(own.status, 200);
  assert.equal(own.headers['access-control-allow-origin'], undefined);
});

test('nothing but GET and HEAD is answered, and no content is taken', async (t) => {
  const { port } = await openAdminOf(t, nothing);
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE']) {
    const { status, headers } = await ask({ port }, '/healthz', { method });
    assert.equal(status, 405, method);
    assert.equal(headers.allow, 'GET, HEAD');
  }
  assert.equal((await ask({ port }, '/healthz', { headers: { 'Content-Length': '0' } })).status, 400);
  const head = await ask({ port }, '/metrics', { method: 'HEAD' });
  assert.equal(head.status, 200);
  assert.equal(head.text, '');
  assert.equal((await ask({ port }, '/nothing')).status, 404);
  assert.equal((await ask({ port }, '/../package.json')).status, 404);
});

test('a command is taken from the own page alone, by POST, and where there are commands', async (t) => {
  let done = 0;
  const count = () => {
    done += 1;
  };
  const commands = new Map([['kill/0', count]]);
  const { port } = await openAdminOf(t, nothing, { commands });
  const host = `127.0.0.1:${port}`;
  const own = { Host: host, Origin: `http://${host}` };
  const tell = async (path: string, headers: Record<string, string>, method = 'POST') =>
    (await ask({ port }, path, { method, headers })).status;
  assert.equal(await tell('/do/kill/0', own), 200);
  assert.equal(await tell('/do/kill/0', { ...own, 'Sec-Fetch-Site': 'same-origin' }), 200);
  assert.equal(done, 2);
  const foreign: Record<string, string>[] = [
    { Host: host },
    { Host: host, Origin: 'null' },
    { Host: host, Origin: 'http://evil.example' },
    { Host: host, Origin: `http://127.0.0.1:${port + 1}` },
    { Host: host, Origin: `http://localhost:${port}` },
    { Host: host, Origin: `https://${host}` },
    { ...own, 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'cors' },
  ];
  for (const headers of foreign) assert.equal(await tell('/do/kill/0', headers), 403, JSON.stringify(headers));
  // A name that was made to point here: the page of its owner is of the same origin.
  const rebound = { Host: `evil.example:${port}`, Origin: `http://evil.example:${port}` };
  assert.equal(await tell('/do/kill/0', rebound), 421);
  assert.equal(await tell('/do/kill/0', { ...own, 'Content-Length': '1' }), 400);
  assert.equal(await tell('/do/kill/0', own, 'PUT'), 405);
  assert.equal(await tell('/do/kill/0', own, 'GET'), 404);
  for (const path of ['/do/kill/1', '/do/', '/', '/do/constructor']) assert.equal(await tell(path, own), 404, path);
  assert.equal(done, 2);
  const closed = await openAdminOf(t, nothing, { commands, token: 'correct-horse-battery-staple-and-more' });
  const there = `127.0.0.1:${closed.port}`;
  const headers = { Host: there, Origin: `http://${there}` };
  assert.equal((await ask({ port: closed.port }, '/do/kill/0', { method: 'POST', headers })).status, 401);
});

test('every answer, refusals too, says what a browser may do with it', async (t) => {
  const { port } = await openAdminOf(t, nothing);
  const answers = [
    await ask({ port }, '/'),
    await ask({ port }, '/', { method: 'POST' }),
    await ask({ port }, '/nothing'),
  ];
  for (const { headers } of answers) {
    assert.match(String(headers['content-security-policy']), /^default-src 'self';.*frame-ancestors 'none'/);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['cache-control'], 'no-store');
  }
});

test('with a token nothing is shown without it', async (t) => {
  const token = 'correct-horse-battery-staple-and-more';
  const { port } = await openAdminOf(t, nothing, { token });
  const wrong = [
    undefined,
    'Bearer',
    `Bearer ${token}x`,
    `Bearer ${token.slice(1)}`,
    `Basic ${token}`,
    token,
    'Bearer ',
  ];
  for (const path of paths) {
    for (const shown of wrong) {
      const { status, headers } = await ask({ port }, path, {
        headers: shown === undefined ? {} : { Authorization: shown },
      });
      assert.equal(status, 401, `${path} with ${shown}`);
      assert.match(String(headers['www-authenticate']), /^Bearer /);
    }
  }
  const { status } = await ask({ port }, '/metrics', { headers: { Authorization: `Bearer ${token}` } });
  assert.equal(status, 200);
});

test('an address that others reach needs a token that cannot be guessed', () => {
  const rules = (text: string) => ({ listen: parseAdminAddress(text) ?? assert.fail(text) });
  const isRefused = (error: unknown) => error instanceof HoplineError && error.code === 'USAGE_INVALID';
  for (const text of ['0.0.0.0:1', '[::]:1', '192.0.2.1:1', 'node.example:1']) {
    assert.throws(() => checkAdmin(rules(text), undefined), isRefused, text);
    checkAdmin(rules(text), 'x'.repeat(32));
  }
  for (const text of ['127.0.0.1:1', '127.1.2.3:1', '[::1]:1', 'localhost:1', 'unix:/tmp/x'])
    checkAdmin(rules(text), undefined);
  assert.throws(() => checkAdmin(rules('127.0.0.1:1'), 'x'.repeat(31)), isRefused);
  assert.throws(() => checkAdmin(rules('0.0.0.0:1'), `${'x'.repeat(40)}\ny`), isRefused);
  for (const text of ['', 'unix:', '7900', '127.0.0.1', `unix:${'x'.repeat(101)}`]) {
    assert.equal(parseAdminAddress(text), undefined, text);
  }
});

test('more than may follow are told so', async (t) => {
  const { port } = await openAdminOf(t, nothing, { limits: { maxAdminListeners: 2 } });
  const follow = async () => {
    const socket = await connectSilent(t, port);
    socket.write('GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n');
    const [head] = (await once(socket, 'data')) as [Buffer];
    return { socket, head: head.toString() };
  };
  const first = await follow();
  assert.match(first.head, /^HTTP\/1\.1 200 .*text\/event-stream/s);
  await follow();
  assert.match((await follow()).head, /^HTTP\/1\.1 503 /);
  first.socket.destroy();
  await until(async () => (await follow()).head.startsWith('HTTP/1.1 200'));
});

test('one who follows and does not read is given up, and another goes on', async (t) => {
  const { nodes } = await startChain(t, 1, (await makeTempRoot(t)).path);
  const node = nodes[0] ?? assert.fail();
  const sight = node.sight();
  // As much in each look as would take hours to fill the buffers of the system with.
  const refusals = Array.from({ length: 1500 }, (_, index) => ({
    from: `192.0.2.${index}`,
    code: 'PEER_LOST' as const,
    why: 'x'.repeat(1000),
    count: 1,
    agoSeconds: 1,
  }));
  const shown = { addresses: [], node: { sight: () => ({ ...sight, refusals }) } };
  const { port } = await openAdminOf(t, shown, { limits: { maxAdminBehindBytes: 100_000 } });
  const slow = await connectSilent(t, port);
  const quick = await connectSilent(t, port);
  for (const socket of [slow, quick]) socket.write('GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n');
  slow.pause();
  let looks = 0;
  quick.on('data', (part: Buffer) => {
    looks += part.toString('latin1').split('event: look').length - 1;
  });
  let isClosed = false;
  slow.on('close', () => {
    isClosed = true;
  });
  // A socket that is not read from shows its end only once it is; that the server let go of it shows in what it takes no more.
  await until(() => looks >= 4);
  const before = looks;
  slow.resume();
  await until(() => isClosed);
  await until(() => looks > before);
});
