/**
 * The plan of a round: everything that chance decides, decided before anything starts.
 *
 * Pure: the same seed and scenario give the same plan. Nothing here knows of processes or sockets.
 */

import type { Direction } from './connection.ts';
import { type Fault, type FaultKind, type Field, faultKinds, type Moment } from './faults.ts';
import type { SecurityChoice } from './options.ts';
import { Random } from './random.ts';
import type { Scenario } from './scenarios.ts';

export interface Plan {
  readonly seed: number;
  readonly scenario: Scenario;
  /** Nodes by number: for each route its places, for each place those that may stand there, the preferred first. */
  readonly routes: readonly (readonly (readonly number[])[])[];
  readonly nodes: readonly NodePlan[];
  readonly files: readonly FilePlan[];
  readonly clients: number;
  /** The way of the content. */
  readonly content: Direction;
  /** Of the legs that the client opens: the file must still be under way when a fault strikes. */
  readonly bytesPerSecond: number;
  readonly strikes: readonly PlannedStrike[];
  /** Undefined where all is in plain. */
  readonly keys: KeysPlan | undefined;
}

/** Who may be given a key. */
export interface KeyHolders {
  readonly nodes: boolean;
  readonly clients: boolean;
}

/** Each origin has a key of its own, and routes name it. */
interface KeysPlan {
  /** Whether the clients have one too. */
  readonly clients: boolean;
  /** The run that is the first to know of them: what an earlier one left was in plain. */
  readonly from: 'first' | 'second';
  /** Milliseconds into a run at which the origins' lists of authorized keys are written anew; undefined where they have none. */
  readonly listedAt: number | undefined;
}

export interface NodePlan {
  readonly isOrigin: boolean;
  readonly isFirst: boolean;
  readonly kernel: boolean;
  readonly workers: number;
}

export interface FilePlan {
  readonly name: string;
  readonly bytes: number;
}

export interface PlannedStrike {
  readonly fault: Fault;
  readonly moment: Moment;
}

/** The scenario that a seed stands for, among those that can be had. */
export function drawScenario(seed: number, scenarios: readonly Scenario[]): Scenario {
  return new Random(seed, 'scenario').pick(scenarios);
}

/** `absent` are kinds that this machine cannot produce; `holders` are those to whom the program gives keys. */
export function drawPlan(
  seed: number,
  scenario: Scenario,
  absent: ReadonlySet<FaultKind> = new Set(),
  holders: KeyHolders = { nodes: true, clients: true },
  security: SecurityChoice = 'mixed',
): Plan {
  const random = new Random(seed, scenario.name);
  const routes = drawRoutes(random, scenario);
  const clients = random.within(scenario.clients);
  const files = drawFiles(random, seed, scenario);
  const content = scenario.command === 'get' ? 'back' : 'forward';
  const path = (routes[0] ?? []).map(([preferred]) => preferred as number);
  const field: Field = { path, clients, files: files.map(({ bytes }) => bytes), content };
  const kinds = scenario.faults.filter((kind) => !absent.has(kind));
  return {
    seed,
    scenario,
    routes,
    nodes: drawNodes(random, routes, scenario),
    files,
    clients,
    content,
    bytesPerSecond: random.whole(12, 40) * 1024 * 1024,
    strikes: drawStrikes(random, kinds, field),
    keys: drawKeys(random, scenario, holders, security),
  };
}

function drawKeys(
  random: Random,
  { command }: Scenario,
  holders: KeyHolders,
  security: SecurityChoice,
): KeysPlan | undefined {
  // Nobody knows an uploading client without a key in its second run, which then has to begin anew.
  const needsOwn = command === 'put';
  const isKeyed = !random.chance(0.6);
  if (security === 'off' || (security === 'mixed' && !isKeyed)) return undefined;
  if (!holders.nodes || (needsOwn && !holders.clients)) return undefined;
  return {
    clients: needsOwn || (holders.clients && random.chance(0.5)),
    from: random.chance(0.3) ? 'second' : 'first',
    listedAt: random.chance(0.5) ? random.whole(100, 2000) : undefined,
  };
}

function drawRoutes(random: Random, scenario: Scenario): number[][][] {
  let nodes = 0;
  const count = random.within(scenario.routes);
  const place = () => Array.from({ length: random.within(scenario.alternates) }, () => nodes++);
  const shared = scenario.replicas ? undefined : place();
  return Array.from({ length: count }, () => {
    const hops = random.within(scenario.hops);
    const before = Array.from({ length: hops - 1 }, place);
    return [...before, shared ?? place()];
  });
}

function drawNodes(random: Random, routes: readonly number[][][], { workers }: Scenario): NodePlan[] {
  const origins = new Set(routes.flatMap((route) => route.at(-1) ?? []));
  const firsts = new Set(routes.flatMap(([first]) => first ?? []));
  const count = new Set(routes.flat(2)).size;
  return Array.from({ length: count }, (_, node) => ({
    isOrigin: origins.has(node),
    isFirst: firsts.has(node),
    kernel: random.chance(0.6),
    workers: random.within(workers),
  }));
}

/** A name has the seed in it: a route that was damaged on the way may lead to an origin of another round. */
function drawFiles(random: Random, seed: number, { files, bytes }: Scenario): FilePlan[] {
  return Array.from({ length: random.within(files) }, (_, index) => ({
    name: `file-${seed}-${index}`,
    bytes: random.within(bytes),
  }));
}

function drawStrikes(random: Random, kinds: readonly FaultKind[], field: Field): PlannedStrike[] {
  const count = random.pick([0, 1, 1, 1, 1, 1, 1, 1, 2, 2]);
  return Array.from({ length: count }, () => {
    const fault = faultKinds[random.pick(kinds)].draw(random, field);
    return { fault, moment: drawMoment(random, fault, field) };
  });
}

function drawMoment(random: Random, fault: Fault, { path, files, clients, content }: Field): Moment {
  const { hits } = faultKinds[fault.kind];
  // A process hears signals as it should only once it runs, and only those are sure to run that have passed bytes.
  const isTimed = (hits === 'node' || hits === 'client') && !fault.kind.startsWith('step');
  if (isTimed && random.chance(0.2)) return { ms: random.whole(0, 700) };
  const total = files.reduce((sum, bytes) => sum + bytes, 0) * clients;
  // Frames are few among so much content, and the first of them say what all the rest is.
  const byte = random.chance(0.2) ? random.whole(0, 600) : random.whole(0, Math.max(0, total - 1));
  const struck = 'node' in fault ? fault.node : hits === 'client' ? (path[0] as number) : random.pick(path);
  if (hits !== 'bytes' || random.chance(0.8)) return { node: struck, direction: content, byte };
  const requestBytes = 250 + 110 * Math.ceil(total / 2 ** 20) + 150 * files.length;
  const other = content === 'back' ? 'forward' : 'back';
  return { node: struck, direction: other, byte: random.whole(0, requestBytes) };
}
