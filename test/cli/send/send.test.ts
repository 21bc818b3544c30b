import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { createMessage, openSender, parseAddress, type RunningNode, startNode } from '../../../src/index.ts';
import { addressOf, startPeer, until } from '../../support/chain.ts';
import { runProgram, startProgram } from '../../support/program.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const packet = { type: 0, srcid: 5, privPoliId: 'PP_1', payloadsize: 3, payload: 'xyz' };
const hash = '66b27417d37e024c46526c2f6d358a754fc552f3';

async function startServer(t: TestContext): Promise<RunningNode> {
  const node = await startNode({ listen: { host: '127.0.0.1', port: 0 }, server: { policy: 'PP_1', id: '100' } });
  t.after(() => node.close({ graceMs: 0 }));
  return node;
}

async function writePacket(t: TestContext, fields: object = packet): Promise<string> {
  const root = await makeTempRoot(t);
  const file = path.join(root.path, 'packet.json');
  await writeFile(file, `\uFEFF${JSON.stringify(fields, undefined, 2)}\n`);
  return file;
}

test('send sends a packet file and says that it was received', async (t) => {
  const to = addressOf(await startServer(t));
  const { code, stdout, stderr } = await runProgram(t, ['send', await writePacket(t), '--to', to]);
  assert.equal(stderr, '');
  assert.equal(code, 0);
  assert.equal(
    stdout,
    `Transmission successfully received by server\nHash of payload is correct\nserver    100\npolicy    PP_1\nsha1      ${hash}\n`,
  );
});

test('send asks for policy and payload, and sends as --id', async (t) => {
  const seen: string[] = [];
  const server = await startPeer(t, (socket) =>
    socket.on('data', (bytes) => {
      seen.push(bytes.toString());
      socket.write(JSON.stringify({ type: 2, srcid: 1, destid: 77, payload: hash }));
    }),
  );
  const input = 'PP_1\nxyz\n';
  const { code, stderr } = await runProgram(t, ['send', '--to', server.address, '--id', '77'], { input });
  assert.equal(stderr, 'Policy: Payload: ');
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(seen.join()), { ...packet, type: '0', srcid: '77', payloadsize: '3' });
});

test('--via goes over hops, and --json prints an object', async (t) => {
  const nodes = [await startServer(t), await startServer(t)];
  const via = nodes.map(addressOf).join();
  const { code, stdout } = await runProgram(t, ['send', await writePacket(t), '--via', via, '--json']);
  assert.equal(code, 0);
  const { elapsedMs, ...told } = JSON.parse(stdout);
  assert.deepEqual(told, { event: 'delivered', server: '100', policy: 'PP_1', hash });
  assert.ok(elapsedMs > 0, String(elapsedMs));
});

test('--count sends many, over several connections, and sums up', async (t) => {
  const to = addressOf(await startServer(t));
  const args = ['send', await writePacket(t), '--to', to, '--count', '200', '--concurrency', '4'];
  const people = await runProgram(t, args);
  assert.equal(people.code, 0);
  assert.match(people.stdout, /^delivered 200, each with the right SHA-1\nfailed {4}0\nservers {3}"100": 200\nrate/);
  const scripts = await runProgram(t, [...args, '--json']);
  const { event, delivered, failed, servers } = JSON.parse(scripts.stdout);
  assert.deepEqual(
    { event, delivered, failed, servers },
    { event: 'done', delivered: 200, failed: 0, servers: { 100: 200 } },
  );
});

