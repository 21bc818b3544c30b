/**
 * The scenarios, as data: which nodes and routes, which flags, which faults may strike, which must be survived.
 *
 * A scenario whose `needs` the program does not know is left out, and the run says so.
 */

import type { FaultKind } from './faults.ts';

type Range = readonly [number, number];

export interface Scenario {
  readonly name: string;
  /** Flags that a command must list in its help (`get --retry`), commands (`put`), or `alternates` in route files. */
  readonly needs: readonly string[];
  readonly command: 'get' | 'put';
  /** Hops of each route, the origin included. */
  readonly hops: Range;
  /** Hops that stand in for one another at each place. */
  readonly alternates: Range;
  /** Routes of the route file. They end at one origin, or with `replicas` each at its own copy. */
  readonly routes: Range;
  readonly replicas: boolean;
  readonly clients: Range;
  readonly files: Range;
  /** Bytes of a file. */
  readonly bytes: Range;
  readonly workers: Range;
  /** Nodes keep digests on disk. */
  readonly digestCache: boolean;
  /** Flags of the client, besides those that every client has. */
  readonly flags: readonly string[];
  /** Circuits of one client at once: each may have a piece under way when it ends. */
  readonly streams: number;
  readonly faults: readonly FaultKind[];
  /** Faults that must not be felt, where they end or there is another way: the client ends right, without a second run. */
  readonly survives: readonly FaultKind[];
}

const mib = 1024 * 1024;

const harmless = ['stop-node', 'stop-client', 'slow', 'delay', 'step-node', 'step-client'] as const;
const losses = ['kill-node', 'reset', 'cut', 'swallow', 'stall'] as const;
const damage = ['flip', 'drop', 'repeat'] as const;
const changes = ['replace-file', 'rewrite-file'] as const;

const plain: Omit<Scenario, 'name'> = {
  needs: [],
  command: 'get',
  hops: [1, 4],
  alternates: [1, 1],
  routes: [1, 1],
  replicas: false,
  clients: [1, 1],
  files: [1, 1],
  bytes: [3 * mib, 16 * mib],
  workers: [1, 1],
  digestCache: false,
  flags: [],
  streams: 1,
  faults: [...harmless, ...losses, ...damage, ...changes, 'kill-client', 'cut-power', 'disk-client'],
  survives: harmless,
};

/** With time to try again, and other ways to go, whatever happens on the way is survived. */
const persistent = {
  flags: ['--retry', '20', '--deadline', '15'],
  survives: [...harmless, ...losses, ...damage],
};

export const scenarios: readonly Scenario[] = [
  { ...plain, name: 'chain' },
  { ...plain, name: 'crowd', hops: [1, 2], clients: [2, 3], bytes: [1 * mib, 6 * mib] },
  { ...plain, name: 'small-files', files: [20, 120], bytes: [0, 100_000], faults: [...plain.faults] },
  { ...plain, name: 'mixed-files', files: [2, 8], bytes: [0, 5 * mib] },
  { ...plain, name: 'workers', hops: [1, 2], workers: [2, 2], faults: [...plain.faults, 'kill-worker'] },
  {
    ...plain,
    name: 'digest-cache',
    digestCache: true,
    faults: [...plain.faults, 'disk-origin'],
    survives: [...plain.survives, 'disk-origin'],
  },
  { ...plain, ...persistent, name: 'retry', needs: ['get --retry', 'get --deadline'] },
  {
    ...plain,
    ...persistent,
    name: 'alternates',
    needs: ['get --retry', 'get --deadline', 'alternates'],
    hops: [1, 3],
    alternates: [1, 3],
    replicas: true,
  },
  {
    ...plain,
    ...persistent,
    name: 'routes',
    needs: ['get --retry', 'get --deadline', 'alternates'],
    hops: [2, 3],
    routes: [2, 3],
  },
  {
    ...plain,
    ...persistent,
    name: 'parallel',
    needs: ['get --retry', 'get --deadline', 'get --parallel', 'alternates'],
    hops: [2, 3],
    routes: [2, 3],
    replicas: true,
    flags: [...persistent.flags, '--parallel', '4'],
    streams: 4,
  },
  {
    ...plain,
    name: 'put',
    needs: ['put', 'node --writable'],
    command: 'put',
    faults: [...harmless, ...losses, ...damage, 'kill-client', 'disk-origin'],
  },
];
