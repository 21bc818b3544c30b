/**
 * The one error class of hopline. Its codes, and the hint for each, stand in failure/.
 *
 * Knows nothing about how a code is shown: three tables elsewhere translate it (wire/native/refusal.ts to the wire, the gateway to
 * an HTTP status, cli/terminal/exit-codes.ts to an exit code), each typed so that a new code does not compile until it is mapped.
 *
 * Invariant: what an error says is safe to show, in a terminal too; a native error becomes a HoplineError once, where it happened,
 * with `cause` kept; nobody matches message text.
 */

import type { ErrorCode } from './failure/codes.ts';
import { hintFor } from './failure/hints.ts';
import { safeText } from './text.ts';

export { type ErrorCode, errorCodes } from './failure/codes.ts';

/** A hop of a route on which something failed. */
export interface RouteStep {
  readonly address: string;
  /** - `passes`: what was sent came as far as this, and further; - `fails`: the hop, or the `leg` to it, is at fault. */
  readonly state: 'passes' | 'fails' | 'unreached';
  readonly leg?: true;
}

export interface ErrorDetails {
  /** The place in the route of the node that failed or refused, from 1; 0 is the client itself. */
  readonly hop?: number;
  /** The operating system's own code for the failure, such as `ECONNREFUSED`. */
  readonly reason?: string;
  /** The way that was taken, where it is at fault. */
  readonly route?: readonly RouteStep[];
  /** Every problem that was found, where there may be several: a line each, the first one in the message. */
  readonly problems?: readonly string[];
  readonly cause?: unknown;
}

/**
 * What every failing function of hopline throws. `message` is one line for people, without a prefix or a full stop; whatever
 * it quotes, it is safe to show.
 */
export class HoplineError extends Error {
  override readonly name = 'HoplineError';
  readonly code: ErrorCode;
  readonly hop?: number;
  readonly reason?: string;
  readonly problems?: readonly string[];
  readonly route?: readonly RouteStep[];

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(safeText(message), details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    if (details.hop !== undefined) this.hop = details.hop;
    if (details.reason !== undefined) this.reason = safeText(details.reason);
    if (details.route !== undefined) this.route = details.route;
    if (details.problems !== undefined) this.problems = details.problems.map((problem) => safeText(problem));
  }

  /** What to try next, in words of the command line. */
  get hint(): string {
    return hintFor(this.code);
  }

  /** What `JSON.stringify` writes: all that the error says; neither its cause nor a stack. */
  toJSON(): object {
    const { code, message, hop, reason, problems, route, hint } = this;
    return { code, message, hop, reason, problems, route, hint };
  }
}

/** One error for all mistakes of a text that says what a node does. */
export function mistakes(problems: readonly string[]): HoplineError {
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
  return new HoplineError('CONFIG_INVALID', `${problems[0]}${more}`, { problems });
}

/** Returns a HoplineError as it is and wraps anything else as `INTERNAL`. */
export function asHoplineError(error: unknown): HoplineError {
  if (error instanceof HoplineError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new HoplineError('INTERNAL', message, { cause: error });
}
