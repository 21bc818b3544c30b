/**
 * Which of several candidates gets the next request: one small function for each algorithm.
 *
 * Knows nothing about health: whoever may not be picked is not among the candidates.
 * Invariant: who comes or goes between two calls takes no turn from anybody else.
 * Documentation: docs/pools.md#algorithms
 */

export const algorithms = [
  'round-robin',
  'weighted-round-robin',
  'least-in-flight',
  'power-of-two',
  'consistent-hash',
] as const;
export type Algorithm = (typeof algorithms)[number];

/** The same object for as long as the member is in the pool. */
export interface Candidate {
  readonly name: string;
  /** Grows from each member that joined to the next. */
  readonly ordinal: number;
  readonly weight: number;
  /** Requests under way. */
  readonly inFlight: number;
}

/** Picks one of at least one candidate, which are in the order of their ordinals. */
export type Balancer = <C extends Candidate>(candidates: readonly [C, ...C[]], key?: string) => C;

/** A balancer of its own state. `random` is at least 0 and below 1. */
export function createBalancer(algorithm: Algorithm, random: () => number): Balancer {
  switch (algorithm) {
    case 'round-robin':
      return roundRobin();
    case 'weighted-round-robin':
      return weightedRoundRobin();
    case 'least-in-flight':
      return leastInFlight();
    case 'power-of-two':
      return powerOfTwo(random);
    case 'consistent-hash':
      return consistentHash();
  }
}

function roundRobin(): Balancer {
  let last = -1;
  return (candidates) => {
    const next = candidates.find(({ ordinal }) => ordinal > last) ?? candidates[0];
    last = next.ordinal;
    return next;
  };
}

/** Each gains its weight a turn, and whoever has gained most pays with the sum of all. */
function weightedRoundRobin(): Balancer {
  const gained = new WeakMap<Candidate, number>();
  return (candidates) => {
    let [best] = candidates;
    let most = Number.NEGATIVE_INFINITY;
    let total = 0;
    for (const candidate of candidates) {
      const sum = (gained.get(candidate) ?? 0) + candidate.weight;
      gained.set(candidate, sum);
      total += candidate.weight;
      if (sum > most) [best, most] = [candidate, sum];
    }
    gained.set(best, most - total);
    return best;
  };
}

function leastInFlight(): Balancer {
  const inTurn = roundRobin();
  return (candidates) => {
    const least = Math.min(...candidates.map(load));
    const [first, ...others] = candidates.filter((candidate) => load(candidate) === least);
    return first ? inTurn([first, ...others]) : candidates[0];
  };
}

function powerOfTwo(random: () => number): Balancer {
  return (candidates) => {
    const first = Math.floor(random() * candidates.length);
    const step = 1 + Math.floor(random() * (candidates.length - 1));
    const one = candidates[first] ?? candidates[0];
    const other = candidates[(first + step) % candidates.length] ?? one;
    return load(other) < load(one) ? other : one;
  };
}

function load({ inFlight, weight }: Candidate): number {
  return inFlight / weight;
}

function consistentHash(): Balancer {
  const inTurn = roundRobin();
  return (candidates, key) => {
    if (key === undefined) return inTurn(candidates);
    const keyHash = hash(key);
    let [best] = candidates;
    let most = Number.NEGATIVE_INFINITY;
    for (const candidate of candidates) {
      const share = (mix(keyHash ^ hash(candidate.name)) + 0.5) / 2 ** 32;
      const score = -candidate.weight / Math.log(share);
      if (score > most) [best, most] = [candidate, score];
    }
    return best;
  };
}

/** FNV-1a, mixed so that texts which differ in one letter differ in every bit. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  return mix(value);
}

/** The finalizer of MurmurHash3: 32 bits to 32 bits, unsigned. */
function mix(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
