/**
 * The table between error codes and HTTP: a status, the error token of Proxy-Status (RFC 9209), and a sentence for the client.
 *
 * Owns what a client is told of a failure. The sentence is the table's, not the
 * error's: a message can name addresses that are nobody's business outside.
 * Documentation: docs/http.md#errors
 */

import { STATUS_CODES } from 'node:http';
import { asHoplineError, type ErrorCode } from '../core/errors.ts';
import type { HttpAnswer, RawFields } from './exchange.ts';

interface Failure {
  readonly status: number;
  /** An error type of RFC 9209, section 2.3. */
  readonly token: string;
  readonly text: string;
}

const unreachable: Failure = {
  status: 502,
  token: 'destination_unavailable',
  text: 'the server behind the gateway cannot be reached',
};
const broken: Failure = {
  status: 502,
  token: 'http_protocol_error',
  text: 'the server behind the gateway answered badly',
};
const refused: Failure = { status: 502, token: 'proxy_internal_response', text: 'a hop behind the gateway refused' };
const full: Failure = { status: 503, token: 'connection_limit_reached', text: 'the gateway is busy; try again soon' };
const internal: Failure = { status: 500, token: 'proxy_internal_error', text: 'the gateway failed' };
const late: Failure = {
  status: 504,
  token: 'http_response_timeout',
  text: 'the server behind the gateway did not answer in time',
};
const notFound: Failure = { status: 404, token: 'destination_not_found', text: 'there is no such file' };

const failures = {
  USAGE_INVALID: internal,
  ROUTE_SYNTAX: internal,
  ROUTE_TOO_LONG: internal,
  ROUTE_LOOP: { status: 508, token: 'proxy_loop_detected', text: 'the request came back to the gateway' },
  PEER_UNRESOLVED: { ...unreachable, token: 'dns_error' },
  PEER_UNREACHABLE: { ...unreachable, token: 'connection_refused' },
  PEER_LOST: { ...broken, token: 'connection_terminated' },
  PEER_PROTOCOL: broken,
  PEER_VERSION: broken,
  POLICY_DENIED: refused,
  REGISTER_DENIED: refused,
  LIMIT_CONNECTIONS: full,
  LIMIT_HEAD: broken,
  LIMIT_HOPS: refused,
  LIMIT_LISTING: refused,
  LIMIT_PAYLOAD: refused,
  NODE_STOPPING: { ...full, text: 'the gateway is stopping; try again soon' },
  LISTEN_FAILED: internal,
  POLICY_UNKNOWN: refused,
  POOL_EMPTY: { status: 503, token: 'destination_unavailable', text: 'no server of the site is up; try again soon' },
  FILE_NOT_FOUND: notFound,
  FILE_DENIED: { ...notFound, status: 403, token: 'http_request_denied', text: 'the file is not served' },
  FILE_IS_DIRECTORY: notFound,
  FILE_CHANGED: { ...broken, text: 'the file changed while it was read; try again' },
  FILE_UNREADABLE: { ...broken, text: 'the file cannot be read' },
  UPLOAD_DENIED: refused,
  HASH_MISMATCH: broken,
  DISK_EXISTS: internal,
  DISK_BUSY: internal,
  DISK_FULL: internal,
  DISK_FAILED: internal,
  TIMEOUT_CONNECT: { ...late, token: 'connection_timeout' },
  TIMEOUT_HEAD: late,
  TIMEOUT_IDLE: { ...late, token: 'connection_read_timeout' },
  TIMEOUT_SLOW: late,
  TIMEOUT_DEADLINE: late,
  INTERRUPTED: { ...full, text: 'the request was given up' },
  INTERNAL: internal,
} as const satisfies Record<ErrorCode, Failure>;

/** Seconds after which a client that got 503 should try again: a check later, the site may be up. */
const retryAfterS = 2;

/** The answer that tells a client of a failure. `by` is the gateway's name in Proxy-Status. */
export function answerFailure(error: unknown, by: string): HttpAnswer {
  const { status, token, text } = failures[asHoplineError(error).code];
  const retry = status === 503 ? ['Retry-After', String(retryAfterS)] : [];
  return answerRefusal({ status, text, fields: [...retry, 'Proxy-Status', `${by}; error=${token}`] });
}

/** A request that the gateway itself says no to. */
export interface Refusal {
  readonly status: number;
  /** A sentence for the client, without a full stop. */
  readonly text: string;
  readonly fields?: RawFields;
}

/** The page of a refusal. */
export function answerRefusal({ status, text, fields = [] }: Refusal): HttpAnswer {
  const reason = STATUS_CODES[status] ?? '';
  return {
    status,
    reason,
    fields: ['Content-Type', 'text/plain; charset=utf-8', 'Cache-Control', 'no-store', ...fields],
    body: Buffer.from(`${status} ${reason}\n\nhopline: ${text}\n`),
  };
}
