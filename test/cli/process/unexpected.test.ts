/** What nobody expected: a start that fails and an exception that nobody caught are told in a line, never by a stack. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { startPeer, until } from '../../support/chain.ts';
import { ask } from '../../support/http.ts';
import { mainFile, type Started, startProgram } from '../../support/program.ts';
import { repository } from '../../support/repository.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const noSignals = process.platform === 'win32' && 'Windows has neither these signals nor ulimit';
const thrower = new URL('test/support/throw-on-signal.mjs', repository).href;
const stack = /^ +at /m;

/** Starts `hopline` so that it fails, in one of these kinds, whenever it gets SIGUSR2. */
function startThrower(t: TestContext, kind: string, args: readonly string[]): Started {
  return startProgram(t, args, { env: { NODE_OPTIONS: `--import=${thrower}`, THROW_KIND: kind } });
}

async function portOf(program: Started): Promise<number> {
  return Number(/listening on 127\.0\.0\.1:(\d+)/.exec(await program.saw(/listening on .*\n/))?.[1]);
}

const services = {
  node: (root: string) => ['node', '--listen', '127.0.0.1:0', '--root', root],
  gateway: (root: string) => ['gateway', '--listen', '127.0.0.1:0', '--site', `*=root:${root}`],
};

for (const [name, args] of Object.entries(services)) {
  for (const [kind, code] of [
    ['rejection', 'INTERNAL'],
    ['system', 'ENOENT'],
  ] as const) {
    test(`a ${name} logs and counts a failure that nobody expected, ${kind}, and goes on`, {
      skip: noSignals,
    }, async (t) => {
      const root = await makeTempRoot(t);
      await root.writeRandom('file', 10);
      const service = startThrower(t, kind, args(root.path));
      const port = await portOf(service);
      for (const count of [1, 2]) {
        service.child.kill('SIGUSR2');
        const text = await service.saw(new RegExp(`nobody expected.*\\bcount=${count}\\b`));
        assert.match(text, new RegExp(`code=INTERNAL.*${code}|code=${code}`));
      }
      if (name === 'gateway') assert.equal((await ask(port, { path: '/file' })).status, 200);
      else await once(net.connect(port, '127.0.0.1').end(), 'connect');
      service.child.kill('SIGTERM');
      const { code: exitCode, stderr } = await service.finished;
      assert.equal(exitCode, 0);
      assert.doesNotMatch(stderr, stack);
    });
  }

  test(`a ${name} whose state is in doubt stops in order, with exit code 1 and a line that says so`, {
    skip: noSignals,
  }, async (t) => {
    const root = await makeTempRoot(t);
    await root.writeRandom('file', 10);
    const service = startThrower(t, 'defect', [...args(root.path), '--grace', '1']);
    await portOf(service);
    service.child.kill('SIGUSR2');
    const { code, stderr } = await service.finished;
    assert.equal(code, 1);
    const told = stderr.split('\n').filter((line) => line.includes('nobody expected'));
    assert.equal(told.length, 1);
    assert.match(
      told[0] as string,
      /the state is in doubt.*code=INTERNAL error="a defect\\+nof two lines" at=.* count=1$/,
    );
    assert.doesNotMatch(stderr, stack);
  });
}

test('a client tells a failure that nobody expected in a line, and ends with exit code 1', {
  skip: noSignals,
}, async (t) => {
  const silent = await startPeer(t, () => {});
  const out = await makeTempRoot(t);
  const args = ['get', '--via', silent.address, 'x', '-o', path.join(out.path, 'x')];
  const client = startThrower(t, 'defect', args);
  await silent.connected;
  client.child.kill('SIGUSR2');
  const { code, stderr } = await client.finished;
  assert.equal(code, 1);
  assert.equal(
    stderr.slice(stderr.indexOf('hopline:')),
    'hopline: a defect\\nof two lines\n  hint: please report this\n',
  );
});

test('a start with too few descriptors says so in a line, or succeeds', { skip: noSignals }, async (t) => {
  const root = await makeTempRoot(t);
  for (const args of Object.values(services)) {
    for (const limit of [24, 40, 64, 88]) {
      const command = `ulimit -n ${limit}; exec "$0" "$@"`;
      const child = spawn('sh', ['-c', command, process.execPath, mainFile, ...args(root.path)], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      t.after(() => child.kill('SIGKILL'));
      const said = { out: '', err: '' };
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        said.out += text;
        child.kill('SIGTERM');
      });
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        said.err += text;
      });
      const [code] = await once(child, 'close');
      assert.doesNotMatch(said.err, stack, `${limit}`);
      if (said.out !== '') continue;
      assert.equal(code, 1);
      assert.match(said.err, /^hopline: [^\n]*\n {2}hint: [^\n]*ulimit -n[^\n]*\n$/, `${limit}`);
    }
  }
});

test('a start that fails at a port, a lock or a file says so in a line', { skip: noSignals }, async (t) => {
  const root = await makeTempRoot(t);
  const taken = await startPeer(t, () => {});
  const cache = ['gateway', '--site', '*=127.0.0.1:1', '--cache', path.join(root.path, 'cache'), '--listen'];
  await portOf(startProgram(t, [...cache, '127.0.0.1:0']));
  const missing = path.join(root.path, 'missing');
  const starts = [
    { args: ['node', '--listen', taken.address], exitCode: 10 },
    { args: ['node', '--listen', taken.address, '--workers', '2'], exitCode: 10 },
    { args: ['node', '--listen', '127.0.0.1:0', '--root', missing], exitCode: 2 },
    { args: ['node', '--config', missing], exitCode: 13 },
    { args: ['gateway', '--listen', taken.address, '--site', `*=root:${root.path}`], exitCode: 10 },
    { args: [...cache, '127.0.0.1:0'], exitCode: 8 },
    { args: [...services.gateway(root.path), '--access-log', path.join(missing, 'log')], exitCode: 8 },
    { args: [...services.gateway(root.path), '--tls-cert', missing, '--tls-key', missing], exitCode: 2 },
  ];
  for (const { args, exitCode } of starts) {
    const { code, stderr } = await startProgram(t, args).finished;
    assert.match(stderr, /^hopline: [^\n]*\n {2}hint: [^\n]*\n$/, args.join(' '));
    assert.equal(code, exitCode, `${args.join(' ')}: ${stderr}`);
  }
});

test('a gateway that has no descriptors left drops connections, and serves again once it has', {
  skip: noSignals,
}, async (t) => {
  const root = await makeTempRoot(t);
  await root.writeRandom('file', 100);
  const limit = `ulimit -n 130; exec "$0" "$@"`;
  const child = spawn('sh', ['-c', limit, process.execPath, mainFile, ...services.gateway(root.path)]);
  const ended = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const port = Number(/:(\d+)/.exec(String((await once(child.stdout, 'data'))[0]))?.[1]);
  const clients = Array.from({ length: 200 }, () => net.connect(port, '127.0.0.1').on('error', () => {}));
  t.after(() => {
    for (const client of clients) client.destroy();
  });
  let gone = 0;
  for (const client of clients)
    client.resume().on('close', () => {
      gone += 1;
    });
  await until(() => gone > 0);
  for (const client of clients) client.destroy();
  await until(async () => (await ask(port, { path: '/file' }).catch(() => undefined))?.status === 200);
  assert.equal(child.exitCode, null);
});
