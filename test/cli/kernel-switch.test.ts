/** The switch for the kernel path, on every path that it names: as long as it is off, none of its calls is made. */

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { download, parseVia } from '../../src/index.ts';
import { ask } from '../support/http.ts';
import { whyNoKernel } from '../support/kernel.ts';
import { startProgram } from '../support/program.ts';
import { repository } from '../support/repository.ts';
import { makeTempRoot, type TempRoot } from '../support/temp-root.ts';
import { startWebServer } from '../support/web-server.ts';

const mib = 1024 * 1024;
const counter = new URL('test/support/count-native.mjs', repository).href;
/** Calls that the kernel path alone makes. */
const kernelCalls = ['splice', 'sendfile', 'pipe2', 'fcntl', 'shutdown', 'epoll_create1', 'epoll_ctl', 'epoll_wait'];

interface Program {
  readonly ports: readonly number[];
  /** Ends it, and says how often it made which call. */
  end(): Promise<Readonly<Record<string, number>>>;
}

interface Used {
  readonly t: TestContext;
  readonly root: TempRoot;
  /** Starts what is under test, with the switch; settles once it listens on so many addresses. */
  start(args: readonly string[], addresses?: number): Promise<Program>;
  /** The flag for a configuration file of these lines and the switch. */
  config(lines: readonly string[]): Promise<readonly string[]>;
}

type Use = (used: Used) => Promise<readonly Readonly<Record<string, number>>[]>;

/** A relay, an origin that knows the digests of its file, and the sites of a node on a port of their own. */
const useNode: Use = async ({ root, start, config }) => {
  const sites = ['gateway: {listen: "127.0.0.1:0"}', `sites: {"*": {root: ${JSON.stringify(root.path)}}}`];
  const listen = ['node', '--listen', '127.0.0.1:0', '--root', root.path];
  const origin = await start([...listen, ...(await config(sites))], 2);
  const [port, sitesPort] = origin.ports as [number, number];
  const relay = await start([...listen, '--next', `127.0.0.1:${port}`, ...(await config([]))]);
  const route = parseVia(`127.0.0.1:${relay.ports[0]},127.0.0.1:${port}`, 'file');
  for (const name of ['first', 'second']) await download({ route, output: path.join(root.path, name) });
  await askFile(sitesPort, 'any.test');
  return [await relay.end(), await origin.end()];
};

/** Files of a directory, and of the cache. */
const useGateway: Use = async ({ t, root, start }) => {
  const content = await readFile(path.join(root.path, 'file'));
  const server = await startWebServer(t, (_request, response) => {
    response.setHeader('Cache-Control', 'max-age=600').setHeader('Content-Length', content.length).end(content);
  });
  const sites = ['--site', `files.test=root:${root.path}`, '--site', `cached.test=127.0.0.1:${server.port}`];
  const cache = ['--cache', path.join(root.path, 'cache')];
  const gateway = await start(['gateway', '--listen', '127.0.0.1:0', ...sites, ...cache]);
  for (const host of ['files.test', 'cached.test', 'cached.test']) await askFile(gateway.ports[0] as number, host);
  assert.equal(server.requests.length, 1, 'the second answer came from the cache');
  return [await gateway.end()];
};

/** Calls by which each process shows that it used the path: a descriptor is duplicated for each file that is sent. */
const commands = [
  {
    command: 'hopline node',
    use: useNode,
    shows: [
      { splice: 1, epoll_ctl: 1 },
      { fcntl: 2, sendfile: 2 },
    ],
  },
  { command: 'hopline gateway', use: useGateway, shows: [{ fcntl: 2, sendfile: 2 }] },
];

const ways: readonly { way: string; args?: string[]; env?: NodeJS.ProcessEnv; lines?: string[] }[] = [
  { way: 'with its default' },
  { way: 'with --no-kernel', args: ['--no-kernel'] },
  { way: 'with HOPLINE_KERNEL=off', env: { HOPLINE_KERNEL: 'off' } },
  { way: 'with kernel: false in the configuration', lines: ['kernel: false'] },
];

for (const { way, args = [], env = {}, lines = [] } of ways) {
  for (const { command, use, shows } of commands) {
    // It has no configuration file.
    if (lines.length > 0 && command === 'hopline gateway') continue;
    const isOn = way === 'with its default';
    const what = isOn
      ? 'uses the kernel path on all its paths'
      : 'makes no call of the kernel path on any of its paths';
    test(`${command} ${way} ${what}`, { skip: whyNoKernel() }, async (t) => {
      const root = await makeTempRoot(t);
      await root.writeRandom('file', 2 * mib);
      await root.atRest('file');
      const made = await use({
        t,
        root,
        start: (given, addresses = 1) => startCounted(t, [...given, ...args], env, addresses),
        config: async (more) => ['--config', await writeConfig(t, [...lines, ...more])],
      });
      for (const [index, calls] of made.entries()) {
        const expected = Object.entries(shows[index] ?? {});
        if (isOn) for (const [name, times] of expected) assert.ok((calls[name] ?? 0) >= times, `${index}: ${name}`);
        else for (const name of kernelCalls) assert.equal(calls[name], undefined, `${index}: ${name}`);
      }
    });
  }
}

async function startCounted(
  t: TestContext,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  addresses: number,
): Promise<Program> {
  const counts = path.join((await makeTempRoot(t)).path, 'counts');
  const counting = { COUNT_NATIVE: counts, NODE_OPTIONS: `--import=${counter}` };
  const program = startProgram(t, args, { env: { HOPLINE_KERNEL: '', ...env, ...counting } });
  const told = await program.saw(new RegExp(`(listening on .*\n){${addresses}}`));
  const ports = [...told.matchAll(/^listening on 127\.0\.0\.1:(\d+)$/gm)].map(([, port]) => Number(port));
  const end = async () => {
    program.child.kill('SIGTERM');
    assert.equal((await program.finished).code, 0);
    return JSON.parse(await readFile(counts, 'utf8')) as Readonly<Record<string, number>>;
  };
  return { ports, end };
}

async function askFile(port: number, host: string): Promise<void> {
  assert.equal((await ask(port, { path: '/file', headers: { Host: host } })).status, 200);
}

async function writeConfig(t: TestContext, lines: readonly string[]): Promise<string> {
  const file = path.join((await makeTempRoot(t)).path, 'hopline.yaml');
  await writeFile(file, `${lines.join('\n')}\n`);
  return file;
}
