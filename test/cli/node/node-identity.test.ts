/** The key of a node: where it comes from, who may have it, and what is said of it. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmod, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { chooseIdentity, nodeKeyFile } from '../../../src/cli/node/node-identity.ts';
import { silentLogger } from '../../../src/core/log.ts';
import { readConfig, readKeyFile, startService } from '../../../src/index.ts';
import { createKeyFile } from '../../../src/secure/keys/key-file.ts';
import { newKey } from '../../../src/wire/keys/key.ts';
import { mainFile, runProgram, startProgram } from '../../support/program.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const everywhere = '0.0.0.0';

function noLine(line: string): void {
  assert.fail(`it said ${line}`);
}

test('a node that others reach has a key of its own from its first start on, for its owner alone', async (t) => {
  const root = await makeTempRoot(t);
  const machine = { env: { XDG_STATE_HOME: root.path }, isRoot: true, home: '/nowhere' };
  const rules = { listen: { host: everywhere, port: 7001 } };
  const { identityFile } = await chooseIdentity(rules, noLine, machine);
  assert.equal(identityFile, path.join(root.path, 'hopline', 'node-7001.key'));
  assert.equal((await stat(identityFile)).mode & 0o777, 0o600);
  const { public: key } = await readKeyFile(identityFile);
  assert.deepEqual(await chooseIdentity(rules, noLine, machine), { identityFile });
  assert.equal((await readKeyFile(identityFile)).public.text, key.text);
  const other = await chooseIdentity({ listen: { host: everywhere, port: 7002 } }, noLine, machine);
  assert.notEqual((await readKeyFile(other.identityFile ?? '')).public.text, key.text);
});

test('no key is made on loopback, where one is named, or to outlive a port that the system picks', async (t) => {
  const root = await makeTempRoot(t);
  const machine = { env: { XDG_STATE_HOME: root.path }, isRoot: false, home: '/nowhere' };
  for (const host of ['127.0.0.1', 'localhost', '::1']) {
    assert.deepEqual(await chooseIdentity({ listen: { host, port: 7001 } }, noLine, machine), {});
  }
  const asks = await chooseIdentity({ listen: { host: 'localhost', port: 0 }, requireKey: true }, noLine, machine);
  assert.ok(asks.identity);
  const listen = { host: everywhere, port: 7001 };
  assert.deepEqual(await chooseIdentity({ listen, identityFile: '/some.key' }, noLine, machine), {});
  const { identity, identityFile } = await chooseIdentity({ listen: { ...listen, port: 0 } }, noLine, machine);
  assert.ok(identity);
  assert.equal(identityFile, undefined);
  await assert.rejects(stat(path.join(root.path, 'hopline')), { code: 'ENOENT' });
});

test('a node whose key cannot be made goes without one, and says so', async (t) => {
  const root = await makeTempRoot(t);
  await writeFile(path.join(root.path, 'hopline'), 'no directory');
  const machine = { env: { XDG_STATE_HOME: root.path }, isRoot: true, home: '/nowhere' };
  const lines: string[] = [];
  const say = (line: string) => lines.push(line);
  assert.deepEqual(await chooseIdentity({ listen: { host: everywhere, port: 7001 } }, say, machine), {});
  assert.match(lines.join(), /^hopline: the node has no key: cannot write .*node-7001\.key: .*--identity$/);
});

test('a key is looked for where programs keep what is theirs', () => {
  const machine = { env: {}, isRoot: false, home: '/home/u' };
  assert.equal(nodeKeyFile(7001, machine), '/home/u/.local/state/hopline/node-7001.key');
  assert.equal(nodeKeyFile(7001, { ...machine, isRoot: true }), '/var/lib/hopline/node-7001.key');
  const homeless = {
    env: { XDG_STATE_HOME: '/state' },
    isRoot: false,
    get home(): string {
      return assert.fail('a user of a service has none, and to ask throws');
    },
  };
  assert.equal(nodeKeyFile(7001, homeless), '/state/hopline/node-7001.key');
});

test('a node says its key at the start, alone has its file, and encrypts by it', async (t) => {
  const root = await makeTempRoot(t);
  await root.writeRandom('some.bin', 3_000_000);
  const file = path.join((await makeTempRoot(t)).path, 'node.key');
  const { public: key } = await createKeyFile(file, new Date());
  const flags = ['node', '--listen', '127.0.0.1:0', '--root', root.path, '--identity', file];
  for (const more of [[], ['--workers', '2']]) {
    const node = startProgram(t, [...flags, ...more]);
    const text = await node.saw(/key .*\n/);
    assert.match(text, new RegExp(`^key ${key.text}$`, 'm'));
    const second = await runProgram(t, flags);
    assert.equal(second.code, 2);
    assert.match(second.stderr, /^hopline: .*node\.key is in use by another node: each node has a key of its own\n/);
    const port = /:(\d+)\n/.exec(text)?.[1];
    const via = `127.0.0.1:${port}#${key.text}`;
    const got = await runProgram(t, [
      'get',
      '--via',
      via,
      'some.bin',
      '-o',
      path.join(root.path, 'got'),
      '--json',
      '-f',
    ]);
    assert.equal(got.code, 0, got.stderr);
    assert.equal(JSON.parse(got.stdout.trim().split('\n').at(-1) ?? '').encrypted, true);
    node.child.kill('SIGTERM');
    assert.equal((await node.finished).code, 0);
  }
  // Whoever held it has gone.
  const again = startProgram(t, flags);
  await again.saw(/key hop1/);
});

test('workers that could not read the key of their node are not started', async (t) => {
  const root = await makeTempRoot(t);
  const common = ['node', '--root', root.path, '--workers', '2', '--listen'];
  const unnamed = await runProgram(t, [...common, '0.0.0.0:0']);
  assert.equal(unnamed.code, 2, unnamed.stdout);
  assert.match(unnamed.stderr, /^hopline: --workers with port 0 needs --identity FILE: workers cannot have a key that/);
  const input = `${newKey().secretText}\n`;
  const shell = ['-c', 'printf %s "$0" | "$@"', input, process.execPath, mainFile, ...common, '127.0.0.1:0'];
  const piped = spawnSync('sh', [...shell, '--identity', '/dev/stdin'], { encoding: 'utf8' });
  assert.equal(piped.status, 2, piped.stdout);
  assert.match(piped.stderr, /^hopline: --workers: read .*, expected a key file that each worker can read, not a pipe/);
});

test('a node off loopback that serves files says what plain requests mean', async (t) => {
  const root = await makeTempRoot(t);
  const node = startProgram(t, ['node', '--listen', '0.0.0.0:0', '--root', root.path]);
  assert.match(await node.saw(/plain.*\n/), /^answers in plain too, .*--require-key ends that$/m);
});

test('a key file that is none, is not there or that others may read ends the start', async (t) => {
  const root = await makeTempRoot(t);
  const bad = path.join(root.path, 'bad.key');
  await writeFile(bad, 'HOP-SECRET-KEY-1NONE\n', { mode: 0o600 });
  const wide = path.join(root.path, 'wide.key');
  await createKeyFile(wide, new Date());
  await chmod(wide, 0o644);
  for (const [file, words] of [
    [bad, /bad\.key:1: read something else, expected a secret key/],
    [wide, /wide\.key has mode 0644, so others may use it/],
    [path.join(root.path, 'none.key'), /cannot read the key file .*none\.key: there is no such file/],
  ] as const) {
    const { code, stderr } = await runProgram(t, ['node', '--listen', '127.0.0.1:0', '--identity', file]);
    assert.equal(code, 2);
    assert.match(stderr, words);
    assert.ok(!stderr.includes('NONE'));
  }
});

test('a configuration names the key file, which a reload does not change', async (t) => {
  const root = await makeTempRoot(t);
  const { public: key } = await createKeyFile(path.join(root.path, 'node.key'), new Date());
  await createKeyFile(path.join(root.path, 'other.key'), new Date());
  const file = path.join(root.path, 'hopline.yaml');
  const write = (name: string) => writeFile(file, `listen: 127.0.0.1:0\nsecurity:\n  identity: ./${name}.key\n`);
  await write('node');
  const config = await readConfig(file);
  const service = await startService(config, { log: silentLogger });
  t.after(() => service.close({ graceMs: 0 }));
  assert.equal(service.node?.key?.text, key.text);
  assert.deepEqual(await service.reload(config), []);
  await write('other');
  await assert.rejects(service.reload(await readConfig(file)), {
    code: 'CONFIG_INVALID',
    message: 'security.identity: read another value, expected the one from the start; needs a restart',
  });
  await assert.rejects(startService(config, { log: silentLogger }), { code: 'KEY_INVALID' });
  await service.close({ graceMs: 0 });
  const next = await startService(config, { log: silentLogger });
  await next.close({ graceMs: 0 });
});
