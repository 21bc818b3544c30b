import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { GroupSync } from '../../../../src/io/disk/whole/group-sync.ts';
import { callsLater, callsNow, type NewFileCalls, NewFiles } from '../../../../src/io/disk/whole/new-files.ts';
import { WholeTarget } from '../../../../src/io/disk/whole/whole-target.ts';
import { FileTarget } from '../../../../src/io/disk/writing/file-target.ts';
import type { Target, TargetContent } from '../../../../src/io/disk/writing/target.ts';
import { loadLinkOpen } from '../../../../src/io/kernel/disk/link-open.ts';
import { loadDiskCalls } from '../../../../src/io/kernel/libc.ts';
import { contentOf, pieceOf } from '../../../support/targets.ts';
import { hasNamelessFiles, makeTempRoot } from '../../../support/temp-root.ts';

const text = Buffer.from('the new content');
const whole = contentOf(text, 1024);
const isWindows = process.platform === 'win32';

const refuse = (code: string) => () => {
  throw Object.assign(new Error(code), { code });
};
const link = hasNamelessFiles(tmpdir()) ? loadLinkOpen() : undefined;
const group = () => GroupSync.create({ tellsAll: true });
/** What a system without any of it does. */
const nothing: NewFileCalls = {
  open: refuse('EOPNOTSUPP'),
  write: () => 0,
  attribute: () => false,
  sync: () => {},
  link: () => 0,
  close: () => {},
};
const kinds: Readonly<Record<string, NewFileCalls>> = {
  ...(link ? { 'at once': callsNow(link, loadDiskCalls(), group()) } : {}),
  ...(link ? { later: callsLater(link, loadDiskCalls(), group()) } : {}),
  ...(link ? { 'without nanoseconds': callsNow(link, {}, group()) } : {}),
  'by a part file': nothing,
};

async function makeTarget(t: TestContext, calls: NewFileCalls = kinds.later ?? nothing) {
  const root = await makeTempRoot(t);
  const at = (name: string) => path.join(root.path, name);
  const files = new NewFiles(calls);
  const create = (options: { force?: boolean; mode?: number } = {}, made = files) => {
    const { force = false, mode } = options;
    const attributes = mode === undefined ? {} : { attributes: { mode, mtimeNs: 1_700_000_000_123_456_789n } };
    return new WholeTarget(at('a'), { force, replaces: false, ...attributes }, made);
  };
  return { ...root, at, create };
}

async function fill(target: Target, bytes = text, content: TargetContent = whole): Promise<void> {
  await target.begin(content);
  if (bytes.length > 0) await target.write(pieceOf(bytes, 0, content));
}

