/**
 * nginx as the origin and curl as the client, with every kind of TCP relay between them.
 *
 * Each relay is a process of its own that knows its next hop from its configuration.
 */

import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Command } from '../../harness/children.ts';
import { type Fleet, findProgram, freePort } from '../processes.ts';
import type { Chain, ChainRequest, Contender } from './contender.ts';

type StartRelay = (fleet: Fleet, next: number) => Promise<{ readonly pid: number; readonly port: number }>;

const streamModules = ['/usr/lib/nginx/modules/ngx_stream_module.so', '/usr/lib64/nginx/modules/ngx_stream_module.so'];
const pipeRelay = path.resolve('bench/peers/pipe-relay.mjs');

/** Splices always; `splice-auto`, below, may find a stream too slow to be worth it and then copies. */
export const haproxySplice = createHaproxy('haproxy-splice', ['option splice-response', 'option splice-request']);
export const haproxyAuto = createHaproxy('haproxy-auto', ['option splice-auto']);
export const haproxyCopy = createHaproxy('haproxy-copy', []);
export const nginxStream = createHttp('nginx-stream', [], startNginxStream);
export const socat = createHttp('socat', ['socat'], startSocat);
export const nodePipe = createHttp('node-pipe', [], (fleet, next) =>
  fleet.startPrinting({ program: process.execPath, args: [pipeRelay, String(next)] }),
);
/** No relay at all, whatever the scenario asks for. */
export const curlDirect: Contender = {
  ...createHttp('curl-direct', [], () => Promise.reject(new Error('curl-direct has no relays'))),
  start: (request) => startChain({ ...request, relays: 0 }, () => Promise.reject(new Error('no relays'))),
};

function createHaproxy(name: string, splice: readonly string[]): Contender {
  return createHttp(name, ['haproxy'], (fleet, next) => startHaproxy(fleet, next, splice));
}

function createHttp(name: string, needs: readonly string[], startRelay: StartRelay): Contender {
  return {
    name,
    speaks: 'http',
    keeps: false,
    needs: ['nginx', 'curl', ...needs],
    start: (request) => startChain(request, startRelay),
  };
}

async function startChain(request: ChainRequest, startRelay: StartRelay): Promise<Chain> {
  const { fleet, relays, root, leg = async (port: number) => port } = request;
  const origin = await startOrigin(fleet, root);
  const relayPids: number[] = [];
  let entry = await leg(origin.port);
  for (let count = 0; count < relays; count += 1) {
    const relay = await startRelay(fleet, entry);
    relayPids.unshift(relay.pid);
    entry = await leg(relay.port);
  }
  const address = `http://127.0.0.1:${entry}/`;
  return {
    relayPids,
    originPids: [origin.pid],
    address,
    fetch: (name, output) => curl(['-o', output, address + name]),
  };
}

export function curl(args: readonly string[]): Command {
  return { program: 'curl', args: ['-q', '--silent', '--show-error', '--fail', '--noproxy', '*', ...args] };
}

async function startOrigin(fleet: Fleet, root: string): Promise<{ readonly pid: number; readonly port: number }> {
  const port = await freePort();
  const http = `http {
  sendfile on; tcp_nopush on; access_log off; keepalive_requests 1000000; keepalive_timeout 600s;
${temporaryPaths(fleet, port)}
  server { listen 127.0.0.1:${port} backlog=4096; root ${root}; }
}`;
  return startNginx(fleet, port, http);
}

async function startNginxStream(fleet: Fleet, next: number): Promise<{ readonly pid: number; readonly port: number }> {
  const modulePath = streamModules.find((file) => existsSync(file));
  const load = modulePath ? `load_module ${modulePath};\n` : '';
  const port = await freePort();
  const stream = `stream {
  server { listen 127.0.0.1:${port} backlog=4096; proxy_pass 127.0.0.1:${next}; proxy_buffer_size 256k; }
}`;
  return startNginx(fleet, port, stream, load);
}

export function startNginx(fleet: Fleet, port: number, body: string, load = '') {
  // A worker that gives up root could not read the run's own directory.
  const user = process.getuid?.() === 0 ? 'user root;\n' : '';
  const config = `${load}${user}daemon off; worker_processes 1; worker_rlimit_nofile 16384;
error_log stderr error; pid ${fleet.directory}/nginx-${port}.pid;
events { worker_connections 8192; }
${body}
`;
  const file = path.join(fleet.directory, `nginx-${port}.conf`);
  writeFileSync(file, config);
  const args = ['-p', fleet.directory, '-e', 'stderr', '-c', file];
  return fleet.startListening({ program: findProgram('nginx') ?? 'nginx', args }, port);
}

export function temporaryPaths(fleet: Fleet, port: number): string {
  const directory = path.join(fleet.directory, `nginx-${port}`);
  mkdirSync(directory, { recursive: true });
  const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return kinds.map((kind) => `  ${kind}_temp_path ${directory}/${kind};`).join('\n');
}

async function startHaproxy(fleet: Fleet, next: number, splice: readonly string[]) {
  const port = await freePort();
  const config = `global
  nbthread 1
  maxconn 2048
  maxpipes 4096
  ${splice.length > 0 ? 'tune.pipesize 1048576' : 'nosplice'}
defaults
  mode tcp
  ${splice.join('\n  ')}
  timeout connect 10s
  timeout client 600s
  timeout server 600s
listen relay
  bind 127.0.0.1:${port} backlog 4096
  server next 127.0.0.1:${next}
`;
  const file = path.join(fleet.directory, `haproxy-${port}.cfg`);
  writeFileSync(file, config);
  return fleet.startListening({ program: findProgram('haproxy') ?? 'haproxy', args: ['-db', '-f', file] }, port);
}

async function startSocat(fleet: Fleet, next: number) {
  const port = await freePort();
  const listen = `TCP-LISTEN:${port},bind=127.0.0.1,reuseaddr,fork,nodelay,backlog=4096`;
  const args = ['-b', '262144', listen, `TCP:127.0.0.1:${next},nodelay`];
  return fleet.startListening({ program: 'socat', args }, port);
}
