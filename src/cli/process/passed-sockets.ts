/**
 * Listening sockets that a service manager has opened for this service, by the rules of sd_listen_fds(3): from descriptor 3 on, in
 * number `LISTEN_FDS`, with the names of `LISTEN_FDNAMES`, for the process `LISTEN_PID`.
 *
 * Owns which socket is whose. The configuration stays the one place that says where a service listens: a socket of another address is refused.
 * Invariant: each socket that was passed is listened on, or the service does not start.
 * Documentation: docs/operate.md#socket-activation
 */

import type { Config } from '../../config/config.ts';
import { HoplineError } from '../../core/errors.ts';
import { safeText } from '../../core/text.ts';
import type { ListenPlace } from '../../io/listening/server-socket.ts';

export interface PassedSocket {
  readonly fd: number;
  /** Of `FileDescriptorName=`; without that systemd has the name of the unit. */
  readonly name: string;
}

const firstFd = 3;
/** A service listens in two places. */
const maxSockets = 16;

/**
 * Those that were passed to this process, which are taken out of `env`, so that no other process takes them for its own. Throws
 * `LISTEN_FAILED` for what is no number of sockets.
 */
export function takePassedSockets(env: NodeJS.ProcessEnv = process.env, pid = process.pid): readonly PassedSocket[] {
  const { LISTEN_PID: owner, LISTEN_FDS: given = '', LISTEN_FDNAMES: named } = env;
  for (const key of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete env[key];
  if (owner !== String(pid)) return [];
  const names = named?.split(':') ?? [];
  const count = /^\d{1,4}$/.test(given) ? Number(given) : Number.NaN;
  if (!(count <= maxSockets) || (named !== undefined && count > 0 && names.length !== count)) {
    const read = `read LISTEN_FDS "${safeText(given, 40)}" and LISTEN_FDNAMES "${safeText(named ?? '', 200)}"`;
    throw new HoplineError('LISTEN_FAILED', `${read}, expected a number up to ${maxSockets}, and as many names`);
  }
  return Array.from({ length: count }, (_, index) => ({ fd: firstFd + index, name: names[index] ?? 'unknown' }));
}

/** The configuration with each socket where its service listens by it. Throws `LISTEN_FAILED` for one that nothing listens by. */
export function giveSockets(config: Config, sockets: readonly PassedSocket[]): Config {
  const { node, gateway } = config;
  const fds = descriptorsOf([...(node.listen ? ['node'] : []), ...(gateway?.listen ? ['gateway'] : [])], sockets);
  const given = { ...config, node: withSocket(node, fds.get('node')) };
  return gateway ? { ...given, gateway: withSocket(gateway, fds.get('gateway')) } : given;
}

/** The socket of each place that has one. Where there is one of both, the name does not matter. */
function descriptorsOf(places: readonly string[], sockets: readonly PassedSocket[]): ReadonlyMap<string, number> {
  const fds = new Map<string, number>();
  for (const { fd, name } of sockets) {
    const place = sockets.length === 1 && places.length === 1 ? places[0] : name;
    if (place === undefined || !places.includes(place) || fds.has(place)) {
      const expected = places.length > 0 ? `one for each of ${places.join(', ')}` : 'none without `listen`';
      const why = `read a socket by the name "${safeText(name, 200)}", expected ${expected}: see FileDescriptorName=`;
      throw new HoplineError('LISTEN_FAILED', `what the service manager has opened: ${why}`);
    }
    fds.set(place, fd);
  }
  return fds;
}

function withSocket<Rules extends { readonly listen?: ListenPlace | undefined }>(
  rules: Rules,
  fd: number | undefined,
): Rules {
  return rules.listen && fd !== undefined ? { ...rules, listen: { ...rules.listen, fd } } : rules;
}
