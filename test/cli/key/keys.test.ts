/** Keys as a user has them: made, shown, named in routes, known from before, and seen for the first time. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { newKey } from '../../../src/wire/keys/key.ts';
import { until } from '../../support/chain.ts';
import { lastLine, startHome } from '../../support/home.ts';
import { mainFile } from '../../support/program.ts';
import { startTamperer } from '../../support/tamper.ts';
import { converse, hasScript } from '../../support/terminal.ts';

test('key new makes a key for its owner alone and replaces none, and key show has its public half', async (t) => {
  const { root, run, makeKey, env } = await startHome(t);
  const key = await makeKey('one.key');
  assert.match(key, /^hop1\w{58}$/);
  const file = path.join(root.path, 'one.key');
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  const text = await readFile(file, 'utf8');
  assert.match(text, new RegExp(`^# created: .*\n# public key: ${key}\nHOP-SECRET-KEY-1.*\n$`));
  assert.equal((await run(['key', 'show', 'one.key'])).stdout, `${key}\n`);
  const piped = spawnSync(process.execPath, [mainFile, 'key', 'show', '-'], { input: text, encoding: 'utf8' });
  assert.equal(piped.stdout, `${key}\n`);
  const again = await run(['key', 'new', '-o', 'one.key']);
  assert.equal(again.code, 2);
  assert.match(
    again.stderr,
    /one\.key is there already, and no key is replaced.*\n {2}hint: .*`hopline key new -o FILE`/,
  );
  assert.equal(await readFile(file, 'utf8'), text);
  const own = await run(['key', 'new']);
  assert.match(own.stderr, /config\/hopline\/id\.key/);
  assert.equal((await run(['key', 'show'])).stdout, own.stdout);
  assert.ok((await stat(path.join(env.XDG_CONFIG_HOME ?? '', 'hopline', 'id.key'))).isFile());
});

test('a file comes over three hops to who is known, encrypted, and no secret is in anything that is written', async (t) => {
  const { root, run, node, makeKey } = await startHome(t);
  const [nodeKey, ownKey] = [await makeKey('node.key'), await makeKey('own.key')];
  await writeFile(path.join(root.path, 'keys'), `read="some-*" ${ownKey}\n`, { mode: 0o600 });
  const reports = path.join(root.path, 'reports');
  await mkdir(reports);
  const flags = ['--identity', 'node.key', '--authorized-keys', 'keys'];
  const onSignal = `--report-on-signal --report-signal=SIGUSR2 --report-directory=${reports}`;
  const origin = await node(flags, { NODE_OPTIONS: onSignal });
  const second = await node([]);
  const first = await node([]);
  const seen: Buffer[] = [];
  const note = (bytes: Buffer) => {
    seen.push(Buffer.from(bytes));
    return bytes;
  };
  const between = await startTamperer(t, origin.port, { forward: note, back: note });
  await writeFile(
    path.join(root.path, 'route.txt'),
    `some-name.bin\n${first.address}\n${second.address}\n${between} key=${nodeKey}\n`,
  );
  const nobody = await run(['get', 'route.txt', '-o', 'nobody', '--json']);
  assert.equal(lastLine(nobody).code, 'AUTH_REQUIRED');
  const got = await run(['get', 'route.txt', '-o', 'got', '--json', '--identity', 'own.key']);
  assert.equal(got.code, 0, got.stdout + got.stderr);
  assert.equal(lastLine(got).encrypted, true);
  assert.equal(lastLine(got).verifiedBy, nodeKey);
  const env = { HOPLINE_KEY_FILE: path.join(root.path, 'own.key'), HOPLINE_CRYPTO: 'node' };
  const shown = await run(['get', 'route.txt', '-o', 'shown'], { env });
  assert.equal(shown.code, 0, shown.stderr);
  const source = await readFile(path.join(root.path, 'files', 'some-name.bin'));
  for (const name of ['got', 'shown']) assert.ok((await readFile(path.join(root.path, name))).equals(source));
  const passed = Buffer.concat(seen);
  assert.ok(passed.length > source.length);
  assert.ok(!passed.includes('some-name') && !passed.includes(source.subarray(1_000_000, 1_000_032)));
  origin.child.kill('SIGUSR2');
  await until(async () => (await readdir(reports)).length > 0);
  origin.child.kill('SIGTERM');
  const logged = await origin.finished;
  const [report = ''] = await readdir(reports);
  const written = [logged, got, shown, nobody].flatMap(({ stdout, stderr }) => [stdout, stderr]);
  written.push(await readFile(path.join(reports, report), 'utf8'));
  for (const file of ['node.key', 'own.key']) {
    const secret = /HOP-SECRET-KEY-1\w+/.exec(await readFile(path.join(root.path, file), 'utf8'))?.[0] ?? '';
    assert.ok(secret.length > 60);
    for (const text of written) assert.ok(!text.toUpperCase().includes(secret.slice(-58)));
  }
  assert.ok(!logged.stderr.includes('some-name'), 'the log names a file of an encrypted circuit');
});

test('a node that is known is spoken to by its key, and another key there is told, never asked about', async (t) => {
  const { run, node, makeKey, known } = await startHome(t);
  const key = await makeKey('node.key');
  const origin = await node(['--identity', 'node.key']);
  const get = ['get', '--via', origin.address, 'some-name.bin', '-o', 'got', '-f', '--json'];
  assert.equal(lastLine(await run(get)).encrypted, false);
  const required = await run([...get, '--require-key']);
  assert.deepEqual([required.code, lastLine(required).code], [14, 'KEY_UNKNOWN']);
  assert.equal((await run(['key', 'trust', origin.address, key])).code, 0);
  assert.equal(await readFile(known, 'utf8'), `${origin.address} ${key}\n`);
  assert.equal(lastLine(await run(get)).encrypted, true);
  assert.equal(lastLine(await run([...get, '--require-key'])).encrypted, true);
  const plain = await run(['get', '--via', origin.address, 'some-name.bin', '-o', 'got', '-f', '--plain']);
  assert.equal(plain.code, 0);
  assert.match(plain.stderr, /^encrypts nothing, although the key of the last hop is known \(--plain\)$/m);
  const other = newKey().key.public.text;
  const changed = await run(['key', 'trust', origin.address, other]);
  assert.equal(changed.code, 14);
  assert.match(changed.stderr, /known_nodes:1 has another key for 127/);
  await writeFile(known, `# mine\n${origin.address} ${other} # of old\n`);
  const stranger = await run(get);
  assert.deepEqual([stranger.code, lastLine(stranger).code], [14, 'KEY_CHANGED']);
  assert.match(
    String(lastLine(stranger).message),
    new RegExp(`says that its key is ${key}, and .*known_nodes:2 has ${other}`),
  );
  const put = await run(['put', 'node.key', '--via', origin.address, '--json']);
  assert.equal(lastLine(put).code, 'KEY_CHANGED');
  assert.equal((await run(['key', 'forget', origin.address])).code, 0);
  assert.equal(await readFile(known, 'utf8'), '# mine\n');
  const forgotten = await run(['key', 'forget', origin.address]);
  assert.equal(forgotten.code, 2);
  assert.match(forgotten.stderr, /is not in .*known_nodes\n {2}hint: see --help\n$/);
  await writeFile(known, `${origin.address} hop1no\n`);
  const broken = await run(get);
  assert.deepEqual([broken.code, lastLine(broken).code], [2, 'KEY_INVALID']);
  assert.match(String(lastLine(broken).message), /known_nodes:1: read "hop1no"/);
});

test('what is known of a first hop says nothing of the same address behind a relay', async (t) => {
  const { run, node, makeKey, known } = await startHome(t);
  await makeKey('node.key');
  const origin = await node(['--identity', 'node.key']);
  const relays = [await node([]), await node([])];
  await mkdir(path.dirname(known), { recursive: true });
  await writeFile(known, `${origin.address} ${newKey().key.public.text}\n`);
  for (const { address } of relays) {
    const get = ['get', '--via', `${address},${origin.address}`, 'some-name.bin', '-o', 'got', '-f', '--json'];
    assert.equal(lastLine(await run(get)).encrypted, false);
    assert.equal(lastLine(await run([...get, '--require-key'])).code, 'KEY_UNKNOWN');
  }
});

test('a pool without a key is not asked in plain where the key of a member is known', async (t) => {
  const { run, node, makeKey } = await startHome(t);
  const key = await makeKey('node.key');
  const { address } = await node(['--identity', 'node.key']);
  assert.equal((await run(['key', 'trust', address, key])).code, 0);
  const more = ['--pool', `them=127.0.0.1:9,${address}`, 'some-name.bin', '-o', 'got', '-f', '--json'];
  const refused = await run(['get', '--via', '@them', ...more]);
  assert.deepEqual([refused.code, lastLine(refused).code], [2, 'USAGE_INVALID']);
  assert.match(String(lastLine(refused).message), /^@them has no key, and .*known_nodes:1 has one of its member 127/);
  assert.equal(lastLine(await run(['get', '--via', '@them', '--plain', ...more])).encrypted, false);
  assert.equal(lastLine(await run(['get', '--via', `@them#${key}`, ...more])).verifiedBy, key);
});

test('a route of which one way has a key and another has none is refused, whatever form it has', async (t) => {
  const { root, run, node } = await startHome(t);
  const key = newKey().key.public.text;
  const nodes = [await node([]), await node([])].map(({ address }) => address);
  const [one = '', other = ''] = nodes;
  const files: Record<string, string> = {
    alternates: `some-name.bin\n${one} key=${key} | ${other}\n`,
    routes: `some-name.bin\n${one} key=${key}\n---\n${other}\n`,
    pool: `some-name.bin\n${one}\n@them | ${other} key=${key}\n`,
  };
  for (const [name, text] of Object.entries(files)) {
    await writeFile(path.join(root.path, `${name}.txt`), text);
    for (const request of [
      ['get', `${name}.txt`, '-o', 'got'],
      ['get', `${name}.txt`, '-o', 'got', '--', 'one', 'two'],
      ['put', `${name}.txt`, `${name}.txt`, '--as', 'up'],
    ]) {
      const { code, stderr } = await run(request);
      assert.equal(code, 2, stderr);
      assert.match(stderr, /has no key, and .* has one: either every way to the file ends at a key, or none/);
    }
    const plain = await run(['get', `${name}.txt`, '-o', `${name}.got`, '--plain']);
    assert.equal(plain.code, 0, plain.stderr);
  }
  const { code, stderr } = await run(['get', '--via', `${one}#${key}`, 'some-name.bin', '--classic', '-o', 'got']);
  assert.equal(code, 2, stderr);
  assert.match(stderr, /cannot be encrypted, and hop 1 .* has a key/);
});

test('key scan prints lines to paste, and which of them nobody has proven', async (t) => {
  const { run, node, makeKey } = await startHome(t);
  const key = await makeKey('node.key');
  const origin = await node(['--identity', 'node.key']);
  const relay = await node([]);
  const direct = await run(['key', 'scan', origin.address]);
  assert.deepEqual([direct.code, direct.stdout], [0, `${origin.address} ${key}\n`]);
  const far = await run(['key', 'scan', '--via', `${relay.address},${origin.address}`]);
  assert.equal(far.stdout, `${origin.address} ${key} # not proven\n`);
  assert.equal(far.code, 14);
  const told = `hopline: ${relay.address} says that it has no key\n`;
  assert.match(far.stderr, new RegExp(`^${told} {2}hint: .*--identity.*\n$`));
  const both = await run(['key', 'scan', relay.address, relay.address]);
  assert.match(both.stderr, new RegExp(`^${told}${told} {2}hint: .*\n$`));
});

test('a key that is not known leaves a key of one own unused, which is said', async (t) => {
  const { run, node } = await startHome(t);
  assert.equal((await run(['key', 'new'])).code, 0);
  const origin = await node([]);
  const { code, stderr } = await run(['get', '--via', origin.address, 'some-name.bin', '-o', 'got']);
  assert.equal(code, 0);
  assert.match(stderr, /^not encrypted, since the key of the last hop is not known; .*id\.key is not used$/m);
});

test('at a terminal a key that is seen for the first time is asked about, and kept', async (t) => {
  if (!hasScript) return t.skip('there is no script command here that makes a terminal');
  const { node, makeKey, known, env, root } = await startHome(t);
  const key = await makeKey('node.key');
  const { address } = await node(['--identity', 'node.key']);
  const get = (name: string) => ['get', '--via', address, 'some-name.bin', '-o', path.join(root.path, name)];
  const question = /Is that its key\? \[yes \/ no \/ the key\] $/;
  const no = await converse(t, get('no'), [[question, 'no\n']], env);
  assert.equal(no.code, 14, no.shown);
  const wrong = await converse(t, get('wrong'), [[question, `${newKey().key.public.text}\n`]], env);
  assert.equal(wrong.code, 14, wrong.shown);
  await assert.rejects(stat(known), { code: 'ENOENT' });
  const yes = await converse(
    t,
    get('yes'),
    [
      [question, 'maybe\n'],
      [/expected a key.*\s.*key\] $/s, `${key}\n`],
    ],
    env,
  );
  assert.equal(yes.code, 0, yes.shown);
  assert.equal(await readFile(known, 'utf8'), `${address} ${key}\n`);
  const again = await converse(t, get('again'), [], env);
  assert.equal(again.code, 0, again.shown);
  assert.ok(!question.test(again.shown));
});
