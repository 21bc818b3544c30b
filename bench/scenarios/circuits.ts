/** Short circuits, each over connections of its own: what one of 4 KiB costs a relay, from its first byte to its close. */

import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { encodeMessage } from '../../src/wire/native/messages.ts';
import type { Chain, Contender } from '../contenders/contender.ts';
import { hopline, hoplinePortable } from '../contenders/hopline.ts';
import { haproxySplice, nginxStream, nodePipe } from '../contenders/http.ts';
import type { Content } from '../content.ts';
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
        const file = writeFlights(bench, contender, chain, name);
        return { name: contender.name, run: () => fetchEach(bench, chain, file) };
      }),
    ),
  );
}

async function fetchEach({ fleet, settings }: Bench, chain: Chain, file: string): Promise<Measured> {
  const { circuits } = settings;
  const port = /:(\d+)/.exec(chain.address)?.[1] ?? '';
  const args = [driver, file, String(circuits), String(atOnce), port, '127.0.0.1', '', String(fileBytes)];
  const command = { program: process.execPath, args };
  const { stdout: _times, ...measured } = await measureClient(fleet, chain, circuits * fileBytes, [command], {
    go: true,
  });
  const { relay, origin } = measured.cpu;
  return { ...measured, values: { relayUs: (relay * 1e6) / circuits, originUs: (origin * 1e6) / circuits } };
}

function writeFlights({ fleet }: Bench, { name: contender, speaks }: Contender, chain: Chain, name: string): string {
  const file = path.join(fleet.directory, `circuits-${contender}`);
  const flights = Array.from({ length: prepared }, () =>
    (speaks === 'native' ? nativeFlight : httpFlight)(chain, name),
  );
  const framed = flights.flatMap((flight) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(flight.length);
    return [length, flight];
  });
  writeFileSync(file, Buffer.concat(framed));
  return file;
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
