/**
 * The table between error codes and the wire: which codes a node may send, in REFUSED or in a packet of type -1.
 *
 * Invariant: a code that only makes sense on the machine where it arose (an
 * argument that is not one, say) never travels; it would be sent as `INTERNAL`.
 * Format: docs/protocol/circuits.md#refused
 */

import type { ErrorCode } from '../../core/errors.ts';

const travels = {
  USAGE_INVALID: false,
  CONFIG_INVALID: false,
  ROUTE_UNREADABLE: false,
  ROUTE_SYNTAX: false,
  ROUTE_TOO_LONG: false,
  ROUTE_LOOP: true,
  PEER_UNRESOLVED: true,
  PEER_UNREACHABLE: true,
  PEER_LOST: false,
  PEER_PROTOCOL: true,
  PEER_VERSION: true,
  PEER_CLASSIC: false,
  POLICY_DENIED: true,
  REGISTER_DENIED: true,
  LIMIT_CONNECTIONS: true,
  LIMIT_HEAD: true,
  LIMIT_HOPS: true,
  LIMIT_LISTING: true,
  LIMIT_PAYLOAD: true,
  LIMIT_LOOKUPS: true,
  LIMIT_MEMBERS: true,
  LIMIT_UPLOADS: true,
  LIMIT_PROBES: true,
  LIMIT_REQUESTS: false,
  LIMIT_BODY: false,
  NODE_STOPPING: true,
  LISTEN_FAILED: false,
  POLICY_UNKNOWN: true,
  POOL_UNKNOWN: true,
  POOL_EMPTY: true,
  AUTH_REQUIRED: true,
  AUTH_DENIED: true,
  KEY_INVALID: false,
  KEY_UNKNOWN: false,
  KEY_CHANGED: false,
  SECURE_FAILED: true,
  TLS_FAILED: false,
  HTTP_PROXY_REFUSED: false,
  HTTP_REDIRECT: false,
  HTTP_CLIENT_ERROR: false,
  HTTP_SERVER_ERROR: false,
  FILE_NOT_FOUND: true,
  FILE_DENIED: true,
  FILE_IS_DIRECTORY: true,
  FILE_CHANGED: true,
  FILE_UNREADABLE: true,
  UPLOAD_DENIED: true,
  HASH_MISMATCH: true,
  DISK_EXISTS: true,
  DISK_BUSY: true,
  DISK_FULL: true,
  DISK_FAILED: true,
  TIMEOUT_CONNECT: true,
  TIMEOUT_HEAD: true,
  TIMEOUT_IDLE: true,
  TIMEOUT_DEADLINE: false,
  TIMEOUT_SLOW: false,
  INTERRUPTED: false,
  INTERNAL: true,
} as const satisfies Record<ErrorCode, boolean>;

export type WireCode = { [Code in ErrorCode]: (typeof travels)[Code] extends true ? Code : never }[ErrorCode];

/** The codes that REFUSED may carry. */
export const wireCodes = Object.entries(travels)
  .filter(([, sent]) => sent)
  .map(([code]) => code) as WireCode[];
