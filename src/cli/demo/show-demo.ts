/**
 * `hopline demo --show`: the page over all nodes of a demo, with a file that goes slowly, and nodes that can be killed.
 *
 * Owns the order of the start and of the end. The page is that of every node; its commands are this demo's alone.
 * Invariant: when it is over, no node, listener or download is left.
 * Documentation: docs/monitoring.md#watching-a-chain
 */

import { stat } from 'node:fs/promises';
import path from 'node:path';
import { formatAdminAddress } from '../../admin/admin-address.ts';
import type { ChainLeg, ChainSight } from '../../admin/chain-sight.ts';
import { openAdmin } from '../../admin/open-admin.ts';
import { type Snapshot, takeSnapshot } from '../../admin/snapshot.ts';
import { VitalSigns } from '../../admin/vitals.ts';
import { asHoplineError } from '../../core/errors.ts';
import { silentLogger } from '../../core/log.ts';
import { formatHop } from '../../wire/address.ts';
import type { RoutePlan } from '../../wire/route.ts';
import { ProcessLooks } from '../process/process-looks.ts';
import { startInterruption } from '../terminal/interruption.ts';
import { say } from '../terminal/lines.ts';
import { formatBytes } from '../terminal/units.ts';
import { addressOnly, DemoNode } from './demo-node.ts';
import { DemoTransfer } from './demo-transfer.ts';

interface ShowFlags {
  readonly root: string;
  readonly output?: string;
  readonly force?: boolean;
  readonly limitRate?: number;
}

type Places = readonly (readonly DemoNode[])[];

/** So long a file is to be on its way, if nobody says how fast. */
const seconds = 60;
/** Bytes a second, where that would be less, and where nothing is known. */
const slowest = 16 * 1024;
const unknown = 256 * 1024;

/** Settles at Ctrl-C, when all is over. Throws why nodes could not start, or why the last download failed. */
export async function showDemo(plan: RoutePlan, flags: ShowFlags): Promise<void> {
  const { signal, end } = startInterruption();
  const looks = new ProcessLooks();
  const rate = flags.limitRate ?? (await rateFor(path.join(flags.root, plan.file)));
  const places: DemoNode[][] = [];
  let transfer: DemoTransfer | undefined;
  try {
    await startPlaces(plan, { places, looks, root: flags.root, rate, signal });
    const routes = [places.map((place) => place.map(({ address }) => address))];
    transfer = new DemoTransfer({ ...flags, route: { file: plan.file, routes }, signal });
    await show(places, { looks, transfer, rate, signal });
  } finally {
    await transfer?.end();
    await Promise.all(places.flat().map((node) => node.end()));
    end();
  }
  if (transfer.failure) throw transfer.failure;
}

async function rateFor(file: string): Promise<number> {
  const size = await stat(file).then(
    ({ size }) => size,
    () => unknown * seconds,
  );
  return Math.max(slowest, Math.ceil(size / seconds));
}

interface StartOptions {
  /** Gets those that have been started, for whoever ends them. */
  readonly places: DemoNode[][];
  readonly looks: ProcessLooks;
  readonly root: string;
  readonly rate: number;
  readonly signal: AbortSignal;
}

/** The last place first: those before it must know where they may go. Where there is no alternate, another node stands by. */
async function startPlaces(plan: RoutePlan, { places, looks, root, rate, signal }: StartOptions): Promise<void> {
  const [asked = []] = plan.routes;
  for (const place of [...asked].reverse()) {
    const hops = place.map(addressOnly);
    const [first] = hops;
    const all = first && hops.length === 1 ? [first, { host: first.host, port: 0 }] : hops;
    const next = places[0]?.map(({ address }) => address) ?? [];
    // Where the file begins: what is behind it flows as it comes.
    const more = next.length === 0 ? ['--limit-rate', String(rate)] : [];
    const onEnded = looks.ended.bind(looks);
    const nodes = all.map((at) => new DemoNode({ at, next, root, more, onEnded }));
    places.unshift(nodes);
    await Promise.all(nodes.map((node) => node.start(signal)));
  }
  for (const [index, place] of places.entries()) {
    say(`place ${index + 1}: ${place.map(({ address }) => formatHop(address)).join(' or ')}`);
  }
}

interface Shown {
  readonly looks: ProcessLooks;
  readonly transfer: DemoTransfer;
  readonly rate: number;
  readonly signal: AbortSignal;
}

/** Listens until the signal aborts. */
async function show(places: Places, { looks, transfer, rate, signal }: Shown): Promise<void> {
  const vitals = new VitalSigns();
  const source = async (): Promise<Snapshot> => {
    const running = places.flat().flatMap((node) => (node.process && node.state === 'up' ? [node.process] : []));
    const all = (await looks.take(running)) ?? takeSnapshot(undefined, await vitals.take(), false);
    return { ...all, time: Date.now(), state: 'serving', chain: sightOf(places, looks, transfer) };
  };
  const commands = commandsOf(places, transfer, signal);
  const listen = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const;
  const admin = await openAdmin({ listen }, { source, commands, log: silentLogger });
  try {
    say(`watch it at http://${formatAdminAddress(admin.address)}/ until Ctrl-C`);
    say(`at ${formatBytes(rate)} a second, so that there is something to see`);
    transfer.begin();
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  } finally {
    await admin.close();
    vitals.close();
  }
}

function commandsOf(places: Places, transfer: DemoTransfer, signal: AbortSignal): ReadonlyMap<string, () => void> {
  const ofNodes = places.flat().flatMap((node, index): [string, () => void][] => [
    [
      `kill/${index}`,
      () => {
        if (node.state !== 'up') return;
        transfer.tell(`${formatHop(node.address)} is killed`);
        node.kill();
      },
    ],
    [`start/${index}`, () => void restart(node, transfer, signal)],
  ]);
  return new Map([...ofNodes, ['fetch', () => transfer.begin()]]);
}

async function restart(node: DemoNode, transfer: DemoTransfer, signal: AbortSignal): Promise<void> {
  if (node.state !== 'down') return;
  try {
    await node.start(signal);
    transfer.tell(`${formatHop(node.address)} is there again`);
  } catch (error) {
    if (!signal.aborted) transfer.tell(`${formatHop(node.address)} does not start: ${asHoplineError(error).message}`);
  }
}

function sightOf(places: Places, looks: ProcessLooks, { file, news }: DemoTransfer): ChainSight {
  const nodes = places.map((place) => place.map(({ address, state }) => ({ address: formatHop(address), state })));
  const legs = places.flatMap((place, index) => place.flatMap((node) => legsAt(node, index === 0, looks)));
  return { file, places: nodes, legs, news };
}

/** The legs that a node has opened and, where the client comes in, those that the client has. */
function legsAt({ address, process }: DemoNode, isFirst: boolean, looks: ProcessLooks): ChainLeg[] {
  const pairs = (process && looks.of(process))?.node?.neighbours ?? [];
  const own = formatHop(address);
  const onward = pairs.flatMap(({ to, open, failed, bytesForward, bytesBack }) =>
    to === undefined ? [] : [{ from: own, to, open, failed, bytesForward, bytesBack }],
  );
  if (!isFirst || pairs.length === 0) return onward;
  const sum = (of: (pair: (typeof pairs)[number]) => number) => pairs.reduce((all, pair) => all + of(pair), 0);
  const inward = {
    from: undefined,
    to: own,
    open: sum(({ open }) => open),
    failed: sum(({ failed }) => failed),
    bytesForward: sum(({ bytesForward }) => bytesForward),
    bytesBack: sum(({ bytesBack }) => bytesBack),
  };
  return [inward, ...onward];
}
