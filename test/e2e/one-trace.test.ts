/** One id, from a request to a gateway or from a transfer, in the logs of all that it goes through. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import {
  type AccessRecord,
  accessRecord,
  type Logger,
  listDirectory,
  newKey,
  openBackend,
  parseSite,
  silentLogger,
} from '../../src/index.ts';
import { encodeMessage } from '../../src/wire/native/messages.ts';
import { addressOf, connectRaw, receiveAll, startChain, until } from '../support/chain.ts';
import { rawFrame } from '../support/decoding.ts';
import { ask, startBackend, startTestGateway } from '../support/http.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const ids = ['4bf92f3577b34da6a3ce929d0e0e4736', '0af7651916cd43dd8448eb211c80319c'] as const;
const traceparent = (traceId: string) => `00-${traceId}-00f067aa0ba902b7-01`;

interface Line {
  readonly hop: number;
  readonly trace: string;
  readonly traceId?: string;
}

/** A chain whose nodes write into one log, of which the lines about circuits are kept. */
async function startLogged(t: TestContext, hops: number) {
  const root = await makeTempRoot(t);
  await root.writeRandom('a', 1000);
  const lines: Line[] = [];
  const keep: Logger['info'] = (fields) => {
    if (fields.trace !== undefined) lines.push(fields as unknown as Line);
  };
  const log: Logger = { ...silentLogger, info: keep, warn: keep };
  const { key } = newKey();
  const chain = await startChain(t, hops, root.path, { log, identity: key });
  const via = chain.nodes.map(addressOf).join(',');
  return { chain, lines, via, keyedVia: `${via}#${key.public.text}` };
}

/** A gateway with one site, whose access log is kept; `end` ends the circuits that wait. */
async function startLoggedSite(t: TestContext, text: string, trusted: readonly string[] = []) {
  const { host, backend } = parseSite(text);
  const opened = await openBackend(backend);
  t.after(() => opened.close());
  const records: AccessRecord[] = [];
  const gateway = await startTestGateway(t, {
    sites: [{ host, backend: opened.backend, connect: true }],
    trusted,
    onEnded: (ended) => records.push(accessRecord(ended)),
  });
  return { gateway, records, end: () => opened.close() };
}

test('the id of a request stands in the log of every hop of an encrypted circuit, and the gateway’s names the circuit', async (t) => {
  const { lines, keyedVia } = await startLogged(t, 3);
  const { gateway, records, end } = await startLoggedSite(t, `*=route:${keyedVia}`, ['127.0.0.0/8']);
  for (const id of ids) {
    const { status } = await ask(gateway.port, { path: '/a', headers: { traceparent: traceparent(id) } });
    assert.equal(status, 200);
  }
  await end();
  await until(() => lines.length === 3 && records.length === 2);
  // The second request went over the circuit that the first one had opened.
  const [first] = records;
  assert.match(first?.circuit ?? '', /^[0-9a-f]{32}$/);
  assert.deepEqual(
    records.map(({ id, circuit }) => ({ id, circuit })),
    ids.map((id) => ({ id, circuit: first?.circuit })),
  );
  assert.deepEqual(
    lines.map(({ hop, trace, traceId }) => ({ hop, trace, traceId })).sort((one, other) => one.hop - other.hop),
    [1, 2, 3].map((hop) => ({ hop, trace: first?.circuit, traceId: ids[0] })),
  );
});

test('the id of a request goes through a tunnel to its server, and stands in the log of each hop', async (t) => {
  const { lines, via } = await startLogged(t, 2);
  const seen: (string | undefined)[] = [];
  const backend = await startBackend(t, ({ headers }, response) => {
    seen.push(headers.traceparent as string | undefined, headers.tracestate as string | undefined);
    response.end('here');
  });
  const { gateway, records, end } = await startLoggedSite(t, `*=127.0.0.1:${backend.address.port} via ${via}`);
  const headers = { traceparent: traceparent(ids[0]), tracestate: 'vendor=1', connection: 'close' };
  assert.equal((await ask(gateway.port, { path: '/a', headers })).status, 200);
  await gateway.close();
  await end();
  await until(() => lines.length === 2 && records.length === 1);
  const [record] = records;
  const [passed = '', state] = seen;
  assert.notEqual(record?.id, ids[0], 'whoever is not trusted begins a trace of its own');
  assert.equal(passed.slice(3, 35), record?.id);
  assert.equal(state, undefined);
  for (const { trace, traceId } of lines) assert.deepEqual([traceId, trace], [record?.id, record?.circuit]);
});

test('a tunnel for CONNECT has an id as well', async (t) => {
  const { lines, via } = await startLogged(t, 1);
  const backend = await startBackend(t, (_request, response) => response.end('here'));
  const { gateway, records } = await startLoggedSite(t, `*=127.0.0.1:${backend.address.port} via ${via}`, [
    '127.0.0.0/8',
  ]);
  const socket = await connectRaw(t, { address: { host: '127.0.0.1', port: gateway.port } } as never);
  socket.write(`CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\ntraceparent: ${traceparent(ids[1])}\r\n\r\n`);
  const answered = receiveAll(socket);
  socket.end('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  assert.match((await answered).toString(), /^HTTP\/1\.1 200.*here/s);
  await until(() => lines.length === 1 && records.length === 1);
  assert.equal(lines[0]?.traceId, ids[1]);
  assert.equal(records[0]?.id, ids[1]);
});

test('a transfer of the library has the id that it was given, and one that is none is not sent', async (t) => {
  const { chain, lines } = await startLogged(t, 2);
  const { routes } = chain.route('a');
  const options = { routes, directory: '.', onEntries: () => undefined };
  await listDirectory({ ...options, traceparent: traceparent(ids[0]) });
  await listDirectory({ ...options, traceparent: 'evil' });
  await until(() => lines.length === 4);
  assert.deepEqual(lines.map(({ traceId }) => traceId).sort(), [ids[0], ids[0], undefined, undefined]);
});

test('a traceparent that is none breaks no circuit, stands in no log, and goes on as it came', async (t) => {
  const { chain, lines } = await startLogged(t, 2);
  const [relay] = chain.nodes;
  assert.ok(relay);
  const open = { type: 'open', hops: chain.nodes.map(addressOf), hop: 1, deadlineMs: 5000 };
  for (const [at, value] of ['evil\nline', traceparent('0'.repeat(32)), 7, null, { a: 1 }].entries()) {
    const trace = String(at).padStart(32, '0');
    const socket = await connectRaw(t, relay);
    const request = encodeMessage({ type: 'stat', name: 'a', digests: ['sha256'] });
    socket.end(Buffer.concat([rawFrame(JSON.stringify({ ...open, trace, traceparent: value })), request]));
    assert.match((await receiveAll(socket)).toString('latin1'), /"type":"status"/);
    await until(() => lines.length === 2);
    assert.deepEqual(
      lines.splice(0).map(({ traceId }) => traceId),
      [undefined, undefined],
    );
  }
});
