import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { ask } from '../../support/admin.ts';
import { until } from '../../support/chain.ts';
import { readOpenMetrics } from '../../support/open-metrics.ts';
import { runProgram, startProgram } from '../../support/program.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const anywhere = '127.0.0.1:0';

async function start(t: TestContext, args: readonly string[]) {
  const program = startProgram(t, args);
  const text = await program.saw(/admin on \S+\n/);
  const [, port] = /admin on 127\.0\.0\.1:(\d+)\n/.exec(text) ?? [];
  return { program, port: Number(port) };
}

test('a node shows itself where it is told to, and not otherwise', async (t) => {
  const plain = startProgram(t, ['node', '--listen', anywhere]);
  assert.doesNotMatch(await plain.saw(/serves/), /admin/);
  const { program, port } = await start(t, ['node', '--listen', anywhere, '--admin', anywhere]);
  // What is shown may be from shortly before.
  await until(async () => (await ask({ port }, '/readyz')).text === 'serving\n');
  readOpenMetrics((await ask({ port }, '/metrics')).text);
  const page = await ask({ port }, '/');
  assert.match(page.text, /<h2[^>]*>Open circuits<\/h2>/);
  assert.match(page.text, /No circuit is open/);
  const status = JSON.parse((await ask({ port }, '/api/status')).text);
  assert.equal(status.configuration.admin.listen, anywhere);
  program.child.kill('SIGTERM');
  assert.equal((await program.finished).code, 0);
});

test('a gateway shows itself', async (t) => {
  const args = ['gateway', '--listen', anywhere, '--site', 'files.example=root:.', '--admin', anywhere];
  const { program, port } = await start(t, args);
  const [, site] = /listening on 127\.0\.0\.1:(\d+)/.exec(await program.saw(/listening/)) ?? [];
  await ask({ port: Number(site) }, '/', { headers: { Host: 'files.example' } });
  await ask({ port: Number(site) }, '/', { headers: { Host: 'other.example' } });
  // A request is counted once its answer has left.
  const counted = async () => {
    const families = readOpenMetrics((await ask({ port }, '/metrics')).text);
    const samples = families.get('hopline_http_requests')?.samples ?? [];
    return samples.map(({ labels, value }) => `${labels.site} ${labels.class} ${value}`).join();
  };
  await until(async () => (await counted()) === 'files.example 4xx 1, 4xx 1');
});

test('a node that is stopping is neither healthy nor ready', async (t) => {
  const { program, port } = await start(t, ['node', '--listen', anywhere, '--admin', anywhere, '--grace', '60']);
  const [, node] = /listening on 127\.0\.0\.1:(\d+)/.exec(await program.saw(/listening/)) ?? [];
  // One who sends the beginning of a circuit holds the stop up.
  const socket = net.connect(Number(node), '127.0.0.1');
  t.after(() => socket.destroy());
  socket.on('error', () => {});
  const open = JSON.stringify({ payloadsize: '4', payload: 'abcd', type: '0', srcid: 'x', privPoliId: 'y' });
  socket.write(open.slice(0, 20));
  const opened = async () => readOpenMetrics((await ask({ port }, '/metrics')).text).get('hopline_connections_open');
  await until(async () => (await opened())?.samples[0]?.value === 1);
  program.child.kill('SIGTERM');
  await until(async () => {
    const answer = await ask({ port }, '/healthz').catch(() => undefined);
    return answer === undefined || (answer.status === 503 && answer.text === 'stopping\n');
  });
  socket.destroy();
  assert.equal((await program.finished).code, 0);
});

test('a socket is for its owner alone, and one that was left behind is taken over', async (t) => {
  const socketPath = path.join((await makeTempRoot(t)).path, 'admin.sock');
  const first = await start(t, ['node', '--listen', anywhere, '--admin', `unix:${socketPath}`]);
  assert.equal((await stat(socketPath)).mode & 0o777, 0o600);
  await until(async () => (await ask({ socketPath }, '/healthz', { headers: { Host: 'localhost' } })).status === 200);
  const second = await runProgram(t, ['node', '--listen', anywhere, '--admin', `unix:${socketPath}`]);
  assert.equal(second.code, 10, second.stderr);
  first.program.child.kill('SIGKILL');
  await first.program.finished;
  await start(t, ['node', '--listen', anywhere, '--admin', `unix:${socketPath}`]);
  await until(async () => (await ask({ socketPath }, '/healthz', { headers: { Host: 'localhost' } })).status === 200);
});

