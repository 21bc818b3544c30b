/** A directory on its way to an origin: what differs is sent, what is the same is not, and nothing goes that is there alone. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  type NodeOptions,
  parseVia,
  type UploadTreeEvent,
  type UploadTreeOptions,
  uploadTree,
} from '../../src/index.ts';
import { addressOf, startChain } from '../support/chain.ts';
import { lastLine } from '../support/home.ts';
import { inside, startLister, top } from '../support/lister.ts';
import { runProgram } from '../support/program.ts';
import { hasNamelessFiles, makeTempRoot, type TempRoot } from '../support/temp-root.ts';

/** An origin that takes uploads, a directory here, and what sends the directory there as `copy`. */
async function startTree(t: TestContext, files: number, options: Partial<NodeOptions> = {}) {
  const [root, here] = [await makeTempRoot(t), await makeTempRoot(t)];
  for (let index = 0; index < files; index += 1) await here.writeRandom(`tree/d${index % 3}/f${index}`, 1000 + index);
  const chain = await startChain(t, 2, root.path, { uploads: { force: true }, ...options });
  const { routes } = chain.route('copy');
  const source = path.join(here.path, 'tree');
  const send = (more: Partial<UploadTreeOptions> = {}) => uploadTree({ routes, source, directory: 'copy', ...more });
  return { root, here, chain, send };
}

async function assertSame({ root, here }: { readonly root: TempRoot; readonly here: TempRoot }, files: number) {
  for (let index = 0; index < files; index += 1) {
    const name = `d${index % 3}/f${index}`;
    const [sent, arrived] = [here, root].map((one, at) =>
      readFile(path.join(one.path, ['tree', 'copy'][at] ?? '', name)),
    );
    assert.deepEqual(await arrived, await sent, name);
  }
}

test('what is missing or differs is sent, and nothing else, whatever its time is', async (t) => {
  const fixture = await startTree(t, 30);
  const { root, here, chain, send } = fixture;
  const events: UploadTreeEvent[] = [];
  const first = await send({ onEvent: (event) => events.push(event), retry: 3 });
  assert.deepEqual([first.files, first.unchanged, first.due.files, first.outcomes.length], [30, 0, 30, 30]);
  assert.ok(first.outcomes.every(({ result }) => result));
  assert.equal(events[0]?.kind, 'listed');
  await assertSame(fixture, 30);
  const before = chain.nodes[1]?.stats().bytesUploaded;
  const nothing = await send();
  assert.deepEqual([nothing.unchanged, nothing.due.files, nothing.outcomes.length], [30, 0, 0]);
  // Of the same size and time, and another.
  const place = path.join(here.path, 'tree/d0/f0');
  await writeFile(place, Buffer.alloc(1000, 1));
  await utimes(place, 1000, 1000);
  await utimes(path.join(root.path, 'copy/d0/f0'), 1000, 1000);
  await writeFile(path.join(here.path, 'tree/d1/f1'), 'another size');
  await here.writeRandom('tree/new', 10);
  await root.writeRandom('copy/own', 10);
  await symlink('new', path.join(here.path, 'tree/link'));
  const planned = await send({ dryRun: true });
  assert.deepEqual(planned.planned, ['new', 'd0/f0', 'd1/f1']);
  assert.deepEqual([planned.extra, planned.leftOut.links, planned.outcomes], [['own'], 1, []]);
  assert.equal(chain.nodes[1]?.stats().bytesUploaded, before, 'a dry run sends nothing');
  const chosen = await send({ select: (name) => name === 'new' });
  assert.deepEqual([chosen.files, chosen.extra], [1, []], 'what is not selected is neither sent nor extra');
  const third = await send();
  assert.deepEqual(
    third.outcomes.map(({ file, result }) => [file, result?.replaced]),
    [
      ['copy/d0/f0', true],
      ['copy/d1/f1', true],
    ],
  );
  assert.equal(third.unchanged, 29);
  await assertSame(fixture, 30);
  assert.ok((await root.list()).includes('copy'));
  assert.equal((await readFile(path.join(root.path, 'copy/own'))).length, 10, 'what is there alone stays');
});

