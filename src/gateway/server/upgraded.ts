/**
 * A client's connection that does not speak HTTP any more, joined with the one behind the gateway.
 *
 * Used for Upgrade (RFC 9110, 7.8) and CONNECT. Parses nothing of what passes.
 */

import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { RawFields } from '../../http/exchange.ts';
import { fieldLines } from '../../http/fields.ts';

/** Writes the head of an answer straight to the connection. */
export function writeHead(client: Duplex, status: number, fields: RawFields): void {
  client.write(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${fieldLines(fields)}\r\n`);
}

/** Passes bytes both ways until both sides have ended; settles with how many went to the client. Never rejects. */
export async function joinUpgraded(client: Duplex, backend: Duplex, idleMs: number): Promise<number> {
  let bytes = 0;
  const count = (chunk: Buffer) => {
    bytes += chunk.length;
  };
  backend.on('data', count);
  // Either side may end its direction, and still wants what the other one has to say.
  for (const side of [client, backend]) {
    side.allowHalfOpen = true;
    // Two pipelines and the server of HTTP listen to it, more than Node takes for sound: it would print a warning.
    side.setMaxListeners(0);
  }
  if ('setTimeout' in client && typeof client.setTimeout === 'function') {
    client.setTimeout(idleMs, () => client.destroy());
  }
  const ended = await Promise.allSettled([pipeline(client, backend), pipeline(backend, client)]);
  if (ended.some(({ status }) => status === 'rejected')) {
    client.destroy();
    backend.destroy();
  }
  return bytes;
}
