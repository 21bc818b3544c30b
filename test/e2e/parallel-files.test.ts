/** Several files over several circuits at once: each whole, the work shared, and one account of all. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { downloadFiles, downloadTree, type FilesEvent, parseVia, uploadFiles } from '../../src/index.ts';
import { addressOf, startChain } from '../support/chain.ts';
import { makeTempRoot, type TempRoot } from '../support/temp-root.ts';

const mib = 1_048_576;

/** Circuits are counted here, and one that is silent for long gets another beside it, which asks whether its hops are nodes. */
const patient = { connectMs: 600_000, probeMs: 600_000 };

/** Files `many/0` and so on of these sizes, at the end of two hops. */
async function startMany(t: TestContext, sizes: readonly number[], limits = {}) {
  const [root, out] = [await makeTempRoot(t), await makeTempRoot(t)];
  for (const [index, size] of sizes.entries()) await root.writeRandom(`many/${index}`, size);
  const chain = await startChain(t, 2, root.path, { limits });
  const { routes } = chain.route('any');
  const files = sizes.map((_, index) => `many/${index}`);
  return { root, out, chain, routes, files, served: () => chain.nodes[1]?.stats().served ?? 0 };
}

async function assertWhole(root: TempRoot, directory: string, files: readonly string[]): Promise<void> {
  for (const file of files) {
    const content = await readFile(path.join(root.path, file));
    assert.ok(content.equals(await readFile(path.join(directory, path.basename(file)))), file);
  }
}

test('small files come over all circuits, and progress is that of all of them', async (t) => {
  const sizes = Array.from({ length: 200 }, (_, index) => (index * 97) % 5000);
  const { root, out, routes, files, served } = await startMany(t, sizes);
  const events: FilesEvent[] = [];
  const onEvent = (event: FilesEvent) => void events.push(event);
  const options = { routes, files, output: out.path, parallel: 4, limits: patient, onEvent };
  const outcomes = await downloadFiles(options);
  assert.deepEqual(
    outcomes.map(({ file, result }) => [file, result?.verified]),
    files.map((file) => [file, true]),
  );
  await assertWhole(root, out.path, files);
  assert.equal(served(), 4, 'a circuit for each, and none twice');
  const progress = events.filter((event) => event.kind === 'progress').map(({ bytes }) => bytes);
  assert.equal(
    Math.max(...progress),
    sizes.reduce((sum, size) => sum + size, 0),
  );
});

test('who has no file left helps with a large one, and each file is right', async (t) => {
  const sizes = [40 * mib + 1, 10, 2 * mib, 3 * mib + 7, ...Array.from({ length: 30 }, () => 100)];
  const { root, out, routes, served } = await startMany(t, sizes);
  // So that it takes long enough for others to come.
  const limitRate = 30 * mib;
  const { outcomes, path: copy } = await downloadTree({
    routes,
    directory: 'many',
    output: out.path,
    parallel: 3,
    limitRate,
  });
  assert.ok(outcomes.every(({ result }) => result));
  await assertWhole(
    root,
    copy,
    sizes.map((_, index) => `many/${index}`),
  );
  assert.ok(served() > 3, `${served()} circuits: a lane opens one more to help`);
});

test('one file of a list is fetched over several circuits as well', async (t) => {
  const { root, out, routes, files, served } = await startMany(t, [30 * mib]);
  await downloadFiles({ routes, files, output: out.path, parallel: 3, limitRate: 30 * mib });
  await assertWhole(root, out.path, files);
  assert.ok(served() > 1);
});

test('a node that takes no further circuit still serves those that it took', async (t) => {
  const sizes = [...Array.from({ length: 60 }, () => 1000), 5 * mib];
  const { root, out, routes, files } = await startMany(t, sizes, { maxConnections: 3, lingerMs: 100 });
  const outcomes = await downloadFiles({ routes, files, output: out.path, parallel: 8, retry: 0 });
  assert.deepEqual(
    outcomes.flatMap(({ error }) => error?.message ?? []),
    [],
  );
  await assertWhole(root, out.path, files);
});

test('a first hop that refuses the connection costs no file', async (t) => {
  const { root, out, chain, files } = await startMany(t, [10, 20, 3 * mib]);
  const [first, last] = chain.nodes.map(addressOf);
  const { routes } = parseVia(`127.0.0.1:1|${first},${last}`, 'any');
  for (const parallel of [1, 3]) {
    const outcomes = await downloadFiles({ routes, files, output: out.path, parallel, force: true });
    assert.ok(outcomes.every(({ result }) => result));
    await assertWhole(root, out.path, files);
  }
});

test('what fails is its own affair, and an interruption ends all lanes', async (t) => {
  const { out, routes, files } = await startMany(t, [...Array.from({ length: 40 }, () => 10), 8 * mib]);
  const asked = [...files.slice(0, 20), 'many/none', ...files.slice(20)];
  const some = await downloadFiles({ routes, files: asked, output: out.path, parallel: 4 });
  assert.deepEqual(
    some.flatMap(({ file, error }) => (error ? [[file, error.code]] : [])),
    [['many/none', 'FILE_NOT_FOUND']],
  );
  const stop = new AbortController();
  const onEvent = ({ kind }: FilesEvent) => kind === 'settled' && stop.abort();
  const options = { routes, files, output: out.path, force: true, parallel: 4, signal: stop.signal, onEvent };
  const stopped = await downloadFiles({ ...options, limitRate: mib });
  assert.ok(stopped.some(({ error }) => error?.code === 'INTERRUPTED'));
  assert.equal(stopped.length, files.length);
});

test('uploads go over as many circuits as are asked for, and as many as the node takes', async (t) => {
  for (const [parallel, limits] of [
    [1, {}],
    [8, {}],
    [8, { maxUploads: 2, maxPeerUploads: 2 }],
  ] as const) {
    const [root, home] = [await makeTempRoot(t), await makeTempRoot(t)];
    const files = Array.from({ length: 40 }, (_, index) => ({
      source: path.join(home.path, `f${index}`),
      file: `f${index}`,
    }));
    for (const { file } of files) await home.writeRandom(file, 1000);
    const chain = await startChain(t, 1, root.path, { uploads: {}, limits });
    const { routes } = chain.route('any');
    const outcomes = await uploadFiles({ routes, files, parallel, limits: patient });
    assert.deepEqual(
      outcomes.flatMap(({ error }) => error?.message ?? []),
      [],
    );
    await assertWhole(
      home,
      root.path,
      files.map(({ file }) => file),
    );
    if (limits === undefined || Object.keys(limits).length === 0)
      assert.equal(chain.nodes[0]?.stats().served, parallel);
  }
});
