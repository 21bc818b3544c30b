import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import {
  appendFile,
  type FileHandle,
  open,
  readFile,
  rename,
  stat,
  truncate,
  unlink,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { HoplineError } from '../../src/core/errors.ts';
import { nodeCalls, type TargetCalls } from '../../src/io/disk/durable.ts';
import type { Target, TargetContent } from '../../src/io/disk/writing/target.ts';
import { createFileTarget, type PlaceOptions } from '../../src/io/disk/writing/target-place.ts';
import { until } from '../support/chain.ts';
import { contentOf, pieceOf } from '../support/targets.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const kib = 1024;
const mib = 1024 * kib;
const windows = process.platform === 'win32';

async function makeTarget(t: TestContext) {
  const root = await makeTempRoot(t);
  const at = (name: string) => path.join(root.path, name);
  const create = (options: Partial<PlaceOptions> = {}) => createFileTarget(at('a'), 'a', { force: false, ...options });
  /** Leaves the first `count` pieces of `bytes` to a later run. */
  const leave = async (bytes: Buffer, content: TargetContent, count: number) => {
    const target = await create();
    await target.begin(content);
    await writePieces(target, bytes, content, count);
    await target.keep();
  };
  return { ...root, at, create, leave, part: at('.a.part'), journal: at('.a.part.journal') };
}

async function writePieces(target: Target, bytes: Buffer, content: TargetContent, count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) await target.write(pieceOf(bytes, index, content));
}

/** Node's calls, each written down with what it is for before it is made. */
function watchCalls(part: string, onCall: (call: string) => Promise<void> | void = () => {}) {
  const made: string[] = [];
  const say = async (call: string) => {
    made.push(call);
    await onCall(call);
  };
  const nameOf = async (handle: FileHandle) => ((await handle.stat()).ino === statSync(part).ino ? 'part' : 'journal');
  const calls: Partial<TargetCalls> = {
    datasync: async (handle) => {
      await say(`datasync ${await nameOf(handle)}`);
      return nodeCalls.datasync(handle);
    },
    sync: async (handle) => {
      await say(`sync ${await nameOf(handle)}`);
      return nodeCalls.sync(handle);
    },
    syncDirectory: async (directory) => {
      await say('sync directory');
      return nodeCalls.syncDirectory(directory);
    },
    link: async (from, to) => {
      await say('link');
      return nodeCalls.link(from, to);
    },
    rename: async (from, to) => {
      await say('rename');
      return nodeCalls.rename(from, to);
    },
  };
  return { made, calls };
}

for (const force of [false, true]) {
  test(`a file is synced before it gets its name, and its name before it is told of${force ? ', with force' : ''}`, async (t) => {
    const { create, part } = await makeTarget(t);
    const { made, calls } = watchCalls(part);
    const bytes = randomBytes(5 * kib);
    const content = contentOf(bytes, kib);
    const target = await create({ force, calls });
    await target.begin(content);
    await writePieces(target, bytes, content, 5);
    await target.commit();
    assert.deepEqual(made, ['sync part', force ? 'rename' : 'link', 'sync directory']);
  });
}

test('every 64 MiB the bytes are synced, then the books that speak of them, then the names of both', async (t) => {
  const { create, part, journal } = await makeTarget(t);
  const booked: number[] = [];
  const { made, calls } = watchCalls(part, (call) => {
    if (call.startsWith('datasync')) booked.push(readFileSync(journal, 'utf8').split(' piece ').length - 1);
  });
  const pieceBytes = 8 * mib;
  const bytes = Buffer.alloc(9 * pieceBytes, 7);
  const content = contentOf(bytes, pieceBytes);
  const target = await create({ calls });
  await target.begin(content);
  await writePieces(target, bytes, content, 9);
  await target.keep();
  assert.deepEqual(made, ['datasync part', 'datasync journal', 'sync directory']);
  const [, inBooks = 0] = booked;
  assert.ok(inBooks >= 8, `${inBooks} pieces were in the books when those were synced`);
});

test('what an earlier run left is synced before it is read, so that a failure it never heard of is told', async (t) => {
  const { create, leave, part } = await makeTarget(t);
  const bytes = randomBytes(5 * kib);
  const content = contentOf(bytes, kib);
  await leave(bytes, content, 3);
  const { made, calls } = watchCalls(part);
  const target = await create({ calls });
  await target.begin(content);
  assert.deepEqual(made, ['datasync part']);
  await target.discard();
});

/** As the kernel does: tells the failure once, and finds all well from then on. */
function failOnce(call: 'datasync' | 'sync', code = 'EIO') {
  let failures = 0;
  const calls: Partial<TargetCalls> = {
    [call]: async () => {
      if (failures > 0) return;
      failures += 1;
      throw Object.assign(new Error(code), { code });
    },
  };
  return { calls, failures: () => failures };
}

