import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { addressOf, startChain } from '../support/chain.ts';
import { runProgram, startProgram } from '../support/program.ts';
import { repository } from '../support/repository.ts';
import { makeTempRoot } from '../support/temp-root.ts';

/** A relay and its origin, and the address of a node that is gone. */
async function start(t: TestContext) {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const content = await root.writeRandom('data.bin', 100_000);
  const { nodes } = await startChain(t, 3, root.path);
  const [relay = '', origin = '', gone = ''] = nodes.map(addressOf);
  await nodes[2]?.close();
  return { out, content, relay, origin, gone };
}

test('a hop that is gone is stood in for by its alternate, on the command line and in a route file', async (t) => {
  const { out, content, relay, origin, gone } = await start(t);
  const options = { cwd: out.path };
  const via = await runProgram(t, ['get', '--via', `${gone}|${relay},${origin}`, 'data.bin'], options);
  assert.deepEqual([via.code, via.stderr.includes('cannot reach')], [0, true]);
  await writeFile(path.join(out.path, 'in.txt'), `data.bin\n${relay}\n${gone} | ${origin} # two origins\n`);
  const file = await runProgram(t, ['get', 'in.txt', '-o', 'again.bin'], options);
  assert.deepEqual([file.code, file.stderr.includes('cannot reach')], [0, true]);
  for (const name of ['data.bin', 'again.bin']) {
    assert.deepEqual(await readFile(path.join(out.path, name)), content);
  }
});

test('a route that is gone is stood in for by the next, given by --via or behind a line of dashes', async (t) => {
  const { out, content, relay, origin, gone } = await start(t);
  const options = { cwd: out.path };
  const vias = ['--via', gone, '--via', `${relay},${origin}`];
  assert.equal((await runProgram(t, ['get', ...vias, 'data.bin'], options)).code, 0);
  await writeFile(path.join(out.path, 'in.txt'), `data.bin\n${gone}\n---\n${relay}\n${origin}\n`);
  assert.equal((await runProgram(t, ['get', 'in.txt', '-o', 'again.bin'], options)).code, 0);
  for (const name of ['data.bin', 'again.bin']) {
    assert.deepEqual(await readFile(path.join(out.path, name)), content);
  }
});

test('--classic takes one route without alternates, and nothing is connected to otherwise', async (t) => {
  for (const vias of [['127.0.0.1:1|127.0.0.1:2'], ['127.0.0.1:1', '127.0.0.1:2']]) {
    const flags = vias.flatMap((via) => ['--via', via]);
    const { code, stderr } = await runProgram(t, ['get', '--classic', ...flags, 'a']);
    assert.deepEqual([code, stderr.includes('--classic takes one route without alternates')], [2, true], stderr);
  }
});

test('a mistake in a later route is told with its line', async (t) => {
  const out = await makeTempRoot(t);
  await writeFile(path.join(out.path, 'in.txt'), 'a\n127.0.0.1:1\n---\n127.0.0.1:2 |\n');
  const { code, stderr } = await runProgram(t, ['get', 'in.txt'], { cwd: out.path });
  assert.equal(code, 3);
  assert.match(stderr, /in\.txt:4: read "127\.0\.0\.1:2 \|", expected a hop on both sides of each "\|"\n/);
});

test('pools are named with --pool, at a node and for the first hop, and the members taken are shown', async (t) => {
  const { out, content, origin, gone } = await start(t);
  const node = startProgram(t, ['node', '--listen', '127.0.0.1:0', '--pool', `eu=${gone},${origin}`]);
  const relay = /listening on (\S+)/.exec(await node.saw(/^listening on \S+\n/m))?.[1] as string;
  const options = { cwd: out.path };
  await writeFile(path.join(out.path, 'in.txt'), 'data.bin\n@entry\n@eu # the origins\n');
  const text = await runProgram(t, ['get', 'in.txt', '--pool', `entry=${relay}`], options);
  assert.equal(text.code, 0, text.stderr);
  assert.match(text.stdout, new RegExp(`^route +@entry -> @eu \\(2 hops\\), over ${relay} -> @eu: ${origin}\n`));
  assert.deepEqual(await readFile(path.join(out.path, 'data.bin')), content);
  const json = await runProgram(t, ['get', '--via', `${relay},@eu`, 'data.bin', '-f', '--json'], options);
  assert.deepEqual(JSON.parse(json.stdout.trim().split('\n').at(-1) ?? '').hops, [relay, `@eu: ${origin}`]);
  const unknown = await runProgram(t, ['get', 'in.txt', '-f'], options);
  assert.equal(unknown.code, 5);
  assert.match(
    unknown.stderr,
    /^hopline: this machine knows no pool @entry\n(?: .*\n)* {2}hint: name its members with --pool /,
  );
});