test('of files whose digest the origin knows nothing is asked, and a change of either side shows all the same', async (t) => {
  const fixture = await startTree(t, 9);
  const { root, here, chain, send } = fixture;
  const asked = () => chain.nodes[1]?.stats().files ?? 0;
  await here.writeRandom('tree/empty', 0);
  await send();
  // Where it does not know what it has written itself, it does so once it was asked.
  for (const name of ['d0/f0', 'd2/f8']) await root.atRest(`copy/${name}`);
  if (hasNamelessFiles(root.path)) assert.equal(asked(), 0);
  else await send();
  const before = asked();
  assert.equal((await send()).unchanged, 10);
  assert.equal(asked(), before);

  const [ours, theirs] = [path.join(here.path, 'tree/d0/f0'), path.join(root.path, 'copy/d1/f1')];
  for (const place of [ours, theirs]) {
    const { atime, mtime } = await stat(place);
    await writeFile(place, Buffer.alloc((await stat(place)).size, 1));
    await utimes(place, atime, mtime);
  }
  await rm(path.join(root.path, 'copy/d2/f2'));
  await writeFile(path.join(root.path, 'copy/d2/f2'), await readFile(path.join(here.path, 'tree/d2/f2')));
  const changed = await send();
  assert.deepEqual(
    changed.outcomes.map(({ file, result }) => [file, result?.replaced]),
    [
      ['copy/d0/f0', true],
      ['copy/d1/f1', true],
    ],
  );
  assert.equal(asked(), before + 2, 'about the two that are other files there now');
  await assertSame(fixture, 9);
});

test('an origin is believed only the digests that it was asked for', async (t) => {
  const here = await makeTempRoot(t);
  const content = await here.writeRandom('tree/a', 1000);
  const digest = createHash('sha256').update(content).digest('hex');
  const { address } = await startLister(t, [top, inside('a', { size: 1000, digest })]);
  const options = { routes: parseVia(address, 'copy').routes, directory: 'copy', source: path.join(here.path, 'tree') };
  // Without an algorithm that it names it is asked, and says nothing.
  await assert.rejects(uploadTree({ ...options, dryRun: true, limits: { idleMs: 300, headMs: 300 }, retry: 0 }));
});

test('a file that may not be replaced, or is none there, fails alone', async (t) => {
  const fixture = await startTree(t, 4, { uploads: {} });
  const { root, here, send } = fixture;
  await root.writeRandom('copy/d0/f0', 1000);
  await mkdir(path.join(root.path, 'copy/d1/f1'), { recursive: true });
  const { outcomes } = await send();
  assert.deepEqual(
    outcomes.map(({ file, error }) => [file, error?.code]),
    [
      ['copy/d0/f0', 'DISK_EXISTS'],
      ['copy/d0/f3', undefined],
      ['copy/d1/f1', 'DISK_EXISTS'],
      ['copy/d2/f2', undefined],
    ],
  );
  await rm(path.join(here.path, 'tree'), { recursive: true });
  await assert.rejects(send(), { code: 'USAGE_INVALID' });
  await assert.rejects(send({ directory: '../x' }), { code: 'ROUTE_SYNTAX' });
});

test('after an interruption anywhere the same call makes it right', async (t) => {
  const fixture = await startTree(t, 20);
  for (const settled of [0, 1, 7]) {
    await rm(path.join(fixture.root.path, 'copy'), { recursive: true, force: true });
    const stop = new AbortController();
    let count = 0;
    const onEvent = ({ kind }: UploadTreeEvent) => {
      count += kind === 'settled' ? 1 : 0;
      if (kind === 'listed' ? settled === 0 : count === settled) stop.abort();
    };
    await fixture.send({ signal: stop.signal, onEvent }).catch(() => {});
    const again = await fixture.send();
    assert.ok(again.outcomes.every(({ error }) => error === undefined));
    await assertSame(fixture, 20);
  }
});

test('sync --up sends a directory, tells what it did, and removes nothing', async (t) => {
  const { root, here, chain } = await startTree(t, 3);
  const via = ['--via', chain.nodes.map(addressOf).join()];
  const sync = (...args: string[]) => runProgram(t, ['sync', ...args], { cwd: here.path });
  const [deletes, wrong] = await Promise.all([sync('--up', ...via, 'tree', 'copy', '--delete'), sync('tree', 'copy')]);
  assert.deepEqual([deletes.code, wrong.code], [2, 2]);
  assert.match(deletes.stderr, /^hopline: --delete goes without --up: sync removes nothing at an origin\n/);
  assert.match(wrong.stderr, /^hopline: tree is a directory here; did you mean sync --up tree copy\?\n/);
  await root.writeRandom('copy/own', 10);
  const sent = await sync('--up', ...via, 'tree', 'copy');
  assert.deepEqual([sent.code, sent.stderr], [0, '']);
  assert.match(sent.stdout, /\ntree +copy: 3 files, .*\nsent +3 of 3 files\n/);
  assert.match(sent.stdout, /\nextra +1 file there and not here, left as they are\n$/);
  const { event, unchanged, extra } = lastLine(await sync('--up', ...via, 'tree', 'copy', '--json'));
  assert.deepEqual([event, unchanged, extra], ['summary', 3, ['own']]);
});
