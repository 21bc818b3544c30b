/** Requests through an HTTP reverse proxy: passed on, out of its cache, and into it. */

import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type GatewayContender, gatewayContenders, startBackend } from '../contenders/gateway.ts';
import { type Bench, interleave, type Measured, measureClient } from '../measure.ts';
import { findProgram } from '../processes.ts';

const seconds = 5;
const smallBytes = 1024;
const largeBytes = 64 * 2 ** 20;

interface Case {
  readonly name: string;
  readonly caches: boolean;
  readonly connections: number;
  readonly bytes: number;
  readonly target: string;
  readonly script?: string;
}

const unique = path.resolve('bench/peers/unique.lua');
const cases: readonly Case[] = [
  { name: 'proxied', caches: false, connections: 16, bytes: smallBytes, target: '/1k' },
  { name: 'hits', caches: true, connections: 16, bytes: smallBytes, target: '/1k' },
  { name: 'misses', caches: true, connections: 16, bytes: smallBytes, target: '/m/', script: unique },
  { name: 'large', caches: true, connections: 2, bytes: largeBytes, target: '/64M' },
];

interface Running {
  readonly name: string;
  readonly pid: number;
  readonly port: number;
}

export async function runHttp(bench: Bench): Promise<void> {
  if (findProgram('wrk') === undefined) {
    for (const { name } of gatewayContenders) {
      bench.absent.push({ scenario: 'http', contender: name, reason: 'not installed: wrk' });
    }
    return;
  }
  const root = path.join(bench.fleet.directory, 'http-root');
  mkdirSync(root);
  writeFileSync(path.join(root, '1k'), Buffer.alloc(smallBytes, 'x'));
  writeFileSync(path.join(root, '64M'), Buffer.alloc(largeBytes, 'x'));
  try {
    const backend = await startBackend(bench.fleet, root);
    for (const one of cases) {
      const running: Running[] = [];
      for (const contender of chosen(bench, one)) {
        running.push({ name: contender.name, ...(await contender.start(bench.fleet, backend.port)) });
      }
      console.error(`http, ${one.name}`);
      const entrants = running.map((gateway) => ({
        name: gateway.name,
        run: () => load(bench, gateway, backend.pid, one),
      }));
      await interleave(bench, { scenario: `http-${one.name}`, x: one.connections, relays: 1 }, entrants);
    }
  } finally {
    await bench.fleet.stopAll();
  }
}

function chosen({ settings: { only } }: Bench, { caches }: Case): GatewayContender[] {
  return gatewayContenders.filter(
    ({ name, caches: does, needs }) =>
      does === caches &&
      (only.length === 0 || only.some((part) => name.startsWith(part))) &&
      needs.every((program) => findProgram(program) !== undefined),
  );
}

async function load(bench: Bench, gateway: Running, backend: number, one: Case): Promise<Measured> {
  const url = `http://127.0.0.1:${gateway.port}${one.target}`;
  const script = one.script === undefined ? [] : ['-s', one.script];
  const args = ['-t', '1', '-c', String(one.connections), '-d', `${seconds}s`, '--timeout', '30s', ...script, url];
  const chain = { relayPids: [gateway.pid], originPids: [backend], address: '', fetch: () => ({ program: '', args }) };
  const { stdout, ...measured } = await measureClient(bench.fleet, chain, 0, [{ program: 'wrk', args }]);
  const report = stdout.join();
  const failed = /Socket errors.*|Non-2xx.*/.exec(report);
  if (failed) throw new Error(failed[0]);
  const [, requests = '0', lasted = '1'] = /(\d+) requests in ([\d.]+)s/.exec(report) ?? [];
  const count = Number(requests);
  const { relay } = measured.cpu;
  return {
    ...measured,
    bytes: count * one.bytes,
    seconds: Number(lasted),
    values: { perSecond: count / Number(lasted), perCore: count / relay, cpuUsPerRequest: (relay * 1e6) / count },
  };
}
