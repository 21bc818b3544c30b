/**
 * The connections that a listener accepted: which of them hold a place, and which gives way when there is none left.
 *
 * A connection rests while it has asked for nothing: no head yet, or no request since the last was answered. The one that
 * has rested longest gives its place to a newcomer. One that is being refused, or only lingers, holds no place.
 * Owns the counts. Does not know what is spoken.
 * Invariant: at most `maxConnections` hold a place, of one peer at most its share of them, and at most `maxRefusals` are leaving.
 */

import { HoplineError } from '../../core/errors.ts';
import { peerShare } from '../../core/limits.ts';
import { ownerOf } from '../../core/work/budget.ts';
import type { Leg } from '../legs/leg.ts';

export type PlacedConnection = Pick<Leg, 'address' | 'interrupt' | 'destroy'>;

export interface ConnectionLimits {
  readonly maxConnections: number;
  readonly maxPeerPercent: number;
  readonly maxRefusals: number;
}

/** What the places are told of one connection: that it asked for something, and that all it asked for is answered. */
export interface Activity {
  wake(): void;
  rest(): void;
}

export class Places {
  readonly #limitName: string;
  /** Those that hold a place, with their owners. */
  readonly #held = new Map<PlacedConnection, string>();
  readonly #perOwner = new Map<string, number>();
  /** Of those, the ones that rest; the longest first. */
  readonly #resting = new Set<PlacedConnection>();
  /** Those that hold none any more; the oldest first. */
  readonly #leaving = new Set<PlacedConnection>();

  /** `limitName`: what `maxConnections` is called to others. */
  constructor(limitName = 'maxConnections') {
    this.#limitName = limitName;
  }

  /** Places that are taken. */
  get held(): number {
    return this.#held.size;
  }

  /** Takes a place for a connection, which rests; without one, says why it is to be turned away. */
  add(connection: PlacedConnection, limits: ConnectionLimits): HoplineError | undefined {
    const owner = ownerOf(connection.address?.host ?? '');
    const refusal = this.#findPlace(owner, limits);
    if (refusal) {
      this.#leave(connection, limits);
      return refusal;
    }
    this.#held.set(connection, owner);
    this.#perOwner.set(owner, this.#heldBy(owner) + 1);
    this.#resting.add(connection);
    return undefined;
  }

  /** It asked for something. */
  wake(connection: PlacedConnection): void {
    this.#resting.delete(connection);
  }

  /** All that it asked for is answered. */
  rest(connection: PlacedConnection): void {
    if (this.#held.has(connection)) this.#resting.add(connection);
  }

  activityOf(connection: PlacedConnection): Activity {
    return { wake: () => this.wake(connection), rest: () => this.rest(connection) };
  }

  /** It is being refused, or only lingers. */
  leave(connection: PlacedConnection, limits: ConnectionLimits): void {
    if (this.#held.has(connection)) this.#leave(connection, limits);
  }

  /** It is closed. */
  remove(connection: PlacedConnection): void {
    this.#release(connection);
    this.#leaving.delete(connection);
  }

  #findPlace(owner: string, limits: ConnectionLimits): HoplineError | undefined {
    const { maxConnections } = limits;
    const share = peerShare(maxConnections, limits);
    const isOver = this.#heldBy(owner) >= share;
    if (!isOver && this.held < maxConnections) return undefined;
    if (this.#makeRoom(isOver ? owner : undefined, limits)) return undefined;
    const [what, reason] = isOver
      ? [`its ${share} connections of one peer`, 'maxPeerPercent']
      : [`its ${maxConnections} connections`, this.#limitName];
    return new HoplineError('LIMIT_CONNECTIONS', `the node holds ${what} already (${reason})`);
  }

  /** Whether one, of `owner` if that is given, has given way. */
  #makeRoom(owner: string | undefined, limits: ConnectionLimits): boolean {
    for (const connection of this.#resting) {
      if (owner !== undefined && this.#held.get(connection) !== owner) continue;
      this.#leave(connection, limits);
      const error = new HoplineError(
        'LIMIT_CONNECTIONS',
        'the connection asked for nothing and gave way to a newer one',
      );
      if (!connection.interrupt(error)) connection.destroy(error);
      return true;
    }
    return false;
  }

  #leave(connection: PlacedConnection, { maxRefusals }: ConnectionLimits): void {
    this.#release(connection);
    this.#leaving.add(connection);
    for (const oldest of this.#leaving) {
      if (this.#leaving.size <= maxRefusals) break;
      this.#leaving.delete(oldest);
      oldest.destroy(new HoplineError('LIMIT_CONNECTIONS', 'more connections are leaving than the node waits for'));
    }
  }

  #release(connection: PlacedConnection): void {
    const owner = this.#held.get(connection);
    if (owner === undefined) return;
    this.#held.delete(connection);
    this.#resting.delete(connection);
    const held = this.#heldBy(owner) - 1;
    if (held > 0) this.#perOwner.set(owner, held);
    else this.#perOwner.delete(owner);
  }

  #heldBy(owner: string): number {
    return this.#perOwner.get(owner) ?? 0;
  }
}
