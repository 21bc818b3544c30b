import assert from 'node:assert/strict';
import { readFile, realpath, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { download, parseVia } from '../../../src/index.ts';
import { isRefused, startPeer, until } from '../../support/chain.ts';
import { runProgram, startProgram } from '../../support/program.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

test('a node asks for IP and PORT, serves, and prints where and what on stdout', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  const content = await root.writeRandom('data.bin', 1000);
  const node = startProgram(t, ['node', '--root', root.path], { input: '127.0.0.1\n0\n' });
  const text = await node.saw(/^listening on \S+\n/m);
  const address = /listening on (\S+)/.exec(text)?.[1] as string;
  await download({ route: parseVia(address, 'data.bin'), output: out.path });
  assert.deepEqual(await readFile(path.join(out.path, 'data.bin')), content);
  node.child.kill('SIGTERM');
  const { code, stdout, stderr } = await node.finished;
  assert.equal(code, 0);
  assert.equal(stdout, `listening on ${address}\nserves ${await realpath(root.path)}\n`);
  assert.match(stderr, /^IP: PORT: /);
});

test('a node whose input ends before the answers says what is missing', async (t) => {
  const { code, stderr } = await runProgram(t, ['node'], { input: undefined as never });
  assert.equal(code, 2);
  assert.match(stderr, /hopline: the input ended where an answer to "IP:" was due\n {2}hint: /);
});

test('a port in use is named, with its own exit code', async (t) => {
  const taken = await startPeer(t, () => {});
  const { code, stdout, stderr } = await runProgram(t, ['node', '--listen', taken.address]);
  assert.equal(code, 10);
  assert.equal(stdout, '');
  assert.match(stderr, new RegExp(`^hopline: cannot listen on ${taken.address}: the port is in use\n  hint: .*\n$`));
});

for (const [args, expected] of [
  [['--listen', '127.0.0.1'], /Expected HOST:PORT/],
  [['--listen', '127.0.0.1:70000'], /Expected HOST:PORT/],
  [['--listen', '127.0.0.1:http'], /Expected HOST:PORT/],
  [['--listen', '127.0.0.1:0', '--next', '10.0.0.0/99'], /--next: read "10\.0\.0\.0\/99", expected any, a CIDR/],
  [['--listen', '127.0.0.1:0', '--root', 'no/such/dir'], /--root: read "no\/such\/dir", expected a directory/],
  [['--listen', '127.0.0.1:0', '--max-connections', '0'], /Expected a whole number/],
  [['--listen', '127.0.0.1:0', '--limit-rate', '10 MB'], /Expected bytes a second, such as 500K, 10M or 1\.5G/],
  [['--listen', '127.0.0.1:0', '--limit-rate-total', '1023'], /at least 1K/],
  [['--listen', '127.0.0.1:0', '--log-level', 'loud'], /Allowed choices are debug, info/],
  [['--listen', '127.0.0.1:0', '--balance', 'fair'], /Allowed choices are round-robin, weighted/],
  [['--nonsense'], /unknown option/],
] as const) {
  test(`node ${args.join(' ')} is a usage error with a hint`, async (t) => {
    const { code, stderr } = await runProgram(t, ['node', ...args]);
    assert.equal(code, 2);
    assert.match(stderr, expected);
    assert.match(stderr, /hint: see --help/);
    assert.doesNotMatch(stderr, /\n\s+at /);
  });
}

test('with --json every line of the log is JSON, and a refusal is logged once with the peer', async (t) => {
  const node = startProgram(t, ['node', '--listen', '127.0.0.1:0', '--json']);
  const port = Number(/:(\d+)\n/.exec(await node.saw(/listening on .*\n/))?.[1]);
  const socket = net.connect(port, '127.0.0.1', () => socket.end('\x01garbage'));
  t.after(() => socket.destroy());
  await node.saw(/PEER_PROTOCOL/);
  node.child.kill('SIGINT');
  const { code, stderr } = await node.finished;
  assert.equal(code, 0);
  const lines = stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const refusals = lines.filter((line) => line.code === 'PEER_PROTOCOL');
  assert.equal(refusals.length, 1);
  assert.match(refusals[0].peer, /^127\.0\.0\.1:\d+$/);
});

test('a second signal ends a node at once', {
  skip: process.platform === 'win32' && 'Windows has no signals',
}, async (t) => {
  const node = startProgram(t, ['node', '--listen', '127.0.0.1:0', '--grace', '600', '--idle-timeout', '600']);
  const address = /listening on (\S+)/.exec(await node.saw(/listening on .*\n/))?.[1] as string;
  let hear = () => {};
  const heard = new Promise<void>((resolve) => {
    hear = resolve;
  });
  const origin = await startPeer(t, (socket) => socket.once('data', () => hear()).resume());
  const stalled = download({
    route: parseVia(`${address},${origin.address}`, 'x'),
    limits: { openMs: 60_000, probeMs: 100 },
  }).catch((error: unknown) => error);
  // A circuit that is not open yet ends at the first signal.
  await heard;
  node.child.kill('SIGTERM');
  await until(() => isRefused(Number(address.split(':')[1])));
  node.child.kill('SIGTERM');
  assert.equal((await node.finished).code, 0);
  await stalled;
});

for (const [args, env] of [
  [['--no-kernel'], {}],
  [[], { HOPLINE_KERNEL: 'off' }],
] as const) {
  test(`a node is told to keep bytes out of the kernel path by ${args[0] ?? 'HOPLINE_KERNEL=off'}`, async (t) => {
    const node = startProgram(t, ['node', '--listen', '127.0.0.1:0', '--json', ...args], { env });
    const [line] = /\{.*"node started"\}/.exec(await node.saw(/"node started"\}/)) ?? [];
    assert.equal(JSON.parse(line ?? '{}').kernel, false);
  });
}

test('a token from a file or the environment lets a server register, and is never shown', async (t) => {
  const root = await makeTempRoot(t);
  const token = '0123456789abcdef';
  const file = path.join(root.path, 'token');
  await writeFile(file, `${token}\n`);
  const open = ['node', '--listen', '0.0.0.0:0', '--log-level', 'debug', '--register-token-file', file];
  const front = startProgram(t, open);
  const port = /listening on \S+:(\d+)/.exec(await front.saw(/listening on \S+\n/))?.[1];
  const server = (env: NodeJS.ProcessEnv) =>
    startProgram(t, ['node', '--listen', '127.0.0.1:0', '--policy', 'P', '--register', `127.0.0.1:${port}`], { env });
  assert.doesNotMatch(await server({}).saw(/not registered/), /0123456789/);
  const registered = server({ HOPLINE_REGISTER_TOKEN: token });
  assert.doesNotMatch(await registered.saw(/\bregistered/), /not registered|0123456789/);
  assert.doesNotMatch(await front.saw(/server registered/), /0123456789/);
});

test('a token file that cannot be read is a usage error', async (t) => {
  const args = ['node', '--listen', '127.0.0.1:0', '--register-token-file', 'no/such/file'];
  const { code, stderr } = await runProgram(t, args);
  assert.equal(code, 2);
  assert.match(stderr, /cannot read the --register-token-file no\/such\/file: there is no such file/);
});
