import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { formatRoute, type RunningNode } from '../../../src/index.ts';
import { addressOf, startChain, until } from '../../support/chain.ts';
import { mainFile, runProgram, startProgram } from '../../support/program.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const mib = 1_048_576;
// So that an upload of many pieces is under way for long, however fast the machine is.
const slowly = ['--limit-rate', '4M'];

test('put reads a route file, shows what it did, and exits with 0', async (t) => {
  const root = await makeTempRoot(t);
  const home = await makeTempRoot(t);
  const content = await home.writeRandom('data.bin', 3_000_000);
  const chain = await startChain(t, 3, root.path, { uploads: {} });
  await writeFile(path.join(home.path, 'route.txt'), formatRoute(chain.route('in/june.bin')));
  const { code, stdout, stderr } = await runProgram(t, ['put', 'data.bin', 'route.txt'], { cwd: home.path });
  assert.equal(stderr, '');
  assert.equal(code, 0);
  assert.match(
    stdout,
    /^route +127.*\(3 hops\)\nsent +data\.bin as in\/june\.bin\nsize +2\.9 MiB \(3000000 bytes\)\npieces +\w+ [0-9a-f]{64}\n/,
  );
  assert.match(stdout, /\narrived +undamaged, all 3 pieces\n$/);
  assert.deepEqual(await readFile(path.join(root.path, 'in/june.bin')), content);
});

test('--via names the hops, the name at the origin is that of the file or of --as', async (t) => {
  const root = await makeTempRoot(t);
  const home = await makeTempRoot(t);
  await home.writeRandom('sub/data.bin', 10);
  const chain = await startChain(t, 2, root.path, { uploads: { force: true } });
  const via = chain.nodes.map(addressOf).join(',');
  const put = (...args: string[]) => runProgram(t, ['put', 'sub/data.bin', ...args], { cwd: home.path });
  assert.equal((await put('--via', via)).code, 0);
  assert.equal((await put('--via', via, '--as', 'other.bin')).code, 0);
  await writeFile(path.join(home.path, 'route.txt'), formatRoute(chain.route('first.bin')));
  assert.equal((await put('route.txt', '--as', 'second.bin', '-q')).stdout, '');
  assert.match((await put('--via', via, '--as', 'in/2026/')).stdout, /\nsent +sub\/data\.bin as in\/2026\/data\.bin\n/);
  assert.match((await put('route.txt', '--as', 'in/')).stdout, /\nsent +sub\/data\.bin as in\/data\.bin\n/);
  assert.equal((await put('--via', via, '--as', 'second.bin/')).code, 8);
  assert.deepEqual(await root.list(), ['data.bin', 'in', 'other.bin', 'second.bin']);
  assert.match(
    (await put('--via', via, '--force')).stdout,
    /sent +sub\/data\.bin as data\.bin \(replaced the earlier one\)/,
  );
});

test('--json prints one object a line with exact numbers', async (t) => {
  const root = await makeTempRoot(t);
  const home = await makeTempRoot(t);
  await home.writeRandom('data.bin', 2_000_001);
  const chain = await startChain(t, 2, root.path, { uploads: {} });
  const hops = chain.nodes.map(addressOf);
  const { code, stdout, stderr } = await runProgram(t, ['put', 'data.bin', '--via', hops.join(), '--json'], {
    cwd: home.path,
  });
  assert.deepEqual([code, stderr], [0, '']);
  const events = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    events.map(({ event }) => event),
    ['route', 'started', 'progress', 'done'],
  );
  const { size, pieces, replaced, verified, piecesDigest, hops: over } = events[3];
  assert.deepEqual([size, pieces, replaced, verified, over], [2_000_001, 2, false, true, hops]);
  assert.match(piecesDigest.hex, /^[0-9a-f]{64}$/);
});

