/**
 * Opens connections of which Node knows nothing: for a tunnel, which would take a descriptor away from it at once.
 *
 * Knows nothing about what is sent. Invariant: a connection that did not come to be leaves no descriptor behind.
 */

import type { Signal } from '../../../core/signal.ts';
import { formatHop } from '../../../wire/address.ts';
import { failedCall, unreachable } from '../../legs/loss.ts';
import type { Libc } from '../libc.ts';
import { KernelSocket } from '../socket.ts';
import type { PollEvents } from '../watches.ts';

export interface SocketOptions {
  /** Milliseconds for what was sent to be acknowledged. @default the system's */
  readonly userTimeoutMs?: number | undefined;
  readonly signal?: Signal | undefined;
}

/** A connection that nothing was sent over or read from yet. Whoever gets it closes it or hands its socket on. */
export interface Dialled {
  /** The address of the peer, `host:port`. */
  readonly peer: string;
  readonly socket: KernelSocket;
  destroy(): void;
}

const room: PollEvents = { readable: false, writable: true };

/**
 * Opens a connection to an address without a zone, never to a name.
 * Throws `PEER_UNREACHABLE`, or the signal's reason once it aborts.
 */
export function dialSocket(libc: Libc, host: string, port: number, options: SocketOptions): Promise<Dialled> {
  const { userTimeoutMs, signal } = options;
  const peer = formatHop({ host, port });
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const fd = libc.connect(host, port, userTimeoutMs);
    if (fd < 0) return reject(refused(peer, -fd));
    const socket = KernelSocket.own(libc, fd);
    const dialled = { peer, socket, destroy: () => socket.close() };
    // On one machine the peer's system has answered by now, and nobody need be woken for it.
    if (libc.isConnected(fd)) return resolve(dialled);
    let isOver = false;
    const settle = (failure?: unknown) => {
      if (isOver) return;
      isOver = true;
      signal?.removeEventListener('abort', abort);
      if (failure === undefined) resolve(dialled);
      else {
        socket.close();
        reject(failure);
      }
    };
    const abort = () => settle(signal?.reason);
    let isKnown = false;
    const look = () => {
      // Mostly whoever gets it awaits something else before the next turn of the loop.
      if (isKnown) return socket.rest();
      isKnown = true;
      const errno = libc.takeError(fd);
      // Behind a poll callback nobody looks after promises; behind this one somebody does.
      setImmediate(() => settle(errno === 0 ? undefined : refused(peer, errno)));
    };
    signal?.addEventListener('abort', abort, { once: true });
    try {
      socket.await(room, look);
    } catch (error) {
      settle(error);
    }
  });
}

function refused(peer: string, errno: number): Error {
  return unreachable(peer, failedCall('connect', errno, peer));
}
