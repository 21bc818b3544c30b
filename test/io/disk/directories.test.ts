import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { makeDirectory } from '../../../src/io/disk/directories.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

test('a directory is made with those above it, and one that is there is left', async (t) => {
  const root = await makeTempRoot(t);
  const deep = path.join(root.path, 'a', 'b', 'c');
  await Promise.all([makeDirectory(deep), makeDirectory(deep), makeDirectory(path.join(root.path, 'a', 'other'))]);
  assert.ok((await stat(deep)).isDirectory());
  await makeDirectory(deep);
});

const skip = process.platform === 'linux' ? false : 'only Linux has such a place';

test('where no directory can be made although those above are there, that is told', { skip }, async () => {
  for (const directory of ['/proc/hopline', '/proc/hopline/below/it'])
    await assert.rejects(makeDirectory(directory), (error: NodeJS.ErrnoException) =>
      /^E(NOENT|ACCES|PERM|ROFS)$/.test(error.code ?? ''),
    );
});
