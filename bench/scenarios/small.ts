/** Many small files through three relays, over one circuit or one kept-alive connection. */

import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type Command, hoplineCommand } from '../../harness/children.ts';
import type { Chain, Contender } from '../contenders/contender.ts';
import { hopline, hoplineEncrypted, hoplinePortable } from '../contenders/hopline.ts';
import { curl, haproxySplice, nginxStream } from '../contenders/http.ts';
import type { Content } from '../content.ts';
import { type Bench, interleave, type Measured, measureClient, present, withChains } from '../measure.ts';

const relays = 3;
const fileBytes = 4096;

export async function runSmall(bench: Bench, content: Content): Promise<void> {
  const { files: count } = bench.settings;
  console.error(`small, ${count} files of ${fileBytes} bytes through ${relays} relays`);
  const names = content.files(count, fileBytes);
  const running = present(bench, 'small', [hopline, hoplineEncrypted, hoplinePortable, haproxySplice, nginxStream]);
  const start = (contender: Contender) => contender.start({ fleet: bench.fleet, relays, root: content.root });
  await withChains(bench, 'small', running, start, (chains) =>
    interleave(
      bench,
      { scenario: 'small', x: count, relays },
      chains.map(({ contender, chain }) => ({
        name: contender.name,
        run: () => fetchAll(bench, contender, chain, names),
      })),
    ),
  );
}

async function fetchAll(
  { fleet }: Bench,
  { speaks }: Contender,
  chain: Chain,
  names: readonly string[],
): Promise<Measured> {
  const output = path.join(fleet.directory, 'many');
  mkdirSync(output);
  try {
    const bytes = names.length * fileBytes;
    const command =
      speaks === 'native'
        ? hoplineCommand(
            ['get', '--via', chain.address, '--output', `${output}/`, '--force', '--quiet', '--', ...names],
            chain.env,
          )
        : curlList(fleet.directory, output, chain.address, names);
    const measured = await measureClient(fleet, chain, bytes, [command]);
    const total = measured.cpu.relay + measured.cpu.origin + measured.cpu.client;
    const arrived = readdirSync(output).length;
    if (arrived !== names.length) throw new Error(`${arrived} of ${names.length} files arrived`);
    return {
      ...measured,
      values: { filesPerSecond: names.length / measured.seconds, cpuMsPerFile: (total * 1000) / names.length },
    };
  } finally {
    rmSync(output, { recursive: true, force: true });
  }
}

function curlList(directory: string, output: string, address: string, names: readonly string[]): Command {
  const list = path.join(directory, 'curl.list');
  const lines = names.map((name) => `url = "${address}${name}"\noutput = "${path.join(output, name)}"\n`);
  writeFileSync(list, lines.join(''));
  return curl(['-K', list]);
}
