/** A real Redis server on loopback for one test, which can be killed and started again on its port. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import type { TestContext } from 'node:test';
import { makeTempRoot } from './temp-root.ts';

/** Why tests with a real server cannot run here; false if they can. */
export const withoutRedis: string | false =
  spawnSync('redis-server', ['--version']).status === 0 ? false : 'there is no redis-server here; .ci/run installs it';

export interface RedisServer {
  readonly url: string;
  /** Makes it take connections and answer nothing, until it is killed. */
  hang(): void;
  /** Ends it at once; it has kept nothing. */
  kill(): Promise<void>;
  /** On the same port, empty. */
  restart(): Promise<void>;
}

/** Starts a server with further settings, such as `['--requirepass', 'x']`; gone when the test ends. */
export async function startRedis(t: TestContext, settings: readonly string[] = []): Promise<RedisServer> {
  const { path } = await makeTempRoot(t);
  let server: ChildProcess | undefined;
  const kill = async () => {
    const ended = server;
    server = undefined;
    if (!ended || ended.exitCode !== null) return;
    ended.kill('SIGKILL');
    await once(ended, 'exit');
  };
  t.after(kill);
  const start = async (port: number) => {
    const place = ['--port', String(port), '--bind', '127.0.0.1', '--dir', path];
    const started = spawn('redis-server', [...place, '--save', '', '--appendonly', 'no', ...settings]);
    server = started;
    return isReady(started);
  };
  // Redis cannot let the system pick a port, and the one that it picked for us may be taken meanwhile.
  for (let tries = 0; tries < 10; tries += 1) {
    const port = await findFreePort();
    if (!(await start(port))) continue;
    const restart = async () => {
      if (!(await start(port))) throw new Error(`redis-server did not start again on port ${port}`);
    };
    const hang = () => void server?.kill('SIGSTOP');
    return { url: `redis://127.0.0.1:${port}`, hang, kill, restart };
  }
  throw new Error('redis-server did not start');
}

/** Settles once the server takes connections, or has ended. */
function isReady(server: ChildProcess): Promise<boolean> {
  return new Promise((resolve) => {
    let said = '';
    server.stdout?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.includes('Ready to accept connections')) resolve(true);
    });
    server.once('exit', () => resolve(false));
  });
}

async function findFreePort(): Promise<number> {
  const holder = net.createServer();
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  const { port } = holder.address() as net.AddressInfo;
  await new Promise<void>((resolve) => holder.close(() => resolve()));
  return port;
}
