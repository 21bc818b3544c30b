/** Ctrl-C, SIGTERM and a closed terminal as a signal for the library; a second Ctrl-C ends the program at once. */

import { leave } from '../process/leave.ts';
import { takeDemands } from '../process/signals.ts';
import { exitCodes } from './exit-codes.ts';

export interface Interruption {
  readonly signal: AbortSignal;
  /** Lets the signals do what they did before. */
  end(): void;
}

/** `reason`: what the signal aborts with. */
export function startInterruption(reason?: Error): Interruption {
  const stop = new AbortController();
  const end = takeDemands((demand) => {
    // A terminal that closes sends a hangup behind other signals, which is no sign of impatience.
    if (stop.signal.aborted && demand === 'stop') leave(exitCodes.interrupted.code);
    stop.abort(reason);
  });
  return { signal: stop.signal, end };
}
