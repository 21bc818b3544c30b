import assert from 'node:assert/strict';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { formatRoute } from '../../../src/index.ts';
import { addressOf, startChain, startPeer, until } from '../../support/chain.ts';
import { runProgram, startProgram } from '../../support/program.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

test('get reads a route file, shows what it did, and exits with 0', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const content = await root.writeRandom('sub/data.bin', 3_000_000);
  const chain = await startChain(t, 3, root.path);
  await writeFile(path.join(out.path, 'input.txt'), formatRoute(chain.route('sub/data.bin')));
  const { code, stdout, stderr } = await runProgram(t, ['get', 'input.txt'], { cwd: out.path });
  assert.equal(stderr, '');
  assert.equal(code, 0);
  assert.match(
    stdout,
    /^route +127.*\(3 hops\)\nsaved +data\.bin\nsize +2\.9 MiB \(3000000 bytes\)\ndigest +\w+ [0-9a-f]{64}\n/,
  );
  assert.match(stdout, /\narrived +undamaged, all 3 pieces\n$/);
  assert.deepEqual(await readFile(path.join(out.path, 'data.bin')), content);
});

test('get asks for the route file, from a pipe too', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  await root.writeRandom('data.bin', 10);
  const chain = await startChain(t, 1, root.path);
  await writeFile(path.join(out.path, 'my route.txt'), formatRoute(chain.route('data.bin')));
  const { code, stderr } = await runProgram(t, ['get'], { cwd: out.path, input: 'my route.txt\n' });
  assert.equal(code, 0);
  assert.equal(stderr, 'Enter input filename: ');
  assert.deepEqual(await out.list(), ['data.bin', 'my route.txt']);
});

test('--via names the hops, and -o - streams the content to stdout with the talk on stderr', async (t) => {
  const root = await makeTempRoot(t);
  await writeFile(path.join(root.path, 'text.txt'), 'through two hops\n');
  const chain = await startChain(t, 2, root.path);
  const via = chain.nodes.map(addressOf).join(',');
  const { code, stdout, stderr } = await runProgram(t, ['get', '--via', via, 'text.txt', '-o', '-']);
  assert.equal(code, 0);
  assert.equal(stdout, 'through two hops\n');
  assert.match(stderr, /saved +stdout\n/);
});

test('--json prints one object a line with exact numbers', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  await root.writeRandom('data.bin', 2_000_001);
  const chain = await startChain(t, 2, root.path);
  const via = chain.nodes.map(addressOf).join(',');
  const { code, stdout, stderr } = await runProgram(t, ['get', '--via', via, 'data.bin', '--json', '-o', out.path]);
  assert.equal(code, 0);
  assert.equal(stderr, '');
  const events = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    events.map(({ event }) => event),
    ['route', 'started', 'progress', 'done'],
  );
  assert.deepEqual(events[0].routes, [chain.nodes.map((node) => [addressOf(node)])]);
  assert.equal(events[1].size, 2_000_001);
  assert.equal(events[3].size, 2_000_001);
  assert.equal(events[3].verified, true);
  assert.match(events[3].digest.hex, /^[0-9a-f]{64}$/);
});