/** A put of 4 GiB that has begun. */
async function startLongPut(t: TestContext, ...flags: readonly string[]) {
  const root = await makeTempRoot(t);
  const home = await makeTempRoot(t);
  await writeFile(path.join(home.path, 'data.bin'), '');
  await truncate(path.join(home.path, 'data.bin'), 4 * 1024 ** 3);
  const { nodes } = await startChain(t, 1, root.path, { uploads: {} });
  const via = addressOf(nodes[0] as RunningNode);
  const args = ['put', 'data.bin', '--via', via, '--limit-rate', '32M', ...flags];
  return { root, put: startProgram(t, args, { cwd: home.path }) };
}

test('Ctrl-C says how much stays at the origin and how to go on, to people and to scripts', async (t) => {
  const { root, put } = await startLongPut(t);
  // So many pieces are there that the first of them have been acknowledged: fewer are sent ahead.
  const journal = path.join(root.path, '.data.bin.part.journal');
  await until(async () => String(await readFile(journal).catch(() => '')).split('\n').length > 20);
  put.child.kill('SIGINT');
  const { code, stdout, stderr } = await put.finished;
  assert.deepEqual([code, stdout], [130, '']);
  assert.match(
    stderr,
    /^kept \d+(\.\d)? MiB of 4\.0 GiB at the origin; the same command goes on from there\nhopline: /,
  );
  const json = await startLongPut(t, '--json');
  await json.put.saw(/"event":"progress","bytes":\d{8}/);
  json.put.child.kill('SIGINT');
  assert.match((await json.put.finished).stdout, /\{"event":"kept","bytes":\d+,"size":4294967296\}\n.*"INTERRUPTED"/);
});

test('put of a file that is there already says so and exits with 0, again with --json', async (t) => {
  const root = await makeTempRoot(t);
  const home = await makeTempRoot(t);
  await home.writeRandom('data.bin', 10);
  const { nodes } = await startChain(t, 1, root.path, { uploads: {} });
  const put = ['put', 'data.bin', '--via', addressOf(nodes[0] as RunningNode)];
  assert.match((await runProgram(t, put, { cwd: home.path })).stdout, /\nsent +data\.bin as data\.bin\n/);
  const again = await runProgram(t, put, { cwd: home.path });
  assert.equal(again.code, 0, again.stderr);
  assert.match(
    again.stdout,
    /\nthere +data\.bin \(already there, the same as data\.bin; nothing was sent\)\nsize +10 B \(10 bytes\)\ndigest .*\ncompared /,
  );
  const json = await runProgram(t, [...put, '--json'], { cwd: home.path });
  assert.deepEqual([json.code, json.stderr], [0, '']);
  assert.equal(JSON.parse(json.stdout.trim().split('\n').at(-1) as string).alreadyThere, true);
});

test('each way to fail has its exit code, one line and a hint', async (t) => {
  const root = await makeTempRoot(t);
  const home = await makeTempRoot(t);
  await home.writeRandom('data.bin', 10);
  await writeFile(path.join(root.path, 'old.bin'), 'old');
  const writable = await startChain(t, 1, root.path, { uploads: {} });
  const closed = await startChain(t, 1, root.path);
  const via = addressOf(writable.nodes[0] as RunningNode);
  const rows: readonly (readonly [args: readonly string[], code: number, words: RegExp])[] = [
    [['data.bin'], 2, /put needs a route file, NAME:FILE or --via/],
    [[], 2, /missing required argument 'FILE'/],
    [['-', '--via', via], 2, /what comes from stdin needs a name: --as NAME, or NAME:FILE/],
    [['data.bin', '-', '--via', via], 2, /stdin goes alone/],
    [['data.bin', 'sub/data.bin', '--via', via], 2, /data\.bin and sub\/data\.bin would both get the name "data\.bin"/],
    [['none.bin', '--via', via], 2, /cannot read none\.bin: there is no such file/],
    [['data.bin', '--via', via, '--as', '../x'], 3, /climbs out of the root/],
    [['data.bin', 'none.txt'], 3, /cannot read the route file none\.txt/],
    [['data.bin', '--via', '127.0.0.1:1'], 4, /this machine cannot reach hop 1/],
    [['data.bin', '--via', addressOf(closed.nodes[0] as RunningNode)], 5, /takes no uploads\n {2}hint: .*--writable/],
    [['data.bin', '--via', via, '--as', 'old.bin', '--force'], 8, /the origin, has a file "old\.bin" already/],
  ];
  for (const [args, code, words] of rows) {
    const result = await runProgram(t, ['put', ...args], { cwd: home.path });
    assert.equal(result.code, code, `${args.join(' ')}: ${result.stderr}`);
    assert.match(result.stderr, words);
    assert.match(result.stderr, /^(hopline|error): .*\n {2}hint: .*\n$/);
    assert.equal(result.stdout, '');
  }
  assert.deepEqual(await root.list(), ['old.bin']);
});

