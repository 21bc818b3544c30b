/** What Node keeps to itself of a socket: the number of its descriptor, and its timer. */

import type { Socket } from 'node:net';
import { onceTaken } from '../../core/clock.ts';

/** Calls `act` whenever nothing has come for the time that the socket was given, not even while this process was busy. */
export function onTimeout(socket: Socket, act: () => void): void {
  socket.on('timeout', () => {
    const { bytesRead } = socket;
    onceTaken(() => {
      if (!socket.destroyed && socket.bytesRead === bytesRead) act();
    });
  });
}

/** Undefined for a socket that is closed, and where sockets have none. */
export function descriptorOf(socket: Socket): number | undefined {
  const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly fd?: number } | null };
  return handle?.fd !== undefined && handle.fd >= 0 ? handle.fd : undefined;
}

/** Counts as a byte moved, for the timeout of the socket, as Node does for those that it moves itself: to set it anew costs ten times as much. */
export function restartTimeout(socket: Socket): void {
  const { _unrefTimer: restart } = socket as { _unrefTimer?: () => void };
  if (restart) restart.call(socket);
  else socket.setTimeout(socket.timeout ?? 0);
}
