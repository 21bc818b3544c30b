import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { allMetrics } from '../../src/admin/metrics/exposition.ts';
import { type Address, createMessage, download, openSender, type Port, parseVia } from '../../src/index.ts';
import { ask, openAdminOf } from '../support/admin.ts';
import { addressOf, startChain, until } from '../support/chain.ts';
import { type ReadFamily, readOpenMetrics } from '../support/open-metrics.ts';
import { repository } from '../support/repository.ts';
import { makeTempRoot } from '../support/temp-root.ts';

/** The sum of the samples of a name that have these labels. */
function sumOf(families: ReadonlyMap<string, ReadFamily>, name: string, labels: Readonly<Record<string, string>> = {}) {
  const samples = [...families.values()].flatMap(({ samples }) => samples).filter((sample) => sample.name === name);
  const fitting = samples.filter((sample) =>
    Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
  );
  return fitting.reduce((sum, { value }) => sum + value, 0);
}

for (const kernel of [true, false]) {
  test(`what went through two nodes stands in their metrics, ${kernel ? 'inside the kernel' : 'through the process'}`, async (t) => {
    const root = await makeTempRoot(t);
    const size = 3_000_000;
    await root.writeRandom('data.bin', size);
    const { nodes, route } = await startChain(t, 2, root.path, { kernel });
    const [relay, origin] = [nodes[0] ?? assert.fail(), nodes[1] ?? assert.fail()];
    await download({ route: route('data.bin'), output: `${root.path}/out.bin` });
    await assert.rejects(download({ route: route('nothing.bin'), output: `${root.path}/none.bin` }));
    await until(() => nodes.every((node) => node.stats().open === 0));
    const read = async (node: typeof relay) => {
      const { port } = await openAdminOf(t, { addresses: [], node });
      return readOpenMetrics((await ask({ port }, '/metrics')).text);
    };
    const [passed, served] = [await read(relay), await read(origin)];
    assert.equal(sumOf(passed, 'hopline_circuits_total', { role: 'relay' }), relay.stats().relayed);
    assert.ok(relay.stats().relayed >= 2);
    const path = relay.sight().hasKernelPath ? 'kernel' : 'process';
    assert.ok(sumOf(passed, 'hopline_bytes_total', { role: 'relay', direction: 'back', path }) > size);
    assert.equal(sumOf(passed, 'hopline_bytes_total', { role: 'origin' }), 0);
    assert.equal(sumOf(passed, 'hopline_open_seconds_count'), relay.stats().relayed);
    assert.equal(sumOf(passed, 'hopline_circuit_seconds_count', { role: 'relay' }), relay.stats().relayed);
    assert.equal(sumOf(passed, 'hopline_circuits_open'), 0);
    assert.equal(sumOf(served, 'hopline_bytes_total', { role: 'origin', direction: 'back' }), size);
    assert.equal(sumOf(served, 'hopline_files_total'), 1);
    assert.equal(sumOf(served, 'hopline_pieces_hashed_total') + sumOf(served, 'hopline_pieces_cached_total'), 3);
    assert.equal(sumOf(served, 'hopline_refusals_total', { code: 'FILE_NOT_FOUND' }), 1);
    assert.equal(sumOf(served, 'hopline_connections_total', { dialect: 'native' }), origin.stats().accepted);
  });
}

test('what a relay passes on is counted while it passes', async (t) => {
  const root = await makeTempRoot(t);
  await root.writeRandom('data.bin', 2_000_000);
  const { nodes, route } = await startChain(t, 2, root.path, { limitRate: 200_000 });
  const relay = nodes[0] ?? assert.fail();
  const stop = new AbortController();
  const running = download({ route: route('data.bin'), output: `${root.path}/out.bin`, signal: stop.signal });
  const circuit = () => relay.sight().circuits.find(({ isOpening }) => !isOpening);
  await until(() => (circuit()?.bytesBack ?? 0) > 0);
  const { stats, neighbours } = relay.sight();
  assert.ok(stats.bytesRelayed > 0);
  assert.equal(circuit()?.next, addressOf(nodes[1] ?? assert.fail()));
  assert.match(circuit()?.trace ?? '', /^[0-9a-f]{32}$/);
  assert.deepEqual(
    neighbours.map(({ from, open }) => [from, open]),
    [['127.0.0.1', 1]],
  );
  stop.abort();
  await assert.rejects(running);
});

test('both forms hold the same, and a client gets the one that it asks for', async (t) => {
  const { nodes } = await startChain(t, 1, (await makeTempRoot(t)).path, {
    pools: [{ name: 'eu-files', members: [{ host: '127.0.0.1', port: 1 as Port }] }],
  });
  const node = nodes[0] ?? assert.fail();
  const { port } = await openAdminOf(t, { addresses: [], node });
  const get = (accept?: string) =>
    ask({ port }, '/metrics', { headers: accept === undefined ? {} : { Accept: accept } });
  const open = 'application/openmetrics-text; version=1.0.0; charset=utf-8';
  const plain = 'text/plain; version=0.0.4; charset=utf-8';
  const prometheus =
    'application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2';
  const cases = [
    [undefined, open],
    ['*/*', open],
    [prometheus, open],
    ['application/openmetrics-text', open],
  ];
  const others = [
    ['text/plain', plain],
    ['text/html,*/*;q=0.8', plain],
    ['text/plain;q=0.9,application/openmetrics-text;q=0.1', plain],
  ];
  for (const [accept, type] of [...cases, ...others]) {
    assert.equal((await get(accept)).headers['content-type'], type, accept);
  }
  const names = (text: string) => [...text.matchAll(/^([a-z]\w*)(?=[ {])/gm)].map(([, name]) => name);
  const [one, other] = [(await get()).text, (await get('text/plain')).text];
  assert.deepEqual(names(other), names(one));
  assert.doesNotMatch(other, /# (EOF|UNIT)/);
  assert.match(other, /^# TYPE hopline_files_total counter$/m);
  assert.ok(readOpenMetrics(one).get('hopline_files'));
});

test('whatever peers do, there is no label that they choose', async (t) => {
  const root = await makeTempRoot(t);
  const { nodes } = await startChain(t, 1, root.path, { registerFrom: ['127.0.0.0/8'] });
  const node = nodes[0] ?? assert.fail();
  for (let index = 0; index < 5; index += 1) {
    const sender = await openSender({ to: node.address as Address });
    await sender.send(createMessage('client', `policy-${index}`, 'x')).catch(() => {});
    await sender.close();
    await assert.rejects(
      download({ route: parseVia(addressOf(node), `secret-${index}.txt`), output: `${root.path}/x` }),
    );
  }
  const { port } = await openAdminOf(t, { addresses: [], node });
  const { text } = await ask({ port }, '/metrics');
  readOpenMetrics(text);
  assert.doesNotMatch(text, /secret|policy-|127\.0\.0\.1/);
  const page = await ask({ port }, '/');
  assert.doesNotMatch(page.text + (await ask({ port }, '/api/circuits')).text, /secret/);
});

test('docs/monitoring.md lists every metric with its type and meaning, and no other', async () => {
  const text = await readFile(new URL('docs/monitoring.md', repository), 'utf8');
  const rows = [...text.matchAll(/^\| `(\w+)` +\| (\w+) +\| [^|]*\| (.*?) +\|$/gm)].map(([, ...cells]) => cells);
  const due = allMetrics.map(({ name, type, help }) => [name, type, help]);
  assert.deepEqual(rows.sort(), due.sort());
});
