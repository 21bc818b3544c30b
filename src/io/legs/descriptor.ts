/** The number of a socket's descriptor, which Node keeps to itself. */

import type { Socket } from 'node:net';

/** Undefined for a socket that is closed, and where sockets have none. */
export function descriptorOf(socket: Socket): number | undefined {
  const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly fd?: number } | null };
  return handle?.fd !== undefined && handle.fd >= 0 ? handle.fd : undefined;
}
