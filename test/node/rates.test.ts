import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { Writable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { download, type NodeOptions, parseVia, type RunningNode, startNode, upload } from '../../src/index.ts';
import { addressOf, startChain } from '../support/chain.ts';
import { makeLater } from '../support/later.ts';
import { advanceUntil, FakeClock } from '../support/legs.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const size = 300 * 1024;
const rate = 100 * 1024;
const burst = 16 * 1024;
/** Milliseconds for what the burst leaves of so many bytes. */
const due = (bytes: number) => ((bytes - burst) / rate) * 1000;

/** An origin and a relay before it, one of them with `options` and a clock that is moved by hand. */
async function startLimited(t: TestContext, limited: 'relay' | 'origin', options: Partial<NodeOptions>) {
  const root = await makeTempRoot(t);
  const content = await root.writeRandom('data.bin', size);
  makeLater(t);
  const clock = new FakeClock();
  const { kernel = true } = options;
  const nodes: RunningNode[] = [];
  // A tunnel that waits for its limit hears of the end when that lets it.
  t.after(() => advanceUntil(clock, Promise.all(nodes.map((node) => node.close({ graceMs: 0 })))));
  for (const role of ['relay', 'origin'] as const) {
    const chain = await startChain(t, 1, root.path, role === limited ? { ...options, clock } : { kernel });
    nodes.push(...chain.nodes);
  }
  const hops = nodes.map(addressOf).join(',');
  return { clock, content, hops };
}

/** Downloads `times` at once while the clock is moved on; resolves to the milliseconds that it was moved. */
async function timeDownloads(
  { clock, content, hops }: { readonly clock: FakeClock; readonly content: Buffer; readonly hops: string },
  { times = 1, classic = false } = {},
): Promise<number> {
  const began = clock.now();
  const downloads = Array.from({ length: times }, async () => {
    const parts: Buffer[] = [];
    const output = new Writable({
      write: (bytes: Buffer, _encoding, done) => done(void parts.push(Buffer.from(bytes))),
    });
    await download({ route: parseVia(hops, 'data.bin'), output, classic });
    assert.ok(Buffer.concat(parts).equals(content));
  });
  await advanceUntil(clock, Promise.all(downloads));
  return clock.now() - began;
}

for (const kernel of [true, false]) {
  const how = kernel ? 'inside the kernel where that is possible' : 'through the process';

  for (const limited of ['relay', 'origin'] as const) {
    test(`a limited ${limited} carries each circuit at its rate, ${how}`, async (t) => {
      const run = await startLimited(t, limited, { kernel, limitRate: rate });
      // The second time the origin knows the digests, and sends the file without seeing it.
      for (const circuit of ['first', 'second']) {
        const ms = await timeDownloads(run);
        assert.ok(ms >= due(size) - 20, `${circuit}: ${ms} ms`);
      }
    });

    test(`all circuits of a ${limited} together keep to the total rate, ${how}`, async (t) => {
      const run = await startLimited(t, limited, { kernel, limitRate: rate, limitRateTotal: rate });
      const ms = await timeDownloads(run, { times: 3 });
      assert.ok(ms >= due(3 * size) - 20, `${ms} ms`);
    });
  }
}

for (const limited of ['relay', 'origin'] as const) {
  test(`a limited ${limited} keeps to its rate in the classic dialect too`, async (t) => {
    const run = await startLimited(t, limited, { limitRateTotal: rate, limits: { quietMs: 1 } });
    const ms = await timeDownloads(run, { classic: true });
    assert.ok(ms >= due(size) - 20, `${ms} ms`);
  });
}

for (const limited of ['client', 'relay', 'origin'] as const) {
  test(`an upload keeps to the rate of the ${limited}`, async (t) => {
    const root = await makeTempRoot(t);
    const into = await makeTempRoot(t);
    const content = await root.writeRandom('data.bin', size);
    const clock = new FakeClock();
    const nodes: RunningNode[] = [];
    t.after(() => advanceUntil(clock, Promise.all(nodes.map((node) => node.close({ graceMs: 0 })))));
    for (const role of ['relay', 'origin'] as const) {
      const limits = role === limited ? { limitRate: rate, clock } : {};
      const { nodes: started } = await startChain(t, 1, into.path, { ...limits, uploads: {} });
      nodes.push(...started);
    }
    const route = parseVia(nodes.map(addressOf).join(','), 'copy.bin');
    const own = limited === 'client' ? { limitRate: rate, clock } : {};
    const began = clock.now();
    await advanceUntil(clock, upload({ source: path.join(root.path, 'data.bin'), route, ...own }));
    assert.ok(clock.now() - began >= due(size) - 20, `${clock.now() - began} ms`);
    assert.ok((await readFile(path.join(into.path, 'copy.bin'))).equals(content));
  });
}

test('what is no rate is a usage error, and nothing listens', async () => {
  const listen = { host: '127.0.0.1', port: 0 };
  await assert.rejects(startNode({ listen, limitRate: 5 }), { code: 'USAGE_INVALID' });
  await assert.rejects(startNode({ listen, limitRateTotal: Number.NaN }), { code: 'USAGE_INVALID' });
});
