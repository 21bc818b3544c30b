/** Many clients at once through one chain of three relays; what arrives is verified by hopline's, and dropped by all. */

import path from 'node:path';
import type { Chain, Contender } from '../contenders/contender.ts';
import { hopline, hoplineEncrypted, hoplinePortable } from '../contenders/hopline.ts';
import { haproxySplice, nginxStream, nodePipe } from '../contenders/http.ts';
import type { Content } from '../content.ts';
import { type Bench, interleave, type Measured, measureClient, present, withChains } from '../measure.ts';
import { formatSize } from '../options.ts';
import { percentile } from '../samples.ts';

const relays = 3;
const drivers = 2;
const minFileBytes = 64 * 1024;
const driver = path.resolve('bench/peers/clients.mjs');

export async function runConcurrency(bench: Bench, content: Content): Promise<void> {
  const running = present(bench, 'concurrency', [
    hopline,
    hoplineEncrypted,
    hoplinePortable,
    haproxySplice,
    nginxStream,
    nodePipe,
  ]);
  for (const clients of bench.settings.clients) {
    const size = Math.max(minFileBytes, Math.floor(bench.settings.size / clients));
    console.error(`concurrency, ${clients} clients, ${formatSize(size)} each`);
    const name = content.file(size);
    const start = (contender: Contender) => contender.start({ fleet: bench.fleet, relays, root: content.root });
    await withChains(bench, 'concurrency', running, start, (chains) =>
      interleave(
        bench,
        { scenario: 'concurrency', x: clients, relays },
        chains.map(({ contender, chain }) => ({
          name: contender.name,
          run: () => fetchMany(bench, contender, chain, { clients, name, size }),
        })),
      ),
    );
  }
}

async function fetchMany(
  { fleet }: Bench,
  { speaks }: Contender,
  { ...chain }: Chain,
  { clients, name, size }: { readonly clients: number; readonly name: string; readonly size: number },
): Promise<Measured> {
  const shares = Array.from({ length: Math.min(drivers, clients) }, (_, index) =>
    Math.floor((clients + index) / Math.min(drivers, clients)),
  );
  const commands = shares.map((share) => ({
    program: process.execPath,
    args: [driver, speaks, String(share), chain.address, name],
    env: chain.env ?? {},
  }));
  const { stdout, ...measured } = await measureClient(fleet, chain, size * clients, commands, { go: true });
  const times = stdout.flatMap((text) => (JSON.parse(text) as { readonly ms: readonly number[] }).ms);
  return { ...measured, values: { p50Ms: percentile(times, 0.5), p99Ms: percentile(times, 0.99) } };
}
