/**
 * Time as a parameter: the current time and timers, so that a test can move it by hand.
 *
 * Owns deadlines: a promise that must settle in time, or an error that says what
 * was waited for. Invariant: a deadline leaves no timer behind once it has settled.
 */

import { OwnSignal, type Signal } from './signal.ts';

export interface Clock {
  /** Milliseconds on a monotonic scale. */
  readonly now: () => number;
  /**
   * Calls `action` once after `ms` milliseconds, when what came within them has been taken; the function returned cancels it. So
   * nobody is late whose bytes wait in a socket because this process was busy.
   */
  readonly after: (ms: number, action: () => void) => () => void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after: (ms, action) => {
    let cancelTaken = () => {};
    const timer = setTimeout(() => {
      cancelTaken = onceTaken(action);
    }, ms);
    return () => {
      clearTimeout(timer);
      cancelTaken();
    };
  },
};

/** Calls `action` when what lies in the sockets of this process has been taken; the function returned cancels it. */
export function onceTaken(action: () => void): () => void {
  // Before immediates the event loop looks at its sockets, and whoever hears of them by an immediate hears before the next round of these.
  let turn = setImmediate(() => {
    turn = setImmediate(action);
  });
  return () => clearImmediate(turn);
}

/** Milliseconds since `startedMs` of that clock, to the microsecond. */
export function elapsedSince(clock: Pick<Clock, 'now'>, startedMs: number): number {
  return Math.round((clock.now() - startedMs) * 1000) / 1000;
}

/** How long some work may take. */
export interface Deadline {
  readonly clock: Clock;
  readonly ms: number;
  /** Makes the error for work that is not done in time. */
  readonly late: () => Error;
  /** Ends the work earlier. */
  readonly outer?: Signal | undefined;
}

/** Does `work` under a signal that aborts when it is late, or as soon as `outer` does. Once it has, its reason is what is thrown. */
export async function withDeadline<T>(
  { clock, ms, late, outer }: Deadline,
  work: (signal: Signal) => Promise<T>,
): Promise<T> {
  const due = new OwnSignal();
  const cancel = clock.after(ms, () => due.abort(late()));
  const follow = () => due.abort(outer?.reason);
  if (outer?.aborted) follow();
  outer?.addEventListener('abort', follow, { once: true });
  try {
    return await work(due);
  } catch (error) {
    due.throwIfAborted();
    throw error;
  } finally {
    cancel();
    outer?.removeEventListener('abort', follow);
  }
}

/** Settles after `ms` milliseconds, or as soon as the signal aborts; never rejects. */
export function pause(clock: Clock, ms: number, signal: Signal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const settle = () => {
      cancel();
      signal.removeEventListener('abort', settle);
      resolve();
    };
    const cancel = clock.after(ms, settle);
    signal.addEventListener('abort', settle, { once: true });
  });
}

/** Settles as `work` does, or rejects with the signal's reason if it aborts first; `work` itself goes on unheeded. */
export function untilAborted<T>(work: Promise<T>, signal: Signal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** Does `action`, which must not throw, every `ms` milliseconds until the returned function is called. */
export function every(clock: Clock, ms: number, action: () => void): () => void {
  const act = () => {
    action();
    cancel = clock.after(ms, act);
  };
  let cancel = clock.after(ms, act);
  return () => cancel();
}
