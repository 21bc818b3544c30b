/**
 * What happens, told to whoever follows it: each look as one event of a stream.
 *
 * Owns the followers. Knows nothing about what a look holds.
 * Invariant: at most `maxAdminListeners` follow, and none of them holds more than `maxAdminBehindBytes` in this process.
 * Format: server-sent events, as HTML has them
 */

import type { ServerResponse } from 'node:http';
import type { Limits } from '../core/limits.ts';
import type { Observer, View } from './observer.ts';

/** How soon a browser asks again whose connection broke. */
const retryMs = 2000;

export class EventStream {
  readonly #observer: Observer;
  readonly #limits: Limits;
  readonly #followers = new Set<ServerResponse>();
  readonly #stop: () => void;

  constructor(observer: Observer, limits: Limits) {
    this.#observer = observer;
    this.#limits = limits;
    this.#stop = observer.watch((view) => this.#tell(view));
  }

  get isFull(): boolean {
    return this.#followers.size >= this.#limits.maxAdminListeners;
  }

  /** Begins with the last ten minutes; `response` has had its head set, and is this stream's from now on. */
  follow(response: ServerResponse): void {
    this.#followers.add(response);
    response.on('close', () => this.#followers.delete(response));
    response.write(`retry: ${retryMs}\n\n${format('history', this.#observer.points)}`);
  }

  close(): void {
    this.#stop();
    for (const follower of this.#followers) follower.destroy();
  }

  #tell(view: View): void {
    if (this.#followers.size === 0) return;
    const event = format('look', view);
    for (const follower of this.#followers) {
      if (follower.writableLength > this.#limits.maxAdminBehindBytes) follower.destroy();
      else follower.write(event);
    }
  }
}

function format(event: string, value: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(value)}\n\n`;
}
