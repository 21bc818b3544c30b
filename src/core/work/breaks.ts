/**
 * Breaks in work that never waits: a peer that sends without end keeps its own circuit busy, and not the process.
 *
 * While answers are ready one after the other, the event loop gets no turn. Invariant: after `every` answers it gets
 * one.
 */

import { setImmediate as nextTurn } from 'node:timers/promises';

/** Requests of one connection that are answered in one turn of the event loop: some milliseconds of work. */
const every = 32;

/** To be awaited after each answer; the function is for one connection. */
export function createBreaks(): () => Promise<void> | undefined {
  let answered = 0;
  return () => {
    answered += 1;
    return answered % every === 0 ? nextTurn() : undefined;
  };
}
