/**
 * Signals that somebody has given up: the part of an AbortSignal that nearly all code needs.
 *
 * An AbortController costs 2 µs, which is much for a request that is seldom given up. `OwnSignal` costs next to nothing.
 */

export interface Signal {
  readonly aborted: boolean;
  readonly reason: unknown;
  throwIfAborted(): void;
  addEventListener(type: 'abort', action: () => void, options?: { readonly once?: boolean }): void;
  removeEventListener(type: 'abort', action: () => void): void;
}

/** The reason where there is no other: an error, as whoever destroys a socket needs, and one for all, since its stack says nothing. */
const notNeeded = new Error('nobody waits for it any more');

/** A signal that its owner aborts, at most once. */
export class OwnSignal implements Signal {
  #isAborted = false;
  #reason: unknown;
  readonly #actions = new Set<() => void>();

  get aborted(): boolean {
    return this.#isAborted;
  }

  get reason(): unknown {
    return this.#reason;
  }

  throwIfAborted(): void {
    if (this.#isAborted) throw this.#reason;
  }

  /** Actions are called in their order, once, and must not throw. */
  addEventListener(_type: 'abort', action: () => void): void {
    this.#actions.add(action);
  }

  removeEventListener(_type: 'abort', action: () => void): void {
    this.#actions.delete(action);
  }

  abort(reason: unknown = notNeeded): void {
    if (this.#isAborted) return;
    this.#isAborted = true;
    this.#reason = reason;
    // One that is removed by another before its turn is not called any more.
    for (const action of [...this.#actions]) if (this.#actions.delete(action)) action();
  }
}

/** Aborts with the reason of the first of two that aborts. Whoever has it lets go of both in the end, by `release`. */
export function eitherOf(one: Signal, other: Signal): { readonly signal: Signal; readonly release: () => void } {
  const signal = new OwnSignal();
  const followed = [one, other].map((source) => {
    const follow = () => signal.abort(source.reason);
    if (source.aborted) follow();
    else source.addEventListener('abort', follow, { once: true });
    return () => source.removeEventListener('abort', follow);
  });
  return {
    signal,
    release: () => {
      for (const letGo of followed) letGo();
    },
  };
}

/** For those who need the real one. It stays with `signal` for as long as that lasts, so each should be asked for once. */
export function toAbortSignal(signal: Signal): AbortSignal {
  if (signal instanceof AbortSignal) return signal;
  const controller = new AbortController();
  const abort = () => controller.abort(signal.reason);
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  return controller.signal;
}
