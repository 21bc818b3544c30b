/** Connections to servers, straight over TCP. */

import net from 'node:net';
import type { Duplex } from 'node:stream';
import type { Signal } from '../../core/signal.ts';
import { readPastFailedWrites } from '../../io/legs/failed-writes.ts';
import { unreachable } from '../../io/legs/loss.ts';
import { reach, type WayOptions } from '../../io/names/resolve.ts';
import { type Address, formatHop } from '../../wire/address.ts';

/** A connection to a server. */
export interface Connection extends Duplex {
  /** The circuit that it goes over, if any, as the logs of its nodes call it. */
  readonly circuit?: string | undefined;
}

/**
 * Opens a connection to a host and port, and gives it up as soon as the signal aborts; `traceparent` is what it is for, for logs on
 * the way. Rejects with a HoplineError.
 */
export type Dial = (to: Address, signal: AbortSignal, traceparent?: string) => Promise<Connection>;

/**
 * Opens a connection to one of the addresses of a server.
 * Throws `PEER_UNREACHABLE`, `PEER_UNRESOLVED`, `TIMEOUT_CONNECT`, or the signal's reason.
 */
export function dialDirect(to: Address, options: WayOptions): Promise<net.Socket> {
  return reach(to, (address, signal) => connect(address, to.port, signal), options);
}

function connect(host: string, port: number, signal: Signal): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 });
    const abort = () => socket.destroy(signal.reason as Error);
    const fail = (error: Error) => {
      signal.removeEventListener('abort', abort);
      reject(signal.aborted ? signal.reason : unreachable(formatHop({ host, port }), error));
    };
    socket.once('error', fail);
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    socket.once('connect', () => {
      socket.off('error', fail);
      signal.removeEventListener('abort', abort);
      resolve(readPastFailedWrites(socket));
    });
  });
}
