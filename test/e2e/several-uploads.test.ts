/** Several files to one origin: each whole, over few circuits, and what fails leaves the others alone. */

import assert from 'node:assert/strict';
import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { type NodeOptions, type UploadFilesOptions, type UploadsEvent, upload, uploadFiles } from '../../src/index.ts';
import { startChain } from '../support/chain.ts';
import { makeTempRoot } from '../support/temp-root.ts';

/** A chain whose origin takes uploads, and what sends files of a directory here under their own names. */
async function startWritable(t: TestContext, options: Partial<NodeOptions> = {}) {
  const root = await makeTempRoot(t);
  const home = await makeTempRoot(t);
  const chain = await startChain(t, 2, root.path, { uploads: {}, ...options });
  const send = (names: readonly string[], more: Partial<UploadFilesOptions> = {}) =>
    uploadFiles({
      routes: chain.route('x').routes,
      files: names.map((file) => ({ source: path.join(home.path, file), file })),
      ...more,
    });
  const circuits = () => chain.nodes[1]?.stats().served ?? 0;
  return { root, home, chain, send, circuits };
}

test('many files arrive whole over a few circuits, and again none of them is sent', async (t) => {
  const { root, home, send, circuits } = await startWritable(t);
  const sizes = [0, 1, 1_048_576, 3_000_000, ...Array.from({ length: 60 }, (_, index) => 100 + index)];
  const contents = new Map<string, Buffer>();
  for (const [index, size] of sizes.entries())
    contents.set(`d${index % 3}/f${index}`, await home.writeRandom(`d${index % 3}/f${index}`, size));
  const events: UploadsEvent[] = [];
  const first = await send([...contents.keys()], { onEvent: (event) => events.push(event) });
  for (const [index, [file, content]] of [...contents].entries()) {
    assert.equal(first[index]?.file, file);
    assert.equal(first[index]?.result?.alreadyThere, false, first[index]?.error?.message);
    assert.deepEqual(await readFile(path.join(root.path, file)), content);
  }
  assert.ok(circuits() <= 4, `${circuits()} circuits`);
  const progress = events.filter((event) => event.kind === 'progress').map(({ bytes }) => bytes);
  assert.equal(
    progress.at(-1),
    sizes.reduce((sum, size) => sum + size, 0),
  );
  assert.ok(progress.every((bytes, index) => bytes >= (progress[index - 1] ?? 0)));
  assert.equal(events.filter(({ kind }) => kind === 'settled').length, sizes.length);

  const second = await send([...contents.keys()]);
  assert.deepEqual(new Set(second.map(({ result }) => result?.alreadyThere)), new Set([true]));
  assert.ok(circuits() <= 8, 'a name that is taken does not end a circuit');
});

test('a file that cannot be sent leaves the others alone', async (t) => {
  const { root, home, send } = await startWritable(t);
  for (const name of ['a', 'b', 'c', 'd']) await home.writeRandom(name, 1000);
  await mkdir(path.join(root.path, 'b'));
  await writeFile(path.join(root.path, 'c'), 'another');
  const outcomes = await send(['a', 'none', 'b', 'c', 'd']);
  assert.deepEqual(
    outcomes.map(({ error }) => error?.code),
    [undefined, 'USAGE_INVALID', 'DISK_EXISTS', 'DISK_EXISTS', undefined],
  );
  assert.deepEqual(await root.list(), ['a', 'b', 'c', 'd']);
  await assert.rejects(send(['a', 'a']), { code: 'USAGE_INVALID' });
  await assert.rejects(send(['.d.part']), { code: 'ROUTE_SYNTAX' });
});

test('an origin that takes no uploads, and a route that fails, are the error of every file', async (t) => {
  const { home, send, chain, circuits } = await startWritable(t, { uploads: undefined });
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) await home.writeRandom(name, 10);
  const names = await home.list();
  const denied = await send(names);
  assert.deepEqual(
    denied.map(({ error }) => error?.code),
    names.map(() => 'UPLOAD_DENIED'),
  );
  assert.ok(circuits() <= 4, 'nobody asks again for each file');
  await chain.nodes[1]?.close({ graceMs: 0 });
  const lost = await send(names);
  assert.deepEqual(
    lost.map(({ error }) => error?.code),
    names.map(() => 'PEER_UNREACHABLE'),
  );
});

test('after an interruption the same call sends what is missing', async (t) => {
  const { root, home, send } = await startWritable(t);
  const names = Array.from({ length: 30 }, (_, index) => `f${index}`);
  for (const name of names) await home.writeRandom(name, 1000);
  const stop = new AbortController();
  let done = 0;
  const onEvent = ({ kind }: UploadsEvent) => {
    if (kind === 'settled') done += 1;
    if (done === 10) stop.abort();
  };
  const first = await send(names, { signal: stop.signal, onEvent });
  const codes = first.map(({ error }) => error?.code);
  assert.ok(codes.includes('INTERRUPTED') && codes.includes(undefined));
  const second = await send(names);
  assert.ok(second.every(({ result }) => result));
  assert.ok(second.some(({ result }) => result?.alreadyThere));
  for (const name of names)
    assert.deepEqual(await readFile(path.join(root.path, name)), await readFile(path.join(home.path, name)));
});

test('what comes from a stream is sent as a file, and a stream that breaks is no upload', async (t) => {
  const { root, chain } = await startWritable(t);
  const parts = [Buffer.alloc(1_500_000, 1), Buffer.from('the end')];
  const result = await upload({ source: Readable.from(parts), route: chain.route('in/stream.bin') });
  assert.deepEqual(await readFile(path.join(root.path, 'in/stream.bin')), Buffer.concat(parts));
  assert.equal(result.size, 1_500_007);
  const broken = new Readable({ read() {} });
  broken.push('half');
  setImmediate(() => broken.destroy(new Error('broke')));
  await assert.rejects(upload({ source: broken, route: chain.route('in/half.bin') }), { code: 'DISK_FAILED' });
  assert.deepEqual(await root.list(), ['in']);
  const stop = new AbortController();
  setImmediate(() => stop.abort());
  const endless = new Readable({ read() {} });
  await assert.rejects(upload({ source: endless, route: chain.route('x'), signal: stop.signal }), {
    code: 'INTERRUPTED',
  });
});

test('a file that changes while it is sent fails alone', async (t) => {
  const { root, home, send } = await startWritable(t);
  await home.writeRandom('large', 8_000_000);
  for (const name of ['a', 'b']) await home.writeRandom(name, 10);
  let hasChanged = false;
  const onEvent = (event: UploadsEvent) => {
    if (event.kind !== 'started' || event.file !== 'large' || hasChanged) return;
    hasChanged = true;
    void appendFile(path.join(home.path, 'large'), 'more');
  };
  const outcomes = await send(['large', 'a', 'b'], { onEvent, limitRate: 8_000_000 });
  assert.deepEqual(
    outcomes.map(({ error }) => error?.code),
    ['FILE_CHANGED', undefined, undefined],
  );
  assert.ok((await root.list()).includes('b'));
});