test('each way to fail has its exit code, one line and a hint', async (t) => {
  const to = addressOf(await startServer(t));
  const liar = await startPeer(t, (socket) =>
    socket.on('data', () => socket.write(JSON.stringify({ type: 2, payload: 'ab'.repeat(20) }))),
  );
  const file = await writePacket(t);
  const rows: readonly (readonly [args: readonly string[], code: number, words: RegExp])[] = [
    [[file], 2, /send needs --to or --via, and not both/],
    [[file, '--to', to, '--via', to], 2, /send needs --to or --via/],
    [[file, '--to', 'nowhere'], 2, /Expected a hop/],
    [['no such.json', '--to', to], 2, /cannot read the packet file no such\.json: there is no such file/],
    [
      [await writePacket(t, { type: -2 }), '--to', to],
      2,
      /the packet file \S+packet\.json: expected one JSON object with "type": 0/,
    ],
    [[file, '--via', `${to},x`], 3, /--via, hop 2: read "x", expected a hop/],
    [[file, '--to', '127.0.0.1:1'], 4, /this machine cannot reach hop 1/],
    [
      [await writePacket(t, { ...packet, privPoliId: 'PP_2' }), '--to', to],
      5,
      /hop 1 .* knows no server of the policy "PP_2"/,
    ],
    [[await writePacket(t, { ...packet, payload: 'x'.repeat(1025) }), '--to', to], 5, /takes no payload as long/],
    [[file, '--to', liar.address], 7, /answered the SHA-1 (ab){20}, and that of the payload is 66b2/],
    [[file, '--to', liar.address, '--count', '3'], 7, /answered the SHA-1/],
  ];
  for (const [args, code, words] of rows) {
    const result = await runProgram(t, ['send', ...args]);
    assert.equal(result.code, code, `${args.join(' ')}: ${result.stderr}`);
    assert.match(result.stderr, words);
    assert.match(result.stderr, /^(hopline|error): .*\n {2}hint: .*\n$/);
  }
  const json = await runProgram(t, ['send', file, '--to', '127.0.0.1:1', '--json']);
  assert.equal(json.stderr, '');
  assert.equal(JSON.parse(json.stdout).exitCode, 4);
});

test('Ctrl-C while an answer is due exits with 130', async (t) => {
  const mute = await startPeer(t, (socket) => socket.resume());
  const send = startProgram(t, ['send', await writePacket(t), '--to', mute.address]);
  await mute.connected;
  send.child.kill('SIGINT');
  assert.equal((await send.finished).code, 130);
});

test('a node with --policy registers with the front, and again when that was restarted', async (t) => {
  const front = startProgram(t, ['node', '--listen', '127.0.0.1:0']);
  const address = /listening on (\S+)/.exec(await front.saw(/listening on \S+\n/))?.[1] as string;
  const server = startProgram(t, [
    'node',
    '--listen',
    '127.0.0.1:0',
    '--policy',
    '7',
    '--id',
    '1',
    '--register',
    address,
  ]);
  await server.saw(/registered/);
  const parsed = parseAddress(address);
  assert.ok(parsed.kind === 'ok');
  const answers = async () => {
    const sender = await openSender({ to: parsed.hop });
    try {
      return (await sender.send(createMessage('5', '7', 'xyz'))).server === '1';
    } finally {
      await sender.close();
    }
  };
  assert.equal(await answers(), true);
  front.child.kill('SIGTERM');
  assert.equal((await front.finished).code, 0);
  const again = startProgram(t, ['node', '--listen', address]);
  await again.saw(/listening on/);
  await until(() => answers().catch(() => false));
  server.child.kill('SIGTERM');
  assert.equal((await server.finished).code, 0);
});

test('a front of several workers takes no registrations', async (t) => {
  const front = startProgram(t, ['node', '--listen', '127.0.0.1:0', '--workers', '2']);
  const address = /listening on (\S+)/.exec(await front.saw(/listening on \S+\n/))?.[1] as string;
  const server = startProgram(t, ['node', '--listen', '127.0.0.1:0', '--policy', '7', '--register', address]);
  await server.saw(/takes no registration from here/);
});

for (const [args, words] of [
  [['--register', '127.0.0.1:10000'], /say which --policy/],
  [['--id', '5'], /say which --policy/],
  [['--register-from', '10.0.0.0/99'], /--register-from: read "10\.0\.0\.0\/99", expected a CIDR/],
  [['--policy', '7', '--register', 'x'], /Expected HOST:PORT, or HOST:PORT#hop1/],
  [['--max-payload', '0'], /Expected a whole number/],
] as const) {
  test(`node ${args.join(' ')} is a usage error`, async (t) => {
    const { code, stderr } = await runProgram(t, ['node', '--listen', '127.0.0.1:0', ...args]);
    assert.equal(code, 2);
    assert.match(stderr, words);
  });
}
