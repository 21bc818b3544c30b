/**
 * How a leg comes to be: a connection that a server accepted, or one that is opened from here.
 *
 * Invariant: a leg that did not come to be leaves no socket behind.
 */

import net from 'node:net';
import type { Signal } from '../../core/signal.ts';
import { formatHop } from '../../wire/address.ts';
import { keepAliveDelayMs } from '../kernel/dialling/begin-connection.ts';
import type { Dialled } from '../kernel/dialling/dial-socket.ts';
import type { KernelEngine } from '../kernel/engine.ts';
import { loadHasUserTimeout } from '../kernel/libc.ts';
import { Arrivals } from './arrivals.ts';
import { Leg } from './leg.ts';
import type { LegOptions } from './leg-options.ts';
import { unreachable } from './loss.ts';

export interface DialOptions extends LegOptions {
  readonly signal?: Signal | undefined;
}

/** What is inside of a socket of Node's. */
interface Inside {
  /** Below 0 where it has none. */
  readonly fd: number;
  setNoDelay(isOn: boolean): void;
  setKeepAlive(isOn: boolean, delaySeconds: number): void;
}

/** And of a listening server: it is told of each connection, or of why there is none. */
interface Listening extends Inside {
  onconnection(error: number, connection?: Inside): void;
}

/**
 * Makes a leg of each connection that a listening server accepts from now on.
 *
 * A server makes a socket of it, and gives no way to ask for `onread`; to make a second socket of the first one's inside
 * costs as much again. So the server's own inside is asked, and the server knows nothing of its connections.
 */
export function acceptLegs(server: net.Server, options: () => LegOptions, take: (leg: Leg) => void): void {
  const { _handle: inside } = server as unknown as { readonly _handle: Listening };
  const onconnection = inside.onconnection.bind(inside);
  const hasUserTimeout = loadHasUserTimeout();
  inside.onconnection = (error, connection) => {
    if (connection === undefined) return onconnection(error);
    const current = options();
    const { idleMs, setUserTimeout } = current;
    // On Linux a connection has the options that its listener had when it was made: one question in place of six calls.
    if (!setUserTimeout || !hasUserTimeout?.(connection.fd, idleMs)) {
      setOptions(connection, current);
      if (setUserTimeout && hasUserTimeout) setOptions(inside, current);
    }
    take(legOf(connection, current));
  };
}

function setOptions(inside: Inside, { idleMs, setUserTimeout }: LegOptions): void {
  inside.setNoDelay(true);
  inside.setKeepAlive(true, keepAliveDelayMs / 1000);
  if (inside.fd >= 0) setUserTimeout?.(inside.fd, idleMs);
}

function legOf(handle: Inside, options: LegOptions): Leg {
  const arrivals = new Arrivals(options.maxBlockBytes);
  const init = { handle, allowHalfOpen: true, onread: arrivals.onread };
  const socket = new net.Socket(init as net.SocketConstructorOpts);
  const peer = formatHop({ host: socket.remoteAddress ?? 'unknown', port: socket.remotePort ?? 0 });
  return new Leg(socket, peer, arrivals, options);
}

/** One that is to be joined with a leg. Node knows nothing of it, until it has to be a leg after all. */
export interface FarEnd extends Dialled {
  toLeg(): Leg;
}

/** A connection to join with a leg, by `engine` alone where it is given. Throws as `dialLeg`. */
export async function dialFarEnd(
  address: string,
  port: number,
  engine: KernelEngine | undefined,
  options: DialOptions,
): Promise<Leg | FarEnd> {
  // Which number a zone has, Node finds out.
  if (!engine || address.includes('%')) return dialLeg(address, port, options);
  const { idleMs, setUserTimeout, signal } = options;
  const dialled = await engine.dial(address, port, { userTimeoutMs: setUserTimeout && idleMs, signal });
  const { peer, socket, destroy } = dialled;
  if (signal?.aborted) {
    destroy();
    throw signal.reason;
  }
  return { peer, socket, destroy, toLeg: () => legOfDialled(dialled, options) };
}

function legOfDialled({ peer, socket }: Dialled, options: LegOptions): Leg {
  const arrivals = new Arrivals(options.maxBlockBytes);
  const init = { fd: socket.release(), readable: true, writable: true, allowHalfOpen: true, onread: arrivals.onread };
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
    const abort = () => socket.destroy(signal?.reason as Error);
    signal?.addEventListener('abort', abort, { once: true });
    const fail = (cause: Error) => reject(signal?.aborted ? signal.reason : unreachable(peer, cause));
    socket.once('error', fail);
    socket.once('close', () => signal?.removeEventListener('abort', abort));
    socket.once('connect', () => {
      signal?.removeEventListener('abort', abort);
      socket.off('error', fail);
      const { _handle: inside } = socket as unknown as { readonly _handle: Inside };
      setOptions(inside, options);
      resolve(new Leg(socket, peer, arrivals, options));
    });
  });
}
