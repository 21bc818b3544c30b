/**
 * The table from error codes to exit codes, with a hint for each: what the user can try next.
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

interface Exit {
  readonly exit: keyof typeof exitCodes;
  readonly hint: string;
}

const checkNode = 'check that `hopline node` runs there (for fetch, a web server), and speaks to this machine';

const exits = {
  USAGE_INVALID: { exit: 'usage', hint: 'see --help' },
  CONFIG_INVALID: {
    exit: 'config',
    hint: 'mend the file where it says; `hopline check FILE` tells all mistakes of one for a node, and `hopline key check FILE` those of authorized keys',
  },
  ROUTE_UNREADABLE: {
    exit: 'route',
    hint: 'check its name and place, or give the hops with --via HOST:PORT,HOST:PORT in place of a route file',
  },
  ROUTE_SYNTAX: {
    exit: 'route',
    hint: 'a route file is a file name, then a hop a line, such as 10.0.0.1 7001; see also hopline get --help',
  },
  ROUTE_TOO_LONG: { exit: 'route', hint: 'use a shorter route' },
  ROUTE_LOOP: { exit: 'route', hint: 'name each node once' },
  PEER_UNRESOLVED: { exit: 'unreachable', hint: 'check the name, or write the address instead' },
  PEER_UNREACHABLE: {
    exit: 'unreachable',
    hint: 'start `hopline node` there (for fetch, a web server), or check host, port and firewall',
  },
  PEER_LOST: { exit: 'unreachable', hint: checkNode },
  PEER_PROTOCOL: {
    exit: 'refused',
    hint: 'check that `hopline node` has that port (for fetch, a web server); for the original programs use --classic',
  },
  PEER_VERSION: { exit: 'refused', hint: 'run the same version of hopline on both ends' },
  PEER_CLASSIC: {
    exit: 'refused',
    hint: 'get one file with --classic, in which nothing is verified; all else needs a hopline node there',
  },
  POLICY_DENIED: { exit: 'refused', hint: 'on that hop, start the node with --next and a rule for the next one' },
  REGISTER_DENIED: {
    exit: 'refused',
    hint: 'start the front with --register-from and a network of the server, or both with one token',
  },
  LIMIT_CONNECTIONS: { exit: 'refused', hint: 'try later, or raise --max-connections on that hop' },
  LIMIT_HEAD: { exit: 'refused', hint: 'use shorter names' },
  LIMIT_HOPS: { exit: 'refused', hint: 'use a shorter route' },
  LIMIT_LISTING: { exit: 'refused', hint: 'get the directories in it one by one' },
  LIMIT_PAYLOAD: { exit: 'refused', hint: 'send less, or raise --max-payload on the front and its servers' },
  LIMIT_LOOKUPS: { exit: 'refused', hint: 'try later, or write the address instead of the name' },
  LIMIT_MEMBERS: { exit: 'refused', hint: 'end servers that are not needed, or raise the limit on the front' },
  LIMIT_UPLOADS: { exit: 'refused', hint: 'try later, or end uploads that are under way' },
  LIMIT_PROBES: { exit: 'refused', hint: 'try later, or without --rate' },
  LIMIT_REQUESTS: { exit: 'refused', hint: 'try later, with fewer requests at once' },
  LIMIT_BODY: { exit: 'refused', hint: 'send less, or raise the limit of the site' },
  NODE_STOPPING: { exit: 'refused', hint: 'try again when the node is back' },
  LISTEN_FAILED: { exit: 'listen', hint: 'pick another address, or port 0 for a free one' },
  POLICY_UNKNOWN: { exit: 'refused', hint: 'start a server with --policy and --register, or ask for another policy' },
  POOL_UNKNOWN: {
    exit: 'refused',
    hint: 'name its members with --pool NAME=HOST:PORT,HOST:PORT on the machine that was asked',
  },
  POOL_EMPTY: { exit: 'unreachable', hint: 'look after the members of the pool, and try again' },
  AUTH_REQUIRED: {
    exit: 'refused',
    hint: "give the node's key in the route, and have this client's key added to authorized_keys of that node",
  },
  AUTH_DENIED: {
    exit: 'refused',
    hint: 'ask the operator of the origin, whose log says why: the key is not known there, has expired, or may not have this name',
  },
  KEY_INVALID: {
    exit: 'usage',
    hint: 'copy a key whole; make a key file with `hopline key new -o FILE`, and leave it to its owner alone, mode 600',
  },
  KEY_UNKNOWN: {
    exit: 'stranger',
    hint: 'put the key that the node says at its start, key=hop1..., into the route; on loopback --identity FILE gives it one',
  },
  KEY_CHANGED: {
    exit: 'stranger',
    hint: 'ask whoever runs that node; if its key did change, write the new one there, or run `hopline key forget HOST:PORT`',
  },
  SECURE_FAILED: {
    exit: 'integrity',
    hint: 'compare the key in the route with that of the node, and with what `hopline key scan --via HOPS` says; or try another route: a hop may alter bytes',
  },
  TLS_FAILED: { exit: 'unreachable', hint: 'check name, port and clock, or vouch for it yourself with --cacert FILE' },
  HTTP_PROXY_REFUSED: { exit: 'refused', hint: 'check the rules of the proxy and what it wants to know of you' },
  HTTP_REDIRECT: { exit: 'refused', hint: 'use -L to follow redirects, or fetch that URL itself' },
  HTTP_CLIENT_ERROR: { exit: 'clientError', hint: 'check the URL, and what the server wants to know of you' },
  HTTP_SERVER_ERROR: { exit: 'serverError', hint: 'try again later, or use --retry' },
  FILE_NOT_FOUND: { exit: 'notFound', hint: "names are relative to the origin's --root" },
  FILE_DENIED: {
    exit: 'refused',
    hint: 'start the origin with --root DIR; only regular files below that are served or taken',
  },
  FILE_IS_DIRECTORY: { exit: 'refused', hint: 'name it alone, without -o - and --classic, to get what is in it' },
  FILE_CHANGED: { exit: 'integrity', hint: 'try again once nobody writes to the file' },
  FILE_UNREADABLE: { exit: 'refused', hint: "look into the origin's log and disk" },
  UPLOAD_DENIED: { exit: 'refused', hint: 'on the origin, start the node with --writable, or a larger --max-upload' },
  HASH_MISMATCH: {
    exit: 'integrity',
    hint: 'a hop on the route alters bytes, so try another; or the origin has another file than --checksum is of',
  },
  DISK_EXISTS: {
    exit: 'disk',
    hint: 'use --force to replace a file (for an upload on the node too), or another name',
  },
  DISK_BUSY: { exit: 'disk', hint: 'wait for the other transfer, or use another name' },
  DISK_FULL: { exit: 'disk', hint: 'make room there, or use another place' },
  DISK_FAILED: { exit: 'disk', hint: 'check the place that is written to, or use another' },
  TIMEOUT_CONNECT: { exit: 'timeout', hint: 'check host, port and firewall, or raise --connect-timeout' },
  TIMEOUT_HEAD: { exit: 'timeout', hint: checkNode },
  TIMEOUT_IDLE: { exit: 'timeout', hint: 'try again, or raise --idle-timeout' },
  TIMEOUT_SLOW: { exit: 'timeout', hint: 'try another route, or lower --min-rate' },
  TIMEOUT_DEADLINE: { exit: 'timeout', hint: 'run it again to go on, or raise --deadline' },
  INTERRUPTED: { exit: 'interrupted', hint: 'run it again; it goes on with what was kept, if anything' },
  INTERNAL: { exit: 'internal', hint: 'please report this' },
} as const satisfies Record<ErrorCode, Exit>;

/** The process's exit code for a failure. */
export function exitCodeOf(code: ErrorCode): number {
  return exitCodes[exits[code].exit].code;
}

/** What to try after a failure. */
export function hintFor(code: ErrorCode): string {
  return exits[code].hint;
}

/** The table for `--help`. */
export function exitHelp(): string {
  const rows = Object.values(exitCodes).map(({ code, meaning }) => `  ${String(code).padStart(3)}  ${meaning}`);
  return ['', 'Exit codes:', ...rows].join('\n');
}