for (const [args, words] of [
  [['--force'], /--force goes with --writable/],
  [['--max-upload', '1G'], /--max-upload goes with --writable/],
  [['--writable', '--max-upload', 'much'], /Expected bytes above 0, such as 500000000, 500M or 10G/],
  [['--writable', '--max-upload', '0'], /Expected bytes above 0/],
  [['--writable', '--max-upload', '99999T'], /Expected bytes above 0/],
] as const) {
  test(`node ${args.join(' ')} is a usage error`, async (t) => {
    const { code, stderr } = await runProgram(t, ['node', '--listen', '127.0.0.1:0', ...args]);
    assert.equal(code, 2);
    assert.match(stderr, words);
  });
}

/** A node of its own process that takes uploads, and where it listens. */
async function startWritable(t: TestContext, root: string, ...args: string[]) {
  const node = startProgram(t, ['node', '--listen', '127.0.0.1:0', '--root', root, '--writable', '--json', ...args]);
  const address = /listening on (\S+)/.exec(await node.saw(/listening on .*\n/))?.[1] as string;
  return { ...node, address };
}

test('a node with --max-upload and --force takes as much, and replaces', async (t) => {
  const root = await makeTempRoot(t);
  const home = await makeTempRoot(t);
  await home.writeRandom('small.bin', 2048);
  await home.writeRandom('large.bin', 2049);
  const node = await startWritable(t, root.path, '--max-upload', '2K', '--force');
  const put = (file: string) =>
    runProgram(t, ['put', file, '--via', node.address, '--as', 'a.bin', '--force'], { cwd: home.path });
  assert.equal((await put('small.bin')).code, 0);
  assert.match((await put('small.bin')).stdout, /replaced the earlier one/);
  const { code, stderr } = await put('large.bin');
  assert.equal(code, 5);
  assert.match(stderr, /does not take "a\.bin": larger than it allows/);
  node.child.kill('SIGTERM');
  const log = (await node.finished).stderr;
  assert.match(log, /"msg":"file uploaded"/);
  assert.match(log, /"uploaded":2,"bytesUploaded":4096/);
});

test('after a kill -9 of the client nothing that had arrived is sent again', async (t) => {
  const root = await makeTempRoot(t);
  const home = await makeTempRoot(t);
  const source = path.join(home.path, 'data.bin');
  await writeFile(source, '');
  await truncate(source, 40 * mib);
  const { nodes } = await startChain(t, 2, root.path, { uploads: {} });
  const origin = nodes[1] as RunningNode;
  const args = ['put', source, '--via', nodes.map(addressOf).join(), '--json'];
  const first = startProgram(t, [...args, ...slowly]);
  await first.saw(/"event":"progress"/);
  first.child.kill('SIGKILL');
  await first.finished;
  await until(() => origin.stats().open === 0);
  const arrived = origin.stats().bytesUploaded;
  assert.ok(arrived > 0 && arrived < 40 * mib, `${arrived} bytes had arrived`);
  const second = await runProgram(t, args);
  assert.equal(second.code, 0);
  assert.equal(JSON.parse(second.stdout.trim().split('\n').at(-1) as string).resumedBytes, arrived);
  assert.equal(origin.stats().bytesUploaded, 40 * mib);
  assert.deepEqual(await root.list(), ['data.bin']);
});

