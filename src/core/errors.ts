/**
 * The one error class of hopline and its closed list of codes.
 *
 * Owns the vocabulary of failure: every way in which hopline can say no has a
 * code here, grouped by who must act. Knows nothing about how a code is shown:
 * three tables elsewhere translate it (wire/native/refusal.ts to the wire, the
 * gateway to an HTTP status, cli/terminal/exit-codes.ts to an exit code and a hint), each
 * typed so that a new code does not compile until it is mapped.
 *
 * Invariant: what an error says is safe to show, in a terminal too; a native error becomes a HoplineError once, where it happened,
 * with `cause` kept; nobody matches message text.
 */

import { safeText } from './text.ts';

/** Every code, grouped by who must act. Listed for users in docs/exit-codes.md. */
export const errorCodes = [
  // The user: what was asked for is not well formed.
  'USAGE_INVALID',
  'CONFIG_INVALID',
  'ROUTE_UNREADABLE',
  'ROUTE_SYNTAX',
  'ROUTE_TOO_LONG',
  'ROUTE_LOOP',
  // The network between two neighbours.
  'PEER_UNRESOLVED',
  'PEER_UNREACHABLE',
  'PEER_LOST',
  'PEER_PROTOCOL',
  'PEER_VERSION',
  'PEER_CLASSIC',
  // The operator of a node: it is told not to.
  'POLICY_DENIED',
  'REGISTER_DENIED',
  'LIMIT_CONNECTIONS',
  'LIMIT_HEAD',
  'LIMIT_HOPS',
  'LIMIT_LISTING',
  'LIMIT_PAYLOAD',
  'LIMIT_LOOKUPS',
  'LIMIT_MEMBERS',
  'LIMIT_UPLOADS',
  'LIMIT_PROBES',
  'LIMIT_REQUESTS',
  'LIMIT_BODY',
  'NODE_STOPPING',
  'LISTEN_FAILED',
  // The members of a pool, and the servers of a policy.
  'POLICY_UNKNOWN',
  'POOL_UNKNOWN',
  'POOL_EMPTY',
  // Who is there, and whether the bytes are theirs.
  'AUTH_REQUIRED',
  'AUTH_DENIED',
  'KEY_INVALID',
  'KEY_UNKNOWN',
  'KEY_CHANGED',
  'SECURE_FAILED',
  // What a web server says, or what is between here and it.
  'TLS_FAILED',
  'HTTP_PROXY_REFUSED',
  'HTTP_REDIRECT',
  'HTTP_CLIENT_ERROR',
  'HTTP_SERVER_ERROR',
  // The file at the origin.
  'FILE_NOT_FOUND',
  'FILE_DENIED',
  'FILE_IS_DIRECTORY',
  'FILE_CHANGED',
  'FILE_UNREADABLE',
  'UPLOAD_DENIED',
  // The content that arrived.
  'HASH_MISMATCH',
  // The disk that is written to: the client's for a download, the origin's for an upload.
  'DISK_EXISTS',
  'DISK_BUSY',
  'DISK_FULL',
  'DISK_FAILED',
  // Time and the user's patience.
  'TIMEOUT_CONNECT',
  'TIMEOUT_HEAD',
  'TIMEOUT_IDLE',
  'TIMEOUT_SLOW',
  'TIMEOUT_DEADLINE',
  'INTERRUPTED',
  // A defect of hopline itself.
  'INTERNAL',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

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
