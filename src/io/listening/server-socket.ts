/**
 * The socket that a node or a gateway listens on: binding it, and which addresses reach it.
 *
 * Knows nothing about what is accepted.
 */

import net from 'node:net';
import { networkInterfaces } from 'node:os';
import { HoplineError } from '../../core/errors.ts';
import { systemCode, systemError } from '../../core/system-errors.ts';
import { formatHop } from '../../wire/address.ts';
import { blockList, isInList, parseNetworks } from '../names/networks.ts';

export interface ListenPlace {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** A socket that listens there already, opened by whoever started this process; it is this server's from then on. @default one is opened */
  readonly fd?: number;
}

/** Connections that wait to be accepted. */
const backlog = 1024;

/** Binds and listens, or takes the socket that is there. Throws `LISTEN_FAILED`, with the reason for people. */
export async function listen(server: net.Server, place: ListenPlace): Promise<void> {
  const { fd, host, port } = place;
  const where = formatHop({ host, port });
  const what = fd === undefined ? `cannot listen on ${where}` : `cannot listen by descriptor ${fd}, for ${where}`;
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(fd === undefined ? { host, port, backlog } : { fd, backlog }, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } catch (cause) {
    if (systemCode(cause) !== 'EACCES') throw systemError('LISTEN_FAILED', what, cause);
    throw new HoplineError('LISTEN_FAILED', `${what}: the port needs more rights`, { cause });
  }
  if (fd === undefined || isBoundTo(server, place)) return;
  const bound = server.address();
  const found = bound === null || typeof bound === 'string' ? 'no TCP' : `${formatHop(boundAddress(server))}`;
  server.close();
  throw new HoplineError('LISTEN_FAILED', `${what}: it is a socket for ${found}; have both say the same address`);
}

/** An address that is written in another way is the same; a name is none. */
function isBoundTo(server: net.Server, { host, port }: ListenPlace): boolean {
  const bound = server.address();
  if (bound === null || typeof bound === 'string' || bound.port !== port || net.isIP(host) === 0) return false;
  return isInList(blockList(parseNetworks([bound.address.replace(/%.*$/, '')], 'own')), host.replace(/%.*$/, ''));
}

/** Where it listens, with the real port. */
export function boundAddress(server: net.Server): { host: string; port: number } {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new HoplineError('INTERNAL', 'the server has no address');
  return { host: address.address, port: address.port };
}

/** Whether dialling `address`, however it is written, would reach a server that is bound to `bound`. */
export function isOwnAddress(address: string, bound: string): boolean {
  return isInList(blockList(parseNetworks(reaching(bound), 'own')), address);
}

function reaching(bound: string): readonly string[] {
  if (bound !== '0.0.0.0' && bound !== '::') return [bound.replace(/%.*$/, '')];
  const own = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
  // All of loopback is this machine, and so is no address at all.
  return ['127.0.0.0/8', '::1', '0.0.0.0', '::', ...own.map(({ address }) => address.replace(/%.*$/, ''))];
}
