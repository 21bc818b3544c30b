/** What systemd hears of a service, by the program that systemd brings for it. */

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { linuxOnly } from '../../support/processes.ts';
import { startProgram } from '../../support/program.ts';
import { makeTempRoot } from '../../support/temp-root.ts';

/** Node has no datagram socket of Unix. It prints a line for each message, and first one when it listens. */
const listener = `
import socket, sys
heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
heard.bind(sys.argv[1])
print('listening', flush=True)
while True:
    print(heard.recv(4096).decode(), flush=True)
`;
const missing = ['systemd-notify', 'python3'].filter((name) => spawnSync(name, ['--version']).status !== 0);
const skip = missing.length > 0 && `there is no ${missing.join(', no ')}`;

test('systemd hears when a node is ready, reads its file again, answers still, and stops', { skip }, async (t) => {
  const home = (await makeTempRoot(t)).path;
  const socket = path.join(home, 'notify');
  const python = spawn('python3', ['-c', listener, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(async () => {
    python.kill('SIGKILL');
    await once(python, 'close');
  });
  const lines = createInterface(python.stdout)[Symbol.asyncIterator]();
  /** The next message that is no sign of life; what tells systemd-notify that systemd has read is none of ours. */
  const next = async (isWanted = (line: string) => !/^(WATCHDOG|BARRIER)=1/.test(line)): Promise<string> => {
    for (;;) {
      const { value, done } = await lines.next();
      assert.ok(!done, 'the listener ended');
      if (isWanted(value)) return value;
    }
  };
  assert.equal(await next(), 'listening');
  await writeFile(path.join(home, 'hopline.yaml'), 'listen: 127.0.0.1:0\n');
  const env = { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '200000' };
  const node = startProgram(t, ['node', '--config', 'hopline.yaml', '--workers', '2'], { cwd: home, env });
  assert.equal(await next(), 'READY=1');
  await next((line) => line === 'WATCHDOG=1');
  node.child.kill('SIGHUP');
  assert.equal(await next(), 'RELOADING=1');
  assert.equal(await next(), 'READY=1');
  node.child.kill('SIGTERM');
  assert.equal(await next(), 'STOPPING=1');
  const { code, stderr } = await node.finished;
  assert.equal(code, 0, stderr);
});

test('a node runs where nobody hears it, and says so once', linuxOnly, async (t) => {
  const env = { NOTIFY_SOCKET: '/nowhere', WATCHDOG_USEC: '20000', PATH: '/nowhere' };
  const node = startProgram(t, ['node', '--listen', '127.0.0.1:0', '--log-level', 'error'], { env });
  await node.saw(/systemd cannot be told/);
  node.child.kill('SIGTERM');
  const { code, stderr } = await node.finished;
  assert.equal(code, 0);
  assert.match(stderr, /^hopline: systemd cannot be told (READY|WATCHDOG)=1: spawn systemd-notify ENOENT\n$/);
});
