/** Commands beside `get` and `put` over hops of known keys: what they send is hidden, and by which key they are known. */

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { until } from '../../support/chain.ts';
import { type Home, lastLine, startHome } from '../../support/home.ts';
import { ask, startBackend } from '../../support/http.ts';
import { startProgram } from '../../support/program.ts';
import { startTamperer } from '../../support/tamper.ts';

interface Fixture extends Home {
  readonly key: string;
  /** The last hop, as whoever reads along passes it on, and the way to it over a relay. */
  readonly between: string;
  readonly via: string;
  /** All that has passed since it was last asked. */
  takeSeen(): Buffer;
}

async function start(t: TestContext): Promise<Fixture> {
  const home = await startHome(t);
  const [key, own] = [await home.makeKey('node.key'), await home.makeKey('own.key')];
  await writeFile(path.join(home.root.path, 'keys'), `read="**" ${own}\n`, { mode: 0o600 });
  const packet = { type: 0, srcid: 5, privPoliId: 'policy-to-hide', payloadsize: 3, payload: 'payload-to-hide' };
  await writeFile(path.join(home.root.path, 'packet.json'), JSON.stringify(packet));
  const policy = ['--policy', 'policy-to-hide', '--id', 'server-to-hide'];
  const last = await home.node(['--identity', 'node.key', '--authorized-keys', 'keys', ...policy]);
  const relay = await home.node([]);
  const seen: Buffer[] = [];
  const note = (bytes: Buffer) => {
    seen.push(Buffer.from(bytes));
    return bytes;
  };
  const between = await startTamperer(t, last.port, { forward: note, back: note });
  return {
    ...home,
    ...{ key, between, via: `${relay.address},${between}#${key}` },
    takeSeen: () => Buffer.concat(seen.splice(0)),
  };
}

/** Fails unless records passed, of a client with a key if `isKnown`, and nothing of `texts` in plain. */
function assertSealed(seen: Buffer, isKnown: boolean, ...texts: readonly string[]): void {
  assert.ok(seen.includes(Buffer.from([0xfe, 1, isKnown ? 1 : 0, 0])), 'no handshake passed by');
  for (const text of ['hide', ...texts]) assert.ok(!seen.includes(text), `${text} passed in plain`);
}

test('send and fetch are encrypted to the last hop of a route, and known to it by the key of their user', async (t) => {
  const { run, via, takeSeen, root } = await start(t);
  const server = await startBackend(t, (asked, answer) => answer.end(`answer-to-hide ${asked.url}`));
  const url = `http://127.0.0.1:${server.address.port}/path-to-hide`;
  for (const flags of [[], ['--identity', 'own.key']]) {
    const sent = await run(['send', 'packet.json', '--via', via, '--json', '--require-key', ...flags]);
    assert.equal(sent.code, 0, sent.stderr);
    assert.equal(lastLine(sent).server, 'server-to-hide');
    assertSealed(takeSeen(), flags.length > 0);
    const got = await run([
      'fetch',
      url,
      '--via',
      via,
      '-o',
      'got',
      '--force',
      '--no-cache',
      '--require-key',
      ...flags,
    ]);
    assert.equal(got.code, 0, got.stderr);
    assert.equal(await readFile(path.join(root.path, 'got'), 'utf8'), 'answer-to-hide /path-to-hide');
    assertSealed(takeSeen(), flags.length > 0, String(server.address.port));
  }
  const many = await run(['send', 'packet.json', '--via', via, '--count', '5', '--concurrency', '2', '--json']);
  assert.equal(lastLine(many).delivered, 5);
  assertSealed(takeSeen(), false);
});

