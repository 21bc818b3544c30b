import assert from 'node:assert/strict';
import { readFile, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { type DownloadEvent, download, downloadFiles, downloadTree } from '../../src/index.ts';
import { addressOf, startChain } from '../support/chain.ts';
import { runProgram } from '../support/program.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const mib = 1_048_576;

/** Two nodes that serve `data.bin`. */
async function start(t: TestContext, bytes: number) {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const content = await root.writeRandom('data.bin', bytes);
  const chain = await startChain(t, 2, root.path);
  const here = path.join(out.path, 'data.bin');
  return { root, out, content, chain, here, via: chain.nodes.map(addressOf).join(',') };
}

/** What would change if the file were written, or made anew. */
async function traces(file: string) {
  const { ino, mtimeNs, ctimeNs, size, mode } = await stat(file, { bigint: true });
  return { ino, mtimeNs, ctimeNs, size, mode };
}

for (const bytes of [0, 1000, 3 * mib + 5]) {
  test(`a file of ${bytes} bytes that is here already is success, and nothing is fetched or changed`, async (t) => {
    const { out, chain, here } = await start(t, bytes);
    const route = chain.route('data.bin');
    const first = await download({ route, output: here });
    assert.equal(first.alreadyHere, false);
    const before = await traces(here);
    const events: DownloadEvent[] = [];
    const onEvent = (event: DownloadEvent) => events.push(event);
    const again = await download({ route, output: here, onEvent });
    assert.deepEqual([again.alreadyHere, again.verified, again.replaced], [true, true, false]);
    assert.deepEqual([again.size, again.resumedBytes, again.pieces], [bytes, bytes, first.pieces]);
    assert.deepEqual(again.digest, first.digest);
    assert.ok(!events.some(({ kind }) => kind === 'progress'), 'content came');
    assert.deepEqual(await traces(here), before);
    assert.deepEqual(await out.list(), ['data.bin']);
  });
}

test('with several circuits one is enough to compare what is here', async (t) => {
  const { chain, here } = await start(t, 5 * mib);
  const route = chain.route('data.bin');
  await download({ route, output: here });
  const before = chain.nodes[0]?.stats().accepted;
  const { alreadyHere } = await download({ route, output: here, parallel: 4 });
  assert.ok(alreadyHere);
  const after = chain.nodes[0]?.stats().accepted;
  assert.equal((after ?? 0) - (before ?? 0), 1);
});

for (const [how, change] of [
  ['in its size', (content: Buffer) => content.subarray(1)],
  ['in its last byte', (content: Buffer) => Buffer.concat([content.subarray(1), content.subarray(0, 1)])],
] as const) {
  for (const onChange of ['restart', 'fail'] as const) {
    test(`a file that differs ${how} is DISK_EXISTS with ${onChange}, and stays; force replaces it`, async (t) => {
      const { chain, content, here, out } = await start(t, 2 * mib + 1);
      const route = chain.route('data.bin');
      const other = change(content);
      await writeFile(here, other);
      const before = await traces(here);
      const refused = { code: 'DISK_EXISTS', message: /exists already, and is another file: / };
      await assert.rejects(download({ route, output: out.path, onChange }), refused);
      assert.deepEqual(await traces(here), before);
      assert.ok((await readFile(here)).equals(other));
      const forced = await download({ route, output: here, force: true });
      assert.deepEqual([forced.alreadyHere, forced.replaced], [false, true]);
      assert.ok((await readFile(here)).equals(content));
    });
  }
}

test('a link to the right content is not the file', { skip: process.platform === 'win32' }, async (t) => {
  const { root, chain, here } = await start(t, 100);
  await symlink(path.join(root.path, 'data.bin'), here);
  await assert.rejects(download({ route: chain.route('data.bin'), output: here }), { code: 'DISK_EXISTS' });
});

test('of several files those that are here are compared, those that differ are told, on one circuit', async (t) => {
  const { root, out, chain } = await start(t, 100);
  const files = ['empty', 'small', 'large', 'other', 'wrong', 'new'];
  for (const [index, name] of files.entries()) await root.writeRandom(name, index === 2 ? 3 * mib : index * 1000);
  const { routes } = chain.route('any');
  await downloadFiles({ routes, files: ['empty', 'small', 'large'], output: out.path });
  await writeFile(path.join(out.path, 'other'), 'other');
  await writeFile(path.join(out.path, 'wrong'), Buffer.alloc(4000));
  const before = chain.nodes[1]?.stats().served ?? 0;
  const outcomes = await downloadFiles({ routes, files, output: out.path });
  assert.deepEqual(
    outcomes.map(({ result, error }) => error?.code ?? result?.alreadyHere),
    [true, true, true, 'DISK_EXISTS', 'DISK_EXISTS', false],
  );
  assert.equal((chain.nodes[1]?.stats().served ?? 0) - before, 1);
});

test('in a directory a file with another time is compared, and its time is left alone', async (t) => {
  const { root, out, chain } = await start(t, 100);
  await root.writeRandom('tree/a', 5000);
  await root.writeRandom('tree/b', 5000);
  const { routes } = chain.route('any');
  const run = () => downloadTree({ routes, directory: 'tree', output: out.path });
  await run();
  await utimes(path.join(out.path, 'tree/a'), 1, 1);
  const { outcomes, unchanged } = await run();
  assert.deepEqual(
    outcomes.map(({ file, result }) => [file, result?.alreadyHere]),
    [['tree/a', true]],
  );
  assert.equal(unchanged, 1);
  assert.equal((await stat(path.join(out.path, 'tree/a'))).mtimeMs, 1000);
});

test('the same command again ends with 0, and says why; in a list and as JSON too', async (t) => {
  const { root, out, via } = await start(t, 2 * mib);
  await root.writeRandom('tree/a', 10);
  const get = (...more: string[]) => runProgram(t, ['get', '--via', via, ...more], { cwd: out.path });
  assert.equal((await get('data.bin')).code, 0);
  const text = await get('data.bin');
  assert.deepEqual([text.code, text.stderr], [0, '']);
  assert.match(
    text.stdout,
    /\nhere +data\.bin \(already here; nothing was fetched\)\nsize +2\.0 MiB \(2097152 bytes\)\n/,
  );
  assert.match(text.stdout, /\ncompared +the same, all 2 pieces\n$/);
  const json = await get('data.bin', '--json');
  assert.equal(JSON.parse(json.stdout.trim().split('\n').at(-1) ?? '').alreadyHere, true);
  const list = await get('data.bin', 'tree/a');
  assert.equal(list.code, 0);
  assert.match(list.stdout, /\nsaved +1 of 2 files, 1 already here and the same in \.\n/);
  assert.equal((await get('data.bin', 'tree/a')).code, 0);
});
