/**
 * The socket that a node or a gateway listens on: binding it, and which addresses reach it.
 *
 * Knows nothing about what is accepted.
 */

import type net from 'node:net';
import { networkInterfaces } from 'node:os';
import { HoplineError } from '../../core/errors.ts';
import { systemCode, systemError } from '../../core/system-errors.ts';
import { formatHop } from '../../wire/address.ts';
import { blockList, isInList, parseNetworks } from '../names/networks.ts';

/** Binds and listens. Throws `LISTEN_FAILED`, with the reason for people. */
export function listen(server: net.Server, { host, port }: { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (cause: Error) => {
      const what = `cannot listen on ${formatHop({ host, port })}`;
      if (systemCode(cause) !== 'EACCES') return reject(systemError('LISTEN_FAILED', what, cause));
      reject(new HoplineError('LISTEN_FAILED', `${what}: the port needs more rights`, { cause }));
    };
    server.once('error', fail);
    server.listen({ host, port, backlog: 1024 }, () => {
      server.off('error', fail);
      resolve();
    });
  });
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
