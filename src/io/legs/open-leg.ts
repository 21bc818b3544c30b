/**
 * How a leg comes to be: a connection that a server accepted, or one that is opened from here.
 *
 * Invariant: a leg that did not come to be leaves no socket behind.
 */

import net from 'node:net';
import { formatHop } from '../../wire/address.ts';
import { Arrivals } from './arrivals.ts';
import { Leg } from './leg.ts';
import type { LegOptions } from './leg-options.ts';
import { unreachable } from './loss.ts';

export interface DialOptions extends LegOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * Takes over a connection that a server accepted with `pauseOnConnect`.
 *
 * A server gives no way to ask for `onread`, so the handle is moved to a socket
 * that has it; the old socket is closed empty, which keeps the server's count right.
 */
export function acceptLeg(accepted: net.Socket, options: LegOptions): Leg {
  const arrivals = new Arrivals(options.maxBlockBytes);
  const peer = formatHop({ host: accepted.remoteAddress ?? 'unknown', port: accepted.remotePort ?? 0 });
  const inner = accepted as unknown as { _handle: unknown };
  const handle = inner._handle;
  inner._handle = null;
  accepted.destroy();
  const init = { handle, allowHalfOpen: true, onread: arrivals.onread };
  return new Leg(new net.Socket(init as net.SocketConstructorOpts), peer, arrivals, options);
}

/**
 * Opens a connection to an address, never to a name.
 * Throws `PEER_UNREACHABLE`, or the signal's reason once it aborts.
 */
export function dialLeg(address: string, port: number, options: DialOptions): Promise<Leg> {
  const { signal } = options;
  const arrivals = new Arrivals(options.maxBlockBytes);
  const peer = formatHop({ host: address, port });
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const { onread } = arrivals;
    const socket = net.connect({ host: address, port, allowHalfOpen: true, autoSelectFamily: false, onread });
    const abort = () => socket.destroy(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    const fail = (cause: Error) => reject(signal?.aborted ? signal.reason : unreachable(peer, cause));
    socket.once('error', fail);
    socket.once('close', () => signal?.removeEventListener('abort', abort));
    socket.once('connect', () => {
      signal?.removeEventListener('abort', abort);
      socket.off('error', fail);
      resolve(new Leg(socket, peer, arrivals, options));
    });
  });
}
