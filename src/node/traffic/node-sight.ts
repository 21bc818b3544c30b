/**
 * What a node shows of itself: counts, what goes through it, its pools, and whose keys it takes; plain values alone.
 *
 * Invariant: names no file, and holds a bounded number of everything, however much goes on.
 */

import type { MovedBytes, NodeStats } from '../../core/metrics.ts';
import type { PoolReport } from '../../pool/member-report.ts';
import type { AuthorityReport } from '../authority/authority.ts';
import type { NodeContext } from '../context.ts';
import type { CircuitFacts, CircuitSnapshot, NeighbourSnapshot, RefusalSnapshot } from './traffic.ts';

/** Open circuits that are shown; all are counted. */
const maxShown = 200;

export interface NodeSight {
  /** With what open circuits have moved so far. */
  readonly stats: NodeStats;
  readonly maxConnections: number;
  readonly open: Readonly<Record<CircuitFacts['role'], number>>;
  readonly circuits: readonly CircuitSnapshot[];
  readonly neighbours: readonly NeighbourSnapshot[];
  readonly refusals: readonly RefusalSnapshot[];
  readonly pools: readonly PoolReport[];
  /** Undefined where everybody may do everything. */
  readonly authority: AuthorityReport | undefined;
  readonly isOrigin: boolean;
  readonly hasKernelPath: boolean;
}

export function lookAt({ metrics, traffic, limits, pools, authority, root, join }: NodeContext): NodeSight {
  const { underWay } = traffic;
  const stats = metrics.snapshot();
  const moved: MovedBytes = { relay: addMoved(stats.moved.relay, underWay), origin: stats.moved.origin };
  const bytesRelayed = stats.bytesRelayed + sumOf(underWay);
  return {
    stats: { ...stats, moved, bytesRelayed },
    maxConnections: limits.maxConnections,
    open: traffic.open,
    circuits: traffic.circuits(maxShown),
    neighbours: traffic.neighbours(),
    refusals: traffic.refusals(),
    pools: pools.report(),
    authority: authority?.report(),
    isOrigin: root !== undefined,
    hasKernelPath: join.kernel !== undefined,
  };
}

function addMoved(one: MovedBytes['relay'], other: MovedBytes['relay']): MovedBytes['relay'] {
  const add = (path: 'kernel' | 'process') => ({
    forward: one[path].forward + other[path].forward,
    back: one[path].back + other[path].back,
  });
  return { kernel: add('kernel'), process: add('process') };
}

function sumOf({ kernel, process }: MovedBytes['relay']): number {
  return kernel.forward + kernel.back + process.forward + process.back;
}