for (const [code, told] of [
  ['EIO', 'DISK_FAILED'],
  ['ENOSPC', 'DISK_FULL'],
] as const) {
  test(`a sync that fails with ${code} in mid-file is ${told} in the end, and nothing is left to believe`, async (t) => {
    const { create, list } = await makeTarget(t);
    const pieceBytes = 8 * mib;
    const bytes = Buffer.alloc(9 * pieceBytes, 7);
    const content = contentOf(bytes, pieceBytes);
    const { calls, failures } = failOnce('datasync', code);
    const target = await create({ calls });
    await target.begin(content);
    await writePieces(target, bytes, content, 8);
    // The last piece is refused if the failure is known by then.
    await target.write(pieceOf(bytes, 8, content)).catch((error) => assert.equal(error.code, told));
    await assert.rejects(target.commit(), { code: told, reason: code });
    assert.equal(failures(), 1);
    assert.equal(await target.keep(), 0);
    assert.deepEqual(await list(), []);
  });
}

test('once a sync has failed no further piece is taken, and there are no books', async (t) => {
  const { create, journal } = await makeTarget(t);
  const pieceBytes = 8 * mib;
  const bytes = Buffer.alloc(10 * pieceBytes, 7);
  const content = contentOf(bytes, pieceBytes);
  let failed: () => void = () => {};
  const failing = new Promise<void>((resolve) => {
    failed = resolve;
  });
  const calls: Partial<TargetCalls> = {
    datasync: () => {
      setImmediate(failed);
      return Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' }));
    },
  };
  const target = await create({ calls });
  await target.begin(content);
  await writePieces(target, bytes, content, 8);
  await failing;
  await assert.rejects(target.write(pieceOf(bytes, 8, content)), { code: 'DISK_FAILED', reason: 'EIO' });
  await until(() => !existsSync(journal));
  await target.keep();
});

test('a last sync that fails leaves no file, and nothing that a later run would read from memory', async (t) => {
  const { create, list } = await makeTarget(t);
  const bytes = randomBytes(5 * kib);
  const content = contentOf(bytes, kib);
  const target = await create(failOnce('sync'));
  await target.begin(content);
  await writePieces(target, bytes, content, 5);
  await assert.rejects(target.commit(), { code: 'DISK_FAILED', reason: 'EIO' });
  assert.equal(await target.keep(), 0);
  assert.deepEqual(await list(), []);
});

test('a failure that the earlier run never heard of ends the next one, which leaves nothing', async (t) => {
  const { create, leave, list } = await makeTarget(t);
  const bytes = randomBytes(5 * kib);
  const content = contentOf(bytes, kib);
  await leave(bytes, content, 3);
  const target = await create(failOnce('datasync'));
  await assert.rejects(target.begin(content), { code: 'DISK_FAILED', reason: 'EIO' });
  assert.equal(await target.keep(), 0);
  assert.deepEqual(await list(), []);
});

test('every piece is read back: what was zeroed, changed or cut off between two runs is missing', async (t) => {
  const { create, leave, part } = await makeTarget(t);
  const bytes = randomBytes(10 * kib);
  const content = contentOf(bytes, kib);
  await leave(bytes, content, 9);
  const handle = await open(part, 'r+');
  await handle.write(Buffer.alloc(kib), 0, kib, 2 * kib);
  await handle.write(Buffer.from([(bytes[5 * kib] ?? 0) ^ 1]), 0, 1, 5 * kib);
  await handle.truncate(8 * kib + 1);
  await handle.close();
  const target = await create();
  assert.deepEqual([...(await target.begin(content)).left.keys()], [0, 1, 3, 4, 6, 7]);
  await target.discard();
});

test('a piece that was written twice counts with what was written last', async (t) => {
  const { create, at } = await makeTarget(t);
  const bytes = randomBytes(3 * kib);
  const content = contentOf(bytes, kib);
  const first = await create();
  await first.begin(content);
  await first.write(pieceOf(randomBytes(3 * kib), 1, content));
  await first.write(pieceOf(bytes, 1, content));
  await first.keep();
  const target = await create();
  assert.deepEqual((await target.begin(content)).left, new Map([[1, pieceOf(bytes, 1, content).vouched]]));
  await writePieces(target, bytes, content, 3);
  await target.commit();
  assert.deepEqual(await readFile(at('a')), bytes);
});

