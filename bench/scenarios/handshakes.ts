/**
 * First flights against a node, each over a connection of its own: what one costs it, and what a flood of them costs others.
 *
 * They are made before, and used again and again, as somebody would who recorded them: whoever floods pays nothing for them.
 */

import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { firstOverhead, patternNumber, prologueOf } from '../../src/secure/handshake/first-records.ts';
import { encodeHello } from '../../src/secure/handshake/hello.ts';
import { Handshake, type Pattern } from '../../src/secure/handshake/noise.ts';
import { encodeRecordHeader, recordKinds } from '../../src/secure/records/record.ts';
import { newEphemeral, type PublicKey, parsePublicKey } from '../../src/wire/keys/key.ts';
import { encodeMessage } from '../../src/wire/native/messages.ts';
import type { Chain } from '../contenders/contender.ts';
import { hoplineEncrypted } from '../contenders/hopline.ts';
import type { Content } from '../content.ts';
import { writeFlights } from '../flights.ts';
import { type Bench, interleave, type Measured, measureClient } from '../measure.ts';
import { residentBytes } from '../processes.ts';
import { percentile, spread } from '../samples.ts';

const prepared = 2000;
const atOnce = 64;
/** So that who floods and whose circuit is measured are two to the node. */
const floodFrom = '127.0.0.2';
const flightDriver = path.resolve('bench/peers/flights.mjs');
const clientDriver = path.resolve('bench/peers/clients.mjs');

interface Kind {
  readonly name: string;
  /** How the node's answer begins, in hex. */
  readonly answer: string;
  readonly make: (node: Node) => Buffer;
}

interface Node extends Chain {
  readonly port: number;
  readonly key: PublicKey;
}

const kinds: readonly Kind[] = [
  { name: 'plain', answer: 'ff', make: ({ port }) => Buffer.concat([openOf(port, newTrace()), ping()]) },
  { name: 'nk', answer: 'fe02', make: (node) => handshakeOf(node, 'NK') },
  { name: 'ik', answer: 'fe02', make: (node) => handshakeOf(node, 'IK') },
  { name: 'garbage', answer: 'ff', make: (node) => garbageOf(node) },
];

export async function runHandshakes(bench: Bench, content: Content): Promise<void> {
  const { fleet, settings } = bench;
  const file = content.file(settings.size);
  try {
    const node = await startNode(bench, content.root);
    const other = await startNode(bench, content.root);
    const flightsTo = (target: Node) =>
      new Map(
        kinds.map(({ name, make }) => [
          name,
          writeFlights(path.join(fleet.directory, `flights-${target.port}-${name}`), prepared, () => make(target)),
        ]),
      );
    const files = new Map([node, other].map((target) => [target, flightsTo(target)]));
    const fileOf = (target: Node, { name }: Kind) => files.get(target)?.get(name) as string;
    console.error(`handshakes, ${settings.handshakes} of each kind, ${atOnce} at once`);
    await interleave(
      bench,
      { scenario: 'handshakes', x: settings.handshakes, relays: 0 },
      kinds.map((kind) => ({ name: kind.name, run: () => shakeHands(bench, node, kind, fileOf(node, kind)) })),
    );
    console.error('handshakes, another circuit beside a flood of them, at its node and at another');
    const fetching = () => fetchOne(bench, node, file);
    const flooding = (target: Node, kind: Kind) => async () => {
      const args = [flightDriver, fileOf(target, kind), '0', String(atOnce), String(target.port), floodFrom];
      const flood = fleet.spawn({ program: process.execPath, args }, 'pipe', 'inherit');
      await new Promise((resolve) => flood.stdout?.once('data', resolve));
      flood.stdin?.write('go\n');
      try {
        return await fetching();
      } finally {
        fleet.kill(flood);
      }
    };
    await interleave(bench, { scenario: 'handshakes-flood', x: atOnce, relays: 0 }, [
      { name: 'alone', run: fetching },
      ...kinds.flatMap((kind) => [
        { name: `beside-${kind.name}`, run: flooding(node, kind) },
        { name: `elsewhere-${kind.name}`, run: flooding(other, kind) },
      ]),
    ]);
    tellRatios(bench);
  } finally {
    await fleet.stopAll();
  }
}

