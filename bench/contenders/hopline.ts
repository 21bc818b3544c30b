/** hopline itself, from dist/: nodes as relays and origin, `hopline get` as the client. */

import { mkdtempSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { hoplineCommand } from '../../harness/children.ts';
import { newKey } from '../../src/wire/keys/key.ts';
import type { Chain, ChainRequest, Contender } from './contender.ts';

export const hopline = createHopline('hopline', startPlain);
/** The kernel path switched off in every node. */
export const hoplinePortable = createHopline('hopline-portable', (request) =>
  startPlain(request, { HOPLINE_KERNEL: 'off' }),
);
/** The origin has a key, which the route names, and the client one too: all but OPEN is encrypted. */
export const hoplineEncrypted = createHopline('hopline-encrypted', startEncrypted);

function createHopline(name: string, start: Contender['start']): Contender {
  return { name, speaks: 'native', keeps: true, needs: [], start };
}

async function startPlain(request: ChainRequest, env: Readonly<Record<string, string>> = {}): Promise<Chain> {
  const { pids, hops } = await startNodes(request, [], env);
  return chainOf(pids, hops.join(','), env);
}

async function startEncrypted(request: ChainRequest): Promise<Chain> {
  const directory = mkdtempSync(path.join(request.fleet.directory, 'keys-'));
  const [node, client] = ['node.key', 'client.key'].map((name) => writeKey(path.join(directory, name))) as [Key, Key];
  const { pids, hops } = await startNodes(request, ['--identity', node.file], {});
  const address = `${hops.join(',')}#${node.publicText}`;
  return chainOf(pids, address, { HOPLINE_KEY_FILE: client.file });
}

/** `originArgs` are for the last of them alone. */
async function startNodes(
  { fleet, relays, root, leg }: ChainRequest,
  originArgs: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ readonly pids: readonly number[]; readonly hops: readonly string[] }> {
  const args = ['node', '--listen', '127.0.0.1:0', '--root', root, '--log-level', 'error'];
  const pids: number[] = [];
  const hops: string[] = [];
  for (let hop = 0; hop <= relays; hop += 1) {
    const own = hop === relays ? [...args, ...originArgs] : args;
    const { pid, port } = await fleet.startPrinting(hoplineCommand(own, env));
    pids.push(pid);
    hops.push(`127.0.0.1:${leg ? await leg(port) : port}`);
  }
  return { pids, hops };
}

function chainOf(pids: readonly number[], address: string, env: Readonly<Record<string, string>>): Chain {
  return {
    relayPids: pids.slice(0, -1),
    originPids: pids.slice(-1),
    address,
    env,
    fetch: (file, output) => hoplineCommand(['get', '--via', address, file, '-o', output, '--force', '--quiet'], env),
  };
}

interface Key {
  readonly file: string;
  readonly publicText: string;
}

function writeKey(file: string): Key {
  const { key, secretText } = newKey();
  writeFileSync(file, `${secretText}\n`, { mode: 0o600 });
  return { file, publicText: key.public.text };
}
