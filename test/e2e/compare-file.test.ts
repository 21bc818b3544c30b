/** Whether a file here is the one at an origin, told without one byte of it being fetched. */

import assert from 'node:assert/strict';
import { utimesSync } from 'node:fs';
import { copyFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { compareFile, type UploadEvent } from '../../src/index.ts';
import { addressOf, startChain } from '../support/chain.ts';
import { runProgram } from '../support/program.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const mib = 1_048_576;

/** A file at an origin behind a relay, and a copy of it here. */
async function startCopy(t: TestContext, bytes: number) {
  const [root, here] = [await makeTempRoot(t), await makeTempRoot(t)];
  const content = await root.writeRandom('data.bin', bytes);
  const [there, file] = [path.join(root.path, 'data.bin'), path.join(here.path, 'data.bin')];
  await copyFile(there, file);
  const chain = await startChain(t, 2, root.path);
  const { routes } = chain.route('data.bin');
  const compare = (more: Partial<Parameters<typeof compareFile>[0]> = {}) =>
    compareFile({ routes, file: 'data.bin', path: file, ...more });
  return { content, there, file, here, chain, compare };
}

for (const bytes of [0, 1, mib, 20 * mib + 5]) {
  test(`a copy of ${bytes} bytes is the same, and no content moves`, async (t) => {
    const { chain, compare } = await startCopy(t, bytes);
    const events: UploadEvent[] = [];
    const { isSame, size, localSize, pieces, differing } = await compare({ onEvent: (event) => events.push(event) });
    assert.deepEqual([isSame, size, localSize, pieces, differing], [true, bytes, bytes, Math.ceil(bytes / mib), []]);
    const progress = events.flatMap((event) => (event.kind === 'progress' ? event.bytes : []));
    assert.equal(progress.at(-1) ?? 0, bytes);
    assert.equal(progress.length, Math.ceil(bytes / mib));
    const [relay, origin] = chain.nodes.map((node) => node.stats());
    assert.equal(origin?.bytesServed, 0);
    assert.ok((relay?.bytesRelayed ?? mib) < 64 * 1024);
  });
}

test('the pieces that differ are told, and other sizes without comparing any', async (t) => {
  const { content, file, compare } = await startCopy(t, 5 * mib);
  for (const piece of [1, 4]) content[piece * mib + 7] = (content[piece * mib + 7] ?? 0) ^ 1;
  await writeFile(file, content);
  const changed = await compare();
  assert.deepEqual([changed.isSame, changed.differing], [false, [1, 4]]);
  await truncate(file, 5 * mib - 1);
  const shorter = await compare();
  assert.deepEqual([shorter.isSame, shorter.size - shorter.localSize, shorter.differing], [false, 1, []]);
});

test('what is missing at either end is an error, and a file that keeps changing there as well', async (t) => {
  const { there, compare } = await startCopy(t, 3 * mib);
  await assert.rejects(compare({ file: 'none' }), { code: 'FILE_NOT_FOUND' });
  await assert.rejects(compare({ path: `${there}.none` }), { code: 'USAGE_INVALID' });
  let second = 1;
  const onEvent = ({ kind }: UploadEvent) => {
    if (kind === 'reroute') return;
    second += 1;
    utimesSync(there, second, second);
  };
  await assert.rejects(compare({ onEvent, retry: 1 }), { code: 'FILE_CHANGED' });
});

test('verify ends with 0 for the same and 7 for another, by the name in the working directory', async (t) => {
  const { content, file, here, chain } = await startCopy(t, 2 * mib);
  await writeFile(path.join(here.path, 'hopline.yaml'), `routes: {eu: [${chain.nodes.map(addressOf).join(', ')}]}`);
  const run = (...args: string[]) => {
    return runProgram(t, ['verify', ...args], { cwd: here.path, env: { HOPLINE_CONFIG: 'hopline.yaml' } });
  };
  const same = await run('eu:data.bin');
  assert.deepEqual([same.code, same.stderr], [0, '']);
  assert.match(same.stdout, /^route .*\nsame +data\.bin and data\.bin\nsize .*\ncompared +the same, all 2 pieces\n$/);
  content[mib] = (content[mib] ?? 0) ^ 1;
  await writeFile(file, content);
  const other = await run('--via', chain.nodes.map(addressOf).join(), 'data.bin');
  assert.equal(other.code, 7);
  assert.match(other.stdout, /\ndiffers +data\.bin from data\.bin, 1 of 2 pieces: 2\n/);
});
