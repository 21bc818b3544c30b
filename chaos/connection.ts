/**
 * One connection through a shim: two sockets, and a pump for each direction.
 *
 * Owns both sockets. Half-open is kept; a reset on one side becomes one on the other.
 * Invariant: `closed` settles, once both sockets are gone.
 */

import { once } from 'node:events';
import type net from 'node:net';

/** `forward` is away from the client. */
export type Direction = 'forward' | 'back';

/** Held back for a delay; beyond it the sender waits. */
const maxHeldBytes = 8 * 1024 * 1024;

interface Passage {
  /** Passes a chunk on, in whatever form. */
  readonly pass: (direction: Direction, chunk: Buffer) => Promise<void>;
  /** Whether ends and resets are lost too. */
  readonly isLost: () => boolean;
}

export class Connection {
  readonly closed: Promise<unknown>;
  readonly #near: net.Socket;
  readonly #far: net.Socket | undefined;
  readonly #passage: Passage;
  readonly #tails: Record<Direction, Promise<void>> = { forward: Promise.resolve(), back: Promise.resolve() };
  readonly #held: Record<Direction, number> = { forward: 0, back: 0 };
  #isBroken = false;

  /** Without `far` the connection leads nowhere. */
  constructor(near: net.Socket, far: net.Socket | undefined, passage: Passage) {
    this.#near = near;
    this.#far = far;
    this.#passage = passage;
    const sockets = far ? [near, far] : [near];
    for (const socket of sockets) {
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.once('close', (hadError) => {
        if (hadError && !passage.isLost()) this.reset();
      });
    }
    this.closed = Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve))));
    if (!far) return;
    void this.#pump('forward', near, far);
    void this.#pump('back', far, near);
  }

  get isBroken(): boolean {
    return this.#isBroken;
  }

  /** Settles when `bytes` are on their way, or, with a delay, when they are held back. */
  async send(direction: Direction, bytes: Buffer, delayMs: number): Promise<void> {
    const to = direction === 'forward' ? this.#far : this.#near;
    if (!to || bytes.length === 0) return;
    const due = performance.now() + delayMs;
    this.#held[direction] += bytes.length;
    this.#tails[direction] = this.#tails[direction].then(async () => {
      const left = due - performance.now();
      if (left > 1) await new Promise((resolve) => setTimeout(resolve, left));
      this.#held[direction] -= bytes.length;
      if (!this.#isBroken && to.writable && !to.write(bytes)) await drained(to);
    });
    if (delayMs === 0 || this.#held[direction] > maxHeldBytes) await this.#tails[direction];
  }

  /** Ends both directions as if the peers had done so, in the middle of whatever was passing. */
  cut(): void {
    this.#isBroken = true;
    this.#near.end();
    this.#far?.end();
  }

  reset(): void {
    this.#isBroken = true;
    for (const socket of [this.#near, this.#far]) if (socket) resetNow(socket);
  }

  async #pump(direction: Direction, from: net.Socket, to: net.Socket): Promise<void> {
    try {
      for await (const chunk of from.iterator({ destroyOnReturn: false })) {
        // After a cut, what the peer still sends is dropped.
        if (!this.#isBroken) await this.#passage.pass(direction, chunk);
      }
      await this.#tails[direction];
      if (!this.#passage.isLost()) to.end();
    } catch {
      if (!this.#passage.isLost()) this.reset();
    }
  }
}

/** `resetAndDestroy()` would send the end of the stream first, which a peer may take for one. */
function resetNow(socket: net.Socket): void {
  const isEnding = socket.writableEnded && !socket.writableFinished;
  if (!socket.connecting && !isEnding) (socket as unknown as { resetAndClosing: boolean }).resetAndClosing = true;
  socket.destroy();
}

async function drained(socket: net.Socket): Promise<void> {
  const settled = new AbortController();
  const { signal } = settled;
  await Promise.race([once(socket, 'drain', { signal }), once(socket, 'close', { signal })]).catch(() => {});
  settled.abort();
}
