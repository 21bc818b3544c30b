/** The closed list of codes: every way in which hopline can say no. */

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