for (const [kind, calls] of Object.entries(kinds)) {
  test(`${kind}: there is nothing of a small file before it is whole, and then it has all that it should`, async (t) => {
    const { create, list, at } = await makeTarget(t, calls);
    const target = create({ mode: 0o640 });
    await fill(target);
    assert.deepEqual(await list(), []);
    await target.commit();
    assert.deepEqual(await list(), ['a']);
    assert.deepEqual(await readFile(at('a')), text);
    const found = await stat(at('a'), { bigint: true });
    if (!isWindows) assert.equal(Number(found.mode & 0o777n), 0o640);
    assert.ok(found.mtimeNs / 1000n === 1_700_000_000_123_456n, String(found.mtimeNs));
  });

  test(`${kind}: an empty file is made, with the permissions of any other`, async (t) => {
    const { create, at } = await makeTarget(t, calls);
    const target = create();
    await fill(target, Buffer.alloc(0), contentOf(Buffer.alloc(0), 1024));
    await target.commit();
    await writeFile(at('plain'), '');
    const [found, plain] = [await stat(at('a')), await stat(at('plain'))];
    assert.deepEqual([found.size, found.mode], [0, plain.mode]);
  });

  test(`${kind}: a name that is taken meanwhile stays as it is, and is replaced with force`, async (t) => {
    const { create, list, at } = await makeTarget(t, calls);
    const target = create();
    await fill(target);
    await writeFile(at('a'), 'theirs');
    await assert.rejects(target.commit(), { code: 'DISK_EXISTS' });
    assert.equal(await target.keep(), 0);
    assert.equal(await readFile(at('a'), 'utf8'), 'theirs');
    const forced = create({ force: true });
    await fill(forced);
    await forced.commit();
    assert.equal(forced.replaces, true);
    assert.deepEqual(await readFile(at('a')), text);
    assert.deepEqual(await list(), ['a']);
  });

  test(`${kind}: of two who write the same file one gets the name, and what it has is whole`, async (t) => {
    const { create, list, at } = await makeTarget(t, calls);
    const [one, other] = [create(), create()];
    await fill(one);
    await fill(other);
    const ends = await Promise.allSettled([one.commit(), other.commit()]);
    assert.deepEqual(ends.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    await Promise.all([one.keep(), other.keep()]);
    assert.deepEqual(await readFile(at('a')), text);
    assert.deepEqual(await list(), ['a']);
  });
}

test('whoever syncs files is told in which order they were opened, however long each takes to be written', async () => {
  const opened: (number | undefined)[] = [];
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const files = new NewFiles(
    {
      ...nothing,
      open: (_, mode) => mode,
      write: async (fd, buffers) => {
        if (fd === 1) await held;
        return Buffer.concat(buffers).length;
      },
      sync: (_fd, _directory, order) => void opened.push(order),
      attribute: () => true,
      link: () => constants.errno.EEXIST,
      close: () => {},
    },
    () => false,
  );
  const make = (mode: number) => files.make('/x', [text], { attributes: { mode, mtimeNs: 0n } });
  const first = make(1);
  await make(2);
  release();
  await first;
  assert.deepEqual(opened, [2, 1]);
});

test('a file is synced before it gets its name, and then the name', {
  skip: !link && 'there are no files without a name',
}, async (t) => {
  const made: string[] = [];
  const calls = kinds.later ?? nothing;
  const {
    create,
    list,
    path: root,
  } = await makeTarget(t, {
    ...calls,
    sync: async (fd, directory) => {
      assert.deepEqual(await list(), directory === undefined ? [] : ['a']);
      made.push(`sync ${directory ?? ''}`);
      await calls.sync(fd, directory);
    },
    link: (fd, name) => {
      made.push('link');
      return calls.link(fd, name);
    },
  });
  const target = create();
  await fill(target);
  await target.commit();
  assert.deepEqual(made, ['sync ', 'link', `sync ${root}`]);
});

test('a file that was given no time has one of its own, so that a change in the same step of the clock shows', {
  skip: !link && 'there are no files without a name',
}, async (t) => {
  const { create, at } = await makeTarget(t);
  const target = create();
  await fill(target);
  await target.commit();
  assert.ok(target.settled);
  const found = await stat(at('a'), { bigint: true });
  for (const fact of ['dev', 'ino', 'size', 'mtimeNs', 'ctimeNs'] as const) {
    assert.equal(target.settled[fact], found[fact], fact);
  }
  assert.notEqual(found.mtimeNs, found.ctimeNs);
  await writeFile(at('a'), text);
  assert.notEqual((await stat(at('a'), { bigint: true })).mtimeNs, found.mtimeNs);
});

test('what the system takes a few bytes at a time is written whole', {
  skip: !link && 'there are no files without a name',
}, async (t) => {
  const calls = kinds.later ?? nothing;
  const write: NewFileCalls['write'] = (fd, [first], position) =>
    calls.write(fd, [(first as Buffer).subarray(0, 4)], position);
  const { create, at } = await makeTarget(t, { ...calls, write });
  const target = create();
  await fill(target);
  await target.commit();
  assert.deepEqual(await readFile(at('a')), text);
});

for (const [call, code, told] of [
  ['write', 'ENOSPC', 'DISK_FULL'],
  ['sync', 'EIO', 'DISK_FAILED'],
  ['sync', 'EDQUOT', 'DISK_FULL'],
] as const) {
  test(`a disk that fails with ${code} at a ${call} is ${told}, and there is no file`, {
    skip: !link && 'there are no files without a name',
  }, async (t) => {
    const { create, list } = await makeTarget(t, { ...(kinds.later ?? nothing), [call]: refuse(code) });
    const target = create();
    await fill(target);
    await assert.rejects(target.commit(), { code: told, reason: code });
    assert.equal(await target.keep(), 0);
    assert.deepEqual(await list(), []);
  });
}

test('what an earlier run left is gone on with, or at least gone in the end', async (t) => {
  const { create, list, at, path: root } = await makeTarget(t);
  const bytes = randomBytes(3000);
  const content = contentOf(bytes, 1024);
  const earlier = new FileTarget(at('a'), { force: false, replaces: false });
  await earlier.begin(content);
  await earlier.write(pieceOf(bytes, 1, content));
  await earlier.keep();
  const files = (await NewFiles.in([root])) ?? new NewFiles(nothing);
  const next = create({}, files);
  if (link) assert.equal(next.mayResume, true);
  assert.deepEqual([...(await next.begin(content)).left.keys()], [1]);
  await next.discard();
  await writeFile(at('.a.part'), 'left by a run that was killed', { mode: 0o600 });
  const last = create({}, (await NewFiles.in([root])) ?? files);
  await fill(last);
  await last.commit();
  assert.deepEqual(await list(), ['a']);
  assert.deepEqual(await readFile(at('a')), text);
});

test('a file of several pieces and a large one go by a part file, and a restart of it too', async (t) => {
  for (const [size, pieceBytes] of [
    [3000, 1024],
    [100_000, 1_000_000],
  ] as const) {
    const { create, list, at } = await makeTarget(t);
    const bytes = randomBytes(size);
    const content = contentOf(bytes, pieceBytes);
    const target = create();
    await target.begin(content);
    assert.ok((await list()).includes('.a.part'));
    await target.begin(whole, true);
    await target.write(pieceOf(text, 0, whole));
    await target.commit();
    assert.deepEqual(await readFile(at('a')), text);
    assert.deepEqual(await list(), ['a']);
  }
});

test('what is held can be compared, is released once, and is not taken for whole', async (t) => {
  const { create } = await makeTarget(t);
  let released = 0;
  const onRelease = () => {
    released += 1;
  };
  const target = create();
  await target.begin(whole);
  await assert.rejects(target.commit(), { code: 'INTERNAL' });
  const piece = pieceOf(text, 0, whole, { onRelease });
  await target.write(piece);
  const algorithm = (await import('../../../../src/io/digests/digest.ts')).availableDigests()[0];
  assert.ok(algorithm);
  assert.equal(await target.digestOf({ offset: 0, length: text.length }, algorithm), piece.vouched?.digest);
  assert.equal(released, 0);
  await target.commit();
  await target.keep();
  assert.equal(released, 1);
});
