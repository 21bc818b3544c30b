/**
 * All that a service shows of itself at one moment, as plain values, and several processes as one.
 *
 * Invariant: passes through JSON and through a channel between processes as it is.
 */

import { softwareVersion } from '../core/software.ts';
import type { NodeSight } from '../node/traffic/node-sight.ts';
import type { PoolReport } from '../pool/member-report.ts';
import type { HttpSight } from '../sites/http-service.ts';
import type { ChainSight } from './chain-sight.ts';
import type { Vitals } from './vitals.ts';

export interface Snapshot {
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly version: string;
  readonly state: 'starting' | 'serving' | 'stopping';
  /** Why it does not do what it is there for, though it runs; empty when it does. */
  readonly troubles: readonly string[];
  /** Where it listens: the node, and the sites beside it. */
  readonly addresses: readonly string[];
  /** By which clients encrypt to it. */
  readonly key?: string | undefined;
  /** Process ids: one, or one for each worker. */
  readonly processes: readonly number[];
  readonly vitals: Vitals;
  readonly node?: NodeSight | undefined;
  readonly http?: HttpSight | undefined;
  /** Of several nodes at once: what passes through them one after the other. */
  readonly chain?: ChainSight | undefined;
}

/** What a snapshot is taken of, once it has started. */
export interface Shown {
  readonly addresses: readonly string[];
  readonly key?: string | undefined;
  readonly node?: { sight(): NodeSight } | undefined;
  readonly http?: { sight(): HttpSight } | undefined;
}

export function takeSnapshot(shown: Shown | undefined, vitals: Vitals, isStopping: boolean): Snapshot {
  const node = shown?.node?.sight();
  const trouble = node?.authority?.trouble;
  return {
    time: Date.now(),
    version: softwareVersion,
    state: isStopping ? 'stopping' : shown ? 'serving' : 'starting',
    troubles: trouble === undefined ? [] : [`authorized keys are not in effect: ${trouble}`],
    addresses: shown?.addresses ?? [],
    key: shown?.key,
    processes: [process.pid],
    vitals,
    node,
    http: shown?.http?.sight(),
  };
}

/** Whether it does what it is there for. */
export function isReady({ state, troubles }: Snapshot): boolean {
  return state === 'serving' && troubles.length === 0;
}

/** The processes of one service as one: counts added up, and what each has beside what the others have. */
export function addSnapshots(first: Snapshot, others: readonly Snapshot[]): Snapshot {
  return others.reduce(addTwo, first);
}

/** What is left of a process that has ended: its counts, and nothing that was only then. */
export function pastOf({ node, http, vitals, ...snapshot }: Snapshot): Snapshot {
  return {
    ...snapshot,
    state: 'stopping',
    troubles: [],
    processes: [],
    vitals: { ...vitals, residentBytes: 0, openFds: undefined, loopLagSeconds: 0 },
    node: node && {
      ...node,
      stats: { ...node.stats, open: 0 },
      maxConnections: 0,
      open: { relay: 0, origin: 0 },
      circuits: [],
      neighbours: node.neighbours.map((pair) => ({ ...pair, open: 0 })),
      pools: [],
    },
    http: http && { ...http, underWay: 0, pools: [] },
  };
}

function addTwo(one: Snapshot, other: Snapshot): Snapshot {
  return {
    ...one,
    state: one.state === 'serving' ? one.state : other.state,
    troubles: [...new Set([...one.troubles, ...other.troubles])],
    addresses: [...new Set([...one.addresses, ...other.addresses])],
    key: one.key ?? other.key,
    processes: [...one.processes, ...other.processes],
    vitals: addVitals(one.vitals, other.vitals),
    node: one.node && other.node ? addNodes(one.node, other.node) : (one.node ?? other.node),
    http: one.http && other.http ? addHttp(one.http, other.http) : (one.http ?? other.http),
  };
}

function addVitals(one: Vitals, other: Vitals): Vitals {
  return {
    cpuSeconds: one.cpuSeconds + other.cpuSeconds,
    residentBytes: one.residentBytes + other.residentBytes,
    openFds: one.openFds === undefined ? other.openFds : one.openFds + (other.openFds ?? 0),
    loopLagSeconds: Math.max(one.loopLagSeconds, other.loopLagSeconds),
    startedAt: Math.min(one.startedAt, other.startedAt),
  };
}

function addNodes(one: NodeSight, other: NodeSight): NodeSight {
  return {
    ...one,
    stats: addCounts(one.stats, other.stats),
    maxConnections: one.maxConnections + other.maxConnections,
    open: addCounts(one.open, other.open),
    circuits: [...one.circuits, ...other.circuits],
    neighbours: mergeBy(
      [...one.neighbours, ...other.neighbours],
      ({ from, to = '' }) => `${from} ${to}`,
      (a, b) => ({
        ...addCounts(a, b),
        idleSeconds: Math.min(a.idleSeconds, b.idleSeconds),
      }),
    ),
    refusals: mergeBy(
      [...one.refusals, ...other.refusals],
      ({ from, code }) => `${from} ${code}`,
      (a, b) => ({
        ...a,
        count: a.count + b.count,
        agoSeconds: Math.min(a.agoSeconds, b.agoSeconds),
      }),
    ),
    pools: addPools(one.pools, other.pools),
  };
}

function addHttp(one: HttpSight, other: HttpSight): HttpSight {
  return {
    ...one,
    stats: addCounts(one.stats, other.stats),
    underWay: one.underWay + other.underWay,
    pools: addPools(one.pools, other.pools),
  };
}

/** Each process has its own word on who is well; a member is up where one finds it so. */
function addPools(one: readonly PoolReport[], other: readonly PoolReport[]): readonly PoolReport[] {
  return mergeBy(
    [...one, ...other],
    ({ name }) => name,
    (a, b) => ({
      ...a,
      members: mergeBy(
        [...a.members, ...b.members],
        ({ name }) => name,
        (x, y) => ({
          ...x,
          up: x.up || y.up,
          ejected: x.ejected && y.ejected,
          downSeconds: Math.min(x.downSeconds, y.downSeconds),
          inFlight: x.inFlight + y.inFlight,
          requests: x.requests + y.requests,
          failed: x.failed + y.failed,
          trouble: x.trouble ?? y.trouble,
        }),
      ),
    }),
  );
}

function mergeBy<T>(items: readonly T[], keyOf: (item: T) => string, merge: (one: T, other: T) => T): T[] {
  const merged = new Map<string, T>();
  for (const item of items) {
    const known = merged.get(keyOf(item));
    merged.set(keyOf(item), known === undefined ? item : merge(known, item));
  }
  return [...merged.values()];
}

/** Numbers added up, however deep they lie; anything else as the first has it. */
function addCounts<T extends object>(one: T, other: T): T {
  if (Array.isArray(one))
    return one.map((value, index) => addValues(value, (other as unknown[])[index])) as unknown as T;
  const keys = [...new Set([...Object.keys(one), ...Object.keys(other)])] as (keyof T & string)[];
  return Object.fromEntries(keys.map((key) => [key, addValues(one[key], other[key])])) as T;
}

function addValues(one: unknown, other: unknown): unknown {
  if (typeof one === 'number' && typeof other === 'number') return one + other;
  if (typeof one === 'object' && one !== null && typeof other === 'object' && other !== null) {
    return addCounts(one, other);
  }
  return one ?? other;
}
