/** Ctrl-C and SIGTERM as a signal for the library; a second Ctrl-C ends the program at once. */

export interface Interruption {
  readonly signal: AbortSignal;
  /** Lets the signals do what they did before. */
  end(): void;
}

export function startInterruption(): Interruption {
  const stop = new AbortController();
  const interrupt = () => {
    process.once('SIGINT', () => process.exit(130));
    stop.abort();
  };
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  return {
    signal: stop.signal,
    end: () => {
      process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    },
  };
}
