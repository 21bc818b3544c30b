/**
 * Time as a parameter: the current time and timers, so that a test can move it by hand.
 *
 * Owns deadlines: a promise that must settle in time, or an error that says what
 * was waited for. Invariant: a deadline leaves no timer behind once it has settled.
 */

export interface Clock {
  /** Milliseconds on a monotonic scale. */
  readonly now: () => number;
  /** Calls `action` once after `ms` milliseconds; the function returned cancels it. */
  readonly after: (ms: number, action: () => void) => () => void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after: (ms, action) => {
    const timer = setTimeout(action, ms);
    return () => clearTimeout(timer);
  },
};

export interface Deadline {
  /** Aborts with the deadline's error, or with the outer signal's reason. */
  readonly signal: AbortSignal;
  /** Must be called when the work is done, in `finally`. */
  readonly clear: () => void;
}

/** A signal that aborts after `ms` with the error that `late` makes, or as soon as `outer` does. */
export function startDeadline(clock: Clock, ms: number, late: () => Error, outer?: AbortSignal): Deadline {
  const controller = new AbortController();
  const cancel = clock.after(ms, () => controller.abort(late()));
  const follow = () => controller.abort(outer?.reason);
  if (outer?.aborted) follow();
  outer?.addEventListener('abort', follow, { once: true });
  return {
    signal: controller.signal,
    clear: () => {
      cancel();
      outer?.removeEventListener('abort', follow);
    },
  };
}

/** Settles after `ms` milliseconds, or as soon as the signal aborts; never rejects. */
export function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
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
export function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
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
