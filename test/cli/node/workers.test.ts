import assert from 'node:assert/strict';
import { readFile, realpath, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { download, parseVia } from '../../../src/index.ts';
import { startPeer } from '../../support/chain.ts';
import { childrenOf, eventually, isAlive, linuxOnly } from '../../support/processes.ts';
import { runProgram, startProgram } from '../../support/program.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

test('several workers share one address, one that dies is replaced, and all end together', linuxOnly, async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const content = await root.writeRandom('data.bin', 1_500_000);
  const node = startProgram(t, ['node', '--listen', '127.0.0.1:0', '--root', root.path, '--workers', '3']);
  const address = /listening on (\S+)/.exec(await node.saw(/listening on .*\n/))?.[1] as string;
  const pid = node.child.pid as number;
  await node.saw(/(node started[\s\S]*){3}/);
  const fetchMany = async (round: string) => {
    const route = parseVia(address, 'data.bin');
    const all = Array.from({ length: 12 }, (_, index) =>
      download({ route, output: path.join(out.path, round + index) }),
    );
    for (const { path: file } of await Promise.all(all)) assert.deepEqual(await readFile(file as string), content);
  };
  await fetchMany('a');
  const [victim] = childrenOf(pid) as [number, number, number];
  process.kill(victim, 'SIGKILL');
  await node.saw(/(node started[\s\S]*){4}/);
  await fetchMany('b');
  const workers = childrenOf(pid);
  node.child.kill('SIGTERM');
  const { code, stdout } = await node.finished;
  assert.equal(code, 0);
  assert.equal(stdout, `listening on ${address}\nserves ${await realpath(root.path)}\n`);
  assert.equal(workers.length, 3);
  assert.deepEqual(workers.filter(isAlive), []);
});

test('workers that cannot listen say so once', async (t) => {
  const taken = await startPeer(t, () => {});
  const { code, stderr } = await runProgram(t, ['node', '--listen', taken.address, '--workers', '4']);
  assert.equal(code, 10);
  assert.equal(stderr.match(/the port is in use/g)?.length, 1);
});

test('a worker that dies while it starts is replaced, as often as it takes', linuxOnly, async (t) => {
  const node = startProgram(t, ['node', '--listen', '127.0.0.1:0', '--workers', '2']);
  const pid = node.child.pid as number;
  await node.saw(/(node started[\s\S]*){2}/);
  await node.saw(/listening on/);
  // Each is killed as soon as it is there: the two that listen, and then four that have not come so far.
  const killed = new Set<number>();
  while (killed.size < 6) {
    await eventually(() => childrenOf(pid).some((child) => !killed.has(child)));
    for (const child of childrenOf(pid)) {
      if (killed.has(child)) continue;
      killed.add(child);
      process.kill(child, 'SIGKILL');
    }
  }
  await node.saw(/(node started[\s\S]*){4}/);
  assert.equal(childrenOf(pid).filter((child) => !killed.has(child)).length, 2);
  node.child.kill('SIGTERM');
  const { code, stderr, stdout } = await node.finished;
  assert.equal(code, 0);
  // Also where all had ended at once.
  const [, address] = /listening on (\S+)/.exec(stdout) ?? [];
  const addresses = [...stderr.matchAll(/node started address=(\S+)/g)].map(([, at]) => at);
  assert.deepEqual(addresses, Array(4).fill(address));
  // The second may have been killed before it had told that it listens.
  const running = stderr.match(/worker \d+ ended \(SIGKILL\); starting another\n/g)?.length ?? 0;
  assert.ok(running === 1 || running === 2, stderr);
  const starting = /worker \d+ ended while it started \(SIGKILL\); starting another in \d+ ms\n/g;
  assert.equal(stderr.match(starting)?.length, killed.size - running);
});

test('workers that cannot start any more are tried again until they can', linuxOnly, async (t) => {
  const root = await makeTempRoot(t);
  const config = path.join(root.path, 'hopline.yaml');
  await writeFile(config, 'listen: 127.0.0.1:0\n');
  const node = startProgram(t, ['node', '--config', config, '--workers', '2']);
  const pid = node.child.pid as number;
  await node.saw(/(node started[\s\S]*){2}/);
  await writeFile(config, 'lisen: 127.0.0.1:0\n');
  for (const worker of childrenOf(pid)) process.kill(worker, 'SIGKILL');
  await node.saw(/(ended while it started \(exit code 13\)[\s\S]*){3}/);
  await writeFile(config, 'listen: 127.0.0.1:0\n');
  await node.saw(/(node started[\s\S]*){4}/);
  node.child.kill('SIGTERM');
  assert.equal((await node.finished).code, 0);
});

test('a worker that hangs is killed when the grace is over', linuxOnly, async (t) => {
  const node = startProgram(t, ['node', '--listen', '127.0.0.1:0', '--workers', '2', '--grace', '0.1']);
  const pid = node.child.pid as number;
  await node.saw(/(node started[\s\S]*){2}/);
  const workers = childrenOf(pid);
  process.kill(workers[0] as number, 'SIGSTOP');
  node.child.kill('SIGTERM');
  const { code, stderr } = await node.finished;
  assert.equal(code, 0);
  assert.match(stderr, new RegExp(`worker ${workers[0]} did not end in time and is killed`));
  assert.deepEqual(workers.filter(isAlive), []);
});

test('a worker that is told to stop before it hears anything ends once it listens', linuxOnly, async (t) => {
  const node = startProgram(t, ['node', '--listen', '127.0.0.1:0', '--workers', '2', '--grace', '600']);
  const pid = node.child.pid as number;
  await node.saw(/(node started[\s\S]*){2}/);
  const [victim] = childrenOf(pid) as [number, number];
  process.kill(victim, 'SIGKILL');
  // The one that takes its place is still Node alone.
  await eventually(() => childrenOf(pid).filter((child) => child !== victim).length === 2);
  node.child.kill('SIGTERM');
  const { code, stderr } = await node.finished;
  assert.equal(code, 0);
  assert.doesNotMatch(stderr, /did not end in time/);
});