test('a socket whose owner is too busy to answer stays its own', {
  skip: process.platform !== 'linux' && 'elsewhere a connection that nobody takes waits',
}, async (t) => {
  const socketPath = path.join((await makeTempRoot(t)).path, 'admin.sock');
  const block = 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)';
  const listening = `() => { process.stdout.write('up'); ${block}; }`;
  const code = `require('node:net').createServer().listen({ path: process.argv[1], backlog: 1 }, ${listening})`;
  const owner = spawn(process.execPath, ['-e', code, socketPath], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => owner.kill('SIGKILL'));
  await once(owner.stdout, 'data');
  for (let refused = ''; refused === ''; ) {
    const waiting = net.connect({ path: socketPath });
    t.after(() => waiting.destroy());
    refused = await new Promise((resolve) => {
      waiting.on('connect', () => resolve('')).on('error', ({ code }: NodeJS.ErrnoException) => resolve(code ?? ''));
    });
    assert.match(refused, /^(EAGAIN)?$/);
  }
  const { ino } = await stat(socketPath);
  const { code: exit, stderr } = await runProgram(t, ['node', '--listen', anywhere, '--admin', `unix:${socketPath}`]);
  assert.equal(exit, 10, stderr);
  assert.equal((await stat(socketPath)).ino, ino);
});

test('off loopback a node does not start without a token', async (t) => {
  const { path: folder } = await makeTempRoot(t);
  const args = ['node', '--listen', anywhere, '--admin', '0.0.0.0:0'];
  const refused = await runProgram(t, args);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /other machines reach 0\.0\.0\.0:0.*--admin-token-file/);
  const token = path.join(folder, 'token');
  await writeFile(token, 'x'.repeat(5000));
  assert.match((await runProgram(t, [...args, '--admin-token-file', token])).stderr, /larger than 4096 bytes/);
  await writeFile(token, 'short\n');
  assert.match((await runProgram(t, [...args, '--admin-token-file', token])).stderr, /a token of 5 characters/);
  assert.match((await runProgram(t, [...args, '--admin-token-file', `${token}x`])).stderr, /there is no such file/);
  assert.match(
    (await runProgram(t, ['node', '--listen', anywhere, '--admin-token-file', token])).stderr,
    /goes with --admin/,
  );
});

test('a file names the listener and its token, from its own place', async (t) => {
  const { path: folder } = await makeTempRoot(t);
  const token = 'x'.repeat(40);
  await writeFile(path.join(folder, 'token'), `${token}\n`);
  const file = path.join(folder, 'hopline.yaml');
  await writeFile(file, `listen: ${anywhere}\nadmin: {listen: "${anywhere}", token-file: token}\n`);
  const { port } = await start(t, ['node', '--config', file]);
  assert.equal((await ask({ port }, '/readyz')).status, 401);
  const { status, text } = await ask({ port }, '/api/status', { headers: { Authorization: `Bearer ${token}` } });
  assert.equal(status, 200);
  assert.doesNotMatch(text, new RegExp(token));
});

test('several workers show themselves as one, and what one counted outlives it', async (t) => {
  const root = await makeTempRoot(t);
  await writeFile(path.join(root.path, 'data.bin'), 'x'.repeat(100_000));
  const args = ['node', '--listen', anywhere, '--root', root.path, '--workers', '2', '--admin', anywhere];
  const { program, port } = await start(t, args);
  const [, node = ''] = /listening on (\S+)/.exec(await program.saw(/listening/)) ?? [];
  const read = async () => readOpenMetrics((await ask({ port }, '/metrics')).text);
  const count = async (family: string) =>
    (await read()).get(family)?.samples.reduce((sum, { value }) => sum + value, 0);
  await until(async () => (await count('hopline_processes')) === 2);
  for (let index = 0; index < 4; index += 1) {
    const output = path.join(root.path, `out-${index}`);
    assert.equal((await runProgram(t, ['get', '--via', node, 'data.bin', '-o', output])).code, 0);
  }
  await until(async () => (await count('hopline_files')) === 4);
  const { processes } = JSON.parse((await ask({ port }, '/api/status')).text) as { processes: number[] };
  for (const pid of processes) process.kill(pid, 'SIGKILL');
  await program.saw(/ended \(SIGKILL\)[\s\S]*ended \(SIGKILL\)/);
  await until(async () => (await count('hopline_processes')) === 2);
  assert.equal(await count('hopline_files'), 4);
  program.child.kill('SIGTERM');
  assert.equal((await program.finished).code, 0);
});
