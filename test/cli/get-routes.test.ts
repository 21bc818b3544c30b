import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { addressOf, startChain } from '../support/chain.ts';
import { runProgram } from '../support/program.ts';
import { makeTempRoot } from '../support/temp-root.ts';

/** A relay and its origin, and the address of a node that is gone. */
async function start(t: TestContext) {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const content = await root.writeRandom('data.bin', 100_000);
  const { nodes } = await startChain(t, 3, root.path);
  const [relay = '', origin = '', gone = ''] = nodes.map(addressOf);
  await nodes[2]?.close();
  return { out, content, relay, origin, gone };
}

test('a hop that is gone is stood in for by its alternate, on the command line and in a route file', async (t) => {
  const { out, content, relay, origin, gone } = await start(t);
  const options = { cwd: out.path };
  const via = await runProgram(t, ['get', '--via', `${gone}|${relay},${origin}`, 'data.bin'], options);
  assert.deepEqual([via.code, via.stderr.includes('cannot reach')], [0, true]);
  await writeFile(path.join(out.path, 'in.txt'), `data.bin\n${relay}\n${gone} | ${origin} # two origins\n`);
  const file = await runProgram(t, ['get', 'in.txt', '-o', 'again.bin'], options);
  assert.deepEqual([file.code, file.stderr.includes('cannot reach')], [0, true]);
  for (const name of ['data.bin', 'again.bin']) {
    assert.deepEqual(await readFile(path.join(out.path, name)), content);
  }
});

test('a route that is gone is stood in for by the next, given by --via or behind a line of dashes', async (t) => {
  const { out, content, relay, origin, gone } = await start(t);
  const options = { cwd: out.path };
  const vias = ['--via', gone, '--via', `${relay},${origin}`];
  assert.equal((await runProgram(t, ['get', ...vias, 'data.bin'], options)).code, 0);
  await writeFile(path.join(out.path, 'in.txt'), `data.bin\n${gone}\n---\n${relay}\n${origin}\n`);
  assert.equal((await runProgram(t, ['get', 'in.txt', '-o', 'again.bin'], options)).code, 0);
  for (const name of ['data.bin', 'again.bin']) {
    assert.deepEqual(await readFile(path.join(out.path, name)), content);
  }
});

test('--classic takes one route without alternates, and nothing is connected to otherwise', async (t) => {
  for (const vias of [['127.0.0.1:1|127.0.0.1:2'], ['127.0.0.1:1', '127.0.0.1:2']]) {
    const flags = vias.flatMap((via) => ['--via', via]);
    const { code, stderr } = await runProgram(t, ['get', '--classic', ...flags, 'a']);
    assert.deepEqual([code, stderr.includes('--classic takes one route without alternates')], [2, true], stderr);
  }
});

test('a mistake in a later route is told with its line', async (t) => {
  const out = await makeTempRoot(t);
  await writeFile(path.join(out.path, 'in.txt'), 'a\n127.0.0.1:1\n---\n127.0.0.1:2 |\n');
  const { code, stderr } = await runProgram(t, ['get', 'in.txt'], { cwd: out.path });
  assert.equal(code, 3);
  assert.match(stderr, /in\.txt:4: read "127\.0\.0\.1:2 \|", expected a hop on both sides of each "\|"\n/);
});
