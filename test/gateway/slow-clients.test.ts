import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import net from 'node:net';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../support/chain.ts';
import { ask, startBackend, startTestGateway } from '../support/http.ts';
import { sendBytes, startBeforeRaw, statusesIn } from '../support/http-peers.ts';
import { startProgram } from '../support/program.ts';

const block = Buffer.alloc(64 * 1024, 'x');

test('a head that comes a byte at a time is 408 once its time is over, and others are served meanwhile', async (t) => {
  const backend = await startBackend(t);
  const sites = [{ host: '*', backend: { members: [backend.address] } }];
  const gateway = await startTestGateway(t, { sites, limits: { headMs: 300 } });
  const socket = net.connect(gateway.port, '127.0.0.1');
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk;
  });
  socket.on('error', () => {});
  const closed = once(socket, 'close');
  const head = `GET / HTTP/1.1\r\nHost: a.test\r\n${'X: 1\r\n'.repeat(50)}`;
  let sent = 0;
  const timer = setInterval(() => socket.writable && socket.write(head[sent++] ?? ''), 20);
  assert.equal((await ask(gateway.port)).status, 200);
  await closed;
  clearInterval(timer);
  assert.deepEqual(statusesIn(text), [408]);
  assert.ok(sent < head.length);
  assert.equal(backend.requests.length, 1);
});

test('content that stops coming is 408, and no server is taken for it', async (t) => {
  const { backend, gateway } = await startBeforeRaw(t, undefined, { httpBodyMs: 100 });
  for (const head of ['Content-Length: 10\r\n\r\nabc', 'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n']) {
    const text = await sendBytes(gateway.port, `POST / HTTP/1.1\r\nHost: a.test\r\n${head}`);
    assert.deepEqual(statusesIn(text), [408]);
    assert.match(text, /connection: close/i);
  }
  assert.equal(backend.connections(), 0);
});

test('content that stops coming when a server has a part of it is 408, and broken off there', async (t) => {
  const { backend, gateway } = await startBeforeRaw(t, undefined, { httpBodyMs: 200, maxHttpBodyAheadBytes: 4 });
  const text = await sendBytes(gateway.port, 'POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nabcdef');
  assert.deepEqual(statusesIn(text), [408]);
  assert.match(backend.received(), /\r\n\r\nabcdef$/);
  assert.equal((await ask(gateway.port)).status, 200);
  assert.equal(backend.connections(), 2, 'the connection of the first was not used again');
});

test('content above what a site takes is 413, announced or not, and the largest one is passed on', async (t) => {
  const backend = await startBackend(t, (request, response) => request.pipe(response));
  const site = { host: '*', maxBody: 5, backend: { members: [backend.address] } };
  const gateway = await startTestGateway(t, { sites: [site] });
  const post = (rest: string) => sendBytes(gateway.port, `POST / HTTP/1.1\r\nHost: a.test\r\n${rest}`);
  assert.deepEqual(statusesIn(await post('Content-Length: 6\r\n\r\n')), [413]);
  assert.deepEqual(statusesIn(await post('Content-Length: 6\r\nExpect: 100-continue\r\n\r\n')), [413]);
  assert.deepEqual(statusesIn(await post('Transfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n0\r\n\r\n')), [413]);
  assert.equal(backend.requests.length, 0);
  const whole = await post('Connection: close\r\nContent-Length: 5\r\n\r\nabcde');
  assert.match(whole, /^HTTP\/1\.1 200 [\s\S]*abcde/);
});

test('clients whose content is slow hold no connection of a server that others need', async (t) => {
  const { backend, gateway } = await startBeforeRaw(t);
  const slow = Array.from({ length: 50 }, () => net.connect(gateway.port, '127.0.0.1'));
  t.after(() => {
    for (const socket of slow) socket.destroy();
  });
  for (const socket of slow)
    socket.on('error', () => {}).write('POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nabc');
  for (const socket of slow) await new Promise<void>((resolve) => socket.write('d', () => resolve()));
  assert.equal((await ask(gateway.port)).status, 200);
  assert.equal(backend.connections(), 1);
});

