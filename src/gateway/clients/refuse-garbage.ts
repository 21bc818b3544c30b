/**
 * The answer to a client whose bytes are not a request, before its connection is closed.
 *
 * Nothing more is read from such a connection: nobody knows where the next request would begin.
 */

import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { systemCode } from '../../core/system-errors.ts';
import { writeHead } from '../server/upgraded.ts';
import type { ClientConnection } from './client-connection.ts';

/** Answers what the parser refused, behind the answers to what came before it, and ends the connection. Never rejects. */
export async function refuseBytes(error: Error, socket: Duplex, connection: ClientConnection): Promise<void> {
  const reason = systemCode(error);
  if (!socket.writable || reason === 'ECONNRESET' || reason === 'EPIPE') {
    socket.destroy();
    return;
  }
  // The parser says so once more for all that comes behind.
  if (connection.isEnding) return;
  if (!(await connection.settle())) {
    socket.destroy();
    return;
  }
  const status = statusOf(reason, error);
  const body = `hopline: ${sentences[status]}${reason?.startsWith('HPE_') ? ` (${reason})` : ''}\n`;
  const length = String(Buffer.byteLength(body));
  writeHead(socket, status, ['Content-Type', 'text/plain', 'Content-Length', length, 'Connection', 'close']);
  socket.write(body);
  (socket as Socket).destroySoon();
}

const sentences: Readonly<Record<number, string>> = {
  400: 'the request is not well formed',
  408: 'the request did not come in time',
  413: 'the extensions of a chunk are too long',
  431: 'the head of the request is too long',
  501: 'there is no such method',
  505: 'the gateway speaks HTTP/1.1',
};

function statusOf(reason: string | undefined, error: Error): number {
  switch (reason) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return 408;
    case 'HPE_HEADER_OVERFLOW':
      return 431;
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return 413;
    case 'HPE_INVALID_VERSION':
      return isVersion(error) ? 505 : 400;
    case 'HPE_INVALID_METHOD':
      return isToken(error) ? 501 : 400;
    default:
      return 400;
  }
}

/** Whether the bytes begin as a request line does, with a method that the parser does not know. */
function isToken(error: Error): boolean {
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]+ \S+ HTTP\/1\.[01]\r\n/.test(bytesOf(error));
}

/** Whether the bytes have a request line that is one, of a version that the parser does not know. */
function isVersion(error: Error): boolean {
  return /(^|\r\n)[A-Z-]+ \S+ HTTP\/(?!1\.[01])\d\.\d\r\n/.test(bytesOf(error));
}

function bytesOf(error: Error): string {
  const bytes = 'rawPacket' in error && Buffer.isBuffer(error.rawPacket) ? error.rawPacket : Buffer.alloc(0);
  return bytes.toString('latin1', 0, 8192);
}