test('a node that is known from before is spoken to under seal by send and fetch too', async (t) => {
  const { run, between, key, takeSeen } = await start(t);
  const server = await startBackend(t, (_asked, answer) => answer.end('answer-to-hide'));
  const url = `http://127.0.0.1:${server.address.port}/path-to-hide`;
  const unknown = await run(['send', 'packet.json', '--to', between, '--require-key']);
  assert.equal(unknown.code, 14, unknown.stderr);
  assert.equal((await run(['fetch', url, '--via', between, '--require-key'])).code, 14);
  assert.equal((await run(['fetch', url, '--require-key'])).code, 2);
  assert.equal(takeSeen().length, 0);
  assert.equal((await run(['key', 'trust', between, key])).code, 0);
  for (const args of [
    ['send', 'packet.json', '--to', between],
    ['send', 'packet.json', '--via', between],
    ['fetch', url, '--via', between, '--no-cache'],
  ]) {
    const done = await run(args);
    assert.equal(done.code, 0, done.stderr);
    assertSealed(takeSeen(), false);
  }
  const plain = await run(['send', 'packet.json', '--to', between, '--plain']);
  assert.match(plain.stderr, /^encrypts nothing, although the key of the last hop is known \(--plain\)$/m);
  assert.ok(takeSeen().includes('payload-to-hide'));
});

test('a key that is not the one of the last hop ends send and fetch, with the key that is there', async (t) => {
  const { run, between, makeKey, takeSeen } = await start(t);
  const other = await makeKey('other.key');
  const send = await run(['send', 'packet.json', '--via', `${between}#${other}`]);
  assert.equal(send.code, 14, send.stderr);
  const fetched = await run(['fetch', 'http://127.0.0.1:9/to-hide', '--via', `${between}#${other}`]);
  assert.equal(fetched.code, 14, fetched.stderr);
  for (const { stderr } of [send, fetched])
    assert.match(stderr, /says that its key is hop1\w+, and the route has hop1/);
  assert.ok(!takeSeen().includes('hide'));
});

test('a gateway is known to the last hops of its sites by its key, and those of a configuration by the key of the node', async (t) => {
  const { root, via, takeSeen } = await start(t);
  const server = await startBackend(t, (_asked, answer) => answer.end('answer-to-hide'));
  const site = `files.test=route:${via}`;
  const tunnel = `www.test=127.0.0.1:${server.address.port} via ${via}`;
  const listen = ['--listen', '127.0.0.1:0'];
  const configuration = [
    'listen: 127.0.0.1:0',
    'root: files',
    'security: {identity: own.key}',
    'sites:',
    `  files.test: {route: ["${via.replace(',', '", "')}"]}`,
    `  www.test: {servers: ["127.0.0.1:${server.address.port}"], via: ["${via.replace(',', '", "')}"]}`,
  ].join('\n');
  await writeFile(path.join(root.path, 'hopline.yaml'), configuration);
  const sites = ['gateway', ...listen, '--site', site, '--site', tunnel];
  for (const [args, isKnown] of [
    [sites, false],
    [[...sites, '--identity', 'own.key'], true],
    [['node', '--config', 'hopline.yaml'], true],
  ] as const) {
    const gateway = startProgram(t, args, { cwd: root.path });
    const port = Number(/listening on .*:(\d+)\n/.exec(await gateway.saw(/listening on .*\n/))?.[1]);
    const file = await ask(port, { path: '/some-name.bin', headers: { host: 'files.test' } });
    assert.equal(file.status === 200, isKnown, `${args}: ${file.status}`);
    assertSealed(takeSeen(), isKnown, 'some-name');
    // What leaves a tunnel is not judged by the lines of authorized keys.
    const asked = () => ask(port, { path: '/path-to-hide', headers: { host: 'www.test' } });
    // On a slow machine a check may take longer than a server has, which is then left alone for a second.
    await until(async () => (await asked()).body === 'answer-to-hide');
    assertSealed(takeSeen(), isKnown, 'www.test');
    gateway.child.kill('SIGTERM');
    await gateway.finished;
    takeSeen();
  }
});

test('a gateway that would serve its own key does not start', async (t) => {
  const { root, run, makeKey } = await startHome(t);
  await makeKey('files/gateway.key');
  const site = `*=root:${path.join(root.path, 'files')}`;
  const file = path.join(root.path, 'files', 'gateway.key');
  const started = await run(['gateway', '--listen', '127.0.0.1:0', '--site', site, '--identity', file]);
  assert.equal(started.code, 2, started.stdout);
  assert.match(started.stderr, /--identity: read ".*gateway\.key", expected a file outside the root, which is served/);
});
