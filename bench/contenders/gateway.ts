/** HTTP reverse proxies in front of one nginx, each a process with one thread. */

import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { hoplineCommand } from '../../harness/children.ts';
import { type Fleet, findProgram, freePort } from '../processes.ts';
import { startNginx, temporaryPaths } from './http.ts';

interface Started {
  readonly pid: number;
  readonly port: number;
}

export interface GatewayContender {
  readonly name: string;
  readonly caches: boolean;
  readonly needs: readonly string[];
  start(fleet: Fleet, backend: number): Promise<Started>;
}

export const gatewayContenders: readonly GatewayContender[] = [
  { name: 'hopline', caches: false, needs: [], start: (fleet, backend) => startHopline(fleet, backend) },
  {
    name: 'hopline-cache',
    caches: true,
    needs: [],
    start: (fleet, backend) => {
      const directory = mkdtempSync(path.join(fleet.directory, 'hopline-cache-'));
      return startHopline(fleet, backend, ['--cache', directory]);
    },
  },
  { name: 'nginx', caches: false, needs: ['nginx'], start: (fleet, backend) => startNginxProxy(fleet, backend, false) },
  {
    name: 'nginx-cache',
    caches: true,
    needs: ['nginx'],
    start: (fleet, backend) => startNginxProxy(fleet, backend, true),
  },
  { name: 'haproxy', caches: false, needs: ['haproxy'], start: startHaproxy },
  {
    name: 'http-proxy-3',
    caches: false,
    needs: [],
    start: (fleet, backend) =>
      fleet.startPrinting({
        program: process.execPath,
        args: [path.resolve('bench/peers/http-proxy.mjs'), String(backend)],
      }),
  },
];

/** The backend: files of `root`, and the 1 KiB one under every name below /m/. */
export async function startBackend(fleet: Fleet, root: string): Promise<Started> {
  const port = await freePort();
  const http = `http {
  sendfile on; tcp_nopush on; access_log off; keepalive_requests 100000000; keepalive_timeout 600s;
  add_header Cache-Control max-age=3600;
${temporaryPaths(fleet, port)}
  server {
    listen 127.0.0.1:${port} backlog=4096; root ${root};
    location /m/ { rewrite ^ /1k break; }
  }
}`;
  return startNginx(fleet, port, http);
}

function startHopline(fleet: Fleet, backend: number, more: readonly string[] = []): Promise<Started> {
  const args = ['gateway', '--listen', '127.0.0.1:0', '--site', `*=127.0.0.1:${backend}`, '--log-level', 'error'];
  return fleet.startPrinting(hoplineCommand([...args, ...more]));
}

async function startNginxProxy(fleet: Fleet, backend: number, caches: boolean): Promise<Started> {
  const port = await freePort();
  const store = path.join(fleet.directory, `nginx-cache-${port}`);
  mkdirSync(store, { recursive: true });
  const http = `http {
  sendfile on; tcp_nopush on; access_log off; keepalive_requests 100000000; keepalive_timeout 600s;
${temporaryPaths(fleet, port)}
  ${caches ? `proxy_cache_path ${store} levels=1:2 keys_zone=all:64m max_size=4g inactive=60m use_temp_path=off;` : ''}
  upstream backend { server 127.0.0.1:${backend}; keepalive 256; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $remote_addr;
      ${caches ? 'proxy_cache all; proxy_cache_lock on;' : ''}
    }
  }
}`;
  return startNginx(fleet, port, http);
}

async function startHaproxy(fleet: Fleet, backend: number): Promise<Started> {
  const port = await freePort();
  const config = `global
  nbthread 1
  maxconn 4096
defaults
  mode http
  option forwardfor
  http-reuse always
  timeout connect 10s
  timeout client 600s
  timeout server 600s
listen gateway
  bind 127.0.0.1:${port} backlog 4096
  server backend 127.0.0.1:${backend}
`;
  const file = path.join(fleet.directory, `haproxy-${port}.cfg`);
  writeFileSync(file, config);
  return fleet.startListening({ program: findProgram('haproxy') ?? 'haproxy', args: ['-db', '-f', file] }, port);
}
