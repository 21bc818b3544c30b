/** The public surface of the library changes only together with the report of it. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import * as library from '../../src/index.ts';
import { repository } from '../support/repository.ts';

test('docs/library/api.txt says what the library offers', async () => {
  const tool = fileURLToPath(new URL('tools/api-report.mjs', repository));
  const { stdout } = await promisify(execFile)(process.execPath, [tool]);
  assert.equal(await readFile(new URL('docs/library/api.txt', repository), 'utf8'), stdout, 'run `npm run api`');
  // So that what the tool does not see is no change that nobody sees.
  const declared = new Set(
    [...stdout.matchAll(/^export declare (?:function|class|const) (\w+)/gm)].map(([, name]) => name),
  );
  assert.deepEqual(
    Object.keys(library).filter((name) => !declared.has(name)),
    [],
  );
});