test('the first hop may be a pool of the configuration file, and --pool takes its place', async (t) => {
  const { out, content, origin, gone } = await start(t);
  const options = { cwd: out.path };
  await writeFile(path.join(out.path, 'pools.yaml'), `pools:\n  eu: { members: ["${origin}"] }\n`);
  const get = ['get', '--via', '@eu', 'data.bin', '-f', '--config'];
  const found = await runProgram(t, [...get, 'pools.yaml'], options);
  assert.equal(found.code, 0, found.stderr);
  assert.deepEqual(await readFile(path.join(out.path, 'data.bin')), content);
  const replaced = await runProgram(t, [...get, 'pools.yaml', '--pool', `eu=${gone}`], options);
  assert.equal(replaced.code, 4, replaced.stderr);
  await writeFile(path.join(out.path, 'wrong.yaml'), 'pools:\n  eu: 7\n');
  for (const args of [get, ['put', 'data.bin', '--via', '@eu', '--config'], ['send', '--via', '@eu', '--config']]) {
    const wrong = await runProgram(t, [...args, 'wrong.yaml'], options);
    assert.equal(wrong.code, 13, wrong.stderr);
    assert.match(wrong.stderr, /wrong\.yaml:2:7: pools\.eu: /);
  }
});

test('a pool on the command line that is none is a usage error', async (t) => {
  for (const [flag, expected] of [
    ['127.0.0.1:1', /Expected NAME=HOST:PORT,HOST:PORT/],
    ['a b=127.0.0.1:1', /Expected NAME=HOST:PORT,HOST:PORT/],
    ['eu=127.0.0.1', /Expected a hop, HOST PORT or HOST:PORT/],
    ['eu=@us', /Expected a hop, HOST PORT or HOST:PORT/],
    ['eu=', /Expected a hop, HOST PORT or HOST:PORT/],
  ] as const) {
    const { code, stderr } = await runProgram(t, ['get', '--via', '@eu', 'a', '--pool', flag]);
    assert.equal(code, 2);
    assert.match(stderr, expected);
  }
  const twice = await runProgram(t, ['node', '--pool', 'eu=127.0.0.1:1', '--pool', 'eu=127.0.0.1:2']);
  assert.deepEqual([twice.code, twice.stderr.includes('The pool eu is there already')], [2, true]);
});

test('a member whose process is killed in mid-file is left for another, also without --retry', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const content = await root.writeRandom('big.bin', 64 * 1_048_576);
  const startNode = async (...args: string[]) => {
    const node = startProgram(t, ['node', '--listen', '127.0.0.1:0', ...args]);
    const address = /listening on (\S+)/.exec(await node.saw(/^listening on \S+\n/m))?.[1] as string;
    return { address, child: node.child };
  };
  const members = [await startNode('--root', root.path), await startNode('--root', root.path)] as const;
  const relay = await startNode('--pool', `eu=${members.map(({ address }) => address).join()}`);
  const args = ['get', '--via', `${relay.address},@eu`, 'big.bin', '--limit-rate', '64M', '--retry', '0', '--json'];
  const get = startProgram(t, args, { cwd: out.path });
  await get.saw(/"event":"progress"/);
  members[0].child.kill('SIGKILL');
  const { code, stdout, stderr } = await get.finished;
  assert.equal(code, 0, stderr);
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const reroutes = lines.filter(({ event }) => event === 'reroute');
  assert.deepEqual(
    reroutes.map(({ from, waitMs }) => [from[1], waitMs]),
    [[`@eu: ${members[0].address}`, 0]],
  );
  assert.equal(lines.at(-1).hops[1], `@eu: ${members[1].address}`);
  assert.equal(content.equals(await readFile(path.join(out.path, 'big.bin'))), true);
});

test('a route file that is no text is told as docs/route-file.md has it', async (t) => {
  const home = await makeTempRoot(t);
  await writeFile(path.join(home.path, 'large'), Buffer.alloc(1024 ** 2 + 1, 0x61));
  await writeFile(path.join(home.path, 'bytes'), Buffer.from([0xff, 0xfe, 0x61, 0x00]));
  const documented = await readFile(new URL('docs/route-file.md', repository), 'utf8');
  for (const file of ['large', 'bytes']) {
    const { code, stderr } = await runProgram(t, ['get', file], { cwd: home.path });
    assert.equal(code, 3);
    const message = stderr.slice('hopline: '.length, stderr.indexOf('\n')).replace(file, 'FILE');
    assert.ok(documented.includes(`| \`${message}\` `), message);
  }
});
