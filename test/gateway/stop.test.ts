/** A gateway that stops, whatever hangs. */

import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { startNode } from '../../src/index.ts';
import { startPeer } from '../support/chain.ts';
import { ask, hopAt, startTestGateway } from '../support/http.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const host = 'Host: a.test\r\n';
const hanging: readonly (readonly [what: string, bytes: string, takesServer: boolean])[] = [
  ['a request whose content never becomes whole', `POST / HTTP/1.1\r\n${host}Content-Length: 9\r\n\r\nabc`, false],
  ['the same with Expect', `POST / HTTP/1.1\r\n${host}Expect: 100-continue\r\nContent-Length: 9\r\n\r\n`, true],
  ['a large one', `POST / HTTP/1.1\r\n${host}Content-Length: 999999\r\n\r\n${'x'.repeat(200_000)}`, true],
  ['a server that does not answer', `GET / HTTP/1.1\r\n${host}\r\n`, true],
  [
    'a WebSocket that is not answered',
    `GET / HTTP/1.1\r\n${host}Connection: upgrade\r\nUpgrade: websocket\r\n\r\n`,
    true,
  ],
  ['CONNECT', 'CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n', true],
];

for (const [what, bytes, takesServer] of hanging) {
  for (const way of ['on its own port', 'on a node’s port'] as const) {
    test(`a gateway stops in time ${way}: ${what}`, async (t) => {
      const server = await startPeer(t, (socket) => socket.resume());
      const members = [hopAt(server.port)];
      const sites = [{ host: 'a.test', connect: true, backend: { members, health: { intervalMs: 60_000 } } }];
      // An hour, should any of these be what ends it.
      const limits = { lingerMs: 3_600_000, httpBodyMs: 3_600_000, httpAnswerMs: 3_600_000, idleMs: 3_600_000 };
      const gateway = await startTestGateway(t, { sites, limits });
      const root = await makeTempRoot(t);
      const http = {
        dialect: 'http',
        accept: (connection: Parameters<typeof gateway.accept>[0]) => gateway.accept(connection),
      } as const;
      const node = await startNode({ listen: { host: '127.0.0.1', port: 0 }, root: root.path, http });
      t.after(() => node.close({ graceMs: 0 }));
      const port = way === 'on its own port' ? gateway.port : node.address.port;
      const client = net.connect({ port, host: '127.0.0.1' });
      client.on('error', () => {}).resume();
      const closed = once(client, 'close');
      await new Promise<void>((resolve) => client.write(bytes, () => resolve()));
      if (takesServer) await server.connected;
      // Whoever asks later is answered later: by then the first request is there.
      else await ask(port, { headers: { host: 'other.test' } });
      await gateway.close({ graceMs: 50 });
      await closed;
    });
  }
}
