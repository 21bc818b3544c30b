/** Messages of 1 KiB to a server, and through a front: beside the least that a bare `net` server does for the same work. */

import path from 'node:path';
import { type Command, hoplineCommand } from '../../harness/children.ts';
import { type Bench, interleave, type Measured, measureClient } from '../measure.ts';
import type { Fleet } from '../processes.ts';
import { percentile, spread } from '../samples.ts';

const count = 20_000;
const messageBytes = 1024;
const clientCounts = [1, 8];
const driver = path.resolve('bench/peers/message-client.mjs');
const bare = (...args: string[]): Command => ({
  program: process.execPath,
  args: [path.resolve('bench/peers/message-server.mjs'), ...args],
});
const node = (...args: string[]) =>
  hoplineCommand(['node', '--listen', '127.0.0.1:0', '--log-level', 'error', ...args]);

interface Site {
  readonly name: string;
  readonly port: number;
  readonly relayPids: readonly number[];
  readonly originPids: readonly number[];
}

export async function runMessages(bench: Bench): Promise<void> {
  try {
    const sites = [...(await startBare(bench.fleet)), ...(await startHopline(bench.fleet))];
    for (const mode of ['kept', 'fresh'] as const) {
      for (const clients of clientCounts) {
        console.error(`messages, ${mode} connections, ${clients} at a time`);
        const entrants = sites.map((site) => ({ name: site.name, run: () => send(bench.fleet, site, mode, clients) }));
        await interleave(bench, { scenario: `messages-${mode}`, x: clients, relays: 1 }, entrants);
      }
    }
    tellRatios(bench);
  } finally {
    await bench.fleet.stopAll();
  }
}

async function startBare(fleet: Fleet): Promise<Site[]> {
  const origin = await fleet.startPrinting(bare());
  const relay = await fleet.startPrinting(bare(String(origin.port)));
  return nameSites('bare', origin, relay);
}

/** The front is first here, since its server registers with it. */
async function startHopline(fleet: Fleet): Promise<Site[]> {
  const relay = await fleet.startPrinting(node());
  const origin = await fleet.startPrinting(node('--policy', 'bench', '--register', `127.0.0.1:${relay.port}`));
  return nameSites('hopline', origin, relay);
}

interface Started {
  readonly pid: number;
  readonly port: number;
}

function nameSites(name: string, origin: Started, relay: Started): Site[] {
  const originPids = [origin.pid];
  return [
    { name: `${name}-server`, port: origin.port, relayPids: [], originPids },
    { name: `${name}-front`, port: relay.port, relayPids: [relay.pid], originPids },
  ];
}

async function send(fleet: Fleet, site: Site, mode: string, clients: number): Promise<Measured> {
  const command = {
    program: process.execPath,
    args: [driver, mode, String(count), String(clients), String(site.port)],
  };
  const chain = { ...site, address: '', fetch: () => command };
  const { stdout, ...measured } = await measureClient(fleet, chain, count * messageBytes, [command], { go: true });
  const { ms } = JSON.parse(stdout.join()) as { readonly ms: readonly number[] };
  const { relay, origin } = measured.cpu;
  const values = {
    perSecond: count / measured.seconds,
    cpuUsPerMessage: ((relay + origin) * 1e6) / count,
    p50Ms: percentile(ms, 0.5),
    p99Ms: percentile(ms, 0.99),
  };
  return { ...measured, values };
}

function tellRatios({ samples }: Bench): void {
  const rate = (scenario: string, x: number, contender: string) =>
    spread(
      samples
        .filter((sample) => sample.scenario === scenario && sample.x === x && sample.contender === contender)
        .map(({ values }) => values.perSecond ?? 0),
    ).median;
  for (const scenario of ['messages-kept', 'messages-fresh']) {
    for (const x of clientCounts) {
      const [server, front] = ['server', 'front'].map((role) =>
        (rate(scenario, x, `hopline-${role}`) / rate(scenario, x, `bare-${role}`)).toFixed(2),
      );
      console.log(`${scenario}, ${x} at a time: hopline / bare is ${server} for the server, ${front} for the front`);
    }
  }
}
