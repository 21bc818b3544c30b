/**
 * The table between error codes and HTTP: a status, and the error type of Proxy-Status (RFC 9209).
 *
 * Documentation: docs/http/requests.md#errors
 */

import type { ErrorCode } from '../core/errors.ts';

export interface HttpFailure {
  readonly status: number;
  /** An error type of RFC 9209, section 2.3. */
  readonly error?: string;
}

const unreachable: HttpFailure = {
  status: 502,
  error: 'destination_unavailable',
};
const broken: HttpFailure = {
  status: 502,
  error: 'http_protocol_error',
};
const refused: HttpFailure = { status: 502, error: 'proxy_internal_response' };
const full: HttpFailure = { status: 503, error: 'connection_limit_reached' };
const internal: HttpFailure = { status: 500, error: 'proxy_internal_error' };
const late: HttpFailure = {
  status: 504,
  error: 'http_response_timeout',
};
const notFound: HttpFailure = { status: 404, error: 'destination_not_found' };

export const httpFailures = {
  USAGE_INVALID: internal,
  CONFIG_INVALID: internal,
  ROUTE_UNREADABLE: internal,
  ROUTE_SYNTAX: internal,
  ROUTE_TOO_LONG: internal,
  ROUTE_LOOP: { status: 508, error: 'proxy_loop_detected' },
  PEER_UNRESOLVED: { ...unreachable, error: 'dns_error' },
  PEER_UNREACHABLE: { ...unreachable, error: 'connection_refused' },
  PEER_LOST: { ...broken, error: 'connection_terminated' },
  PEER_PROTOCOL: broken,
  PEER_VERSION: broken,
  PEER_CLASSIC: broken,
  POLICY_DENIED: refused,
  REGISTER_DENIED: refused,
  LIMIT_CONNECTIONS: full,
  LIMIT_HEAD: broken,
  LIMIT_HOPS: refused,
  LIMIT_LISTING: refused,
  LIMIT_PAYLOAD: refused,
  LIMIT_LOOKUPS: { ...unreachable, error: 'dns_error' },
  LIMIT_MEMBERS: refused,
  LIMIT_UPLOADS: full,
  LIMIT_PROBES: full,
  LIMIT_REQUESTS: full,
  LIMIT_BODY: { status: 413, error: 'http_request_error' },
  NODE_STOPPING: { ...full },
  LISTEN_FAILED: internal,
  POLICY_UNKNOWN: refused,
  POOL_UNKNOWN: refused,
  POOL_EMPTY: { status: 503, error: 'destination_unavailable' },
  AUTH_REQUIRED: refused,
  AUTH_DENIED: { ...notFound, status: 403, error: 'http_request_denied' },
  KEY_INVALID: internal,
  KEY_UNKNOWN: internal,
  KEY_CHANGED: internal,
  SECURE_FAILED: broken,
  TLS_FAILED: { ...unreachable, error: 'tls_protocol_error' },
  HTTP_PROXY_REFUSED: refused,
  HTTP_REDIRECT: refused,
  HTTP_CLIENT_ERROR: refused,
  HTTP_SERVER_ERROR: refused,
  FILE_NOT_FOUND: notFound,
  FILE_DENIED: { ...notFound, status: 403, error: 'http_request_denied' },
  FILE_IS_DIRECTORY: notFound,
  FILE_CHANGED: { ...broken },
  FILE_UNREADABLE: { ...broken },
  UPLOAD_DENIED: refused,
  HASH_MISMATCH: broken,
  DISK_EXISTS: internal,
  DISK_BUSY: internal,
  DISK_FULL: internal,
  DISK_FAILED: internal,
  TIMEOUT_CONNECT: { ...late, error: 'connection_timeout' },
  TIMEOUT_HEAD: late,
  TIMEOUT_IDLE: { ...late, error: 'connection_read_timeout' },
  TIMEOUT_SLOW: late,
  TIMEOUT_DEADLINE: late,
  INTERRUPTED: { ...full },
  INTERNAL: internal,
} as const satisfies Record<ErrorCode, HttpFailure>;
