import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import {
  download,
  downloadFiles,
  downloadTree,
  HoplineError,
  openBackend,
  parseSite,
  parseVia,
  type RunningNode,
  startNode,
} from '../../src/index.ts';
import { chooseRoot } from '../../src/node/root.ts';
import { receiveAll, startChain } from '../support/chain.ts';
import { ask, startTestGateway } from '../support/http.ts';
import { runProgram, startProgram } from '../support/program.ts';
import { makeTempRoot } from '../support/temp-root.ts';

const everywhere = { host: '0.0.0.0', port: 0 };
const denied = { code: 'FILE_DENIED', hop: 1, reason: 'NO_ROOT', message: /without --root$/ };

test('the working directory is served where only this machine reaches the node', () => {
  for (const host of ['127.0.0.1', '127.8.0.1', '::1', 'localhost', 'LOCALHOST', '::ffff:127.0.0.1']) {
    assert.equal(chooseRoot({ listen: { host } }), process.cwd(), host);
  }
  for (const host of ['0.0.0.0', '::', '10.0.0.1', '::ffff:10.0.0.1', 'files.example.org', 'localhost.example.org']) {
    assert.equal(chooseRoot({ listen: { host } }), undefined, host);
    assert.equal(chooseRoot({ listen: { host }, root: 'files' }), 'files', host);
  }
});

test('a node that listens off loopback serves no file without a root, whatever it is asked in', async (t) => {
  const out = await makeTempRoot(t);
  // The working directory of the tests has such a file and such a directory.
  const { nodes } = await startChain(t, 1, '.', { listen: everywhere, root: undefined } as never);
  const [node] = nodes as [RunningNode];
  assert.equal(node.root, undefined);
  const via = `127.0.0.1:${node.address.port}`;
  const output = `${out.path}/`;
  await assert.rejects(download({ route: parseVia(via, 'package.json'), output }), denied);
  await assert.rejects(download({ route: parseVia(via, 'src'), output }), denied);
  await assert.rejects(downloadTree({ ...parseVia(via, 'src'), directory: 'src', output }), denied);
  await assert.rejects(download({ route: parseVia(via, 'package.json'), output, classic: true }), HoplineError);
  const outcomes = await downloadFiles({ ...parseVia(via, 'x'), files: ['package.json', 'README.md'], output });
  assert.deepEqual(
    outcomes.map(({ error }) => error?.code),
    ['FILE_DENIED', 'FILE_DENIED'],
  );
  const raw = net.connect({ host: '127.0.0.1', port: node.address.port });
  t.after(() => raw.destroy());
  await once(raw, 'connect');
  const answer = receiveAll(raw);
  raw.write(`package.json\n127.0.0.1 ${node.address.port}`);
  assert.equal((await answer).toString(), 'NA');
  assert.deepEqual(await out.list(), []);
});

test('it is a relay all the same, also to an origin that has a root', async (t) => {
  const root = await makeTempRoot(t);
  const out = await makeTempRoot(t);
  await root.writeRandom('data.bin', 1000);
  const { nodes } = await startChain(t, 1, root.path, { listen: everywhere });
  const [origin] = nodes as [RunningNode];
  assert.notEqual(origin.root, undefined);
  const relay = await startNode({ listen: everywhere, next: ['127.0.0.1'] });
  t.after(() => relay.close({ graceMs: 0 }));
  const route = parseVia(`127.0.0.1:${relay.address.port},127.0.0.1:${origin.address.port}`, 'data.bin');
  const { verified } = await download({ route, output: out.path });
  assert.equal(verified, true);
});

test('a gateway with a route to such a node has no files either', async (t) => {
  const { nodes } = await startChain(t, 1, '.', { listen: everywhere, root: undefined } as never);
  const site = await openBackend(parseSite(`*=route:127.0.0.1:${nodes[0]?.address.port}`).backend);
  t.after(() => site.close());
  const gateway = await startTestGateway(t, { sites: [{ host: '*', backend: site.backend }] });
  const { status, body } = await ask(gateway.port, { path: '/package.json' });
  assert.ok(status >= 400 && status < 500, String(status));
  assert.doesNotMatch(String(body), /"name": "hopline"/);
});

test('uploads without a root are a mistake at the start, and at a reload', async (t) => {
  const mistake = { code: 'USAGE_INVALID', message: /--root/ };
  await assert.rejects(startNode({ listen: everywhere, uploads: {} }), mistake);
  const node = await startNode({ listen: everywhere });
  t.after(() => node.close({ graceMs: 0 }));
  await assert.rejects(node.reload({ listen: everywhere, uploads: {} }), mistake);
  const { code, stderr } = await runProgram(t, ['node', '--listen', '0.0.0.0:0', '--writable']);
  assert.equal(code, 2);
  assert.match(stderr, /^hopline: uploads .* --root/);
});

test('the node says at its start that it serves no files, and the client names the flag', async (t) => {
  const node = startProgram(t, ['node', '--listen', '0.0.0.0:0', '--log-level', 'error']);
  const text = await node.saw(/key .*\n/);
  assert.match(text, /^listening on 0\.0\.0\.0:\d+\nserves no files\nkey hop1\w{58}\n$/);
  const port = /:(\d+)\n/.exec(text)?.[1];
  const { code, stderr } = await runProgram(t, ['get', '--via', `127.0.0.1:${port}`, 'package.json', '-o', '-']);
  assert.equal(code, 5);
  assert.match(stderr, /it serves no files.*\n {2}hint: .*--root DIR/);
  node.child.kill('SIGTERM');
  assert.equal((await node.finished).code, 0);
});

test('whoever is asked for IP and PORT serves the working directory, with workers too', async (t) => {
  const root = await makeTempRoot(t);
  const key = path.join((await makeTempRoot(t)).path, 'node.key');
  assert.equal((await runProgram(t, ['key', 'new', '-o', key])).code, 0);
  for (const more of [[], ['--workers', '2', '--identity', key]]) {
    const node = startProgram(t, ['node', ...more], { cwd: root.path, input: '0.0.0.0\n0\n' });
    assert.match(await node.saw(/serves .*\n/), new RegExp(`serves ${root.path}\n`));
  }
});