async function startNode({ fleet }: Bench, root: string): Promise<Node> {
  const chain = await hoplineEncrypted.start({ fleet, relays: 0, root });
  const [, port = '', key = ''] = /:(\d+)#(hop1\w+)$/.exec(chain.address) ?? [];
  return { ...chain, port: Number(port), key: parsePublicKey(key, 'the address') };
}

function newTrace(): string {
  return randomBytes(16).toString('hex');
}

function ping(): Buffer {
  return encodeMessage({ type: 'ping' });
}

function openOf(port: number, trace: string): Buffer {
  return encodeMessage({ type: 'open', hops: [`127.0.0.1:${port}`], hop: 1, trace, deadlineMs: 30_000 });
}

/** Made in 1970, so that none is early, however old it is when it is sent. */
function handshakeOf({ port, key: remote }: Node, pattern: Pattern): Buffer {
  const trace = newTrace();
  const own = pattern === 'IK' ? newEphemeral() : undefined;
  const payload = encodeHello(0, 'bench', [{ type: 'ping' }]);
  const header = firstHeader(pattern, payload.length + firstOverhead(pattern));
  const handshake = Handshake.initiator({ pattern, prologue: prologueOf(trace, header), own, remote });
  return Buffer.concat([openOf(port, trace), header, handshake.write(payload)]);
}

function garbageOf({ port }: Node): Buffer {
  const length = 512;
  return Buffer.concat([
    openOf(port, newTrace()),
    firstHeader('IK', length),
    newEphemeral().public.bytes,
    randomBytes(length - 32),
  ]);
}

function firstHeader(pattern: Pattern, length: number): Buffer {
  return encodeRecordHeader({ kind: recordKinds.first, pattern: patternNumber(pattern), length });
}

async function shakeHands(bench: Bench, node: Node, { answer }: Kind, file: string): Promise<Measured> {
  const { fleet, settings } = bench;
  const count = settings.handshakes;
  const args = [flightDriver, file, String(count), String(atOnce), String(node.port), '127.0.0.1', answer];
  const [pid = 0] = node.originPids;
  const before = residentBytes(pid);
  const { stdout, ...measured } = await measureClient(fleet, node, count, [{ program: process.execPath, args }], {
    go: true,
  });
  const { ms } = JSON.parse(stdout.join()) as { readonly ms: readonly number[] };
  return {
    ...measured,
    values: {
      perSecond: count / measured.seconds,
      perCore: count / measured.cpu.origin,
      cpuUs: (measured.cpu.origin * 1e6) / count,
      p99Ms: percentile(ms, 0.99),
      rssBeforeMiB: before / 2 ** 20,
      rssAfterMiB: residentBytes(pid) / 2 ** 20,
    },
  };
}

async function fetchOne({ fleet, settings }: Bench, node: Node, file: string): Promise<Measured> {
  const command = {
    program: process.execPath,
    args: [clientDriver, 'native', '1', node.address, file],
    env: node.env ?? {},
  };
  const { stdout: _times, ...measured } = await measureClient(fleet, node, settings.size, [command], { go: true });
  return measured;
}

function tellRatios({ samples }: Bench): void {
  const median = (scenario: string, contender: string, of: (sample: (typeof samples)[number]) => number) =>
    spread(samples.filter((one) => one.scenario === scenario && one.contender === contender).map(of)).median;
  const cost = (name: string) => median('handshakes', name, ({ values }) => values.cpuUs ?? 0);
  const rate = (name: string) => median('handshakes-flood', name, ({ bytes, seconds }) => bytes / seconds);
  for (const name of ['nk', 'ik']) {
    console.log(`handshakes: ${name} takes ${Math.round(cost(name) - cost('plain'))} us more than a circuit in plain`);
  }
  // What a flood of another node takes is the machine's: its sender is on the same processors.
  for (const { name } of kinds) {
    const [beside, elsewhere] = ['beside', 'elsewhere'].map((where) =>
      Math.round((rate(`${where}-${name}`) / rate('alone')) * 100),
    );
    console.log(
      `handshakes: a circuit keeps ${beside} % of its rate beside a flood of ${name}, ${elsewhere} % if that goes elsewhere`,
    );
  }
}