test('each way to fail has its exit code, one line and a hint, and leaves nothing on disk', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  await root.writeRandom('data.bin', 10);
  await writeFile(path.join(root.path, 'huge.bin'), '');
  await truncate(path.join(root.path, 'huge.bin'), 8 * 1024 ** 4);
  const chain = await startChain(t, 1, root.path);
  const mute = await startPeer(t, (socket) => socket.resume());
  const via = addressOf(chain.nodes[0] as never);
  await writeFile(path.join(root.path, 'bad.txt'), 'data.bin\n127.0.0.1 7001\n127.0.0.1 http\n');
  const bad = path.join(root.path, 'bad.txt');
  const rows: readonly (readonly [args: readonly string[], code: number, words: RegExp])[] = [
    [['--via', via], 2, /--via needs the name/],
    [['--via', via, 'data.bin', '--connect-timeout', 'soon'], 2, /Expected seconds/],
    [['--via', via, 'data.bin', '--limit-rate', 'fast'], 2, /Expected bytes a second/],
    [['--via', via, 'data.bin', '--limit-rate', '1M', '--min-rate', '2M'], 2, /no circuit can bring 2097152/],
    [[bad], 3, /bad\.txt:3: read "127\.0\.0\.1 http", expected a port from 1 to 65535/],
    [
      ['10.0.0.1:7001', 'data.bin'],
      3,
      /there is no route file 10\.0\.0\.1:7001; did you mean --via 10\.0\.0\.1:7001 data\.bin\?/,
    ],
    [['.'], 3, /cannot read the route file \.: it is a directory/],
    [
      ['127.0.0.1:1,127.0.0.1:2', 'a'],
      3,
      /did you mean --via 127\.0\.0\.1:1,127\.0\.0\.1:2 a\?\n {2}hint: check its name and place/,
    ],
    [['http://127.0.0.1/a'], 3, /did you mean hopline fetch http:\/\/127\.0\.0\.1\/a\?/],
    [['no such.txt'], 3, /cannot read the route file no such\.txt: there is no such file/],
    [['--via', '127.0.0.1:1', 'data.bin'], 4, /this machine cannot reach hop 1/],
    [['--via', via, 'data.bin/..'], 3, /climbs out of the root/],
    [['--via', via, 'no such.bin'], 6, /hop 1 .*, the origin, has no file "no such\.bin"/],
    [['--via', via, 'huge.bin'], 8, /needs 8796093022208 bytes free/],
    [['--via', via, 'data.bin', '-o', bad], 8, /bad\.txt exists already, and is another file: it has \d+ bytes/],
    [
      ['--via', via, 'data.bin', '-o', 'no/such/dir/x'],
      8,
      /cannot write .*: the directory .*no\/such\/dir does not exist; make it, or name another place/,
    ],
    [['--via', mute.address, 'data.bin', '--idle-timeout', '0.3'], 9, /stalled at leg 1, .* for 0\.3 s; asked again, /],
  ];
  for (const [args, code, words] of rows) {
    const result = await runProgram(t, ['get', ...args], { cwd: out.path });
    assert.equal(result.code, code, `${args.join(' ')}: ${result.stderr}`);
    assert.match(result.stderr, words);
    assert.match(result.stderr, /^hopline: .*\n {2}hint: .*\n$/);
    assert.equal(result.stdout, '');
    assert.deepEqual(await out.list(), []);
  }
  const json = await runProgram(t, ['get', '--via', via, 'no such.bin', '--json'], { cwd: out.path });
  assert.equal(json.code, 6);
  assert.equal(json.stderr, '');
  const last = JSON.parse(json.stdout.trim().split('\n').at(-1) as string);
  assert.equal(last.event, 'error');
  assert.equal(last.code, 'FILE_NOT_FOUND');
  assert.equal(last.exitCode, 6);
});

/** A get of a file of 4 GiB that has begun, from the directory in which it was started. */
async function startLongGet(t: TestContext, ...flags: readonly string[]) {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  await writeFile(path.join(root.path, 'data.bin'), '');
  await truncate(path.join(root.path, 'data.bin'), 4 * 1024 ** 3);
  const { nodes } = await startChain(t, 1, root.path);
  const via = addressOf(nodes[0] as never);
  return { out, get: startProgram(t, ['get', '--via', via, 'data.bin', '--json', ...flags], { cwd: out.path }) };
}

test('Ctrl-C before the first piece is whole exits with 130 and leaves nothing on disk', async (t) => {
  // At this rate the first piece takes a quarter of an hour.
  const { out, get } = await startLongGet(t, '--limit-rate', '1K');
  await until(async () => (await out.list()).length > 0);
  get.child.kill('SIGINT');
  const { code, stdout } = await get.finished;
  assert.equal(code, 130);
  assert.match(stdout, /"code":"INTERRUPTED"/);
  assert.deepEqual(await out.list(), []);
});

test('Ctrl-C after a piece was verified exits with 130 and keeps what a later run goes on from', async (t) => {
  const { out, get } = await startLongGet(t, '--limit-rate', '64M');
  // Two pieces are in memory at most: behind ten, several have been written.
  await get.saw(/"event":"progress","bytes":\d{8}/);
  get.child.kill('SIGINT');
  const { code, stdout } = await get.finished;
  assert.equal(code, 130);
  assert.match(stdout, /"code":"INTERRUPTED"/);
  assert.deepEqual(await out.list(), ['.data.bin.part', '.data.bin.part.journal']);
});

test('every command has help with an example, and the whole program the exit codes', async (t) => {
  for (const args of [['--help'], ['get', '--help'], ['put', '--help'], ['node', '--help'], ['demo', '--help']]) {
    const { code, stdout, stderr } = await runProgram(t, args);
    assert.equal(code, 0);
    assert.equal(stderr, '');
    assert.match(stdout, /\$ hopline /);
    assert.equal(/Exit codes:\n +0 {2}fine\n/.test(stdout), args.length === 1);
    assert.match(stdout, /\nExit codes:/);
  }
  const unknown = await runProgram(t, ['help', 'nosuch']);
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /^hopline: unknown command 'nosuch'\n/);
});