test('content that comes slowly is passed on whole, however long it takes', async (t) => {
  const { backend, gateway } = await startBeforeRaw(t, undefined, {
    connectMs: 1000,
    httpAnswerMs: 1000,
    idleMs: 1000,
  });
  const socket = net.connect(gateway.port, '127.0.0.1');
  const answered = once(socket, 'data');
  socket.write('POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\n');
  for (const part of ['ab', 'cde']) {
    // Longer than an answer may take, or a server keep silent.
    await pause(1200);
    socket.write(part);
  }
  const [bytes] = await answered;
  socket.destroy();
  assert.match(String(bytes), /^HTTP\/1\.1 200 /);
  assert.match(backend.received(), /\r\n\r\nabcde$/);
});

test('a client that does not read stops the server behind, and gets the rest once it reads', async (t) => {
  const total = 256 * 1024 * 1024;
  let produced = 0;
  const backend = await startBackend(t, (_request, response) => {
    response.setHeader('Content-Length', total);
    const produce = () => {
      while (produced < total) {
        produced += block.length;
        if (!response.write(block)) return;
      }
      response.end();
    };
    response.on('drain', produce);
    produce();
  });
  const sites = [{ host: '*', backend: { members: [backend.address] } }];
  const gateway = await startTestGateway(t, { sites, limits: { idleMs: 1000 } });
  const socket = net.connect(gateway.port, '127.0.0.1');
  socket.write('GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n');
  await once(socket, 'readable');
  let before = -1;
  await until(async () => {
    const isStill = produced === before;
    before = produced;
    await pause(100);
    return isStill;
  });
  // What has left is in the kernel's buffers; the gateway holds next to nothing of it.
  assert.ok(produced < 64 * 1024 * 1024, `${produced} bytes`);
  // Much longer than a server may keep silent.
  await pause(2500);
  let received = 0;
  socket.on('data', (bytes: Buffer) => {
    received += bytes.length;
  });
  await once(socket, 'close');
  assert.ok(received > total, `${received} bytes`);
});

const idle = 3000;
/** Opened before memory is measured, so that what the gateway grows to anyway does not count. */
const before = 500;
/** Bytes that an idle connection may cost the gateway: 15 KB with Node 20, up to 29 with Node 26; a buffer of one read is 64. */
const bytesEach = 40 * 1024;

test(`${idle} idle connections are held, and a request among them is answered at once`, {
  skip: await whyNotIdle(),
}, async (t) => {
  const backend = await startBackend(t);
  const site = `*=${backend.address.host}:${backend.address.port}`;
  const gateway = startProgram(t, ['gateway', '--listen', '127.0.0.1:0', '--site', site, '--log-level', 'warn'], {
    // A young generation of several megabytes would count as memory of the connections.
    env: { NODE_OPTIONS: '--max-semi-space-size=1' },
  });
  const port = Number(/:(\d+)\n/.exec(await gateway.saw(/listening on .*\n/))?.[1]);
  await ask(port);
  const sockets: net.Socket[] = [];
  let closed = 0;
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  let memory = 0;
  for (let index = 0; index < idle; index += 100) {
    if (index === before) memory = await residentBytes(gateway.child.pid);
    await Promise.all(
      Array.from({ length: 100 }, async () => {
        const socket = net.connect(port, '127.0.0.1');
        sockets.push(socket.on('error', () => {}).on('close', () => (closed += 1)));
        socket.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n');
        const [answer] = await once(socket, 'data');
        assert.match(String(answer), /^HTTP\/1\.1 200 /);
        socket.pause();
      }),
    );
  }
  assert.equal((await ask(port)).status, 200);
  const each = ((await residentBytes(gateway.child.pid)) - memory) / (idle - before);
  t.diagnostic(`${Math.round(each)} bytes for each connection`);
  assert.ok(each < bytesEach, `${each} bytes for each`);
  assert.equal(closed, 0);
});

async function residentBytes(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
}

/** A reason not to open so many connections, or false. */
async function whyNotIdle(): Promise<string | false> {
  if (process.platform !== 'linux') return 'it reads limits and memory from /proc';
  const limits = await readFile('/proc/self/limits', 'utf8');
  const [, files] = /^Max open files\s+\S+\s+(\S+)/m.exec(limits) ?? [];
  return files === 'unlimited' || Number(files) > idle + 500 ? false : `the system allows ${files} open files`;
}
