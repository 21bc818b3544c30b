/** How nodes and clients of a plan are called: routes, arguments and environments. Pure. */

import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Fault } from './faults.ts';
import type { Plan } from './plan.ts';

const stepClock = pathToFileURL(path.resolve('chaos/step-clock.mjs')).href;

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

/** The environment of a process whose clock will be stepped if there is a fault that says so. */
export function environmentOf(
  { strikes }: Plan,
  temporary: string,
  isStep: (fault: Fault) => boolean,
): Readonly<Record<string, string>> {
  const plain = { TMPDIR: temporary };
  const step = strikes.find(({ fault }) => isStep(fault))?.fault;
  if (step === undefined || !('ms' in step)) return plain;
  return { ...plain, NODE_OPTIONS: `--import=${stepClock}`, CHAOS_STEP_MS: String(step.ms) };
}
