import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { constants, fstatSync } from 'node:fs';
import {
  appendFile,
  mkdir,
  realpath,
  rename,
  stat,
  symlink,
  truncate,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import type { ErrorCode } from '../../../../src/core/errors.ts';
import type { Hold } from '../../../../src/io/disk/held.ts';
import { createQuickHold } from '../../../../src/io/disk/reading/quick-hold.ts';
import { openServed } from '../../../../src/io/disk/reading/served-file.ts';
import { until } from '../../../support/chain.ts';
import { holds } from '../../../support/holds.ts';
import { makeTempRoot } from '../../../support/temp-root.ts';

/** A root below a temporary directory, so that there is something outside of it. */
async function makeRoot(t: TestContext, by?: Hold) {
  const outer = await makeTempRoot(t);
  await mkdir(path.join(outer.path, 'root', 'folder'), { recursive: true });
  await writeFile(path.join(outer.path, 'secret'), 'secret');
  await writeFile(path.join(outer.path, 'root', 'a'), 'content');
  const root = await realpath(path.join(outer.path, 'root'));
  const open = async (name: string) => {
    const file = await openServed(root, name, 4096, by);
    t.after(() => file.close());
    return file;
  };
  const denied = (name: string, code: ErrorCode) =>
    assert.rejects(openServed(root, name, 4096, by), { name: 'HoplineError', code }, JSON.stringify(name));
  return { path: root, at: (name: string) => path.join(root, name), open, denied };
}

test('a regular file below the root is opened and read from any position', async (t) => {
  const root = await makeRoot(t);
  const file = await root.open('a');
  const buffer = Buffer.alloc(4);
  await file.readFully(buffer, 3);
  assert.deepEqual([file.size, buffer.toString()], [7, 'tent']);
  file.check();
});

test('names that start with dots but do not climb are served', async (t) => {
  const root = await makeRoot(t);
  for (const name of ['..a', '...', '.hidden', 'folder/..b']) {
    await writeFile(root.at(name), 'dots');
    assert.equal((await root.open(name)).size, 4, name);
  }
});

test('a name that climbs, is absolute, over-long or holds a NUL is denied before the disk is asked', async (t) => {
  const root = await makeRoot(t);
  const names = ['../secret', 'folder/../../secret', 'folder/../a', '..', '/etc/passwd', 'a\0', '\0', 'a\n', '', 'a/'];
  for (const name of [...names, 'x'.repeat(256), 'x/'.repeat(2050).concat('a')]) await root.denied(name, 'FILE_DENIED');
});

test('what belongs to an unfinished transfer is not served', async (t) => {
  const root = await makeRoot(t);
  for (const name of ['.a.part', '.a.part.journal', '.a.part.journal.new', 'folder/.b.part']) {
    await writeFile(root.at(name), 'unfinished');
    await root.denied(name, 'FILE_DENIED');
  }
});

for (const [how, by] of Object.entries(holds)) {
  test(`what is not there is not found, also below a file, held ${how}`, async (t) => {
    const root = await makeRoot(t, by);
    for (const name of ['b', 'folder/b', 'b/c', 'a/b']) await root.denied(name, 'FILE_NOT_FOUND');
  });

  test(`a folder is said to be one, the root itself too; a folder outside is denied, held ${how}`, async (t) => {
    const root = await makeRoot(t, by);
    await mkdir(root.at('../elsewhere'), { recursive: true });
    await symlink('../elsewhere', root.at('elsewhere'), 'junction');
    for (const name of ['folder', './folder', '.']) await root.denied(name, 'FILE_IS_DIRECTORY');
    await root.denied('elsewhere', 'FILE_DENIED');
  });

  test(`a link may point around inside the root and never out of it, held ${how}`, async (t) => {
    const root = await makeRoot(t, by);
    await symlink('../a', root.at('folder/inside'));
    await symlink('../../secret', root.at('folder/outside'));
    await symlink('../secret', root.at('outside'));
    await symlink('..', root.at('up'));
    await symlink('outside', root.at('twice'));
    await symlink('loop', root.at('loop'));
    await symlink('nowhere', root.at('dangling'));
    assert.equal((await root.open('folder/inside')).size, 7);
    for (const name of ['folder/outside', 'outside', 'up/secret', 'twice', 'loop'])
      await root.denied(name, 'FILE_DENIED');
    await root.denied('dangling', 'FILE_NOT_FOUND');
  });

  test(`a folder beside the root whose name begins like it is outside, held ${how}`, async (t) => {
    const root = await makeRoot(t, by);
    await mkdir(`${root.path}-beside`);
    await writeFile(path.join(`${root.path}-beside`, 'b'), 'b');
    await symlink(`${root.path}-beside/b`, root.at('b'));
    await root.denied('b', 'FILE_DENIED');
  });

  test(`a FIFO is denied without waiting for its writer, held ${how}`, {
    skip: process.platform === 'win32',
  }, async (t) => {
    const root = await makeRoot(t, by);
    await promisify(execFile)('mkfifo', [root.at('fifo')]);
    await root.denied('fifo', 'FILE_DENIED');
  });

  test(`a device behind a link is denied, held ${how}`, { skip: process.platform === 'win32' }, async (t) => {
    const root = await makeRoot(t, by);
    await symlink('/dev/zero', root.at('zero'));
    await root.denied('zero', 'FILE_DENIED');
  });

  test(`what takes the place of a file between the look and the opening is not served, held ${how}`, {
    skip: process.platform === 'win32',
  }, async (t) => {
    const exchange: Hold = async (wanted) => {
      const held = await by(wanted);
      await unlink(wanted);
      await symlink('../../secret', wanted);
      return held;
    };
    const root = await makeRoot(t, exchange);
    await writeFile(root.at('folder/b'), 'the file itself');
    const opened = await root.open('folder/b').catch((error) => error.code);
    if (typeof opened === 'string') assert.equal(opened, 'FILE_DENIED');
    else assert.equal(opened.size, 'the file itself'.length);
  });
}

test('what memory has is held and opened without the pool of threads, closed with it, and read the same', {
  skip: !holds['from memory'] && 'the system does not say what is in memory',
}, async (t) => {
  const by = holds['from memory'] as Hold;
  const root = await makeRoot(t, by);
  await stat(root.at('a'));
  const held = await by(root.at('a'));
  const file = await held.open(constants.O_RDONLY);
  await held.close();
  const { fd } = file;
  const buffer = Buffer.alloc(7);
  assert.deepEqual([(await file.read(buffer, 0, 7, 0)).bytesRead, buffer.toString()], [7, 'content']);
  await file.close();
  await file.close();
  assert.equal(file.fd, -1);
  assert.throws(() => fstatSync(fd), { code: 'EBADF' });
  const gone = await root.open('a');
  await unlink(root.at('a'));
  gone.check();
  await gone.close();
});

test('what the kernel would ask a disk for is held as everything else', async (t) => {
  const root = await makeRoot(
    t,
    createQuickHold(await realpath(tmpdir()), () => undefined),
  );
  assert.equal((await root.open('a')).size, 7);
  await root.denied('b', 'FILE_NOT_FOUND');
});

test('an empty file is served, and reading past its end is a change', async (t) => {
  const root = await makeRoot(t);
  await writeFile(root.at('empty'), '');
  const file = await root.open('empty');
  assert.equal(file.size, 0);
  await file.readFully(Buffer.alloc(0), 0);
  file.check();
  await assert.rejects(file.readFully(Buffer.alloc(1), 0), { code: 'FILE_CHANGED' });
});

test('a file that shrinks while it is read fails with FILE_CHANGED', async (t) => {
  const root = await makeRoot(t);
  const file = await root.open('a');
  await truncate(root.at('a'), 2);
  await assert.rejects(file.readFully(Buffer.alloc(7), 0), { code: 'FILE_CHANGED' });
  assert.throws(() => file.check(), { code: 'FILE_CHANGED' });
});

test('a file that grows, or is written in place, is no longer the version that was opened', async (t) => {
  const root = await makeRoot(t);
  const grown = await root.open('a');
  await appendFile(root.at('a'), 'x');
  assert.throws(() => grown.check(), { code: 'FILE_CHANGED' });
  const written = await root.open('a');
  await utimes(root.at('a'), 1, 1);
  assert.throws(() => written.check(), { code: 'FILE_CHANGED' });
});

test('a file that is written to in place and given its old time back is another version', {
  skip: process.platform === 'win32' && 'not every file system there has the time that this needs',
}, async (t) => {
  const root = await makeRoot(t);
  const past = new Date('2020-01-01');
  await utimes(root.at('a'), past, past);
  const before = await root.open('a');
  const { ctimeNs } = await stat(root.at('a'), { bigint: true });
  // A change within the same step of the clock would be told by nobody.
  await until(async () => {
    await writeFile(root.at('a'), 'CONTENT');
    await utimes(root.at('a'), past, past);
    return (await stat(root.at('a'), { bigint: true })).ctimeNs !== ctimeNs;
  });
  const after = await root.open('a');
  assert.deepEqual([after.size, after.mtimeNs, after.copy], [before.size, before.mtimeNs, before.copy]);
  assert.notEqual(after.version, before.version);
  assert.throws(() => before.check(), { code: 'FILE_CHANGED' });
  after.check();
});

test('a file that is replaced goes on being served as it was, and is another version when opened anew', async (t) => {
  const root = await makeRoot(t);
  const before = await root.open('a');
  await writeFile(root.at('new'), 'another');
  await rename(root.at('new'), root.at('a'));
  before.check();
  const buffer = Buffer.alloc(7);
  await before.readFully(buffer, 0);
  assert.equal(buffer.toString(), 'content');
  assert.notEqual((await root.open('a')).version, before.version);
  assert.equal((await root.open('a')).version, (await root.open('a')).version);
});
