import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { defaultLimits } from '../../src/core/limits.ts';
import { silentLogger } from '../../src/core/log.ts';
import { createHttpCache } from '../../src/gateway/cache/cache.ts';
import { startGateway } from '../../src/gateway/server/start.ts';
import type { Port } from '../../src/wire/address.ts';
import { makeTempRoot } from '../support/temp-root.ts';

test('100 clients of a gateway get a cold file by one request, the next ones without any, whole and in ranges', async (t) => {
  const content = randomBytes(1_200_000);
  let reached = 0;
  const origin = http.createServer((_, response) => {
    reached += 1;
    response.setHeader('Cache-Control', 'max-age=3600');
    response.setHeader('ETag', '"one"');
    response.end(content);
  });
  await once(origin.listen(0, '127.0.0.1'), 'listening');
  t.after(() => origin.close());
  const { path: directory } = await makeTempRoot(t);
  const cache = await createHttpCache({ directory, limits: defaultLimits, log: silentLogger });
  const port = (origin.address() as AddressInfo).port as Port;
  const gateway = await startGateway({
    listen: { host: '127.0.0.1', port: 0 },
    sites: [
      { host: '*', backend: { members: [{ host: '127.0.0.1', port }] }, wrap: (exchange) => cache.wrap(exchange) },
    ],
  });
  try {
    const ask = async (headers: http.OutgoingHttpHeaders = {}) => {
      const request = http.get({
        host: '127.0.0.1',
        port: gateway.address?.port,
        path: '/file',
        headers,
        agent: false,
      });
      const [response] = (await once(request, 'response')) as [http.IncomingMessage];
      return { response, body: await buffer(response) };
    };
    const seen = await Promise.all(Array.from({ length: 100 }, () => ask()));
    assert.ok(seen.every(({ body }) => body.equals(content)));
    const hit = await ask();
    assert.ok(hit.body.equals(content));
    assert.match(String(hit.response.headers['cache-status']), /^hopline; hit; ttl=/);
    assert.equal(hit.response.headers['content-length'], String(content.length));
    const part = await ask({ Range: 'bytes=1000000-1000009' });
    assert.equal(part.response.statusCode, 206);
    assert.ok(part.body.equals(content.subarray(1_000_000, 1_000_010)));
    assert.equal((await ask({ 'If-None-Match': '"one"' })).response.statusCode, 304);
    assert.equal(reached, 1);
  } finally {
    await gateway.close();
    await cache.close();
  }
});
