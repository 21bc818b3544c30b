/** The gateway in front of Apache httpd, as its users would have it. */

import assert from 'node:assert/strict';
import http from 'node:http';
import test from 'node:test';
import { apacheIsMissing, startApache } from '../support/apache.ts';
import { until } from '../support/chain.ts';
import { ask, hopAt, startTestGateway } from '../support/http.ts';

const requests = 600;

test('three Apache servers share requests exactly, and nobody notices one that goes and comes back', {
  skip: apacheIsMissing,
}, async (t) => {
  const servers = await Promise.all(['one', 'two', 'three'].map((name) => startApache(t, { 'index.html': name })));
  const members = servers.map(({ port }) => hopAt(port));
  const health = { intervalMs: 100, ejectMs: 100 };
  const gateway = await startTestGateway(t, { sites: [{ host: '*', backend: { members, health } }] });
  const agent = new http.Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  const send = async (count: number) => {
    const counts: Record<string, number> = {};
    for (let sent = 0; sent < count; sent += 1) {
      const { status, body } = await ask(gateway.port, { agent, path: '/index.html' });
      assert.equal(status, 200);
      counts[body] = (counts[body] ?? 0) + 1;
    }
    return counts;
  };
  const even = { one: requests / 3, two: requests / 3, three: requests / 3 };
  assert.deepEqual(await send(requests), even);
  const [, stopped] = servers;
  await stopped?.stop();
  const { one = 0, three = 0 } = await send(300);
  assert.deepEqual([one, three], [150, 150]);
  await stopped?.start();
  await until(async () => (await send(3)).two === 1);
  assert.deepEqual(await send(requests), even);
  for (const server of servers) {
    assert.ok((await server.requests()).every((line) => line === 'GET /index.html 200'));
  }
});
