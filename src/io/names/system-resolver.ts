/**
 * Names as this machine knows them, without the thread pool for those whose name server is silent.
 *
 * The system's own function, `getaddrinfo`, waits in one of Node's four threads, which all files are read by too: four
 * silent names would stop the process for as long as they are silent. So the hosts file comes first, then the name
 * servers, asked beside the threads, and the system's function only for what these do not know: search domains, mDNS
 * and whatever else a system has. Of those at most `systemLookups` wait at a time, in turn by peer.
 * Documentation: docs/access-rules.md#names-of-hops
 */

import { lookup, Resolver as NameServers } from 'node:dns/promises';
import { pause, systemClock } from '../../core/clock.ts';
import { toAbortSignal } from '../../core/signal.ts';
import { systemCode } from '../../core/system-errors.ts';
import { Turns } from '../../core/work/turns.ts';
import { type HostsFile, openHostsFile } from './hosts-file.ts';
import type { Lookup, Resolver } from './resolve.ts';

export interface SystemOptions {
  readonly hosts?: HostsFile;
  /** Name servers, `ADDRESS:PORT`. @default the system's */
  readonly servers?: readonly string[];
  /** The system's function, which blocks a thread. */
  readonly ask?: (host: string) => Promise<readonly string[]>;
  /** Milliseconds for the first try of a name server; the second has twice as long. @default 1500 */
  readonly tryMs?: number;
}

/** Half of the threads that Node has by default: files are read by the others. */
const systemLookups = 2;
/** From the answer for one family to that for the other. */
const gapMs = 250;

export function createSystemResolver(options: SystemOptions = {}): Resolver {
  const { hosts = openHostsFile(), ask = askSystem } = options;
  const turns = new Turns(systemLookups);
  return async (host, { peer = '', signal = new AbortController().signal }: Lookup = {}) => {
    const name = host.toLowerCase();
    const listed = await hosts.find(name);
    if (listed.length > 0) return listed;
    const found = isForSystem(name) ? [] : await askServers(name, options, toAbortSignal(signal));
    if (found.length > 0) return found;
    const endTurn = await turns.take({ owner: peer, signal });
    return ask(host).finally(endTurn);
  };
}

/** What no name server on the internet is to be asked for: RFC 6761, RFC 6762. */
function isForSystem(name: string): boolean {
  return /(^|\.)(localhost|local)\.?$/.test(name);
}

async function askSystem(host: string): Promise<readonly string[]> {
  const found = await lookup(host, { all: true, verbatim: true });
  return found.map(({ address }) => address);
}

/** IPv6 first. None if there is no such name, or no server to ask. Throws if a server is silent, or fails. */
async function askServers(
  name: string,
  { servers, tryMs = 1500 }: SystemOptions,
  signal: AbortSignal,
): Promise<readonly string[]> {
  signal.throwIfAborted();
  // One for each lookup: it knows the servers of the moment, and can be cancelled.
  const resolver = new NameServers({ timeout: tryMs, tries: 2 });
  if (servers) resolver.setServers(servers);
  const cancel = () => resolver.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    const asked = [resolver.resolve6(name), resolver.resolve4(name)];
    const settled = Promise.allSettled(asked);
    await Promise.any(asked).catch(() => {});
    // A server that answers for one family alone is no reason to wait.
    await Promise.race([settled, pause(systemClock, gapMs, signal)]);
    resolver.cancel();
    return addressesOf(await settled);
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

function addressesOf(answers: readonly PromiseSettledResult<string[]>[]): string[] {
  const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  const failure = answers.find((answer) => answer.status === 'rejected' && !isUnknown(answer.reason));
  if (found.length === 0 && failure?.status === 'rejected') throw failure.reason;
  return found;
}

/** There is no such name there, the server takes no such name, or there is no server. */
function isUnknown(error: unknown): boolean {
  return ['ENOTFOUND', 'ENODATA', 'EBADNAME', 'EREFUSED', 'ECONNREFUSED'].includes(systemCode(error) ?? '');
}
