import assert from 'node:assert/strict';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { type DownloadEvent, type DownloadOptions, type DownloadResult, download } from '../../src/index.ts';
import { type Chain, startChain } from '../support/chain.ts';
import { makeTempRoot, type TempRoot } from '../support/temp-root.ts';

const mib = 1_048_576;
const size = 24 * mib + 12_345;
/** Few pieces on their way, so that much is still missing when something happens in mid-flight. */
const limits = { maxReadsAhead: 2 };

interface Fixture {
  readonly content: Buffer;
  readonly root: TempRoot;
  readonly out: TempRoot;
  readonly chain: Chain;
  /** Downloads up to about 6 MiB and stops; resolves to how many bytes were kept. */
  interrupt(options?: Partial<DownloadOptions>): Promise<number>;
  run(options?: Partial<DownloadOptions>): Promise<{ result: DownloadResult; events: DownloadEvent[] }>;
  servedBytes(): number;
  assertRight(): Promise<void>;
}

async function start(t: TestContext, hops: number): Promise<Fixture> {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const content = await root.writeRandom('data.bin', size);
  const chain = await startChain(t, hops, root.path);
  const base = { route: chain.route('data.bin'), output: out.path, limits };
  return {
    content,
    root,
    out,
    chain,
    interrupt: async (options = {}) => {
      const stop = new AbortController();
      let kept = 0;
      const onEvent = (event: DownloadEvent) => {
        if (event.kind === 'progress' && event.bytes > 6 * mib) stop.abort();
        if (event.kind === 'kept') kept = event.bytes;
      };
      await assert.rejects(download({ ...base, signal: stop.signal, onEvent, ...options }), { code: 'INTERRUPTED' });
      return kept;
    },
    run: async (options = {}) => {
      const events: DownloadEvent[] = [];
      const result = await download({ ...base, onEvent: (event) => events.push(event), ...options });
      return { result, events };
    },
    servedBytes: () => chain.nodes.reduce((sum, node) => sum + node.stats().bytesServed, 0),
    assertRight: async () => {
      assert.deepEqual(await out.list(), ['data.bin']);
      assert.equal(content.equals(await readFile(path.join(out.path, 'data.bin'))), true);
    },
  };
}

test('a download that was interrupted goes on where it stopped', async (t) => {
  const { interrupt, run, servedBytes, assertRight, out, chain } = await start(t, 3);
  const kept = await interrupt();
  assert.ok(kept >= 4 * mib && kept < size, `${kept} bytes were kept`);
  assert.deepEqual(await out.list(), ['.data.bin.part', '.data.bin.part.journal']);
  const before = servedBytes();
  const { result, events } = await run();
  assert.equal(result.resumedBytes, kept);
  assert.equal(servedBytes() - before, size - kept);
  const [first] = events;
  assert.equal(first?.kind === 'started' && first.leftBytes, kept);
  await assertRight();
  assert.ok(chain.nodes.length > 0);
});

test('without resume, nothing is kept and nothing that was kept is used', async (t) => {
  const { interrupt, run, out, assertRight } = await start(t, 1);
  assert.equal(await interrupt({ resume: false }), 0);
  assert.deepEqual(await out.list(), []);
  assert.ok((await interrupt()) > 0);
  const { result } = await run({ resume: false });
  assert.equal(result.resumedBytes, 0);
  await assertRight();
});

test('a file that changed meanwhile is fetched anew, and it is said so', async (t) => {
  const fixture = await start(t, 2);
  await fixture.interrupt();
  const changed = Buffer.from(fixture.content);
  changed.writeUInt8(changed.readUInt8(100) ^ 1, 100);
  await writeFile(path.join(fixture.root.path, 'data.bin'), changed);
  const { result, events } = await fixture.run();
  assert.equal(
    events.some((event) => event.kind === 'started' && event.restarted),
    true,
  );
  assert.equal(result.size, size);
  assert.equal(changed.equals(await readFile(path.join(fixture.out.path, 'data.bin'))), true);
});

test('a file that changed its size meanwhile is fetched anew', async (t) => {
  const fixture = await start(t, 1);
  await fixture.interrupt();
  await writeFile(path.join(fixture.root.path, 'data.bin'), fixture.content.subarray(0, 3 * mib));
  const { result } = await fixture.run();
  assert.equal(result.resumedBytes, 0);
  assert.equal((await readFile(path.join(fixture.out.path, 'data.bin'))).length, 3 * mib);
});

