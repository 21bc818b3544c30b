import assert from 'node:assert/strict';
import Module, { createRequire } from 'node:module';
import { type TestContext, test } from 'node:test';
import { type BlakeLibrary, loadBlake } from '../../../src/io/digests/load-blake.ts';

const require = createRequire(import.meta.url);
const index = '@napi-rs/blake-hash';
const options = { skip: !hasIndex() };

/** Whether the library runs here, by its own word. */
function hasIndex(): boolean {
  try {
    return require(index) !== undefined;
  } catch {
    return false;
  }
}

/** Tells which packages of the library are asked for, in a process that has loaded none; those that `isMissing` names are not there. */
function watchLoading(t: TestContext, isMissing: (name: string) => boolean): readonly string[] {
  const modules = Module as unknown as { _load: (name: string, ...more: unknown[]) => unknown };
  const load = modules._load;
  const asked: string[] = [];
  delete require.cache[require.resolve(index)];
  modules._load = (name, ...more) => {
    if (!name.startsWith(index)) return load(name, ...more);
    asked.push(name);
    if (isMissing(name)) throw new Error('not on this machine');
    return load(name, ...more);
  };
  t.after(() => {
    modules._load = load;
  });
  return asked;
}

test('the functions are those that the index of the package has', options, () => {
  const ofIndex = require(index) as BlakeLibrary;
  assert.equal(loadBlake()?.blake3, ofIndex.blake3);
  assert.equal(loadBlake()?.Blake3Hasher, ofIndex.Blake3Hasher);
});

test('on Linux the index, which takes long, is not loaded', {
  skip: options.skip || process.platform !== 'linux',
}, (t) => {
  const asked = watchLoading(t, () => false);
  assert.ok(loadBlake());
  assert.ok(asked.length > 0 && !asked.includes(index), asked.join());
});

test('where the package of this platform is not known by its name, the index finds it', options, (t) => {
  let isIndexAsked = false;
  const asked = watchLoading(t, (name) => {
    isIndexAsked ||= name === index;
    return !isIndexAsked;
  });
  assert.equal(loadBlake()?.blake3, require(index).blake3);
  assert.ok(asked.includes(index), asked.join());
});

test('where nothing of it is installed there is none', (t) => {
  watchLoading(t, () => true);
  assert.equal(loadBlake(), undefined);
});
