import assert from 'node:assert/strict';
import { rename } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Hold, hold } from '../../../src/io/disk/held.ts';
import { placeUpload } from '../../../src/node/uploads/upload-place.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const maxNameBytes = 4096;

/** A root, and a way to hold what is below it that fails with a code of the system once that is set. */
async function makeRoot(t: TestContext) {
  const { path: root } = await makeTempRoot(t);
  const fails: { code: string | undefined } = { code: undefined };
  const by: Hold = async (wanted) => {
    if (fails.code !== undefined && wanted !== root) throw Object.assign(new Error(fails.code), { code: fails.code });
    return hold(wanted);
  };
  return { root, by, fails };
}

for (const [code, told] of [
  ['ENOSPC', 'DISK_FULL'],
  ['EDQUOT', 'DISK_FULL'],
  ['EMFILE', 'DISK_FAILED'],
] as const) {
  test(`a directory that cannot be made for ${code} is ${told}`, async (t) => {
    const { root, by, fails } = await makeRoot(t);
    fails.code = code;
    await assert.rejects(placeUpload(root, 'made/a', maxNameBytes, { by }), { code: told, reason: code });
  });
}

test('a directory that is no more where it was is no place, and one that cannot be looked at is a failure of the disk', async (t) => {
  const { root, by, fails } = await makeRoot(t);
  const place = await placeUpload(root, 'made/a', maxNameBytes, { by });
  t.after(() => place.leave());
  await place.check();
  fails.code = 'EMFILE';
  await assert.rejects(place.check(), { code: 'DISK_FAILED', reason: 'EMFILE' });
  fails.code = undefined;
  await rename(path.join(root, 'made'), path.join(root, 'moved'));
  await assert.rejects(place.check(), { code: 'FILE_DENIED' });
});
