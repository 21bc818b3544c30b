/**
 * The connections of an admin listener: who has a place, and that each is answered one request after the other.
 *
 * Does not know what is asked. Invariant: whoever may not look, or asks for nothing, keeps nobody out; no connection has more
 * than one answer made for it at a time.
 */

import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Limits } from '../../core/limits.ts';
import { type PlacedConnection, Places } from '../../io/listening/places.ts';

export class AdminConnections {
  readonly #places = new Places('maxAdminConnections');
  readonly #limits: Limits;
  readonly #placed = new WeakMap<Socket, PlacedConnection>();
  readonly #answering = new WeakSet<Socket>();

  constructor(limits: Limits) {
    // Nobody is told why: one without a place is closed at once.
    this.#limits = { ...limits, maxConnections: limits.maxAdminConnections, maxRefusals: 0 };
  }

  /** Gives a new connection a place, maybe that of another one that rests. */
  accept(socket: Socket): void {
    const { remoteAddress: host = '', remotePort: port = 0 } = socket;
    const placed = { address: { host, port }, interrupt: () => false, destroy: () => void socket.destroy() };
    this.#placed.set(socket, placed);
    socket.on('close', () => this.#places.remove(placed));
    this.#places.add(placed, this.#limits);
  }

  /**
   * Whether a request is to be answered by `response`. One that came before the answer to the one before it ends the connection:
   * no browser or scraper does that, and thousands of them fit into one segment.
   */
  begin(response: ServerResponse): boolean {
    const { socket } = response.req;
    if (socket.destroyed) return false;
    if (this.#answering.has(socket)) {
      socket.destroy();
      return false;
    }
    this.#answering.add(socket);
    response.on('close', () => {
      this.#answering.delete(socket);
      const placed = this.#placed.get(socket);
      if (placed) this.#places.rest(placed);
    });
    return true;
  }

  /** Whoever asks may look: until the answer is over, the place is theirs. */
  admit({ req: { socket } }: ServerResponse): void {
    const placed = this.#placed.get(socket);
    if (placed) this.#places.wake(placed);
  }
}
