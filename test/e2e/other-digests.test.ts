import assert from 'node:assert/strict';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import Module from 'node:module';
import path from 'node:path';
import { Writable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { type DownloadEvent, type DownloadOptions, download, parseVia, type RunningNode } from '../../src/index.ts';
import { availableDigests } from '../../src/io/digests/digest.ts';
import { addressOf, startChain } from '../support/chain.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const mib = 1_048_576;
const size = 24 * mib + 123;
const file = 'data.bin';
const limits = { maxReadsAhead: 2, retryMinMs: 10, retryMaxMs: 50, probeMs: 500, connectMs: 1000 };
/** Where there is no native library all origins prove by the same. */
const options = { skip: availableDigests().length < 2 };

/** Starts an origin as it is where the native library does not load. */
async function startWithout(t: TestContext, root: string): Promise<RunningNode> {
  const modules = Module as unknown as { _load: (name: string, ...more: unknown[]) => unknown };
  const load = modules._load;
  modules._load = (name, ...more) => {
    if (name.startsWith('@napi-rs/blake-hash')) throw new Error('not on this machine');
    return load(name, ...more);
  };
  try {
    assert.equal(availableDigests().length, 1);
    const [node] = (await startChain(t, 1, root)).nodes as [RunningNode];
    return node;
  } finally {
    modules._load = load;
  }
}

async function start(t: TestContext) {
  const [root, replica, out] = [await makeTempRoot(t), await makeTempRoot(t), await makeTempRoot(t)];
  const content = await root.writeRandom(file, size);
  await copyFile(path.join(root.path, file), path.join(replica.path, file));
  const [blake] = (await startChain(t, 1, root.path)).nodes as [RunningNode];
  const sha = await startWithout(t, replica.path);
  const here = path.join(out.path, file);
  const run = async (nodes: readonly RunningNode[], more: Partial<DownloadOptions> = {}, act = () => {}) => {
    const events: DownloadEvent[] = [];
    let isDone = false;
    const onEvent = (event: DownloadEvent) => {
      events.push(event);
      if (isDone || event.kind !== 'progress' || event.bytes < 6 * mib) return;
      isDone = true;
      act();
    };
    const route = parseVia([nodes.map(addressOf).join('|')], file);
    const result = await download({ route, output: out.path, limits, onEvent, ...more });
    return { result, events };
  };
  return { root, replica, out, content, blake, sha, here, run };
}

for (const first of ['blake', 'sha'] as const) {
  test(`an origin with another digest stands in for one (${first}) that dies in mid-file`, options, async (t) => {
    const fixture = await start(t);
    const nodes = [fixture[first], fixture[first === 'blake' ? 'sha' : 'blake']] as const;
    const { result, events } = await fixture.run(nodes, {}, () => void nodes[0].close({ graceMs: 0 }));
    assert.ok(fixture.content.equals(await readFile(fixture.here)));
    assert.equal(events.filter(({ kind }) => kind === 'started').length, 1);
    assert.ok(result.verified && result.reroutes >= 1);
    assert.ok(result.wastedBytes <= mib, `${result.wastedBytes} bytes came twice`);
    assert.ok(nodes[1].stats().bytesServed < size);
  });

  test(`what was kept of one origin (${first}) counts at another with another digest alone`, options, async (t) => {
    const fixture = await start(t);
    const [one, other] = [fixture[first], fixture[first === 'blake' ? 'sha' : 'blake']];
    const stop = new AbortController();
    await assert.rejects(fixture.run([one], { signal: stop.signal }, () => stop.abort()));
    const { result, events } = await fixture.run([other], { onChange: 'fail' });
    assert.ok(result.resumedBytes >= 5 * mib);
    assert.equal(other.stats().bytesServed, size - result.resumedBytes);
    assert.ok(!events.some((event) => event.kind === 'started' && event.restarted));
    assert.ok(fixture.content.equals(await readFile(fixture.here)));
  });
}

test('an origin with another digest and one other byte is not mixed in', options, async (t) => {
  const { blake, sha, content, replica, here, run } = await start(t);
  const differs = Buffer.from(content);
  differs.writeUInt8(differs.readUInt8(5) ^ 1, 5);
  await writeFile(path.join(replica.path, file), differs);
  const { events } = await run([blake, sha], {}, () => void blake.close({ graceMs: 0 }));
  assert.ok(events.some((event) => event.kind === 'started' && event.restarted));
  assert.ok(differs.equals(await readFile(here)));
});

test('several circuits bring one file from origins with different digests', options, async (t) => {
  const { blake, sha, content, out, here } = await start(t);
  const route = parseVia([addressOf(blake), addressOf(sha)], file);
  const result = await download({ route, output: out.path, limits, parallel: 2 });
  assert.ok(content.equals(await readFile(here)));
  // What was still on its way when the file was whole, nobody took or counted; no piece is asked for more than twice.
  const served = blake.stats().bytesServed + sha.stats().bytesServed;
  assert.ok(served >= size + result.wastedBytes, `${served} bytes were served`);
  assert.ok(served <= 2 * size, `${served} bytes were served`);
});

test('what has left to a stream cannot be compared by another digest, and that is said', options, async (t) => {
  const { blake, sha, run } = await start(t);
  const output = new Writable({ write: (_bytes, _encoding, done) => done() });
  const dying = run([blake, sha], { output, retry: 0 }, () => void blake.close({ graceMs: 0 }));
  await assert.rejects(dying, { message: /proves pieces by sha256, and what was written out was proved by blake3/ });
});

test(
  'what was kept of a file that has another size now is given up loudly, or stays where it was asked to',
  options,
  async (t) => {
    const { root, content, here, blake, run } = await start(t);
    const stop = new AbortController();
    await assert.rejects(run([blake], { signal: stop.signal }, () => stop.abort()));
    const longer = Buffer.concat([content, Buffer.from('more')]);
    await writeFile(path.join(root.path, file), longer);
    await assert.rejects(run([blake], { onChange: 'fail' }), { code: 'FILE_CHANGED' });
    await writeFile(path.join(root.path, file), content);
    const kept = await run([blake], { signal: AbortSignal.abort() }).catch(() => undefined);
    assert.equal(kept, undefined);
    await writeFile(path.join(root.path, file), longer);
    const { events, result } = await run([blake]);
    assert.ok(events.some((event) => event.kind === 'started' && event.restarted));
    assert.equal(result.resumedBytes, 0);
    assert.ok(longer.equals(await readFile(here)));
  },
);
