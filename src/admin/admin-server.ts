/**
 * The admin listener of a service: metrics, health, and a page for people, apart from everything that is served to others.
 *
 * Owns its socket. Shows, and changes nothing by itself; what it shows, and what commands there are, whoever starts it passes in.
 * Invariant: nobody who looks holds the service up: connections, listeners, time and bytes are all capped, and answers are made
 * one in a turn of the event loop, in no more than their share of it.
 * Documentation: docs/monitoring.md
 */

import { once } from 'node:events';
import { chmod, lstat, unlink } from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import { systemClock } from '../core/clock.ts';
import { defaultLimits, type Limits } from '../core/limits.ts';
import { type Logger, silentLogger } from '../core/log.ts';
import { OwnSignal } from '../core/signal.ts';
import { systemError } from '../core/system-errors.ts';
import { LoopShare } from '../core/work/loop-share.ts';
import { boundAddress, listen } from '../io/listening/server-socket.ts';
import { type AdminAddress, formatAdminAddress } from './admin-address.ts';
import { AdminConnections } from './clients/admin-connections.ts';
import { type Denial, judgeRequest } from './clients/admission.ts';
import { EventStream } from './event-stream.ts';
import { Failing } from './failing.ts';
import { chooseForm, writeMetrics } from './metrics/exposition.ts';
import { Observer } from './observer.ts';
import type { Page } from './page.ts';
import { isReady, type Snapshot } from './snapshot.ts';

export interface AdminOptions {
  readonly listen: AdminAddress;
  /** What whoever looks must show. @default nothing */
  readonly token?: string | undefined;
  /** What there is to see now. */
  readonly source: () => Promise<Snapshot>;
  /** The configuration in effect, without secrets. @default none is shown */
  readonly configuration?: (() => unknown) | undefined;
  readonly page: Page;
  /** What POST to `/do/NAME` does, where something can be done. @default nothing, and nothing but GET and HEAD is answered */
  readonly commands?: ReadonlyMap<string, () => void> | undefined;
  readonly limits?: Partial<Limits> | undefined;
  /** Told once of what cannot be shown. @default silent */
  readonly log?: Logger | undefined;
}

export interface RunningAdmin {
  /** Where it listens, with the real port. */
  readonly address: AdminAddress;
  /** Ends every connection at once. */
  close(): Promise<void>;
}

const jsonType = 'application/json; charset=utf-8';
const textType = 'text/plain; charset=utf-8';

/** Of every answer. */
const guardFields = {
  'Content-Security-Policy': "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'Cache-Control': 'no-store',
} as const;

