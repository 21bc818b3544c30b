/** A server that answers before, while or after a request comes, and what becomes of its content and of the next request. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { PassThrough, Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { defaultLimits } from '../../src/core/limits.ts';
import { silentLogger } from '../../src/core/log.ts';
import { fetchUrl } from '../../src/fetch/fetch-url.ts';
import { createHttpCache } from '../../src/gateway/cache/cache.ts';
import type { Exchange } from '../../src/http/exchange.ts';
import { Tunnels } from '../../src/index.ts';
import { parseHop } from '../../src/wire/address.ts';
import { addressOf, startChain, until } from '../support/chain.ts';
import { ask, startTestGateway } from '../support/http.ts';
import { type StrictOptions, type StrictServer, startStrictServer } from '../support/strict-server.ts';
import { makeTempRoot } from '../support/temp-root.ts';

/** More than a gateway holds before it takes a server, and than the buffers of a connection that nobody reads. */
const size = 4 * 1024 * 1024;
const firstBytes = 256 * 1024;
const text = 'the answer';
const answer = `HTTP/1.1 413 Content Too Large\r\nContent-Length: ${text.length}\r\n\r\n${text}`;

const ways = ['directly', 'through a tunnel', 'past the cache'] as const;

for (const when of ['before', 'during', 'after'] as const) {
  for (const then of ['close', 'reset', 'keep'] as const) {
    for (const framing of ['length', 'chunks'] as const) {
      const name = `an answer ${when} content of ${framing}, and ${then}`;
      for (const way of ways) {
        test(`${name}: ${way}, the client gets it, and nobody else a byte of the content`, async (t) => {
          const server = await startStrictServer(t, { when, then, answer } satisfies StrictOptions);
          const gateway = await startGatewayBefore(t, server, way);
          const received = await upload(gateway.port, framing);
          assert.match(received, /^HTTP\/1\.1 413 /);
          assert.ok(received.includes(text), received);
          // Whoever comes next gets the answer to what they asked, over the same connection or another.
          assert.match(received, /\r\n\r\n\/again$/);
          for (const path of ['/next', '/other']) {
            const next = await ask(gateway.port, { path, headers: { Cookie: 'secret=1' } });
            assert.deepEqual([next.status, next.body], [200, path]);
          }
          checkContents(server);
          if (when === 'after') assert.equal(server.requests[0]?.isWhole, true);
        });
      }
      if (framing === 'chunks') continue;
      test(`${name}: a fetch gets it`, async (t) => {
        const server = await startStrictServer(t, { when, then, answer });
        const stream = new PassThrough();
        const block = Buffer.alloc(64 * 1024);
        const open = () => Readable.from(blocks(block, size), { objectMode: false });
        const url = `http://127.0.0.1:${server.address.port}/`;
        const fetched = fetchUrl(url, { body: { length: size, open }, stream });
        await assert.rejects(fetched, { code: 'HTTP_CLIENT_ERROR', reason: '413' });
        assert.equal(String(stream.read()), text);
        checkContents(server);
        await until(() => server.open() === 0);
      });
    }
  }
}

/** What had an end is what was sent; all else broke off. */
function checkContents(server: StrictServer): void {
  assert.deepEqual(server.garbage, []);
  for (const { head, bytes, isWhole } of server.requests) {
    if (isWhole && head.startsWith('POST')) assert.equal(bytes, size);
    else if (isWhole) assert.match(head, /^GET \/(again|next|other) /);
  }
}

function* blocks(block: Buffer, total: number): Generator<Buffer> {
  for (let left = total; left > 0; left -= block.length) yield block.subarray(0, left);
}

/** Sends the beginning, takes the answer if it comes, sends the rest, and another request behind it. */
async function upload(port: number, framing: 'length' | 'chunks'): Promise<string> {
  const socket = net.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  let received = '';
  socket.setEncoding('latin1').on('data', (part: string) => {
    received += part;
  });
  socket.on('error', () => {});
  const closed = once(socket, 'close');
  const frame = (bytes: Buffer) =>
    framing === 'length'
      ? bytes
      : Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);
  const field = framing === 'length' ? `Content-Length: ${size}` : 'Transfer-Encoding: chunked';
  socket.write(`POST /upload HTTP/1.1\r\nHost: a.test\r\n${field}\r\n\r\n`);
  socket.write(frame(Buffer.alloc(firstBytes, 'x')));
  // Over half of it leaves whether or not somebody takes it.
  for (const block of blocks(Buffer.alloc(firstBytes, 'x'), size - firstBytes)) {
    if (!socket.write(frame(block)) && socket.writable) await Promise.race([once(socket, 'drain'), closed]);
  }
  socket.write(framing === 'length' ? '' : '0\r\n\r\n');
  socket.write('GET /again HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n');
  await closed;
  return received;
}

async function startGatewayBefore(t: TestContext, server: StrictServer, way: (typeof ways)[number]) {
  const health = { intervalMs: 60_000, ejectMs: 1, maxEjectMs: 1 };
  const members = [server.address];
  if (way === 'directly') return startTestGateway(t, { sites: [{ host: '*', backend: { members, health } }] });
  const root = await makeTempRoot(t);
  if (way === 'past the cache') {
    const cache = await createHttpCache({ directory: `${root.path}/cache`, limits: defaultLimits, log: silentLogger });
    t.after(() => cache.close());
    const wrap = (exchange: Exchange) => cache.wrap(exchange);
    return startTestGateway(t, { sites: [{ host: '*', backend: { members, health }, wrap }] });
  }
  const { nodes } = await startChain(t, 2, root.path);
  const hops = nodes.map((node) => {
    const parsed = parseHop(addressOf(node));
    assert.ok(parsed.kind === 'ok');
    return [parsed.hop];
  });
  const tunnels = new Tunnels({ routes: [hops] });
  const dial: NonNullable<Parameters<typeof startTestGateway>[1]['sites'][number]['backend']> = {
    members,
    health,
    dial: (address, signal) => tunnels.open(address, signal),
  };
  return startTestGateway(t, { sites: [{ host: '*', backend: dial }] });
}
