/** `hopline trace`: looks at every hop of a route, and says what is wrong where. */

import { type Command, Option } from 'commander';
import { firstFailure, type HopLook } from '../../client/trace/hop-look.ts';
import { traceRoutes } from '../../client/trace/trace-route.ts';
import { withoutKnownKeys } from '../../wire/keyed-hop.ts';
import type { PublicKey } from '../../wire/keys/key.ts';
import { countFlag, listFlag, secondsFlag } from '../flags.ts';
import { readIdentity } from '../key/client-security.ts';
import { knownNodesFile } from '../key/key-places.ts';
import { readKnownNodes } from '../key/known-nodes.ts';
import { addPoolFlags, type PoolFlags, readOwnPools } from '../route-flags.ts';
import { readRoutes } from '../route-text.ts';
import { exitCodeOf } from '../terminal/exit-codes.ts';
import { ExitWith, tellFailureOn } from '../terminal/failure.ts';
import { startInterruption } from '../terminal/interruption.ts';
import { formatRate } from '../terminal/units.ts';
import { createTraceReport } from './trace-report.ts';

interface TraceFlags extends PoolFlags {
  readonly via?: readonly string[];
  readonly count?: number;
  /** Milliseconds, both. */
  readonly interval?: number;
  readonly connectTimeout?: number;
  readonly rate?: boolean;
  readonly json?: boolean;
  readonly identity?: string;
  readonly plain?: boolean;
}

export function addTraceCommand(program: Command): void {
  const trace = program
    .command('trace')
    .summary('see every hop of a route, and what is wrong where')
    .description(
      'Asks every hop of a route, each over those before it, and prints a line for each: whether it answers, how long a round\n' +
        'trip takes (ms, its jitter, and that of the last leg alone), whether its key is the one that is known, how wrong its clock\n' +
        'is, how full it is; and below, what is wrong there and what to do. Alternates, members of pools and several routes are\n' +
        'looked at one by one. No file is asked for. The exit code is that of the first thing that fails.',
    )
    .argument(
      '[ROUTE_FILE]',
      'the route file, or NAME: of a route of `hopline routes`; the file that it names does not matter',
    )
    .option(
      '--via <HOPS>',
      'the hops, HOST:PORT separated by commas, | between alternates, instead of a route file; repeatable',
      listFlag,
    )
    .option('-c, --count <N>', 'round trips to each hop (default: 5)', countFlag)
    .option('-i, --interval <SECONDS>', 'between them (default: 0.2)', secondsFlag)
    .option('--rate', 'measure how much passes, each way, for a second for each direction and hop')
    .option('--connect-timeout <SECONDS>', 'for each leg, and for its answer (default: 5)', secondsFlag)
    .option('--json', 'print one JSON object a hop')
    .addOption(new Option('--identity <FILE>', 'the key file by which nodes know this client; also HOPLINE_KEY_FILE'))
    .option('--plain', 'encrypt nothing, and look at no key that is known')
    .addHelpText(
      'after',
      '\nExamples:\n  $ hopline trace input.txt\n  $ hopline trace --via "10.0.0.1:7001|10.0.0.9:7001,10.0.0.2:7001" --rate',
    )
    .action((argument: string | undefined, flags: TraceFlags) =>
      tellFailureOn(flags.json ? process.stdout : undefined, () => runTrace(argument, flags)),
    );
  addPoolFlags(trace);
}

async function runTrace(argument: string | undefined, flags: TraceFlags): Promise<void> {
  const { count, interval: intervalMs, rate, connectTimeout: patienceMs, plain = false } = flags;
  const { routes: asked } = await readRoutes('trace', flags.via, argument);
  const routes = plain ? asked.map((places) => places.map((place) => place.map(withoutKnownKeys))) : asked;
  const pools = await readOwnPools(flags);
  const identity = await readIdentity(flags);
  const knownKeys = plain ? undefined : await readKnownKeys();
  const { signal, end } = startInterruption();
  const report = createTraceReport(routes, flags);
  let looks: readonly HopLook[] = [];
  const onLook = (now: readonly HopLook[]) => {
    looks = now;
    report.look(now);
  };
  try {
    const measured = { count, intervalMs, rate, patienceMs, formatRate: (speed: number) => formatRate(speed, 1000) };
    await traceRoutes({ route: { routes }, pools, identity, knownKeys, signal, onLook, ...measured });
  } finally {
    end();
    report.end(looks);
  }
  const failure = firstFailure(looks);
  // What it is stands in the table.
  if (failure) throw new ExitWith(exitCodeOf(failure.code));
}

async function readKnownKeys(): Promise<ReadonlyMap<string, PublicKey>> {
  const nodes = await readKnownNodes(knownNodesFile());
  return new Map([...nodes].map(([name, { key }]) => [name, key]));
}
