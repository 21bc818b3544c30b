/** One file, from disk to disk, through ever more relays; then what it costs to sync and to hash what arrived. */

import { rmSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Chain, Contender } from '../contenders/contender.ts';
import { hopline, hoplineEncrypted, hoplinePortable } from '../contenders/hopline.ts';
import { haproxyAuto, haproxyCopy, haproxySplice, nginxStream, nodePipe, socat } from '../contenders/http.ts';
import { scp, scpGcm } from '../contenders/ssh.ts';
import type { Content } from '../content.ts';
import { type Bench, interleave, type Measured, measureClient, present, withChains } from '../measure.ts';

const contenders = [
  hopline,
  hoplineEncrypted,
  hoplinePortable,
  haproxySplice,
  haproxyAuto,
  haproxyCopy,
  nginxStream,
  nodePipe,
  socat,
  scp,
  scpGcm,
];
const blake3 = path.resolve('bench/peers/blake3.mjs');

export async function runChain(bench: Bench, content: Content): Promise<void> {
  const name = content.file(bench.settings.size);
  const running = present(bench, 'chain', contenders);
  for (const relays of bench.settings.relays) {
    console.error(`chain, ${relays} relays`);
    const start = (contender: Contender) => contender.start({ fleet: bench.fleet, relays, root: content.root });
    await withChains(bench, 'chain', running, start, (chains) =>
      interleave(
        bench,
        { scenario: 'chain', x: relays, relays },
        chains.map(({ contender, chain }) => ({
          name: contender.name,
          run: () => moveFile(bench, contender, chain, name, bench.settings.size),
        })),
      ),
    );
  }
}

/** Moves one file to disk. A peer that neither syncs nor verifies is followed by steps that do, timed apart. */
export async function moveFile(
  { fleet }: Bench,
  contender: Contender,
  chain: Chain,
  name: string,
  bytes: number,
): Promise<Measured> {
  const output = path.join(fleet.directory, 'out');
  try {
    const measured = await measureClient(fleet, chain, bytes, [chain.fetch(name, output)]);
    if (statSync(output).size !== bytes) throw new Error('the file arrived short');
    if (contender.keeps) return { ...measured, values: { keptMBps: bytes / 1e6 / measured.seconds } };
    const sync = await fleet.run({ program: 'sync', args: [output] });
    const sha = await fleet.run({ program: 'sha256sum', args: [output] });
    const blake = await fleet.run({ program: process.execPath, args: [blake3, output] });
    const perGigabyte = 1e9 / bytes;
    return {
      ...measured,
      values: {
        keptMBps: bytes / 1e6 / (measured.seconds + sync.seconds + blake.seconds),
        syncSPerGB: sync.seconds * perGigabyte,
        sha256CpuSPerGB: sha.cpuSeconds * perGigabyte,
        blake3CpuSPerGB: blake.cpuSeconds * perGigabyte,
      },
    };
  } finally {
    rmSync(output, { force: true });
  }
}
