/** Short circuits, each over connections of its own: what one of 4 KiB costs a relay, from its first byte to its close. */

import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { encodeMessage } from '../../src/wire/native/messages.ts';
import type { Chain, Contender } from '../contenders/contender.ts';
import { hopline, hoplinePortable } from '../contenders/hopline.ts';
import { haproxySplice, nginxStream, nodePipe } from '../contenders/http.ts';
import type { Content } from '../content.ts';
import { writeFlights } from '../flights.ts';
import { type Bench, interleave, type Measured, measureClient, present, withChains } from '../measure.ts';

const relays = 1;
const fileBytes = 4096;
const atOnce = 32;
/** More than are under way at any time: a node takes two circuits of one trace for a loop. */
const prepared = 1000;
const driver = path.resolve('bench/peers/flights.mjs');

export async function runCircuits(bench: Bench, content: Content): Promise<void> {
  console.error(`circuits, ${bench.settings.circuits} of ${fileBytes} bytes through ${relays} relay`);
  const name = content.file(fileBytes);
  const running = present(bench, 'circuits', [hopline, hoplinePortable, haproxySplice, nginxStream, nodePipe]);
  const start = (contender: Contender) => contender.start({ fleet: bench.fleet, relays, root: content.root });
  await withChains(bench, 'circuits', running, start, (chains) =>
    interleave(
      bench,
      { scenario: 'circuits', x: bench.settings.circuits, relays },
      chains.map(({ contender, chain }) => {
        const file = path.join(bench.fleet.directory, `circuits-${contender.name}`);
        const make = contender.speaks === 'native' ? nativeFlight : httpFlight;
        writeFlights(file, prepared, () => make(chain, name));
        return { name: contender.name, run: () => fetchEach(bench, chain, file) };
      }),
    ),
  );
}

async function fetchEach({ fleet, settings }: Bench, chain: Chain, file: string): Promise<Measured> {
  const { circuits } = settings;
  const port = /:(\d+)/.exec(chain.address)?.[1] ?? '';
  const args = [driver, file, String(circuits), String(atOnce), port, '', '', String(fileBytes)];
  const command = { program: process.execPath, args };
  const { stdout: _times, ...measured } = await measureClient(fleet, chain, circuits * fileBytes, [command], {
    go: true,
  });
  const { relay, origin } = measured.cpu;
  return { ...measured, values: { relayUs: (relay * 1e6) / circuits, originUs: (origin * 1e6) / circuits } };
}

function nativeFlight({ address }: Chain, name: string): Buffer {
  const trace = randomBytes(16).toString('hex');
  return Buffer.concat([
    encodeMessage({ type: 'open', hops: address.split(','), hop: 1, trace, deadlineMs: 30_000 }),
    encodeMessage({ type: 'stat', name, digests: ['blake3', 'sha256'] }),
    encodeMessage({ type: 'read', offset: 0, length: fileBytes }),
  ]);
}

function httpFlight(_chain: Chain, name: string): Buffer {
  return Buffer.from(`GET /${name} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
}
