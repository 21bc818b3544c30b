/** How nodes and clients of a plan are called: routes, arguments and environments. Pure. */

import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Fault } from './faults.ts';
import type { Plan } from './plan.ts';

const stepClock = pathToFileURL(path.resolve('chaos/step-clock.mjs')).href;
const syncedCopies = pathToFileURL(path.resolve('chaos/synced-copies.mjs')).href;

/** The route file of a plan; `addressOf` says where a node is reached. */
export function routeText({ routes, files }: Plan, addressOf: (node: number) => string): string {
  const lines = routes.map((places) => places.map((place) => place.map(addressOf).join(' | ')).join('\n'));
  return `${files[0]?.name}\n${lines.join('\n---\n')}\n`;
}

/** Arguments of a client that moves the files called `names`, from or to `directory`. */
export function clientArgs(
  { scenario, files }: Plan,
  names: readonly string[],
  route: string,
  directory: string,
): string[] {
  const flags = ['--json', '--idle-timeout', '2', ...scenario.flags];
  if (scenario.command === 'put') return ['put', path.join(directory, names[0] ?? ''), route, ...flags];
  // A route file names one file; with several, even the last one that is left has to be named.
  return ['get', route, '-o', directory, ...flags, ...(files.length > 1 ? ['--', ...names] : [])];
}

/** Flags of a node beyond where it listens, what it serves and how it moves bytes. */
export function nodeFlags({ scenario, nodes }: Plan, node: number, digests: string): string[] {
  const cache = scenario.digestCache ? ['--digest-cache', digests] : [];
  return scenario.command === 'put' && nodes[node]?.isOrigin ? [...cache, '--writable'] : cache;
}

export interface Surroundings {
  /** For what it leaves for a moment. */
  readonly temporary: string;
  /** Whether a fault steps its clock. */
  readonly isStepped: (fault: Fault) => boolean;
  /** Milliseconds that its clock is ahead from the start. */
  readonly aheadMs?: number;
  /** Where copies go of what it has synced. */
  readonly synced?: string | undefined;
}

/** The environment of a process, by what may be done to it. */
export function environmentOf(
  { strikes }: Plan,
  { temporary, isStepped, aheadMs = 0, synced }: Surroundings,
): Readonly<Record<string, string>> {
  const step = strikes.find(({ fault }) => isStepped(fault))?.fault;
  const stepMs = step !== undefined && 'ms' in step ? step.ms : 0;
  const imports = [
    ...(stepMs !== 0 || aheadMs !== 0 ? [stepClock] : []),
    ...(synced === undefined ? [] : [syncedCopies]),
  ];
  return {
    TMPDIR: temporary,
    CHAOS_STEP_MS: String(stepMs),
    CHAOS_AHEAD_MS: String(aheadMs),
    ...(synced === undefined ? {} : { CHAOS_SYNCED: synced }),
    NODE_OPTIONS: imports.map((module) => `--import=${module}`).join(' '),
  };
}
