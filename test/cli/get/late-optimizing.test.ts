/** V8 is told to optimize late only for large files, and only where it knows how: one that does not know a flag says so on stderr. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { repository } from '../../support/repository.ts';

const source = new URL('dist/cli/get/late-optimizing.js', repository).href;

/** Whether a flag differs behind it, and what V8 says to that; the tag is made of all flags. */
function optimizeLate(bytes: number): { readonly isSet: boolean; readonly said: string } {
  const program = `
    import { cachedDataVersionTag } from 'node:v8';
    import { optimizeLate } from ${JSON.stringify(source)};
    const before = cachedDataVersionTag();
    optimizeLate(${bytes});
    console.log(before !== cachedDataVersionTag());
  `;
  const args = ['--input-type=module', '-e', program];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return { isSet: stdout.trim() === 'true', said: stderr };
}

test('for a large file the flag is set where V8 has it, and V8 has nothing to say to that', () => {
  const { isSet, said } = optimizeLate(2 ** 30);
  assert.equal(said, '');
  const options = spawnSync(process.execPath, ['--v8-options'], { encoding: 'utf8' }).stdout;
  assert.equal(isSet, /^ *--interrupt-budget /m.test(options));
});

test('for a small one nothing is set: what Node loads behind that would have to be compiled anew', () => {
  assert.deepEqual(optimizeLate(2 ** 20), { isSet: false, said: '' });
});
