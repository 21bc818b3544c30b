import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:fs';
import { type FileHandle, open, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { childrenOf, eventually, isAlive, linuxOnly } from '../../support/processes.ts';
import { runProgram, startProgram } from '../../support/program.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

async function makeFifo(t: TestContext): Promise<string> {
  const fifo = path.join((await makeTempRoot(t)).path, 'hopline.yaml');
  execFileSync('mkfifo', [fifo]);
  return fifo;
}

/** The writing end, once somebody reads; closed when the test ends, so that a read hangs till then. */
async function openWriter(t: TestContext, fifo: string): Promise<FileHandle> {
  let writer: FileHandle | undefined;
  await eventually(async () => {
    writer = await open(fifo, constants.O_WRONLY | constants.O_NONBLOCK).catch(() => undefined);
    return writer !== undefined;
  });
  t.after(() => writer?.close().catch(() => {}));
  return writer as FileHandle;
}

for (const [args, signal, expected] of [
  [['node', '--config'], 'SIGTERM', 0],
  [['node', '--config'], 'SIGINT', 0],
  [['node', '--workers', '3', '--config'], 'SIGTERM', 0],
  [['check'], 'SIGTERM', 130],
  [['check'], 'SIGHUP', 130],
  [['get', '--via'], 'SIGINT', 130],
] as const) {
  test(`${signal} ends ${args.join(' ')} with ${expected} before its file has been read`, linuxOnly, async (t) => {
    const fifo = await makeFifo(t);
    const isGet = args[0] === 'get';
    const program = startProgram(t, isGet ? ['get', fifo] : [...args, fifo]);
    await openWriter(t, fifo);
    program.child.kill(signal);
    const { code, stderr } = await program.finished;
    assert.equal(code, expected);
    assert.equal(stderr, '');
  });
}

test('SIGTERM ends a node with 0 from the moment on that signals are listened for', linuxOnly, async (t) => {
  const preload = `process.on('newListener', (name) => name === 'SIGHUP' && process.kill(process.pid, 'SIGTERM'))`;
  const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(preload)}` };
  const { code, stderr } = await runProgram(t, ['node', '--listen', '127.0.0.1:0', '--log-level', 'error'], { env });
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
});

test('SIGHUP before a node listens has it read its file again once it does', linuxOnly, async (t) => {
  const fifo = await makeFifo(t);
  const node = startProgram(t, ['node', '--config', fifo]);
  const first = await openWriter(t, fifo);
  node.child.kill('SIGHUP');
  await first.write('listen: 127.0.0.1:0\n');
  await first.close();
  await node.saw(/listening on/);
  const second = await openWriter(t, fifo);
  await second.write('listen: 127.0.0.1:0\n');
  await second.close();
  await node.saw(/configuration read again: nothing changed/);
  node.child.kill('SIGTERM');
  assert.equal((await node.finished).code, 0);
});

test('SIGTERM ends a node with sites that is reading its file again', linuxOnly, async (t) => {
  const root = await makeTempRoot(t);
  const config = path.join(root.path, 'hopline.yaml');
  await writeFile(config, 'listen: 127.0.0.1:0\nsites: { a.test: { servers: [127.0.0.1:9], check: { path: / } } }\n');
  const node = startProgram(t, ['node', '--config', config]);
  await node.saw(/listening on/);
  node.child.kill('SIGHUP');
  node.child.kill('SIGTERM');
  const { code, stderr } = await node.finished;
  assert.equal(code, 0);
  assert.doesNotMatch(stderr, /left behind/);
});

for (const signals of [['SIGTERM'], ['SIGHUP', 'SIGTERM']] as const) {
  test(`${signals.join(' and ')} end a node that sends to clients who do not read`, linuxOnly, async (t) => {
    const root = await makeTempRoot(t);
    await root.writeRandom('large.bin', 16 * 1024 * 1024);
    const config = path.join(root.path, 'hopline.yaml');
    await writeFile(config, 'listen: 127.0.0.1:0\nlimits: { grace: 100ms }\nsites: { "*": { root: . } }\n');
    const node = startProgram(t, ['node', '--config', config]);
    const port = Number(/:(\d+)\n/.exec(await node.saw(/listening on .*\n/))?.[1]);
    const begun = Array.from({ length: 4 }, async () => {
      const socket = net.connect(port, '127.0.0.1').on('error', () => {});
      t.after(() => socket.destroy());
      socket.write('GET /large.bin HTTP/1.1\r\nHost: a.test\r\n\r\n');
      await once(socket, 'readable');
    });
    await Promise.all(begun);
    for (const signal of signals) node.child.kill(signal);
    const { code, stderr } = await node.finished;
    assert.equal(code, 0);
    assert.match(stderr, /node stopped/);
    assert.doesNotMatch(stderr, /left behind|\n\s+at /);
  });
}

test('a node ends although it hangs in its file, and the log says so', linuxOnly, async (t) => {
  const root = await makeTempRoot(t);
  const config = path.join(root.path, 'hopline.yaml');
  await writeFile(config, 'listen: 127.0.0.1:0\n');
  const node = startProgram(t, ['node', '--config', config]);
  await node.saw(/listening on/);
  await rm(config);
  execFileSync('mkfifo', [config]);
  node.child.kill('SIGHUP');
  await openWriter(t, config);
  node.child.kill('SIGTERM');
  const { code, stderr } = await node.finished;
  assert.equal(code, 0);
  assert.match(stderr, /hopline: something did not end in time and is left behind\n$/);
});

test('SIGTERM while the first worker starts ends all of them, without a stack', linuxOnly, async (t) => {
  const node = startProgram(t, ['node', '--listen', '127.0.0.1:0', '--workers', '3']);
  const pid = node.child.pid as number;
  await eventually(() => childrenOf(pid).length === 1);
  const workers = childrenOf(pid);
  node.child.kill('SIGTERM');
  const { code, stderr } = await node.finished;
  assert.equal(code, 0);
  assert.doesNotMatch(stderr, /\n\s+at /);
  assert.deepEqual(workers.filter(isAlive), []);
});
