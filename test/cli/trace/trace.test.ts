/** `hopline trace` as a program: lines in a pipe, objects for scripts, a table that is drawn again at a terminal; exit codes. */

import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { type NodeOptions, startNode } from '../../../src/index.ts';
import { loadTcpInfo } from '../../../src/io/kernel/tcp-info.ts';
import { newKey } from '../../../src/wire/keys/key.ts';
import { runProgram } from '../../support/program.ts';
import { makeTempRoot } from '../../support/temp-root.ts';
import { converse, hasScript } from '../../support/terminal.ts';

async function start(t: TestContext, options: Partial<NodeOptions> = {}): Promise<string> {
  const node = await startNode({ listen: { host: '127.0.0.1', port: 0 }, ...options });
  t.after(() => node.close({ graceMs: 0 }));
  return `127.0.0.1:${node.address.port}`;
}

test('in a pipe a trace prints a line a hop, what is wrong, and ends with the code of the first failure', async (t) => {
  const home = await makeTempRoot(t);
  await writeFile(path.join(home.path, 'route.txt'), `any\n${(await start(t)).replace(':', ' ')}\n192.0.2.1 7001\n`);
  const env = { XDG_CONFIG_HOME: home.path };
  const { code, stdout, stderr } = await runProgram(t, ['trace', 'route.txt', '-c', '2', '-i', '0.01'], {
    cwd: home.path,
    env,
  });
  assert.equal(code, 5);
  assert.equal(stderr, '');
  const [head, first, second, wrong, hint] = stdout.split('\n');
  assert.match(head ?? '', /^hop {2}address .* ms .* key/);
  assert.match(first ?? '', /^ 1 {3}127\.0\.0\.1:\d+ +ok +\d/);
  assert.match(second ?? '', /^ 2 {3}192\.0\.2\.1:7001 +denied$/);
  assert.match(wrong ?? '', /^ {2}x hop 1 .* is not allowed to open a leg to hop 2 /);
  assert.match(hint ?? '', /^ {4}hint: .*--next/);
});

test('with --json a trace prints an object a hop, by the keys that this machine knows', async (t) => {
  const home = await makeTempRoot(t);
  const identity = newKey().key;
  const [known, changed] = [await start(t, { identity }), await start(t, { identity: newKey().key })];
  const nodes = [known, changed].map((address) => `${address} ${identity.public.text}\n`).join('');
  await mkdir(path.join(home.path, 'hopline'));
  await writeFile(path.join(home.path, 'hopline/known_nodes'), nodes);
  const args = ['trace', '--json', '-c', '1', '--via', known, '--via', changed];
  const { code, stdout } = await runProgram(t, args, { env: { XDG_CONFIG_HOME: home.path } });
  assert.equal(code, 14);
  const [one, two] = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual([one.route, one.hop, one.key, one.encrypted, one.verdict], [1, 1, 'known', true, 'ok']);
  assert.equal(one.rtt.count, 1);
  assert.equal(one.says, identity.public.text);
  assert.deepEqual([two.route, two.hop, two.key, two.verdict], [2, 1, 'changed', 'key']);
  const [{ kind, code: found, exitCode, hint }] = two.findings;
  assert.deepEqual([kind, found, exitCode, typeof hint], ['failure', 'KEY_CHANGED', 14, 'string']);
});

test('of the leg to the first hop a trace says what this machine knows, encrypted or not', {
  skip: loadTcpInfo() === undefined && 'this system cannot be asked',
}, async (t) => {
  const identity = newKey().key;
  const first = await start(t, { identity });
  const via = ['--via', `${first}#${identity.public.text},${await start(t)}`];
  const { code, stdout, stderr } = await runProgram(t, ['trace', '--json', '-c', '2', ...via]);
  assert.equal(code, 0, stdout + stderr);
  const [one, two] = stdout.split('\n', 2).map((line) => JSON.parse(line));
  assert.equal(one.encrypted, true);
  // Where the machine is busy an acknowledgement may be late, and the system sends a segment or two again.
  assert.ok([0, 1, 2].includes(one.tcp.retransmits), JSON.stringify(one.tcp));
  for (const key of ['rttMs', 'rttVarMs', 'bytesSent', 'bytesReceived']) assert.ok(one.tcp[key] > 0, key);
  // Two probes of 8 KiB have passed.
  assert.ok(one.tcp.bytesSent > 8192 && one.tcp.bytesReceived > 8192, JSON.stringify(one.tcp));
  assert.equal(two.tcp, undefined);
});

test('at a terminal the table is drawn over itself', { skip: !hasScript }, async (t) => {
  const { code, shown } = await converse(t, ['trace', '-c', '3', '--via', await start(t)], []);
  assert.equal(code, 0);
  const screens = shown.replaceAll('\r', '').split('\u001b[J');
  assert.ok(screens.length > 1, 'it was drawn again');
  assert.match(screens.at(-1) ?? '', /^hop [^\n]*\n 1 {3}127\.0\.0\.1:\d+ +ok [^\n]*\n$/);
});

test('so it is on a terminal whose lines are shorter than the table is wide', { skip: !hasScript }, async (t) => {
  const columns = 20;
  const size = { columns, rows: 40 };
  const { shown } = await converse(t, ['trace', '-c', '3', '--via', await start(t)], [], {}, size);
  const screens = shown.replaceAll('\r', '').split(new RegExp(`${String.fromCharCode(27)}\\[(\\d+)A\u001b\\[J`));
  assert.ok(screens.length > 1, 'it was drawn again');
  for (let at = 1; at < screens.length; at += 2) {
    const lines = (screens[at - 1] ?? '').split('\n').slice(0, -1);
    assert.ok(
      lines.some(({ length }) => length > columns),
      'a line goes on in the next row',
    );
    const rows = lines.reduce((sum, { length }) => sum + Math.ceil(length / columns), 0);
    assert.equal(Number(screens[at]), rows, screens[at - 1]);
  }
});

test('a route file and --via at once are a mistake', async (t) => {
  const { code, stderr } = await runProgram(t, ['trace', 'input.txt', '--via', '127.0.0.1:1']);
  assert.equal(code, 2);
  assert.match(stderr, /--via takes the place of the route file input.txt/);
});

test('a get that fails ends with the way, and the leg that is at fault, in words and for scripts', async (t) => {
  const [first, gone] = [await start(t), await startNode({ listen: { host: '127.0.0.1', port: 0 } })];
  const second = `127.0.0.1:${gone.address.port}`;
  await gone.close();
  const args = ['get', '--via', `${first},${second},127.0.0.1:9`, 'any'];
  const { code, stderr } = await runProgram(t, args);
  assert.equal(code, 4);
  const [sentence = '', ...more] = stderr.trimEnd().split('\n');
  assert.match(sentence, /^hopline: hop 1 .* cannot reach hop 2 /);
  assert.deepEqual(more.slice(0, 3), [
    `  ok  hop 1  ${first}`,
    `  x   hop 2  ${second}  <- leg 2: closed`,
    '  -   hop 3  127.0.0.1:9',
  ]);
  assert.match(more[3] ?? '', /^ {2}hint: /);
  const { stdout } = await runProgram(t, [...args, '--json']);
  const failure = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');
  assert.deepEqual(failure.route, [
    { address: first, state: 'passes' },
    { address: second, state: 'fails', leg: true },
    { address: '127.0.0.1:9', state: 'unreached' },
  ]);
});
