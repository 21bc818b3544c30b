import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import net from 'node:net';
import test, { type TestContext } from 'node:test';
import { defaultLimits } from '../../src/core/limits.ts';
import { silentLogger } from '../../src/core/log.ts';
import { createHttpCache } from '../../src/gateway/cache/cache.ts';
import type { SiteOptions } from '../../src/gateway/server/start.ts';
import { ask, hopAt, startTestGateway } from '../support/http.ts';
import { plainAnswer, sendBytes, statusesIn } from '../support/http-peers.ts';
import { oddAnswers } from '../support/odd-answers.ts';
import { makeTempRoot } from '../support/temp-root.ts';

/** A server that sends what it is told as the answer to each request, ends its direction, and counts who is connected. */
async function startOddServer(t: TestContext) {
  const sockets = new Set<net.Socket>();
  const state = { answer: '', connections: () => sockets.size };
  const server = net.createServer((socket) => {
    sockets.add(socket);
    let head = '';
    socket.setEncoding('latin1').on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (text: string) => {
      head += text;
      if (head.includes('\r\n\r\n')) socket.end(state.answer, 'latin1');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  /** Settles when nobody is connected. */
  const idle = async () => {
    for (const socket of [...sockets]) if (!socket.closed) await once(socket, 'close');
  };
  return { state, idle, address: hopAt((server.address() as net.AddressInfo).port) };
}

async function startBefore(t: TestContext, isCached: boolean, more: Partial<SiteOptions> = {}) {
  const odd = await startOddServer(t);
  const { path: directory } = await makeTempRoot(t);
  const logged: number[] = [];
  const log = new EventEmitter();
  const cache = isCached ? await createHttpCache({ directory, limits: defaultLimits, log: silentLogger }) : undefined;
  const health = { intervalMs: 60_000, ejectMs: 1, maxEjectMs: 1 };
  const gateway = await startTestGateway(t, {
    sites: [
      {
        host: '*',
        backend: { members: [odd.address], health },
        wrap: cache && ((exchange) => cache.wrap(exchange)),
        ...more,
      },
    ],
    onEnded: ({ status }) => {
      logged.push(status);
      log.emit('ended');
    },
  });
  t.after(async () => {
    await gateway.close({ graceMs: 0 });
    await cache?.close();
  });
  return { ...odd, gateway, logged, log };
}

const requests: Readonly<Record<string, (path: string) => string>> = {
  GET: (path) => `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
  HEAD: (path) => `HEAD ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
  'HTTP/1.0': (path) => `GET ${path} HTTP/1.0\r\nHost: a\r\n\r\n`,
  Range: (path) => `GET ${path} HTTP/1.1\r\nHost: a\r\nRange: bytes=0-0\r\nConnection: close\r\n\r\n`,
  POST: (path) => `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx`,
};

for (const isCached of [false, true]) {
  const how = isCached ? 'with a cache' : 'without a cache';
  for (const [kind, request] of Object.entries(requests)) {
    test(`ends in an answer or a closed connection whatever the server sends: ${kind} ${how}`, async (t) => {
      const { state, gateway, idle, logged, log } = await startBefore(t, isCached);
      for (const [name, answer] of Object.entries(oddAnswers)) {
        state.answer = answer;
        // Twice, as the second one may come from the cache.
        for (const path of ['/', '/']) {
          const ended = once(log, 'ended');
          const text = await sendBytes(gateway.port, request(`${path}${encodeURIComponent(name)}`));
          await ended;
          const [first, ...others] = statusesIn(text).filter((status) => status >= 200);
          assert.deepEqual(others, [], `${name}: ${text}`);
          if (first !== undefined) assert.equal(logged.at(-1), first, `${name}: what is logged left`);
        }
      }
      await idle();
      assert.equal(state.connections(), 0);
    });
  }
}

const due: Readonly<Record<string, number>> = {
  'status 000': 502,
  'status 099': 502,
  'status 101': 502,
  'status 600': 600,
  'status 999': 999,
  'an upgrade unasked': 502,
  '0x1 in the reason': 200,
  'Trailer with a length': 200,
  'Trailer in a 204': 204,
  'Trailer in a 304': 304,
  'Trailer with chunks': 200,
  'status 204 with content': 204,
};

test('gives an odd answer the status that is due', async (t) => {
  const { state, gateway } = await startBefore(t, false);
  for (const [name, expected] of Object.entries(due)) {
    for (const [kind, request] of Object.entries(requests)) {
      state.answer = oddAnswers[name] ?? '';
      const text = await sendBytes(gateway.port, request('/'));
      // No parser takes content behind the head of an answer to HEAD for anything but noise.
      assert.deepEqual(statusesIn(text), [expected], `${name}, ${kind}: ${text}`);
    }
  }
});

test('announces trailers only where they can follow', async (t) => {
  const { state, gateway } = await startBefore(t, false);
  state.answer = oddAnswers['Trailer with chunks'] ?? '';
  const get = await sendBytes(gateway.port, requests.GET?.('/') ?? '');
  assert.match(get, /\r\nTrailer: X-End\r\n/);
  assert.match(get, /\r\nX-End: 1\r\n\r\n$/);
  assert.doesNotMatch(await sendBytes(gateway.port, requests['HTTP/1.0']?.('/') ?? ''), /X-End/);
  assert.doesNotMatch(await sendBytes(gateway.port, requests.HEAD?.('/') ?? ''), /X-End/);
});

test('sends 502, and logs it, in place of a head that cannot be written', async (t) => {
  const { gateway, logged } = await startBefore(t, false, {
    backend: async () => ({ status: 200, reason: '', fields: ['X-Odd', 'a\nb'], body: Buffer.from('ok') }),
  });
  const text = await sendBytes(gateway.port, requests.GET?.('/') ?? '');
  assert.match(text, /^HTTP\/1\.1 502 Bad Gateway\r\n/);
  assert.deepEqual(logged, [502]);
});

test('counts nothing against a server that is not its doing', async (t) => {
  const backend = await startOddServer(t);
  backend.state.answer = oddAnswers['Trailer with a length'] ?? '';
  // One failure would eject it for good, and there is another one to be asked in its place.
  const other = await startOddServer(t);
  other.state.answer = 'HTTP/1.1 200 OK\r\nX-Other: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n';
  const health = { intervalMs: 60_000, ejectAfter: 1, ejectMs: 60_000, maxEjectMs: 60_000 };
  const members = [
    { ...backend.address, priority: 0 },
    { ...other.address, priority: 1 },
  ];
  const gateway = await startTestGateway(t, { sites: [{ host: '*', backend: { members, health } }] });
  const isFirst = async () => !(await sendBytes(gateway.port, requests.GET?.('/') ?? '')).includes('X-Other');
  assert.ok(await isFirst());
  const trailer = 'POST / HTTP/1.1\r\nHost: a\r\nTrailer: X-End\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx';
  assert.deepEqual(statusesIn(await sendBytes(gateway.port, trailer)), [200]);
  const bare = 'GET / HTTP/1.1\r\nHost: a\r\nTrailer: X-End\r\nConnection: close\r\n\r\n';
  assert.deepEqual(statusesIn(await sendBytes(gateway.port, bare)), [200]);
  backend.state.answer = oddAnswers['a head above the bound'] ?? '';
  assert.deepEqual(statusesIn(await sendBytes(gateway.port, requests.GET?.('/') ?? '')), [502]);
  backend.state.answer = oddAnswers['Trailer with a length'] ?? '';
  assert.ok(await isFirst());
});

test('gives its own errors a reason phrase', async (t) => {
  const { gateway } = await startBefore(t, false);
  assert.match(await sendBytes(gateway.port, 'GET / HTTP/1.1\r\n\r\n'), /^HTTP\/1\.1 400 Bad Request\r\n/);
  assert.equal((await ask(gateway.port)).status, 502);
});

for (const interim of [
  'HTTP/1.1 100 Continue\r\n\r\n',
  `HTTP/1.1 103 Early Hints\r\nLink: <${'x'.repeat(900)}>\r\n\r\n`,
]) {
  test(`gives a server up that sends ${interim.slice(9, 12)} without end, and passes on no more than a head`, async (t) => {
    const { state, gateway } = await startBefore(t, false);
    const request = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx';
    state.answer = `${interim.repeat(3)}${plainAnswer}`;
    assert.equal(statusesIn(await sendBytes(gateway.port, request)).at(-1), 200);
    state.answer = `${interim.repeat(5000)}${plainAnswer}`;
    const text = await sendBytes(gateway.port, request);
    assert.equal(statusesIn(text).at(-1), 502);
    assert.ok(text.length < 2 * defaultLimits.maxHttpHeadBytes, String(text.length));
  });
}
