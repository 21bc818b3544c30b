/**
 * The connections of a gateway's clients: each holds a place from its first byte to its last.
 *
 * Owns those that the gateway accepted itself. One that a node handed over has its place there.
 * Invariant: at most `maxHttpConnections` of the gateway's own are open, of one peer at most its share. One that rests gives way to a
 * newcomer, the one that has rested longest first.
 */

import type { Duplex } from 'node:stream';
import type { Limits } from '../../core/limits.ts';
import type { Logger } from '../../core/log.ts';
import { type Activity, Places } from '../../io/listening/places.ts';
import { formatHop } from '../../wire/address.ts';
import type { Connections } from './connections.ts';

type ClientLimits = Pick<Limits, 'maxHttpConnections' | 'maxPeerPercent' | 'maxRefusals'>;

/** What a socket is known by: one that is encrypted has the ends of the one below. */
interface Ends {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}

export class Clients {
  readonly #connections: Connections;
  readonly #limits: ClientLimits;
  readonly #log: Logger;
  readonly #places = new Places('maxHttpConnections');
  /** Node forgets those that have left HTTP, and does not know those that were handed over. */
  readonly #open = new Set<Duplex>();
  readonly #activities = new Map<string, Activity>();

  constructor(connections: Connections, limits: ClientLimits, log: Logger) {
    this.#connections = connections;
    this.#limits = limits;
    this.#log = log;
  }

  /** Takes a connection, or closes it if there is no place for it. */
  add(socket: Duplex & Ends): void {
    this.#open.add(socket);
    socket.once('close', () => this.#open.delete(socket));
    if (this.#connections.has(socket)) return;
    const { remoteAddress: host = '', remotePort: port = 0 } = socket;
    const holder = { address: { host, port }, interrupt: () => false, destroy: () => socket.destroy() };
    const { maxHttpConnections: maxConnections, maxPeerPercent, maxRefusals } = this.#limits;
    const refusal = this.#places.add(holder, { maxConnections, maxPeerPercent, maxRefusals });
    socket.once('close', () => this.#places.remove(holder));
    if (refusal) {
      const { code, reason, message } = refusal;
      this.#log.warn({ peer: formatHop({ host, port }), code, reason }, message);
      socket.destroy();
      return;
    }
    const activity = this.#places.activityOf(holder);
    this.#connections.add(socket, activity);
    const ends = endsOf(socket);
    this.#activities.set(ends, activity);
    socket.once('close', () => this.#activities.delete(ends));
  }

  /** What was encrypted is a connection by itself to Node. */
  addEncrypted(socket: Duplex & Ends): void {
    this.#connections.add(socket, this.#activities.get(endsOf(socket)));
  }

  closeAll(): void {
    for (const socket of this.#open) socket.destroy();
  }
}

/** Names a connection, and what is encrypted over it alike. */
export function endsOf({ remoteAddress, remotePort }: Ends): string {
  return `${remoteAddress} ${remotePort}`;
}
