/**
 * Runs contenders in turn, round after round, and measures each run.
 *
 * Owns the order of runs and who has dropped out. Knows nothing about what is run.
 */

import type { Command } from '../harness/children.ts';
import type { Chain, Contender } from './contenders/contender.ts';
import type { Settings } from './options.ts';
import { cpuSeconds, type Fleet, findProgram, peakBytes, type RunOptions } from './processes.ts';
import type { Sample } from './samples.ts';

const settleMs = 50;

export interface Bench {
  readonly settings: Settings;
  readonly fleet: Fleet;
  readonly samples: Sample[];
  /** Who could not be measured, and why. */
  readonly absent: { readonly scenario: string; readonly contender: string; readonly reason: string }[];
}

export interface Place {
  readonly scenario: string;
  readonly x: number;
  readonly relays: number;
}

export type Measured = Pick<Sample, 'bytes' | 'seconds' | 'cpu' | 'memory' | 'values'>;

export interface Entrant {
  readonly name: string;
  readonly run: (round: number) => Promise<Measured>;
}

/** The contenders that `--only` leaves and whose programs are installed; the others are listed as absent. */
export function present(bench: Bench, scenario: string, contenders: readonly Contender[]): Contender[] {
  const { only } = bench.settings;
  const wanted = contenders.filter(({ name }) => only.length === 0 || only.some((part) => name.startsWith(part)));
  return wanted.filter(({ name, needs }) => {
    const missing = needs.filter((program) => findProgram(program) === undefined);
    if (missing.length > 0) leaveOut(bench, scenario, name, `not installed: ${missing.join(', ')}`);
    return missing.length === 0;
  });
}

function leaveOut(bench: Bench, scenario: string, contender: string, reason: string): void {
  const known = bench.absent.some((one) => one.scenario === scenario && one.contender === contender);
  if (!known) bench.absent.push({ scenario, contender, reason });
  console.error(`  ${contender}: left out, ${reason}`);
}

/** Each entrant once a round, in turn; who fails takes no further part. */
export async function interleave(bench: Bench, place: Place, entrants: readonly Entrant[]): Promise<void> {
  const { rounds, warmups } = bench.settings;
  let running = entrants;
  for (let round = 1 - warmups; round <= rounds; round += 1) {
    const still: Entrant[] = [];
    for (const entrant of running) if (await takeTurn(bench, place, entrant, round)) still.push(entrant);
    running = still;
  }
}

async function takeTurn(bench: Bench, place: Place, entrant: Entrant, round: number): Promise<boolean> {
  try {
    // What the run before has left to write would slow this one down.
    await bench.fleet.run({ program: 'sync', args: ['-f', bench.fleet.directory] });
    const measured = await entrant.run(round);
    if (round > 0) bench.samples.push({ ...place, contender: entrant.name, round, ...measured });
    const rate = (measured.bytes / 1e6 / measured.seconds).toFixed(0);
    console.error(`  ${round > 0 ? `round ${round}` : 'warm-up'} ${entrant.name}: ${rate} MB/s`);
    return true;
  } catch (error) {
    leaveOut(bench, place.scenario, entrant.name, error instanceof Error ? error.message : String(error));
    return false;
  }
}

/** Starts a chain for each contender, gives them to `body`, and stops them all. */
export async function withChains(
  bench: Bench,
  scenario: string,
  contenders: readonly Contender[],
  start: (contender: Contender) => Promise<Chain>,
  body: (chains: readonly { readonly contender: Contender; readonly chain: Chain }[]) => Promise<void>,
): Promise<void> {
  const chains: { contender: Contender; chain: Chain }[] = [];
  try {
    for (const contender of contenders) {
      try {
        chains.push({ contender, chain: await start(contender) });
      } catch (error) {
        leaveOut(bench, scenario, contender.name, error instanceof Error ? error.message : String(error));
      }
    }
    await body(chains);
  } finally {
    await bench.fleet.stopAll();
  }
}

/** Runs one command, or several at once, as the client of a chain. */
export async function measureClient(
  fleet: Fleet,
  chain: Chain,
  bytes: number,
  commands: readonly Command[],
  options: RunOptions = {},
): Promise<Measured & { readonly stdout: readonly string[] }> {
  const before = serverSeconds(chain);
  const costs = await Promise.all(commands.map((command) => fleet.run(command, options)));
  await new Promise((resolve) => setTimeout(resolve, settleMs));
  const after = serverSeconds(chain);
  return {
    bytes,
    seconds: Math.max(...costs.map(({ seconds }) => seconds)),
    cpu: {
      relay: after.relay - before.relay,
      origin: after.origin - before.origin,
      client: costs.reduce((sum, cost) => sum + cost.cpuSeconds, 0),
    },
    memory: {
      relay: peakBytes(chain.relayPids),
      origin: peakBytes(chain.originPids),
      client: Math.max(...costs.map((cost) => cost.peakBytes)),
    },
    values: {},
    stdout: costs.map(({ stdout }) => stdout),
  };
}

function serverSeconds({ relayPids, originPids }: Chain): { relay: number; origin: number } {
  return { relay: cpuSeconds(relayPids), origin: cpuSeconds(originPids) };
}
