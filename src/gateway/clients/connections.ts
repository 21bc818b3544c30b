/**
 * The connections of clients, with what their requests share.
 *
 * Owns how many requests may be sent ahead of their answers, on all of them and by one peer.
 */

import type { Duplex } from 'node:stream';
import { peerShare } from '../../core/limits.ts';
import { Budget } from '../../core/work/budget.ts';
import type { Activity } from '../../io/listening/places.ts';
import { ClientConnection, type ClientConnectionLimits } from './client-connection.ts';

export class Connections {
  readonly #connections = new WeakMap<Duplex, ClientConnection>();
  readonly #limits: ClientConnectionLimits;
  /** Requests behind others on their connections. */
  readonly #ahead: Budget;

  constructor(limits: ClientConnectionLimits) {
    this.#limits = limits;
    this.#ahead = new Budget({
      code: 'LIMIT_REQUESTS',
      what: 'requests sent ahead of the answers',
      perOwner: { most: peerShare(limits.maxHttpAhead, limits), name: 'maxPeerPercent' },
      inAll: { most: limits.maxHttpAhead, name: 'maxHttpAhead' },
    });
  }

  of(socket: Duplex): ClientConnection {
    return this.#connections.get(socket) ?? this.add(socket);
  }

  has(socket: Duplex): boolean {
    return this.#connections.has(socket);
  }

  /** `activity` is told when an answer is due on it, and when none is. */
  add(socket: Duplex, activity?: Activity): ClientConnection {
    const connection = new ClientConnection(socket, this.#limits, this.#ahead, activity);
    this.#connections.set(socket, connection);
    return connection;
  }
}