test('after a kill -9 of the origin what it had acknowledged counts', async (t) => {
  const root = await makeTempRoot(t);
  const home = await makeTempRoot(t);
  const source = path.join(home.path, 'data.bin');
  await home.writeRandom('data.bin', 40 * mib);
  const node = await startWritable(t, root.path);
  const first = startProgram(t, ['put', source, '--via', node.address, '--json', '--retry', '0', ...slowly]);
  await first.saw(/"event":"progress"/);
  node.child.kill('SIGKILL');
  const { code, stdout } = await first.finished;
  assert.equal(code, 4);
  const acknowledged = Math.max(...[...stdout.matchAll(/"bytes":(\d+)/g)].map(([, bytes]) => Number(bytes)));
  assert.ok(acknowledged > 0 && acknowledged < 40 * mib);
  assert.deepEqual(await root.list(), ['.data.bin.part', '.data.bin.part.journal']);
  const again = await startWritable(t, root.path);
  const second = await runProgram(t, ['put', source, '--via', again.address, '--json']);
  assert.equal(second.code, 0, second.stdout);
  const { resumedBytes } = JSON.parse(second.stdout.trim().split('\n').at(-1) as string);
  assert.ok(resumedBytes >= acknowledged - mib, `${resumedBytes} of ${acknowledged}`);
  assert.deepEqual(await root.list(), ['data.bin']);
  assert.deepEqual(await readFile(path.join(root.path, 'data.bin')), await readFile(source));
});

test('a disk that is full at the origin ends the upload there, and is told', {
  skip: process.platform === 'win32' && 'there is no ulimit',
}, async (t) => {
  const root = await makeTempRoot(t);
  const home = await makeTempRoot(t);
  await home.writeRandom('large.bin', 3 * mib);
  await home.writeRandom('small.bin', 1000);
  // No file of the node may be larger than 1 MiB: 2048 blocks of 512 bytes, or 1024 of as many.
  const command = 'ulimit -f 1024; exec "$0" "$@"';
  const args = [mainFile, 'node', '--listen', '127.0.0.1:0', '--root', root.path, '--writable'];
  const node = spawn('sh', ['-c', command, process.execPath, ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = once(node, 'exit');
  t.after(() => node.kill('SIGKILL') && ended);
  const [line] = (await once(node.stdout, 'data')) as [Buffer];
  const address = /^listening on (\S+)\n/.exec(line.toString())?.[1] as string;
  const put = (file: string) => runProgram(t, ['put', file, '--via', address], { cwd: home.path });
  const { code, stderr } = await put('large.bin');
  assert.equal(code, 8);
  assert.match(stderr, /hop 1 \(.*\), the origin, /);
  assert.deepEqual(await root.list(), []);
  assert.equal((await put('small.bin')).code, 0, 'the node serves on');
});

test('workers take uploads too, one writer a file among all of them', async (t) => {
  const root = await makeTempRoot(t);
  const home = await makeTempRoot(t);
  await mkdir(path.join(home.path, 'sub'));
  const content = await home.writeRandom('data.bin', 20 * mib);
  const node = await startWritable(t, root.path, '--workers', '2');
  const put = (name: string) =>
    runProgram(t, ['put', 'data.bin', '--via', node.address, '--as', name], { cwd: home.path });
  const results = await Promise.all(['a', 'a', 'b', 'b', 'a'].map(put));
  assert.ok(results.every(({ code }) => code === 0 || code === 8));
  for (const name of ['a', 'b']) assert.deepEqual(await readFile(path.join(root.path, name)), content);
  assert.deepEqual(await root.list(), ['a', 'b']);
});
