import assert from 'node:assert/strict';
import { lstat, mkdir, symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { QuickLooks } from '../../../../src/io/disk/reading/quick-looks.ts';
import { makeTempRoot } from '../../../support/temp-root.ts';

test('what is looked at is what lstat says of it: a file, a directory, a link itself, and nothing', async (t) => {
  const { path: root } = await makeTempRoot(t);
  const at = (name: string) => path.join(root, name);
  await mkdir(at('folder'));
  await writeFile(at('folder/a'), 'content');
  await symlink('folder', at('link')).catch(() => {});
  await symlink('/etc/passwd', at('out')).catch(() => {});
  const looks = await QuickLooks.at(root);
  t.after(() => looks.close());
  for (const name of ['folder/a', 'folder', 'link', 'link/a', 'out', 'none', 'none/a']) {
    const expected = await lstat(at(name), { bigint: true }).catch(() => undefined);
    const { ino, mtimeNs, mode } = expected ?? {};
    const found = await looks.look(name);
    assert.deepEqual({ ino: found?.ino, mtimeNs: found?.mtimeNs, mode: found?.mode }, { ino, mtimeNs, mode }, name);
  }
  await utimes(at('folder/a'), 1, 1_700_000_000);
  assert.equal((await looks.look('folder/a'))?.mtimeNs, 1_700_000_000_000_000_000n);
});

test('below a directory that is not there is nothing, until it is made', async (t) => {
  const { path: root } = await makeTempRoot(t);
  const looks = await QuickLooks.at(path.join(root, 'later'));
  t.after(() => looks.close());
  assert.equal(await looks.look('a'), undefined);
  await mkdir(path.join(root, 'later'));
  await writeFile(path.join(root, 'later/a'), 'content');
  assert.equal((await looks.look('a'))?.size, 7n);
});
