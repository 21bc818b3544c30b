/** How nodes and clients of a plan are called: routes, arguments and environments. Pure. */

import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Fault } from './faults.ts';
import type { Plan } from './plan.ts';

const stepClock = pathToFileURL(path.resolve('chaos/step-clock.mjs')).href;
const syncedCopies = pathToFileURL(path.resolve('chaos/synced-copies.mjs')).href;

/** The route file of a plan; `addressOf` says where a node is reached, `keyOf` which key it has, if the file is to name it. */
export function routeText(
  { routes, files }: Plan,
  addressOf: (node: number) => string,
  keyOf: (node: number) => string | undefined = () => undefined,
): string {
  const hopOf = (node: number) => {
    const key = keyOf(node);
    return key === undefined ? addressOf(node) : `${addressOf(node)} key=${key}`;
  };
  const lines = routes.map((places) => places.map((place) => place.map(hopOf).join(' | ')).join('\n'));
  return `${files[0]?.name}\n${lines.join('\n---\n')}\n`;
}

/** Arguments of a client that moves the files called `names`, from or to `directory`. */
export function clientArgs(
  { scenario, files }: Plan,
  names: readonly string[],
  { route, directory, identity }: Record<'route' | 'directory', string> & { readonly identity: string | undefined },
): string[] {
  const own = identity === undefined ? [] : ['--identity', identity];
  const flags = ['--json', '--idle-timeout', '2', ...scenario.flags, ...own];
  if (scenario.command === 'put') return ['put', path.join(directory, names[0] ?? ''), route, ...flags];
  // A route file names one file; with several, even the last one that is left has to be named.
  return ['get', route, '-o', directory, ...flags, ...(files.length > 1 ? ['--', ...names] : [])];
}

/** Flags of a node beyond where it listens, what it serves and how it moves bytes. */
export function nodeFlags(
  { scenario, nodes }: Plan,
  node: number,
  {
    digests,
    identity,
    authorized,
  }: Record<'identity' | 'authorized', string | undefined> & { readonly digests: string },
): string[] {
  return [
    ...(scenario.digestCache ? ['--digest-cache', digests] : []),
    ...(scenario.command === 'put' && nodes[node]?.isOrigin ? ['--writable'] : []),
    ...(identity === undefined ? [] : ['--identity', identity]),
    ...(authorized === undefined ? [] : ['--authorized-keys', authorized]),
  ];
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
