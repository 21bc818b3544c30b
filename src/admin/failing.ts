/**
 * What cannot be shown just now: each failure is logged once, until what failed has worked again. What fails has one of a few names.
 *
 * Whoever looks is told that something failed, and finds in the log why. Invariant: however often somebody looks, a failure that
 * lasts is one line.
 */

import { asHoplineError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';

export class Failing {
  readonly #log: Logger;
  readonly #failing = new Set<string>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** What `make` makes. Throws as it does, once that is in the log. */
  make<Made>(what: string, make: () => Made): Made {
    try {
      const made = make();
      this.worked(what);
      return made;
    } catch (error) {
      this.failed(what, error);
      throw error;
    }
  }

  worked(what: string): void {
    this.#failing.delete(what);
  }

  failed(what: string, cause: unknown): void {
    if (this.#failing.has(what)) return;
    this.#failing.add(what);
    const { code, message } = asHoplineError(cause);
    this.#log.error({ code }, `${what} cannot be shown: ${message}`);
  }
}
