import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { type GroupCalls, GroupSync } from '../../../../src/io/disk/whole/group-sync.ts';

/** A disk that notes what it is asked for; `held` settles before a sync of one file does. */
function makeDisk(held: Promise<void> = Promise.resolve()) {
  const made: string[] = [];
  const calls: GroupCalls = {
    sync: async (fd) => {
      made.push(`sync ${fd}`);
      await held;
    },
    syncDirectory: async (directory) => void made.push(`names in ${directory}`),
  };
  return { made, calls };
}

test('those that come while others are synced wait, and then go together', async () => {
  let release = () => {};
  const { made, calls } = makeDisk(new Promise((resolve) => (release = resolve)));
  const all = {
    syncAll: async (fd: number) => {
      made.push(`all by ${fd}`);
      return 0;
    },
  };
  const group = new GroupSync({ ...calls, ...all });
  const first = group.sync(1);
  await new Promise(setImmediate);
  const others = [group.sync(2), group.sync(3)];
  await new Promise(setImmediate);
  assert.deepEqual(made, ['sync 1']);
  release();
  await Promise.all([first, ...others]);
  assert.deepEqual(made, ['sync 1', 'all by 2']);
});

test('where nobody syncs all, each is synced once the disk has begun with all of them', async () => {
  const { made, calls } = makeDisk();
  const group = new GroupSync({ ...calls, beginWrites: (fd) => void made.push(`begin ${fd}`) });
  await Promise.all([group.sync(1), group.sync(2)]);
  assert.deepEqual(made, ['begin 1', 'begin 2', 'sync 1', 'sync 2']);
});

test('all are synced by the file that was opened first, though it comes last: what failed before is told to no other', async () => {
  const { made, calls } = makeDisk();
  const group = new GroupSync({ ...calls, syncAll: async (fd) => made.push(`all by ${fd}`) - 1 });
  await Promise.all([group.sync(7, undefined, 3), group.sync(8, undefined, 2), group.sync(9, undefined, 1)]);
  assert.deepEqual(made, ['all by 9']);
});

test('what a sync of all failed with is told to the file that it concerns, and to no other', async () => {
  const group = new GroupSync({
    ...makeDisk().calls,
    syncAll: async () => constants.errno.EIO,
    sync: async (fd) => {
      if (fd === 2) throw Object.assign(new Error('EIO'), { code: 'EIO' });
    },
  });
  const ends = await Promise.allSettled([group.sync(1), group.sync(2), group.sync(3)]);
  assert.deepEqual(
    ends.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  await group.sync(4);
});

test('where what is tried for all of them fails altogether, each is synced by itself, and those that come later too', async () => {
  const { made, calls } = makeDisk();
  const fail = () => {
    throw Object.assign(new Error('EMFILE'), { code: 'EMFILE' });
  };
  const group = new GroupSync({ ...calls, syncAll: async () => fail(), beginWrites: fail });
  for (const fds of [[1, 2], [3, 4], [5]]) await Promise.all(fds.map((fd) => group.sync(fd)));
  assert.deepEqual(
    made,
    [1, 2, 3, 4, 5].map((fd) => `sync ${fd}`),
  );
});

test('the name of a file lasts too, by a sync of all or by one of the directory that it is in', async () => {
  const { made, calls } = makeDisk();
  const one = new GroupSync(calls);
  await one.sync(1, 'a');
  assert.deepEqual(made.splice(0), ['sync 1', 'names in a']);
  const all = new GroupSync({ ...calls, syncAll: async (fd) => made.push(`all by ${fd}`) - 1 });
  await Promise.all([all.sync(1, 'a'), all.sync(2, 'b')]);
  assert.deepEqual(made, ['all by 1']);
});
