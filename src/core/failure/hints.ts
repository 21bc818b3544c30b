/**
 * What whoever sees an error can try next, for each code.
 *
 * docs/exit-codes.md shows the same table; a test compares them.
 */

import type { ErrorCode } from './codes.ts';

const checkNode = 'check that `hopline node` runs there (for fetch, a web server), and speaks to this machine';

const hints = {
  USAGE_INVALID: 'see --help',
  CONFIG_INVALID:
    'mend the file where it says; `hopline check FILE` tells all mistakes of one for a node, and `hopline key check FILE` those of authorized keys',
  ROUTE_UNREADABLE:
    'check its name and place, or give the hops with --via HOST:PORT,HOST:PORT in place of a route file',
  ROUTE_SYNTAX: 'a route file is a file name, then a hop a line, such as 10.0.0.1 7001; see also hopline get --help',
  ROUTE_TOO_LONG: 'use a shorter route',
  ROUTE_LOOP: 'name each node once',
  PEER_UNRESOLVED: 'check the name, or write the address instead',
  PEER_UNREACHABLE: 'start `hopline node` there (for fetch, a web server), or check host, port and firewall',
  PEER_LOST: checkNode,
  PEER_PROTOCOL:
    'check that `hopline node` has that port (for fetch, a web server); for the original programs use --classic',
  PEER_VERSION: 'run the same version of hopline on both ends',
  PEER_CLASSIC: 'get one file with --classic, in which nothing is verified; all else needs a hopline node there',
  POLICY_DENIED: 'on that hop, start the node with --next and a rule for the next one',
  REGISTER_DENIED: 'start the front with --register-from and a network of the server, or both with one token',
  LIMIT_CONNECTIONS: 'try later, or raise --max-connections on that hop',
  LIMIT_HEAD: 'use shorter names',
  LIMIT_HOPS: 'use a shorter route',
  LIMIT_LISTING: 'get the directories in it one by one',
  LIMIT_PAYLOAD: 'send less, or raise --max-payload on the front and its servers',
  LIMIT_LOOKUPS: 'try later, or write the address instead of the name',
  LIMIT_MEMBERS: 'end servers that are not needed, or raise the limit on the front',
  LIMIT_UPLOADS: 'try later, or end uploads that are under way',
  LIMIT_PROBES: 'try later, or without --rate',
  LIMIT_REQUESTS: 'try later, with fewer requests at once',
  LIMIT_BODY: 'send less, or raise the limit of the site',
  NODE_STOPPING: 'try again when the node is back',
  LISTEN_FAILED: 'pick another address, or port 0 for a free one',
  POLICY_UNKNOWN: 'start a server with --policy and --register, or ask for another policy',
  POOL_UNKNOWN: 'name its members with --pool NAME=HOST:PORT,HOST:PORT on the machine that was asked',
  POOL_EMPTY: 'look after the members of the pool, and try again',
  AUTH_REQUIRED: "give the node's key in the route, and have this client's key added to authorized_keys of that node",
  AUTH_DENIED:
    'ask the operator of the origin, whose log says why: the key is not known there, has expired, or may not have this name',
  KEY_INVALID:
    'copy a key whole; make a key file with `hopline key new -o FILE`, and leave it to its owner alone, mode 600',
  KEY_UNKNOWN:
    'put the key that the node says at its start, key=hop1..., into the route; on loopback --identity FILE gives it one',
  KEY_CHANGED:
    'ask whoever runs that node; if its key did change, write the new one there, or run `hopline key forget HOST:PORT`',
  SECURE_FAILED:
    'compare the key in the route with that of the node, and with what `hopline key scan --via HOPS` says; or try another route: a hop may alter bytes',
  TLS_FAILED: 'check name, port and clock, or vouch for it yourself with --cacert FILE',
  HTTP_PROXY_REFUSED: 'check the rules of the proxy and what it wants to know of you',
  HTTP_REDIRECT: 'use -L to follow redirects, or fetch that URL itself',
  HTTP_CLIENT_ERROR: 'check the URL, and what the server wants to know of you',
  HTTP_SERVER_ERROR: 'try again later, or use --retry',
  FILE_NOT_FOUND: "names are relative to the origin's --root",
  FILE_DENIED: 'start the origin with --root DIR; only regular files below that are served or taken',
  FILE_IS_DIRECTORY: 'name it alone, without -o - and --classic, to get what is in it',
  FILE_CHANGED: 'try again once nobody writes to the file',
  FILE_UNREADABLE: "look into the origin's log and disk",
  UPLOAD_DENIED: 'on the origin, start the node with --writable, or a larger --max-upload',
  HASH_MISMATCH:
    'a hop on the route alters bytes, so try another; or the origin has another file than --checksum is of',
  DISK_EXISTS: 'use --force to replace a file (for put and sync --up on the node), or another name',
  DISK_BUSY: 'wait for the other transfer, or use another name',
  DISK_FULL: 'make room there, or use another place',
  DISK_FAILED: 'check the place that is written to, or use another',
  TIMEOUT_CONNECT: 'check host, port and firewall, or raise --connect-timeout',
  TIMEOUT_HEAD: checkNode,
  TIMEOUT_IDLE: 'try again, or raise --idle-timeout',
  TIMEOUT_SLOW: 'try another route, or lower --min-rate',
  TIMEOUT_DEADLINE: 'run it again to go on, or raise --deadline',
  INTERRUPTED: 'run it again; it goes on with what was kept, if anything',
  INTERNAL: 'please report this',
} as const satisfies Record<ErrorCode, string>;

/** What to try after a failure. */
export function hintFor(code: ErrorCode): string {
  return hints[code];
}
