/** hopline itself, from dist/: nodes as relays and origin, `hopline get` as the client. */

import { hoplineCommand } from '../../harness/children.ts';
import type { Chain, ChainRequest, Contender } from './contender.ts';

export const hopline = createHopline('hopline', {});
/** The kernel path switched off in every node. */
export const hoplinePortable = createHopline('hopline-portable', { HOPLINE_KERNEL: 'off' });

function createHopline(name: string, env: Readonly<Record<string, string>>): Contender {
  return { name, speaks: 'native', keeps: true, needs: [], start: (request) => startChain(request, env) };
}

async function startChain(
  { fleet, relays, root, leg }: ChainRequest,
  env: Readonly<Record<string, string>>,
): Promise<Chain> {
  const args = ['node', '--listen', '127.0.0.1:0', '--root', root, '--log-level', 'error'];
  const pids: number[] = [];
  const hops: string[] = [];
  for (let hop = 0; hop <= relays; hop += 1) {
    const { pid, port } = await fleet.startPrinting(hoplineCommand(args, env));
    pids.push(pid);
    hops.push(`127.0.0.1:${leg ? await leg(port) : port}`);
  }
  const address = hops.join(',');
  return {
    relayPids: pids.slice(0, -1),
    originPids: pids.slice(-1),
    address,
    fetch: (file, output) => hoplineCommand(['get', '--via', address, file, '-o', output, '--force', '--quiet'], env),
  };
}
