/**
 * A sentence for clients that speak plain HTTP to a port of TLS.
 *
 * TLS has given the connection up by then, so the answer goes beside it, onto the connection below.
 */

import { STATUS_CODES } from 'node:http';
import type { Server } from 'node:https';
import type { Socket } from 'node:net';
import { systemCode } from '../../core/system-errors.ts';
import { endsOf } from './clients.ts';

const body = 'hopline: this port speaks TLS: use https:// in place of http://\n';
const answer =
  `HTTP/1.1 400 ${STATUS_CODES[400]}\r\nContent-Type: text/plain\r\n` +
  `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`;

export function answerPlainHttp(server: Server): void {
  const below = new Map<string, Socket>();
  server.prependListener('connection', (socket: Socket) => {
    const peer = endsOf(socket);
    below.set(peer, socket);
    socket.once('close', () => below.delete(peer));
  });
  server.prependListener('tlsClientError', (error, secured) => {
    if (systemCode(error) === 'ERR_SSL_HTTP_REQUEST') below.get(endsOf(secured))?.write(answer);
  });
}
