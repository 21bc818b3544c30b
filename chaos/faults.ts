/**
 * The faults: what each is, and how one is drawn.
 *
 * Pure: says what shall happen, not how it is done (strikes.ts). A new kind is a
 * member of `Fault`, a row of `faultKinds`, and a row of `strikes`; the compiler asks for all three.
 */

import type { Direction } from './connection.ts';
import type { Random } from './random.ts';

export type Fault =
  | { readonly kind: 'kill-node'; readonly node: number; readonly restartMs: number | null }
  | { readonly kind: 'kill-worker'; readonly node: number }
  | { readonly kind: 'stop-node'; readonly node: number; readonly ms: number }
  | { readonly kind: 'kill-client'; readonly client: number }
  | { readonly kind: 'stop-client'; readonly client: number; readonly ms: number }
  | { readonly kind: 'cut-power'; readonly client: number; readonly afterEnd: boolean }
  | { readonly kind: 'reset' | 'cut' }
  | { readonly kind: 'swallow' | 'stall'; readonly ms: number | null }
  | { readonly kind: 'flip'; readonly bit: number }
  | { readonly kind: 'drop' | 'repeat'; readonly bytes: number }
  | { readonly kind: 'slow'; readonly bytesPerSecond: number; readonly ms: number }
  | { readonly kind: 'delay'; readonly delayMs: number }
  | { readonly kind: 'disk-client'; readonly client: number; readonly bytes: number }
  | { readonly kind: 'disk-origin'; readonly node: number; readonly bytes: number }
  | { readonly kind: 'replace-file'; readonly file: number; readonly bytes: number }
  | { readonly kind: 'rewrite-file'; readonly file: number; readonly truncates: boolean }
  | { readonly kind: 'step-node'; readonly node: number; readonly ms: number }
  | { readonly kind: 'step-client'; readonly client: number; readonly ms: number };

export type FaultKind = Fault['kind'];

/** Where a fault may hit, as the plan of a round has it so far. */
export interface Field {
  /** Nodes that the content passes when nothing fails; a fault elsewhere would not be felt. */
  readonly path: readonly number[];
  readonly clients: number;
  /** Bytes of each file. */
  readonly files: readonly number[];
  readonly content: Direction;
}

/** When a fault strikes: as a byte is about to pass the leg into a node, or so long after the clients' start. */
export type Moment =
  | { readonly node: number; readonly direction: Direction; readonly byte: number }
  | { readonly ms: number };

interface FaultRow {
  readonly draw: (random: Random, field: Field) => Fault;
  /** What is struck decides where bytes are counted; `bytes` faults alter what passes. */
  readonly hits: 'node' | 'client' | 'leg' | 'bytes' | 'origin';
}

const node = (random: Random, { path }: Field) => random.pick(path);
const origin = ({ path }: Field) => path.at(-1) as number;
const client = (random: Random, { clients }: Field) => random.whole(0, clients - 1);
const file = (random: Random, { files }: Field) => random.whole(0, files.length - 1);
/** Long enough to be felt, and shorter than any idle timeout. */
const pause = (random: Random) => random.whole(50, 700);
const pauseOrNever = (random: Random) => (random.chance(0.3) ? null : pause(random));
/** From a second to ten years, either way. */
const step = (random: Random) => Math.round(10 ** (3 + random.float() * 8.5)) * (random.chance(0.5) ? 1 : -1);

const loss = (kind: 'swallow' | 'stall'): FaultRow => ({
  hits: 'leg',
  draw: (random) => ({ kind, ms: pauseOrNever(random) }),
});

export const faultKinds: Readonly<Record<FaultKind, FaultRow>> = {
  'kill-node': {
    hits: 'node',
    draw: (random, field) => ({
      kind: 'kill-node',
      node: node(random, field),
      restartMs: pauseOrNever(random),
    }),
  },
  'kill-worker': { hits: 'node', draw: (random, field) => ({ kind: 'kill-worker', node: node(random, field) }) },
  'stop-node': {
    hits: 'node',
    draw: (random, field) => ({ kind: 'stop-node', node: node(random, field), ms: pause(random) }),
  },
  'kill-client': { hits: 'client', draw: (random, field) => ({ kind: 'kill-client', client: client(random, field) }) },
  'cut-power': {
    hits: 'client',
    draw: (random, field) => ({ kind: 'cut-power', client: client(random, field), afterEnd: random.chance(0.5) }),
  },
  'stop-client': {
    hits: 'client',
    draw: (random, field) => ({ kind: 'stop-client', client: client(random, field), ms: pause(random) }),
  },
  reset: { hits: 'leg', draw: () => ({ kind: 'reset' }) },
  cut: { hits: 'leg', draw: () => ({ kind: 'cut' }) },
  swallow: loss('swallow'),
  stall: loss('stall'),
  flip: { hits: 'bytes', draw: (random) => ({ kind: 'flip', bit: random.whole(0, 7) }) },
  drop: { hits: 'bytes', draw: (random) => ({ kind: 'drop', bytes: random.chance(0.5) ? 1 : random.whole(1, 5000) }) },
  repeat: { hits: 'bytes', draw: (random) => ({ kind: 'repeat', bytes: random.whole(1, 20_000) }) },
  slow: {
    hits: 'leg',
    draw: (random) => ({ kind: 'slow', bytesPerSecond: random.whole(50, 1000) * 1024, ms: random.whole(200, 1200) }),
  },
  delay: { hits: 'leg', draw: (random) => ({ kind: 'delay', delayMs: random.whole(2, 60) }) },
  'disk-client': {
    hits: 'client',
    draw: (random, field) => ({
      kind: 'disk-client',
      client: client(random, field),
      bytes: random.chance(0.3) ? random.whole(0, 200) : random.whole(0, field.files[0] ?? 0),
    }),
  },
  'disk-origin': {
    hits: 'origin',
    draw: (random, field) => ({ kind: 'disk-origin', node: origin(field), bytes: random.whole(0, 200) }),
  },
  'replace-file': {
    hits: 'origin',
    draw: (random, field) => {
      const replaced = file(random, field);
      const bytes = field.files[replaced] ?? 0;
      // The same size is the harder case: nothing but the bytes and the times tell the two apart.
      return { kind: 'replace-file', file: replaced, bytes: random.chance(0.6) ? bytes : random.whole(0, 2 * bytes) };
    },
  },
  'rewrite-file': {
    hits: 'origin',
    draw: (random, field) => ({ kind: 'rewrite-file', file: file(random, field), truncates: random.chance(0.5) }),
  },
  'step-node': {
    hits: 'node',
    draw: (random, field) => ({ kind: 'step-node', node: node(random, field), ms: step(random) }),
  },
  'step-client': {
    hits: 'client',
    draw: (random, field) => ({ kind: 'step-client', client: client(random, field), ms: step(random) }),
  },
};

/** A fault in a few words: `kill-node 2 back after 120 ms`. */
export function formatFault(fault: Fault): string {
  const words = Object.entries(fault).flatMap(([name, value]) => {
    if (name === 'kind') return [String(value)];
    if (typeof value === 'boolean') return value ? [name] : [];
    return [value === null ? `${name} for good` : `${name} ${value}`];
  });
  return words.join(' ');
}

export function formatMoment(moment: Moment): string {
  if ('ms' in moment) return `at ${moment.ms} ms`;
  return `at byte ${moment.byte} ${moment.direction} into node ${moment.node}`;
}
