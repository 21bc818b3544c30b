/** `hopline key scan`, `trust` and `forget`: the keys of nodes. */

import type { Command } from 'commander';
import { askKey, proveKey } from '../../client/ways/ask-key.ts';
import { asHoplineError, HoplineError } from '../../core/errors.ts';
import { type Address, formatHop, type Hop } from '../../wire/address.ts';
import { parsePublicKey } from '../../wire/keys/key.ts';
import { parseVia, preferredRoute } from '../../wire/route.ts';
import { addressFlag, secondsFlag } from '../flags.ts';
import { startInterruption } from '../terminal/interruption.ts';
import { say } from '../terminal/lines.ts';
import { knownNodesFile } from './key-places.ts';
import { forgetNode, trustNode } from './known-nodes.ts';

export function addKnownKeys(key: Command): void {
  key
    .command('scan')
    .summary('ask nodes for their keys')
    .description(
      'Asks nodes for their keys and prints a line for each, HOST:PORT and the key. A key that came through other\n' +
        'hops is marked as not proven: any of them may have put it there. That whoever answers has the key says\n' +
        'nothing about who that is: compare it with what the node said at its start.',
    )
    .argument('[HOST:PORT...]', 'the nodes')
    .option('--via <HOPS>', 'ask every hop of this route instead, each through those before it')
    .option('--connect-timeout <SECONDS>', 'for each attempt', secondsFlag)
    .addHelpText(
      'after',
      '\nExamples:\n  $ hopline key scan 10.0.0.2:7001\n  $ hopline key scan --via 10.0.0.2:7001,10.0.1.5:7001',
    )
    .action(scan);
  key
    .command('trust')
    .summary('know a node by its key')
    .description(
      'Writes a node into ~/.config/hopline/known_nodes. It counts where the node is the first hop, and the origin.',
    )
    .argument('<HOST:PORT>', 'the node', addressFlag)
    .argument('<KEY>', 'its public key, hop1...')
    .action((address: Address, text: string) =>
      trustNode(knownNodesFile(), address, parsePublicKey(text, 'the argument')),
    );
  key
    .command('forget')
    .summary('know a node no more')
    .description('Takes a node out of ~/.config/hopline/known_nodes.')
    .argument('<HOST:PORT>', 'the node', addressFlag)
    .action((address: Address) => forgetNode(knownNodesFile(), address));
}

interface ScanFlags {
  readonly via?: string;
  readonly connectTimeout?: number;
}

async function scan(nodes: readonly string[], { via, connectTimeout }: ScanFlags): Promise<void> {
  if ((via === undefined) === (nodes.length === 0)) {
    throw new HoplineError('USAGE_INVALID', 'key scan takes nodes, or --via, and not both');
  }
  const ways = via === undefined ? nodes.map((node): Hop[] => [addressFlag(node)]) : prefixes(via);
  const { signal, end } = startInterruption();
  const limits = connectTimeout === undefined ? {} : { connectMs: connectTimeout, openMs: connectTimeout };
  try {
    // The first failure is told at the end, with its hint.
    let failure: unknown;
    for (const hops of ways) {
      await scanOne(hops, { signal, limits }).catch((error) => {
        if (signal.aborted) throw error;
        if (failure) say(`hopline: ${asHoplineError(error).message}`);
        failure ??= error;
      });
    }
    if (failure) throw failure;
  } finally {
    end();
  }
}

function prefixes(via: string): Hop[][] {
  const { hops } = preferredRoute(parseVia(via, 'any'));
  return hops.map((_hop, index) => hops.slice(0, index + 1));
}

async function scanOne(hops: readonly Hop[], options: Parameters<typeof askKey>[1]): Promise<void> {
  const [last] = hops.slice(-1) as [Hop];
  const key = await askKey(hops, options);
  if (!key) throw new HoplineError('KEY_UNKNOWN', `${formatHop(last)} says that it has no key`);
  const isFirst = hops.length === 1;
  if (isFirst) await proveKey([{ ...last, key }], options);
  process.stdout.write(`${formatHop(last)} ${key.text}${isFirst ? '' : ' # not proven'}\n`);
}
