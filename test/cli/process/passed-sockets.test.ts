/** Sockets that a service manager has opened: who gets them, what is refused, and that no connection is lost between two starts. */

import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { giveSockets, takePassedSockets } from '../../../src/cli/process/passed-sockets.ts';
import type { Config } from '../../../src/config/config.ts';
import { HoplineError } from '../../../src/index.ts';
import { openBareSocket } from '../../support/bare-socket.ts';
import { isRefused } from '../../support/chain.ts';
import { linuxOnly } from '../../support/processes.ts';
import { mainFile, runProgram, startProgram } from '../../support/program.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

const isRefusedListen = (error: unknown) => error instanceof HoplineError && error.code === 'LISTEN_FAILED';

test('sockets are those of this process alone, and nobody else takes them', () => {
  const env = (more: object) => ({ LISTEN_PID: '7', LISTEN_FDS: '2', LISTEN_FDNAMES: 'node:gateway', ...more });
  const given = env({ PATH: '/' });
  assert.deepEqual(takePassedSockets(given, 7), [
    { fd: 3, name: 'node' },
    { fd: 4, name: 'gateway' },
  ]);
  assert.deepEqual(given, { PATH: '/' });
  assert.deepEqual(takePassedSockets(env({}), 8), []);
  assert.deepEqual(takePassedSockets({}, 8), []);
  assert.deepEqual(takePassedSockets({ LISTEN_PID: '7', LISTEN_FDS: '1' }, 7), [{ fd: 3, name: 'unknown' }]);
  for (const wrong of [{ LISTEN_FDS: 'x' }, { LISTEN_FDS: '17' }, { LISTEN_FDS: '-1' }, { LISTEN_FDNAMES: 'node' }])
    assert.throws(() => takePassedSockets(env(wrong), 7), isRefusedListen);
});

test('each socket goes to what listens by its name, a single one to what there is', () => {
  const listen = { host: '127.0.0.1', port: 7001 };
  const both: Config = { node: { listen }, gateway: { listen, sites: [] }, log: { level: 'info', format: 'text' } };
  const fdsOf = (config: Config, names: readonly string[]) => {
    const given = giveSockets(
      config,
      names.map((name, index) => ({ fd: 3 + index, name })),
    );
    return [given.node.listen?.fd, given.gateway?.listen?.fd];
  };
  assert.deepEqual(fdsOf(both, ['gateway', 'node']), [4, 3]);
  assert.deepEqual(fdsOf(both, ['gateway']), [undefined, 3]);
  assert.deepEqual(fdsOf(both, []), [undefined, undefined]);
  assert.deepEqual(fdsOf({ ...both, gateway: undefined }, ['hopline.socket']), [3, undefined]);
  assert.deepEqual(fdsOf({ ...both, node: {} }, ['hopline.socket']), [undefined, 3]);
  for (const names of [['hopline.socket'], ['node', 'node'], ['node', 'admin']])
    assert.throws(() => fdsOf(both, names), isRefusedListen, names.join());
  assert.throws(() => fdsOf({ ...both, node: {}, gateway: undefined }, ['node']), isRefusedListen);
});

/** Starts the program as a service manager does: the variables name the process that it becomes. */
function activate(t: TestContext, fd: number, args: readonly string[], cwd: string) {
  const program = ['sh', '-c', 'LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=a exec "$@"', 'sh'];
  return startProgram(t, args, { program: [...program, process.execPath, mainFile], descriptors: [fd], cwd });
}

test('what comes while no node accepts is served by the next one', linuxOnly, async (t) => {
  const { path: folder } = await makeTempRoot(t);
  await writeFile(path.join(folder, 'a'), 'content');
  const { fd, port } = openBareSocket(t);
  const address = `127.0.0.1:${port}`;
  const get = (name: string) => runProgram(t, ['get', '--via', address, 'a', '-o', name], { cwd: folder });
  // It is there before the first node is.
  const early = get('early');
  const first = activate(t, fd, ['node', '--listen', address], folder);
  assert.equal((await early).code, 0);
  first.child.kill('SIGTERM');
  assert.equal((await first.finished).code, 0);
  const between = get('between');
  assert.equal(await isRefused(port), false);
  const next = activate(t, fd, ['node', '--listen', address], folder);
  const { code, stderr } = await between;
  assert.equal(code, 0, stderr);
  next.child.kill('SIGTERM');
  assert.equal((await next.finished).code, 0);
});

test('a gateway takes a socket, and one of another address, or of none, ends it in a line', linuxOnly, async (t) => {
  const { path: folder } = await makeTempRoot(t);
  const { fd, port } = openBareSocket(t);
  const gateway = (listen: string) => ['gateway', '--site', '*=root:.', '--listen', listen];
  const { child, saw, finished } = activate(t, fd, gateway(`127.0.0.1:${port}`), folder);
  await saw(new RegExp(`listening on 127\\.0\\.0\\.1:${port}\n`));
  child.kill('SIGTERM');
  assert.equal((await finished).code, 0);
  const file = openSync(path.join(folder, 'file'), 'w');
  t.after(() => closeSync(file));
  const wrong = [
    [fd, gateway('127.0.0.1:1'), /for 127\.0\.0\.1:1: it is a socket for 127\.0\.0\.1:\d+;/],
    [fd, gateway(`0.0.0.0:${port}`), /have both say the same address/],
    [fd, gateway(`localhost:${port}`), /have both say the same address/],
    [file, gateway(`127.0.0.1:${port}`), /cannot listen by descriptor 3, for 127/],
    [fd, ['node', '--listen', `127.0.0.1:${port}`, '--workers', '2'], /--workers goes without a socket/],
  ] as const;
  for (const [descriptor, args, said] of wrong) {
    const { code, stderr } = await activate(t, descriptor, args, folder).finished;
    assert.ok(code === 10 || code === 2, `${code} ${stderr}`);
    assert.match(stderr, said);
    assert.equal(
      stderr
        .trimEnd()
        .split('\n')
        .filter((line) => line.startsWith('hopline: ')).length,
      1,
      stderr,
    );
  }
});
