/** A program of one line, with caches that fit and caches that do not. What no cache is taken for runs all the same. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadProgram } from '../../../src/cli/process/load-program.ts';
import { repository } from '../../support/repository.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

interface Greeting {
  greet(): string;
}

const sourceOf = (word: string) =>
  `(function(exports,require,module,__filename,__dirname){exports.greet=()=>'${word}'+require('node:path').basename(__filename)})`;

/** `hello.js`, and a cache of it in which its function has been compiled. */
async function start(t: TestContext) {
  const root = await makeTempRoot(t);
  const [file, cache] = [path.join(root.path, 'hello.js'), path.join(root.path, 'hello.cache')];
  await writeFile(file, sourceOf('hello '));
  const first = loadProgram<Greeting>(file, [() => readFileSync(cache)]);
  assert.equal(first.isCached, false);
  assert.equal(first.exports.greet(), 'hello hello.js');
  const content = first.makeCache();
  await writeFile(cache, content);
  const load = (caches = [cache]) => {
    const { isCached, exports } = loadProgram<Greeting>(
      file,
      caches.map((each) => () => readFileSync(each)),
    );
    return { isCached, says: exports.greet() };
  };
  return { root, file, cache, content, load };
}

test('a cache of the same program is taken, the first that fits', async (t) => {
  const { root, cache, load } = await start(t);
  const expected = { isCached: true, says: 'hello hello.js' };
  assert.deepEqual(load(), expected);
  assert.deepEqual(load([path.join(root.path, 'missing'), root.path, cache]), expected);
});

test('a cache of another source is not taken, though that is as long', async (t) => {
  const { file, load } = await start(t);
  await writeFile(file, sourceOf('hullo '));
  assert.deepEqual(load(), { isCached: false, says: 'hullo hello.js' });
});

test('a cache that is cut off or has another byte anywhere, as for another Node, is not taken', async (t) => {
  const { cache, content, load } = await start(t);
  const refused = { isCached: false, says: 'hello hello.js' };
  for (const length of [0, 1, 12, 16, content.length - 1]) {
    await writeFile(cache, content.subarray(0, length));
    assert.deepEqual(load(), refused, `${length} bytes`);
  }
  const positions = Array.from(content, (_, position) => position);
  // The last bytes of the head mean nothing.
  for (const position of positions.filter((each) => each < 12 || (each >= 16 && each % 37 === 0))) {
    const damaged = Buffer.from(content);
    damaged.writeUInt8(damaged.readUInt8(position) ^ 1, position);
    await writeFile(cache, damaged);
    assert.deepEqual(load(), refused, `byte ${position}`);
  }
});

for (const script of ['program', 'client']) {
  test(`the built ${script} has a cache that this Node takes`, () => {
    const beside = (name: string) => fileURLToPath(new URL(`dist/bin/${name}`, repository));
    assert.equal(loadProgram(beside(`${script}.js`), [() => readFileSync(beside(`${script}.cache`))]).isCached, true);
  });
}
