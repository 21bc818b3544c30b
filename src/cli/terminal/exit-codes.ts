/**
 * The table from error codes to exit codes.
 *
 * docs/exit-codes.md and `--help` show the same table; a test compares them.
 */

import type { ErrorCode } from '../../core/errors.ts';

export const exitCodes = {
  ok: { code: 0, meaning: 'fine' },
  internal: { code: 1, meaning: 'a defect of hopline, or a failure it has no name for' },
  usage: { code: 2, meaning: 'wrong arguments' },
  route: { code: 3, meaning: 'a mistake in the route' },
  unreachable: { code: 4, meaning: 'a hop could not be reached, or was lost' },
  refused: { code: 5, meaning: 'a hop refused' },
  notFound: { code: 6, meaning: 'the origin has no such file' },
  integrity: { code: 7, meaning: 'the content was not what it should be' },
  disk: { code: 8, meaning: 'a disk or the output: full, exists, cannot be written' },
  timeout: { code: 9, meaning: 'a deadline passed' },
  listen: { code: 10, meaning: 'a node cannot listen on its address' },
  clientError: { code: 11, meaning: 'a web server answered with a status from 400 to 499' },
  serverError: { code: 12, meaning: 'a web server answered with a status from 500 to 599' },
  config: { code: 13, meaning: 'a mistake in the configuration file' },
  stranger: { code: 14, meaning: 'who is there is not who was expected' },
  interrupted: { code: 130, meaning: 'interrupted' },
} as const;

const exits = {
  USAGE_INVALID: 'usage',
  CONFIG_INVALID: 'config',
  ROUTE_UNREADABLE: 'route',
  ROUTE_SYNTAX: 'route',
  ROUTE_TOO_LONG: 'route',
  ROUTE_LOOP: 'route',
  PEER_UNRESOLVED: 'unreachable',
  PEER_UNREACHABLE: 'unreachable',
  PEER_LOST: 'unreachable',
  PEER_PROTOCOL: 'refused',
  PEER_VERSION: 'refused',
  PEER_CLASSIC: 'refused',
  POLICY_DENIED: 'refused',
  REGISTER_DENIED: 'refused',
  LIMIT_CONNECTIONS: 'refused',
  LIMIT_HEAD: 'refused',
  LIMIT_HOPS: 'refused',
  LIMIT_LISTING: 'refused',
  LIMIT_PAYLOAD: 'refused',
  LIMIT_LOOKUPS: 'refused',
  LIMIT_MEMBERS: 'refused',
  LIMIT_UPLOADS: 'refused',
  LIMIT_PROBES: 'refused',
  LIMIT_REQUESTS: 'refused',
  LIMIT_BODY: 'refused',
  NODE_STOPPING: 'refused',
  LISTEN_FAILED: 'listen',
  POLICY_UNKNOWN: 'refused',
  POOL_UNKNOWN: 'refused',
  POOL_EMPTY: 'unreachable',
  AUTH_REQUIRED: 'refused',
  AUTH_DENIED: 'refused',
  KEY_INVALID: 'usage',
  KEY_UNKNOWN: 'stranger',
  KEY_CHANGED: 'stranger',
  SECURE_FAILED: 'integrity',
  TLS_FAILED: 'unreachable',
  HTTP_PROXY_REFUSED: 'refused',
  HTTP_REDIRECT: 'refused',
  HTTP_CLIENT_ERROR: 'clientError',
  HTTP_SERVER_ERROR: 'serverError',
  FILE_NOT_FOUND: 'notFound',
  FILE_DENIED: 'refused',
  FILE_IS_DIRECTORY: 'refused',
  FILE_CHANGED: 'integrity',
  FILE_UNREADABLE: 'refused',
  UPLOAD_DENIED: 'refused',
  HASH_MISMATCH: 'integrity',
  DISK_EXISTS: 'disk',
  DISK_BUSY: 'disk',
  DISK_FULL: 'disk',
  DISK_FAILED: 'disk',
  TIMEOUT_CONNECT: 'timeout',
  TIMEOUT_HEAD: 'timeout',
  TIMEOUT_IDLE: 'timeout',
  TIMEOUT_SLOW: 'timeout',
  TIMEOUT_DEADLINE: 'timeout',
  INTERRUPTED: 'interrupted',
  INTERNAL: 'internal',
} as const satisfies Record<ErrorCode, keyof typeof exitCodes>;

/** The process's exit code for a failure. */
export function exitCodeOf(code: ErrorCode): number {
  return exitCodes[exits[code]].code;
}

/** The table for `--help`. */
export function exitHelp(): string {
  const rows = Object.values(exitCodes).map(({ code, meaning }) => `  ${String(code).padStart(3)}  ${meaning}`);
  return ['', 'Exit codes:', ...rows].join('\n');
}
