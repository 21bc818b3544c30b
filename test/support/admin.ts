/** An admin listener over nodes of one test, and requests to it with whatever fields. */

import http from 'node:http';
import net from 'node:net';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type AdminOptions, type RunningAdmin, startAdmin } from '../../src/admin/admin-server.ts';
import { loadPage } from '../../src/admin/page.ts';
import { type Shown, type Snapshot, takeSnapshot } from '../../src/admin/snapshot.ts';
import { VitalSigns } from '../../src/admin/vitals.ts';
import { repository } from './repository.ts';

export const pageDirectory = fileURLToPath(new URL('src/admin/page/', repository));

/** What there is to see of `shown`, taken anew each time. */
export function sourceOf(t: TestContext, shown: Shown): () => Promise<Snapshot> {
  const vitals = new VitalSigns();
  t.after(() => vitals.close());
  return async () => takeSnapshot(shown, await vitals.take(), false);
}

/** Closed when the test ends. */
export async function openAdminOf(
  t: TestContext,
  shown: Shown,
  options: Partial<AdminOptions> = {},
): Promise<{ admin: RunningAdmin; port: number }> {
  const listen = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const;
  const page = await loadPage(pageDirectory);
  const admin = await startAdmin({ listen, source: sourceOf(t, shown), page, ...options });
  t.after(() => admin.close());
  return { admin, port: admin.address.kind === 'tcp' ? admin.address.port : 0 };
}

export interface Answered {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}

/** One request on a connection of its own. */
export function ask(
  place: { readonly port: number } | { readonly socketPath: string },
  path: string,
  {
    method = 'GET',
    headers = {},
  }: { readonly method?: string; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const host = 'port' in place ? { host: '127.0.0.1', port: place.port } : { socketPath: place.socketPath };
    const request = http.request({ ...host, path, method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
      response.on('error', reject);
    });
    request.on('error', reject).end();
  });
}

/** A connection that says what it likes, and reads nothing unless it is told to. */
export async function connectSilent(t: TestContext, port: number): Promise<net.Socket> {
  const socket = net.connect({ host: '127.0.0.1', port });
  socket.on('error', () => {});
  t.after(() => socket.destroy());
  await new Promise((resolve) => socket.once('connect', resolve));
  return socket;
}
