import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { download, formatRoute, parseRoute } from '../../src/index.ts';
import { startChain, until } from '../support/chain.ts';
import { makeTempRoot } from '../support/temp-root.ts';

for (const [hops, bytes, kernel] of [
  [1, 1, true],
  [1, 5_000_000, true],
  [3, 0, true],
  [3, 3_000_000, true],
  [3, 3_000_000, false],
  [7, 1_048_576, true],
  [7, 1_048_576, false],
] as const) {
  test(`a file of ${bytes} bytes comes whole through ${hops} hops${kernel ? '' : ', without the kernel path'}`, async (t) => {
    const root = await makeTempRoot(t);
    const out = await makeTempRoot(t);
    const content = await root.writeRandom('data.bin', bytes);
    const chain = await startChain(t, hops, root.path, { kernel });
    const result = await download({ route: chain.route('data.bin'), output: out.path });
    assert.deepEqual(await readFile(path.join(out.path, 'data.bin')), content);
    assert.deepEqual(await out.list(), ['data.bin']);
    assert.equal(result.size, bytes);
    assert.equal(result.verified, true);
    assert.equal(result.pieces, Math.ceil(bytes / 1_048_576));
    await until(() => chain.nodes.every((node) => node.stats().open === 0));
    for (const node of chain.nodes) assert.deepEqual(node.stats().failures, {}, 'a download that is done is no break');
  });
}

test('names with spaces, other scripts and folders travel as they are', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const name = 'reports/Бюджет 2026 – 予算.pdf';
  const content = await root.writeRandom(name, 100);
  const chain = await startChain(t, 2, root.path);
  const route = parseRoute(formatRoute(chain.route(name)));
  await download({ route, output: out.path });
  assert.deepEqual(await readFile(path.join(out.path, path.basename(name))), content);
});

test('one node is relay and origin at once, for clients that use the same nodes in different orders', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const content = await root.writeRandom('data.bin', 2_500_000);
  const chain = await startChain(t, 4, root.path);
  const [places = []] = chain.route('data.bin').routes;
  const downloads = Array.from({ length: 12 }, (_, index) => {
    const turned = [...places.slice(index % 4), ...places.slice(0, index % 4)];
    const ordered = index % 2 === 0 ? turned : turned.reverse();
    return download({ route: { file: 'data.bin', routes: [ordered] }, output: path.join(out.path, `${index}.bin`) });
  });
  for (const { path: written } of await Promise.all(downloads)) {
    assert.deepEqual(await readFile(written as string), content);
  }
});
