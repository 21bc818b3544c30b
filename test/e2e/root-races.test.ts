import assert from 'node:assert/strict';
import { mkdir, readdir, realpath, rename, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { asHoplineError } from '../../src/core/errors.ts';
import { defaultLimits, type RunningNode } from '../../src/index.ts';
import { openServed } from '../../src/io/disk/reading/served-file.ts';
import { Listing } from '../../src/node/listings/listing.ts';
import { NameRoom } from '../../src/node/listings/name-room.ts';
import { startChain } from '../support/chain.ts';
import { openCircuit, sha256 } from '../support/circuits.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const attempts = 300;
const skip = process.platform !== 'linux' && 'SECURITY.md says what is left here';

/** Exchanges `d` below the root, as fast as it can, until it is told to stop: a directory and a link, or two links. */
const swapping = `
  const { renameSync, symlinkSync } = require('node:fs');
  const { workerData: { root, between, stop } } = require('node:worker_threads');
  const d = root + '/d';
  const turns = {
    directory: () => {
      renameSync(d, root + '/parked');
      renameSync(root + '/link', d);
      renameSync(d, root + '/link');
      renameSync(root + '/parked', d);
    },
    links: () => {
      for (const target of ['../outside', 'inside']) {
        symlinkSync(target, root + '/next');
        renameSync(root + '/next', d);
      }
    },
  };
  const flag = new Int32Array(stop);
  while (Atomics.load(flag, 0) === 0) turns[between]();
`;

/** Runs `body` while the swapping goes on. */
async function whileSwapping(
  t: TestContext,
  between: 'directory' | 'links',
  body: (root: string, outside: string) => Promise<void>,
): Promise<void> {
  const outer = await makeTempRoot(t);
  const base = await realpath(outer.path);
  const [root, outside] = [path.join(base, 'root'), path.join(base, 'outside')];
  for (const [directory, content] of [
    [path.join(root, 'inside'), 'inside'],
    [outside, 'from outside'],
  ] as const) {
    await mkdir(path.join(directory, 'sub'), { recursive: true });
    for (const name of ['f', 'sub/f']) await writeFile(path.join(directory, name), content);
  }
  await writeFile(path.join(outside, 'secret'), 'secret');
  await symlink('../outside', path.join(root, 'link'));
  if (between === 'links') await symlink('inside', path.join(root, 'd'));
  else await rename(path.join(root, 'inside'), path.join(root, 'd'));
  const stop = new SharedArrayBuffer(4);
  const worker = new Worker(swapping, { eval: true, workerData: { root, between, stop } });
  const ended = new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject));
  try {
    await body(root, outside);
  } finally {
    Atomics.store(new Int32Array(stop), 0, 1);
    await ended;
  }
}

/**
 * Tries until there have been enough attempts, and one of each outcome, so that there was a race at all.
 * Each attempt says whether it found what was asked for, or throws its refusal.
 */
async function race(attempt: (turn: number) => Promise<void>, least: number, refusal: RegExp): Promise<void> {
  const seen = { found: 0, refused: 0 };
  for (let turn = 0; turn < least || seen.found === 0 || seen.refused === 0; turn += 1) {
    try {
      await attempt(turn);
      seen.found += 1;
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      assert.match(asHoplineError(error).code, refusal);
      seen.refused += 1;
    }
  }
}

for (const between of ['directory', 'links'] as const) {
  const what = between === 'links' ? 'a link on its way is pointed out of the root' : 'a directory becomes a link';

  test(`a file that is served while ${what} is never one from outside`, { skip }, (t) =>
    whileSwapping(t, between, async (root) => {
      const serve = async (turn: number) => {
        const file = await openServed(root, turn % 2 ? 'd/f' : 'd/sub/f', 4096);
        const bytes = Buffer.alloc(file.size);
        await file.readFully(bytes, 0).finally(() => file.close());
        assert.equal(bytes.toString(), 'inside');
      };
      await race(serve, attempts, /^FILE_(DENIED|NOT_FOUND)$/);
    }),
  );

  test(`a listing that is made while ${what} tells nothing from outside`, { skip }, (t) =>
    whileSwapping(t, between, async (root) => {
      const list = async () => {
        const { entries } = await (await Listing.open(root, 'd', defaultLimits, new NameRoom())).nextFrame();
        for (const entry of entries) {
          assert.notEqual(entry.path, 'secret');
          if (entry.kind === 'file') assert.equal(entry.size, 'inside'.length);
        }
      };
      await race(list, attempts, /^FILE_(DENIED|NOT_FOUND)$/);
    }),
  );
}

test(
  'an upload that comes while a link on its way is pointed out of the root puts nothing there',
  {
    skip,
  },
  (t) =>
    whileSwapping(t, 'links', async (root, outside) => {
      const { nodes } = await startChain(t, 1, root, { uploads: { force: true } });
      const before = await readdir(outside, { recursive: true });
      const bytes = Buffer.from('uploaded');
      const put = async (turn: number) => {
        const name = turn % 2 ? `d/new${turn}` : `d/sub/made${turn}/new`;
        const cut = { size: bytes.length, pieceBytes: 1024, version: 'v', digests: ['sha256'] };
        const upload = String(turn).padStart(32, '0');
        const circuit = await openCircuit(t, nodes as [RunningNode], [{ type: 'put', name, ...cut, upload }]);
        try {
          await circuit.receive('ready');
          await circuit.sendPiece([{ type: 'write', index: 0, digest: sha256(bytes) }], bytes);
          await circuit.receive('stored');
          circuit.send([{ type: 'commit' }]);
          await circuit.receive('committed');
        } finally {
          await circuit.close();
          assert.deepEqual(await readdir(outside, { recursive: true }), before);
        }
      };
      await race(put, 100, /^FILE_DENIED$/);
    }),
);
