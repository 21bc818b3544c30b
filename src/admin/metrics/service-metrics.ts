/** What is counted of the process, of pools and of HTTP. */

import type { PoolReport } from '../../pool/member-report.ts';
import { isReady, type Snapshot } from '../snapshot.ts';
import { type Metric, oneValue, type Sample } from './metric.ts';

export const serviceMetrics: readonly Metric[] = [
  {
    name: 'hopline_build_info',
    type: 'gauge',
    help: 'What runs here; always 1.',
    read: ({ version }) => [{ labels: { version, node: process.versions.node }, value: 1 }],
  },
  {
    name: 'hopline_start_time_seconds',
    type: 'gauge',
    unit: 'seconds',
    help: 'When the process began, in seconds since 1970.',
    read: oneValue(({ vitals }) => vitals.startedAt / 1000),
  },
  {
    name: 'hopline_processes',
    type: 'gauge',
    help: 'Processes that these figures are the sum of.',
    read: oneValue(({ processes }) => processes.length),
  },
  {
    name: 'hopline_ready',
    type: 'gauge',
    help: 'Whether /readyz answers 200.',
    read: oneValue((snapshot) => (isReady(snapshot) ? 1 : 0)),
  },
  {
    name: 'hopline_pool_member_up',
    type: 'gauge',
    help: 'Whether checks find a configured member well and no failed request keeps it out.',
    read: (snapshot) => ofMembers(snapshot, ({ up, ejected }) => (up && !ejected ? 1 : 0)),
  },
  {
    name: 'hopline_pool_members',
    type: 'gauge',
    help: 'Members of a configured pool, those that registered or were looked up included.',
    read: (snapshot) =>
      namedPools(snapshot).flatMap(({ name: pool, members }) => {
        const up = members.filter((member) => member.up && !member.ejected).length;
        return [
          { labels: { pool, state: 'up' }, value: up },
          { labels: { pool, state: 'down' }, value: members.length - up },
        ];
      }),
  },
  {
    name: 'hopline_pool_requests_total',
    type: 'counter',
    help: 'Attempts at a configured member.',
    read: (snapshot) => ofMembers(snapshot, ({ requests }) => requests),
  },
  {
    name: 'hopline_pool_failures_total',
    type: 'counter',
    help: 'Attempts at a configured member that failed.',
    read: (snapshot) => ofMembers(snapshot, ({ failed }) => failed),
  },
  {
    name: 'hopline_http_requests_total',
    type: 'counter',
    help: 'HTTP requests that are over, by site and class of the answer.',
    read: ({ http }) =>
      Object.entries(http?.stats.requests ?? {}).flatMap(([site, classes]) =>
        Object.entries(classes).map(([name, value]) => ({ labels: { site, class: name }, value })),
      ),
  },
  {
    name: 'hopline_http_requests_open',
    type: 'gauge',
    help: 'HTTP requests that are being answered.',
    read: oneValue(({ http }) => http?.underWay),
  },
  {
    name: 'hopline_http_retries_total',
    type: 'counter',
    help: 'HTTP requests that were sent again, to another server.',
    read: oneValue(({ http }) => http?.stats.retries),
  },
  {
    name: 'hopline_cache_hits_total',
    type: 'counter',
    help: 'Requests that were answered from the cache alone.',
    read: oneValue(({ http }) => http?.cache?.hits),
  },
  {
    name: 'hopline_cache_misses_total',
    type: 'counter',
    help: 'Requests that could have been, and were not.',
    read: oneValue(({ http }) => http?.cache?.misses),
  },
  {
    name: 'hopline_cache_entries',
    type: 'gauge',
    help: 'Answers that are stored.',
    read: oneValue(({ http }) => http?.cache?.entries),
  },
  {
    name: 'hopline_cache_disk_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'What stored answers take on disk.',
    read: oneValue(({ http }) => http?.cache?.bytes),
  },
  {
    name: 'hopline_cache_memory_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'What the index of the cache takes in memory.',
    read: oneValue(({ http }) => http?.cache?.memoryBytes),
  },
  {
    name: 'hopline_certificate_expiry_timestamp_seconds',
    type: 'gauge',
    unit: 'seconds',
    help: 'When the certificate of the gateway ends, in seconds since 1970.',
    read: oneValue(({ http }) => http?.certificate && http.certificate.expires / 1000),
  },
  {
    name: 'process_cpu_seconds_total',
    type: 'counter',
    unit: 'seconds',
    help: 'Processor time, in user and system mode.',
    read: oneValue(({ vitals }) => vitals.cpuSeconds),
  },
  {
    name: 'process_resident_memory_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Memory that is resident.',
    read: oneValue(({ vitals }) => vitals.residentBytes),
  },
  {
    name: 'process_open_fds',
    type: 'gauge',
    help: 'Open descriptors.',
    read: oneValue(({ vitals }) => vitals.openFds),
  },
  {
    name: 'nodejs_eventloop_lag_seconds',
    type: 'gauge',
    unit: 'seconds',
    help: 'The longest that the event loop was late by within the last second.',
    read: oneValue(({ vitals }) => vitals.loopLagSeconds),
  },
];

function namedPools({ node, http }: Snapshot): readonly PoolReport[] {
  return [...(node?.pools ?? []), ...(http?.pools ?? [])].filter(({ isNamed }) => isNamed);
}

function ofMembers(
  snapshot: Snapshot,
  read: (member: PoolReport['members'][number]) => number,
): readonly Sample<number>[] {
  return namedPools(snapshot).flatMap(({ name: pool, members }) =>
    members
      .filter(({ isNamed }) => isNamed)
      .map((member) => ({ labels: { pool, member: member.name }, value: read(member) })),
  );
}
