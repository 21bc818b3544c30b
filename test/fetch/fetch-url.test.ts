import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { fetchUrl } from '../../src/fetch/fetch-url.ts';
import { makeTempRoot } from '../support/temp-root.ts';
import { startWebServer } from '../support/web-server.ts';

test('a fetch whose place another one is writing leaves its server at once, though that says no more', async (t) => {
  const connections: Socket[] = [];
  const server = await startWebServer(t, (request, response) => {
    connections.push(request.socket);
    response.writeHead(200, { 'Content-Length': 1000, ETag: '"a"' }).write('x');
  });
  const root = await makeTempRoot(t);
  const leaving = new AbortController();
  const options = { path: path.join(root.path, 'same'), stream: new PassThrough() };
  const first = new Promise<void>((resolve) => {
    const onEvent = ({ kind }: { readonly kind: string }) => kind === 'progress' && resolve();
    void fetchUrl(`${server.url}/x`, { ...options, onEvent, signal: leaving.signal }).catch(() => {});
  });
  await first;
  await assert.rejects(fetchUrl(`${server.url}/x`, options), { code: 'DISK_BUSY' });
  const [, second] = connections;
  assert.ok(second);
  if (!second.closed) await once(second, 'close');
  leaving.abort();
});