test('told to, a file that changed meanwhile is given up and what there was stays', async (t) => {
  const fixture = await start(t, 1);
  const kept = await fixture.interrupt();
  const changed = Buffer.from(fixture.content).fill(1, 0, 10);
  await writeFile(path.join(fixture.root.path, 'data.bin'), changed);
  await assert.rejects(fixture.run({ onChange: 'fail' }), { code: 'FILE_CHANGED' });
  await writeFile(path.join(fixture.root.path, 'data.bin'), fixture.content);
  const { result } = await fixture.run({ onChange: 'fail' });
  assert.equal(result.resumedBytes, kept);
  await fixture.assertRight();
});

test('another origin with the same content goes on, after it has shown the digests of what is there', async (t) => {
  const fixture = await start(t, 1);
  const kept = await fixture.interrupt();
  const replica = await makeTempRoot(t);
  await copyFile(path.join(fixture.root.path, 'data.bin'), path.join(replica.path, 'data.bin'));
  const other = await startChain(t, 2, replica.path);
  const { result } = await fixture.run({ route: other.route('data.bin') });
  assert.equal(result.resumedBytes, kept);
  assert.equal(other.nodes[1]?.stats().bytesServed, size - kept);
  await fixture.assertRight();
});

test('another origin that differs in one byte of what is there is not mixed in', async (t) => {
  const fixture = await start(t, 1);
  await fixture.interrupt();
  const replica = await makeTempRoot(t);
  const differs = Buffer.from(fixture.content);
  differs.writeUInt8(differs.readUInt8(mib + 5) ^ 0x80, mib + 5);
  await writeFile(path.join(replica.path, 'data.bin'), differs);
  const other = await startChain(t, 1, replica.path);
  const { result, events } = await fixture.run({ route: other.route('data.bin') });
  assert.equal(
    events.some((event) => event.kind === 'started' && event.restarted),
    true,
  );
  assert.equal(result.size, size);
  assert.equal(differs.equals(await readFile(path.join(fixture.out.path, 'data.bin'))), true);
});

test('a journal that was damaged costs what it no longer says, and never a wrong byte', async (t) => {
  const fixture = await start(t, 1);
  const kept = await fixture.interrupt();
  const journal = path.join(fixture.out.path, '.data.bin.part.journal');
  const bytes = await readFile(journal);
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 5) ^ 1, bytes.length - 5);
  await writeFile(journal, bytes);
  const { result } = await fixture.run();
  assert.ok(result.resumedBytes < kept);
  assert.ok(result.resumedBytes >= kept - 2 * mib);
  await fixture.assertRight();
});

test('a part file that was written to by someone else is not believed where that was', async (t) => {
  const fixture = await start(t, 1);
  const kept = await fixture.interrupt();
  const part = path.join(fixture.out.path, '.data.bin.part');
  const bytes = await readFile(part);
  bytes.fill(7, 10, 20);
  await writeFile(part, bytes);
  const { result } = await fixture.run();
  assert.equal(result.resumedBytes, kept - mib);
  await fixture.assertRight();
});

test('a deadline ends a download, which then goes on like any other', async (t) => {
  const fixture = await start(t, 1);
  let passed = 0;
  // Time passes with the bytes, so that the deadline comes in the middle.
  const clock = {
    now: () => passed,
    after: (ms: number, action: () => void) => {
      due.push({ ms: passed + ms, action });
      return () => {
        due = due.filter((one) => one.action !== action);
      };
    },
  };
  let due: { ms: number; action: () => void }[] = [];
  let kept = 0;
  const onEvent = (event: DownloadEvent) => {
    if (event.kind === 'kept') kept = event.bytes;
    if (event.kind !== 'progress') return;
    passed = event.bytes / mib;
    for (const { ms, action } of [...due]) if (ms <= passed) action();
  };
  const late = { clock, deadlineMs: 6, onEvent };
  await assert.rejects(
    download({ route: fixture.chain.route('data.bin'), output: fixture.out.path, limits, ...late }),
    {
      code: 'TIMEOUT_DEADLINE',
    },
  );
  const { result } = await fixture.run();
  assert.equal(result.resumedBytes, kept);
  await fixture.assertRight();
});