test('a part file that is too long is cut to its size before it gets its name', async (t) => {
  const { create, leave, at, part } = await makeTarget(t);
  const bytes = randomBytes(5 * kib);
  const content = contentOf(bytes, kib);
  await leave(bytes, content, 4);
  await appendFile(part, 'more');
  const target = await create();
  assert.equal((await target.begin(content)).left.size, 4);
  await target.write(pieceOf(bytes, 4, content));
  await target.commit();
  assert.deepEqual(await readFile(at('a')), bytes);
});

for (const [what, disturb] of [
  ['grew', (part: string) => appendFile(part, 'more')],
  ['was cut short', (part: string) => truncate(part, 10)],
  [
    'was replaced',
    async (part: string) => {
      await writeFile(`${part}.theirs`, await readFile(part));
      await rename(`${part}.theirs`, part);
    },
  ],
  ['was removed', (part: string) => unlink(part)],
] as const) {
  for (const force of [false, true]) {
    test(`a part file that ${what} while it was written gets no name${force ? ', even with force' : ''}`, {
      skip: windows && 'an open file stays where it is',
    }, async (t) => {
      const { create, at, part } = await makeTarget(t);
      const bytes = randomBytes(5 * kib);
      const content = contentOf(bytes, kib);
      const target = await create({ force });
      await target.begin(content);
      await writePieces(target, bytes, content, 5);
      await disturb(part);
      await assert.rejects(target.commit(), { code: 'DISK_FAILED', message: /another program changed it/ });
      assert.equal(existsSync(at('a')), false);
      await target.keep();
    });
  }
}

for (const call of ['link', 'rename'] as const) {
  test(`a file that is replaced right after its ${call} is no success`, {
    skip: windows && 'an open file stays where it is',
  }, async (t) => {
    const { create } = await makeTarget(t);
    const bytes = randomBytes(5 * kib);
    const content = contentOf(bytes, kib);
    const replace = async (from: string, to: string) => {
      await nodeCalls[call](from, to);
      await writeFile(`${to}.theirs`, bytes);
      await rename(`${to}.theirs`, to);
    };
    const target = await create({ force: call === 'rename', calls: { [call]: replace } });
    await target.begin(content);
    await writePieces(target, bytes, content, 5);
    await assert.rejects(target.commit(), { code: 'DISK_FAILED', message: /another program changed it/ });
    await target.keep();
  });
}

test('where the size is not known before, the file has as many bytes as came, and no others', async (t) => {
  const { create, at, part } = await makeTarget(t);
  const bytes = randomBytes(5 * kib);
  const unknown: TargetContent = { ...contentOf(bytes, kib), size: 0, algorithm: undefined };
  const grown = await create();
  await grown.begin(unknown);
  await writePieces(grown, bytes, unknown, 5);
  await appendFile(part, 'more');
  await assert.rejects(grown.commit(), { code: 'DISK_FAILED' });
  await grown.discard();
  const target = await create();
  await target.begin(unknown);
  await writePieces(target, bytes, unknown, 5);
  await target.commit();
  assert.deepEqual(await readFile(at('a')), bytes);
});

test('whoever does not wait for the reading of what was left leaves it as it was', async (t) => {
  const { create, leave, list } = await makeTarget(t);
  const bytes = randomBytes(5 * kib);
  const content = contentOf(bytes, kib);
  await leave(bytes, content, 4);
  const stop = new HoplineError('INTERRUPTED', 'enough');
  const target = await create({ signal: AbortSignal.abort(stop) });
  await assert.rejects(target.begin(content), { code: 'INTERRUPTED' });
  assert.equal(await target.keep(), 4 * kib);
  assert.deepEqual(await list(), ['.a.part', '.a.part.journal']);
  const next = await create();
  assert.equal((await next.begin(content)).left.size, 4);
  await next.discard();
});

for (const mask of [0o077, 0o022, 0o002, 0]) {
  const name = mask.toString(8).padStart(3, '0');
  test(`under a umask of ${name} a finished file may be written to by whom that lets, and an unfinished one by its owner`, {
    skip: windows && 'there are no such permissions',
  }, async (t) => {
    const before = process.umask(mask);
    t.after(() => process.umask(before));
    const { create, leave, at, part, journal } = await makeTarget(t);
    const bytes = randomBytes(5 * kib);
    const content = contentOf(bytes, kib);
    await leave(bytes, content, 4);
    assert.equal((await stat(part)).mode & 0o777, 0o644 & ~mask);
    assert.equal((await stat(journal)).mode & 0o777, 0o600);
    const target = await create();
    assert.equal((await target.begin(content)).left.size, 4);
    await target.write(pieceOf(bytes, 4, content));
    await target.commit();
    assert.equal((await stat(at('a'))).mode & 0o777, 0o666 & ~mask);
  });
}
