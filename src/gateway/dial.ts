/** Connections to backends, straight over TCP. */

import net from 'node:net';
import { HoplineError, systemCode } from '../core/errors.ts';
import { readPastFailedWrites } from '../io/failed-writes.ts';
import { type Address, formatHop } from '../wire/address.ts';

/** Opens a connection. Throws `PEER_UNREACHABLE`, `PEER_UNRESOLVED`, `TIMEOUT_CONNECT`, or the signal's reason. */
export function dialDirect({ host, port }: Address, connectMs: number, signal?: AbortSignal): Promise<net.Socket> {
  const name = formatHop({ host, port });
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 });
    const late = () => {
      socket.destroy(new HoplineError('TIMEOUT_CONNECT', `no connection to ${name} within ${connectMs / 1000} s`));
    };
    const abort = () => socket.destroy(signal?.reason);
    const fail = (error: Error) => {
      signal?.removeEventListener('abort', abort);
      reject(asFailure(error, name));
    };
    socket.setTimeout(connectMs, late);
    socket.once('error', fail);
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted) abort();
    socket.once('connect', () => {
      socket.off('timeout', late).off('error', fail).setTimeout(0);
      signal?.removeEventListener('abort', abort);
      resolve(readPastFailedWrites(socket));
    });
  });
}

function asFailure(error: Error, name: string): HoplineError {
  if (error instanceof HoplineError) return error;
  // Of several addresses each has failed in its own way; the first is as good as any.
  const first = error instanceof AggregateError ? (error.errors[0] ?? error) : error;
  const reason = systemCode(first);
  const details = { cause: error, ...(reason === undefined ? {} : { reason }) };
  if (reason === 'ENOTFOUND' || reason === 'EAI_AGAIN') {
    return new HoplineError('PEER_UNRESOLVED', `the name of ${name} does not resolve (${reason})`, details);
  }
  if (reason === 'ETIMEDOUT') return new HoplineError('TIMEOUT_CONNECT', `no connection to ${name}`, details);
  return new HoplineError('PEER_UNREACHABLE', `cannot reach ${name} (${reason ?? error.message})`, details);
}
