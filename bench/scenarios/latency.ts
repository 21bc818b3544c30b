/** Long legs: the time to the first byte and the rate, over three legs and over one of the same length. */

import path from 'node:path';
import type { Chain, Contender } from '../contenders/contender.ts';
import { hopline, hoplineEncrypted } from '../contenders/hopline.ts';
import { curl, curlDirect, haproxySplice } from '../contenders/http.ts';
import { scp, scpDirect } from '../contenders/ssh.ts';
import type { Content } from '../content.ts';
import { type Bench, interleave, type Measured, measureClient, present, withChains } from '../measure.ts';
import { formatSize } from '../options.ts';

const legs = 3;
const sizes = [4 * 1024, 64 * 1024 * 1024];
const delayProxy = path.resolve('bench/peers/delay.mjs');
const driver = path.resolve('bench/peers/clients.mjs');
/** Those that go the whole way in one leg. */
const direct: readonly Contender[] = [curlDirect, scpDirect];

export async function runLatency(bench: Bench, content: Content): Promise<void> {
  const running = present(bench, 'latency', [hopline, hoplineEncrypted, haproxySplice, scp, ...direct]);
  for (const delayMs of bench.settings.delays) {
    for (const size of sizes) {
      const name = content.file(size);
      const scenario = `latency-${formatSize(size)}`;
      console.error(`${scenario}, ${legs} legs of ${delayMs} ms`);
      await withChains(
        bench,
        scenario,
        running,
        (contender) => startDelayed(bench, contender, content.root, delayMs),
        (chains) =>
          interleave(
            bench,
            { scenario, x: delayMs, relays: legs - 1 },
            chains.map(({ contender, chain }) => ({
              name: contender.name,
              run: () => fetchOnce(bench, contender, chain, { name, size }),
            })),
          ),
      );
    }
  }
}

function startDelayed({ fleet }: Bench, contender: Contender, root: string, delayMs: number): Promise<Chain> {
  const ms = direct.includes(contender) ? legs * delayMs : delayMs;
  const leg = async (port: number) => {
    const args = [delayProxy, String(port), String(ms)];
    return (await fleet.startPrinting({ program: process.execPath, args })).port;
  };
  return contender.start({ fleet, relays: legs - 1, root, leg });
}

async function fetchOnce(
  { fleet }: Bench,
  { speaks }: Contender,
  chain: Chain,
  { name, size }: { readonly name: string; readonly size: number },
): Promise<Measured> {
  if (speaks === 'native') {
    const args = [driver, 'native', '1', chain.address, name];
    const command = { program: process.execPath, args, env: chain.env ?? {} };
    const { stdout, ...measured } = await measureClient(fleet, chain, size, [command], { go: true });
    const { ms, firstByteMs } = JSON.parse(stdout[0] ?? '') as { ms: number[]; firstByteMs: number[] };
    return { ...measured, seconds: (ms[0] ?? 0) / 1000, values: { firstByteMs: firstByteMs[0] ?? 0 } };
  }
  if (speaks === 'http') {
    const command = curl(['-o', '/dev/null', '-w', '%{time_starttransfer}', chain.address + name]);
    const { stdout, ...measured } = await measureClient(fleet, chain, size, [command]);
    return { ...measured, values: { firstByteMs: Number(stdout[0]) * 1000 } };
  }
  const measured = await measureClient(fleet, chain, size, [chain.fetch(name, '/dev/null')]);
  return { ...measured, values: {} };
}