/** Starts to listen. Throws `LISTEN_FAILED`. */
export async function startAdmin(options: AdminOptions): Promise<RunningAdmin> {
  const limits = { ...defaultLimits, ...options.limits };
  const { token, commands, source } = options;
  const server = http.createServer({
    maxHeaderSize: 16 * 1024,
    headersTimeout: limits.adminMs,
    requestTimeout: limits.adminMs,
    keepAliveTimeout: limits.adminMs,
    connectionsCheckingInterval: 1000,
  });
  const connections = new AdminConnections(limits);
  server.on('connection', (socket) => connections.accept(socket));
  const address = await listenAt(server, options.listen);
  const failing = new Failing(options.log ?? silentLogger);
  const observer = new Observer({ source, clock: systemClock, failing });
  const events = new EventStream(observer, limits);
  const share = new LoopShare();
  server.on('request', (request, response) => {
    if (!connections.begin(response)) return;
    for (const [name, value] of Object.entries(guardFields)) response.setHeader(name, value);
    const denial = judgeRequest(request, token, commands !== undefined);
    const late = setTimeout(() => response.destroy(), limits.adminMs);
    response.on('close', () => clearTimeout(late));
    if (denial) return deny(response, denial);
    connections.admit(response);
    const path = (request.url ?? '/').replace(/\?.*$/s, '');
    if (request.method === 'POST') return send(response, obey(path, commands));
    const gone = new OwnSignal();
    response.on('close', () => gone.abort(new Error('nobody waits for the answer')));
    const inTurn: InTurn = (make) => share.run(path, gone, () => failing.make(path, make));
    if (path === '/api/events' && request.method === 'GET') {
      clearTimeout(late);
      void inTurn(() => follow(events, response)).catch(() => {});
      return;
    }
    answer(path, request, { ...options, observer, inTurn }).then(
      (made) => send(response, made),
      () =>
        send(response, { status: 500, type: textType, content: 'hopline: this cannot be shown; the log says why\n' }),
    );
  });
  return {
    address,
    close: async () => {
      observer.close();
      events.close();
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly content: string | Buffer;
}

/** Makes what takes a while once it is its turn; never, if nobody waits for it any more. */
type InTurn = <Made>(make: () => Made) => Promise<Made>;

interface Show extends Pick<AdminOptions, 'configuration' | 'page'> {
  readonly observer: Observer;
  readonly inTurn: InTurn;
}

async function answer(path: string, request: http.IncomingMessage, show: Show): Promise<Answer> {
  const { observer, page, configuration, inTurn } = show;
  switch (path) {
    case '/': {
      const view = await observer.view();
      return inTurn(() => ok(page.type, page.render(view, observer.points)));
    }
    case '/metrics': {
      const form = chooseForm(request.headers.accept);
      const snapshot = await observer.now();
      return inTurn(() => ok(form, writeMetrics(snapshot, form)));
    }
    case '/healthz':
      return health(await observer.now());
    case '/readyz':
      return readiness(await observer.now());
    case '/api/status': {
      const snapshot = await observer.now();
      return inTurn(() => ok(jsonType, toJson({ ...withoutCircuits(snapshot), configuration: configuration?.() })));
    }
    case '/api/circuits': {
      const snapshot = await observer.now();
      return inTurn(() => ok(jsonType, toJson(circuitsOf(snapshot))));
    }
    default: {
      const part = page.part(path);
      if (part) return ok(part.type, part.content);
      const places = 'there are /, /metrics, /healthz, /readyz, /api/status, /api/circuits and /api/events';
      return { status: 404, type: textType, content: `hopline: there is nothing here; ${places}\n` };
    }
  }
}

function obey(path: string, commands: AdminOptions['commands']): Answer {
  const [, name = ''] = /^\/do\/(.+)$/.exec(path) ?? [];
  const command = commands?.get(name);
  if (!command) return { status: 404, type: textType, content: 'hopline: there is no such command\n' };
  command();
  return ok(textType, 'done\n');
}

function ok(type: string, content: string | Buffer): Answer {
  return { status: 200, type, content };
}

/** Alive as long as it has not been told to stop: who starts takes time, and is not to be killed for it. */
function health({ state }: Snapshot): Answer {
  return { status: state === 'stopping' ? 503 : 200, type: textType, content: `${state}\n` };
}

function readiness(snapshot: Snapshot): Answer {
  const { state, troubles } = snapshot;
  const lines = [state, ...troubles].join('\n');
  return { status: isReady(snapshot) ? 200 : 503, type: textType, content: `${lines}\n` };
}

function withoutCircuits({ node, ...snapshot }: Snapshot): object {
  if (!node) return snapshot;
  const { circuits, neighbours, refusals, ...rest } = node;
  return { ...snapshot, node: { ...rest, shownCircuits: circuits.length } };
}

function circuitsOf({ time, node }: Snapshot): object {
  const { circuits = [], neighbours = [], refusals = [], open = { relay: 0, origin: 0 } } = node ?? {};
  return { time, open, circuits, neighbours, refusals };
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function deny(response: http.ServerResponse, { status, why, fields = {} }: Denial): void {
  for (const [name, value] of Object.entries(fields)) response.setHeader(name, value);
  response.setHeader('Connection', 'close');
  send(response, { status, type: textType, content: `hopline: ${why}\n` });
}

function send(response: http.ServerResponse, { status, type, content }: Answer): void {
  if (response.destroyed) return;
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(content) });
  response.end(content);
}

function follow(events: EventStream, response: http.ServerResponse): void {
  if (events.isFull) {
    send(response, { status: 503, type: textType, content: 'hopline: as many follow already as may\n' });
    return;
  }
  response.socket?.setKeepAlive(true, 15_000);
  response.writeHead(200, { 'Content-Type': 'text/event-stream; charset=utf-8' });
  events.follow(response);
}

/** Throws `LISTEN_FAILED`. */
async function listenAt(server: http.Server, address: AdminAddress): Promise<AdminAddress> {
  if (address.kind === 'tcp') {
    await listen(server, address);
    return { kind: 'tcp', ...boundAddress(server) };
  }
  const { path } = address;
  await removeLeftSocket(path);
  // Whoever connects in between must not be able to: the name appears with these rights.
  const before = process.umask(0o177);
  try {
    server.listen({ path });
  } finally {
    process.umask(before);
  }
  await once(server, 'listening').catch((cause) => {
    throw systemError('LISTEN_FAILED', `cannot listen on ${formatAdminAddress(address)}`, cause);
  });
  await chmod(path, 0o600);
  return address;
}

/** A process that was killed leaves its socket, to which nobody can connect; one that is too busy to answer keeps its own. */
async function removeLeftSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (!found?.isSocket()) return;
  const isLeft = await new Promise<boolean>((resolve) => {
    const socket = net.connect({ path });
    socket.on('connect', () => resolve(!socket.destroy()));
    socket.on('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'ECONNREFUSED'));
  });
  if (isLeft) await unlink(path);
}
