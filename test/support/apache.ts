/** Apache httpd as a backend of tests: Debian's apache2 with a configuration of its own, on loopback. */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeTempRoot } from './temp-root.ts';

const program = '/usr/sbin/apache2';
const modules = '/usr/lib/apache2/modules';

/** Why a test cannot have an Apache httpd here; false if it can. */
export const apacheIsMissing: string | false = existsSync(program)
  ? false
  : 'needs Debian\'s apache2: "apt-get install apache2"';

export interface Apache {
  readonly port: number;
  /** The requests that it has answered, as it logged them: method, target and status. */
  requests(): Promise<string[]>;
  /** Ends all its processes at once. */
  stop(): Promise<void>;
  /** Listens on the same port again. */
  start(): Promise<void>;
}

/** An Apache httpd that serves the files in `documents`, ended when the test ends. */
export async function startApache(t: TestContext, documents: Readonly<Record<string, string>>): Promise<Apache> {
  const { path: root } = await makeTempRoot(t);
  // Started by root, it serves as another user, who must be able to come in.
  await chmod(root, 0o755);
  const files = path.join(root, 'documents');
  await mkdir(files);
  for (const [name, text] of Object.entries(documents)) await writeFile(path.join(files, name), text);
  const log = path.join(root, 'access.log');
  const tries = 5;
  for (let tried = 1; ; tried += 1) {
    const port = await freePort();
    await writeFile(path.join(root, 'apache.conf'), configuration(root, port));
    const running = new Running(root, port);
    try {
      await running.start();
    } catch (error) {
      if (tried === tries) throw error;
      continue;
    }
    t.after(() => running.stop());
    const requests = async () => (await readFile(log, 'utf8')).split('\n').filter((line) => line !== '');
    return { port, requests, stop: () => running.stop(), start: () => running.start() };
  }
}

class Running {
  readonly #root: string;
  readonly #port: number;
  #child: ChildProcess | undefined;

  constructor(root: string, port: number) {
    this.#root = root;
    this.#port = port;
  }

  async start(): Promise<void> {
    await rm(path.join(this.#root, 'apache.pid'), { force: true });
    const child = spawn(program, ['-f', path.join(this.#root, 'apache.conf'), '-DFOREGROUND'], {
      stdio: ['ignore', 'ignore', 'pipe'],
      // A group of its own: its workers end with it.
      detached: true,
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    this.#child = child;
    const ended = once(child, 'exit').then(() => {
      throw new Error(`apache2 ended: ${said}`);
    });
    ended.catch(() => {});
    await Promise.race([ended, answers(this.#port)]);
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    process.kill(-child.pid, 'SIGKILL');
    await ended;
  }
}

function configuration(root: string, port: number): string {
  const isRoot = process.getuid?.() === 0;
  const compiled = execFileSync(program, ['-l'], { encoding: 'utf8' });
  const load = ['mpm_event', 'authz_core', 'mime', 'dir', 'log_config', 'unixd'].filter(
    (name) => !compiled.includes(`mod_${name}.c`) && existsSync(`${modules}/mod_${name}.so`),
  );
  return [
    ...load.map((name) => `LoadModule ${name}_module ${modules}/mod_${name}.so`),
    `ServerRoot ${root}`,
    `DefaultRuntimeDir ${root}`,
    `PidFile ${root}/apache.pid`,
    `Listen 127.0.0.1:${port}`,
    'ServerName localhost',
    ...(isRoot ? ['User www-data', 'Group www-data'] : []),
    `DocumentRoot ${root}/documents`,
    `ErrorLog ${root}/error.log`,
    'LogFormat "%m %U %>s" short',
    `CustomLog ${root}/access.log short`,
    'TypesConfig /etc/mime.types',
    'KeepAlive On',
    'MaxKeepAliveRequests 0',
    'StartServers 1',
    `<Directory ${root}/documents>`,
    '  Require all granted',
    '</Directory>',
    '',
  ].join('\n');
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function answers(port: number): Promise<void> {
  for (let waits = 0; waits < 200; waits += 1) {
    const socket = net.connect(port, '127.0.0.1');
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isOpen) return;
    await sleep(50);
  }
  throw new Error('apache2 does not answer');
}
