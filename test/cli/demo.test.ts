import assert from 'node:assert/strict';
import { truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import type { ChainSight } from '../../src/admin/chain-sight.ts';
import { formatRoute, parseVia } from '../../src/index.ts';
import { ask } from '../support/admin.ts';
import { isRefused, startChain, startPeer, until } from '../support/chain.ts';
import { runProgram, startProgram } from '../support/program.ts';
import { makeTempRoot, type TempRoot } from '../support/temp-root.ts';

/** A route over ports that were free a moment ago, found by letting nodes take and leave them. */
async function writeRoute(t: Parameters<typeof startChain>[0], root: TempRoot, hops: number) {
  const chain = await startChain(t, hops, root.path);
  await Promise.all(chain.nodes.map((node) => node.close()));
  const file = path.join(root.path, 'input.txt');
  await writeFile(file, formatRoute(chain.route('data.bin')));
  return { file, ports: chain.nodes.map((node) => node.address.port) };
}

test('demo runs a node for every hop, downloads, stops them, and exits as the client did', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  await root.writeRandom('data.bin', 2_000_000);
  const { file } = await writeRoute(t, root, 3);
  const first = await runProgram(t, ['demo', file, '--root', root.path], { cwd: out.path });
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stdout, /arrived +undamaged, all 2 pieces/);
  const again = await runProgram(t, ['demo', file, '--root', root.path], { cwd: out.path });
  assert.equal(again.code, 0);
  assert.match(again.stdout, /here +data\.bin \(already here; nothing was fetched\)/);
  const forced = await runProgram(t, ['demo', file, '--root', root.path, '--force'], { cwd: out.path });
  assert.equal(forced.code, 0);
  assert.match(forced.stdout, /saved +data\.bin \(replaced the earlier one\)/);
});

test('demo names the port that is in use, and stops the nodes that it had started', async (t) => {
  const root = await makeTempRoot(t);
  await root.writeRandom('data.bin', 10);
  const taken = await startPeer(t, () => {});
  const free = await startChain(t, 1, root.path);
  const [first] = free.nodes;
  await first?.close();
  const route = parseVia(`127.0.0.1:${first?.address.port},${taken.address}`, 'data.bin');
  const file = path.join(root.path, 'input.txt');
  await writeFile(file, formatRoute(route));
  const { code, stderr } = await runProgram(t, ['demo', file, '--root', root.path], { cwd: root.path });
  assert.equal(code, 10);
  assert.match(stderr, new RegExp(`cannot listen on ${taken.address}: the port is in use`));
  const reuse = await runProgram(t, ['demo', file, '--root', root.path], { cwd: root.path });
  assert.match(reuse.stderr, new RegExp(`node 1 listens on 127\\.0\\.0\\.1:${first?.address.port}\n`));
});

test('demo --show lets one watch a file, kill a node on its way and start it again, until Ctrl-C', async (t) => {
  const root = await makeTempRoot(t);
  await root.writeRandom('data.bin', 3_000_000);
  const { file } = await writeRoute(t, root, 2);
  const demo = startProgram(t, ['demo', file, '--root', root.path, '--show', '--limit-rate', '1M']);
  const text = await demo.saw(/are on their way/);
  const [, host = ''] = /watch it at http:\/\/(127\.0\.0\.1:\d+)\//.exec(text) ?? [];
  const ports = [...text.matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, port]) => Number(port)).slice(0, 4);
  const place = { port: Number(host.split(':')[1]) };
  const tell = async (command: string) => {
    const headers = { Host: host, Origin: `http://${host}` };
    return (await ask(place, `/do/${command}`, { method: 'POST', headers })).status;
  };
  const chain = async () => JSON.parse((await ask(place, '/api/status')).text).chain as ChainSight;
  await until(async () => (await chain()).legs.length === 2);
  assert.equal(await tell('kill/0'), 200);
  await demo.saw(/going on over /);
  await until(async () => (await chain()).places[0]?.[0]?.state === 'down');
  assert.equal(await tell('start/0'), 200);
  await until(async () => (await chain()).places[0]?.[0]?.state === 'up');
  await demo.saw(/data\.bin arrived undamaged, all 3 pieces/);
  // What is shown may be from shortly before.
  await until(async () => (await chain()).file.state === 'arrived');
  assert.equal(await tell('fetch'), 200);
  await until(async () => (await chain()).file.state === 'under way');
  demo.child.kill('SIGINT');
  assert.equal((await demo.finished).code, 0);
  for (const port of ports) await until(() => isRefused(port));
  assert.deepEqual(await root.list(), ['data.bin', 'input.txt'], 'nothing is written without -o');
});

for (const signal of ['SIGINT', 'SIGKILL'] as const) {
  test(`demo leaves no node behind when it ends by ${signal}`, async (t) => {
    const root = await makeTempRoot(t);
    await writeFile(path.join(root.path, 'data.bin'), '');
    await truncate(path.join(root.path, 'data.bin'), 300 * 1024 * 1024);
    const { file, ports } = await writeRoute(t, root, 2);
    const demo = startProgram(t, ['demo', file, '--root', root.path, '-o', path.join(root.path, 'copy.bin')]);
    await demo.saw(/node 2 listens/);
    demo.child.kill(signal);
    await demo.finished;
    for (const port of ports) await until(() => isRefused(port));
  });
}
