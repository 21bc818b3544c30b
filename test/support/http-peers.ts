/** Peers of a gateway that see and say bytes, not messages: what a parser in between would hide. */

import { once } from 'node:events';
import net from 'node:net';
import type { TestContext } from 'node:test';
import type { Limits } from '../../src/core/limits.ts';
import type { Address } from '../../src/wire/address.ts';
import { hopAt, startTestGateway } from './http.ts';

interface RawBackend {
  readonly address: Address;
  /** All bytes that have come, of one connection after the other, as latin1. */
  readonly received: () => string;
  /** Connections so far. */
  readonly connections: () => number;
}

/** An answer, sent when the request is there to its end; more than one part, and they leave one after the other. */
export const plainAnswer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** A server that answers every request, once it has seen its end, with the bytes given. */
async function startRawBackend(t: TestContext, answer = plainAnswer): Promise<RawBackend> {
  const received: string[] = [];
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    const index = received.push('') - 1;
    let pending = '';
    socket.setEncoding('latin1');
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    socket.on('data', (text: string) => {
      received[index] += text;
      pending += text;
      if (!isWhole(pending)) return;
      pending = '';
      socket.write(answer, 'latin1');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    address: hopAt((server.address() as net.AddressInfo).port),
    received: () => received.join(''),
    connections: () => received.length,
  };
}

/** A gateway in front of one such server, which is its default site. */
export async function startBeforeRaw(t: TestContext, answer?: string, limits: Partial<Limits> = {}) {
  const backend = await startRawBackend(t, answer);
  const health = { intervalMs: 60_000, ejectMs: 1, maxEjectMs: 1 };
  const sites = [{ host: '*', backend: { members: [backend.address], health } }];
  const gateway = await startTestGateway(t, { sites, limits });
  return { backend, gateway };
}

/** A connection that is open for so long after its bytes was not closed, in milliseconds. */
const openMs = 5000;

/** Sends bytes, and settles with all that came back once the other side has closed. With `end`, this side ends first. */
export function sendBytes(port: number, bytes: string, { end = false } = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    let text = '';
    const late = setTimeout(() => {
      reject(new Error(`the connection was not closed; it said: ${text}`));
      socket.destroy();
    }, openMs);
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      text += chunk;
    });
    // A reset says that the connection is closed, as an end does.
    socket.on('error', () => {});
    socket.on('end', () => socket.end());
    socket.on('close', () => {
      clearTimeout(late);
      resolve(text);
    });
    socket.write(bytes, 'latin1');
    if (end) socket.end();
  });
}

/** The statuses of the answers in what came back. */
export function statusesIn(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
}

function isWhole(request: string): boolean {
  const end = request.indexOf('\r\n\r\n');
  if (end < 0) return false;
  const head = request.slice(0, end);
  if (/^transfer-encoding:/im.test(head)) return /(^|\n)0\r\n(.*\r\n)*\r\n$/.test(request.slice(end + 4));
  const [, length = '0'] = /^content-length: *(\d+)/im.exec(head) ?? [];
  return request.length - end - 4 >= Number(length);
}
