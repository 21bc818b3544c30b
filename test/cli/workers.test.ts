import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFile, realpath } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { download, parseVia } from '../../src/index.ts';
import { startPeer, until } from '../support/chain.ts';
import { runProgram, startProgram } from '../support/program.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const linuxOnly = { skip: process.platform !== 'linux' && 'counts child processes through /proc, which is Linux’s' };

function childrenOf(pid: number): number[] {
  const text = execFileSync('cat', [`/proc/${pid}/task/${pid}/children`], { encoding: 'utf8' });
  return text.trim().split(' ').filter(Boolean).map(Number);
}

test('several workers share one address, one that dies is replaced, and all end together', linuxOnly, async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const content = await root.writeRandom('data.bin', 1_500_000);
  const node = startProgram(t, ['node', '--listen', '127.0.0.1:0', '--root', root.path, '--workers', '3']);
  const address = /listening on (\S+)/.exec(await node.saw(/listening on .*\n/))?.[1] as string;
  const pid = node.child.pid as number;
  await until(() => childrenOf(pid).length === 3);
  const fetchMany = async (round: string) => {
    const route = parseVia(address, 'data.bin');
    const all = Array.from({ length: 12 }, (_, index) =>
      download({ route, output: path.join(out.path, round + index) }),
    );
    for (const { path: file } of await Promise.all(all)) assert.deepEqual(await readFile(file as string), content);
  };
  await fetchMany('a');
  const [victim] = childrenOf(pid) as [number];
  process.kill(victim, 'SIGKILL');
  await until(() => childrenOf(pid).length === 3 && !childrenOf(pid).includes(victim));
  await fetchMany('b');
  const workers = childrenOf(pid);
  node.child.kill('SIGTERM');
  const { code, stdout } = await node.finished;
  assert.equal(code, 0);
  assert.equal(stdout, `listening on ${address}\nserves ${await realpath(root.path)}\n`);
  for (const worker of workers) assert.throws(() => process.kill(worker, 0), { code: 'ESRCH' });
});

test('workers that cannot listen say so once', async (t) => {
  const taken = await startPeer(t, () => {});
  const { code, stderr } = await runProgram(t, ['node', '--listen', taken.address, '--workers', '4']);
  assert.equal(code, 10);
  assert.equal(stderr.match(/the port is in use/g)?.length, 1);
});
