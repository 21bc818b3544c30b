/** One measurement of one contender, and the median and spread of many. */

interface Roles {
  readonly relay: number;
  readonly origin: number;
  readonly client: number;
}

export interface Sample {
  readonly scenario: string;
  readonly contender: string;
  /** Where on the scenario's axis: relays, clients, milliseconds or bytes. */
  readonly x: number;
  readonly round: number;
  readonly relays: number;
  /** Bytes of content that arrived. */
  readonly bytes: number;
  readonly seconds: number;
  /** CPU seconds; `relay` is the sum over all relays. */
  readonly cpu: Roles;
  /** Peak resident bytes of the largest process of each role. */
  readonly memory: Roles;
  /** Figures that only this scenario has. */
  readonly values: Readonly<Record<string, number>>;
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export interface Summary {
  readonly scenario: string;
  readonly contender: string;
  readonly x: number;
  readonly relays: number;
  readonly rounds: number;
  /** Bytes of content in one run. */
  readonly bytes: number;
  readonly seconds: Spread;
  /** 10^6 bytes a second, from the start of the client to its end. */
  readonly megabytesPerSecond: Spread;
  /** CPU seconds for 10^9 bytes, all processes together. */
  readonly cpuPerGigabyte: Spread;
  readonly cpuPerGigabyteOf: {
    readonly eachRelay: Spread;
    readonly origin: Spread;
    readonly client: Spread;
  };
  readonly memory: Roles;
  readonly values: Readonly<Record<string, Spread>>;
}

/** One summary for each scenario, place on its axis and contender, in the order of the samples. */
export function summarise(samples: readonly Sample[]): Summary[] {
  const groups = new Map<string, Sample[]>();
  for (const sample of samples) {
    const key = JSON.stringify([sample.scenario, sample.x, sample.contender]);
    groups.set(key, [...(groups.get(key) ?? []), sample]);
  }
  return [...groups.values()].map(summariseGroup);
}

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const low = sorted[Math.ceil(middle) - 1] ?? 0;
  const high = sorted[Math.floor(middle)] ?? 0;
  return { median: (low + high) / 2, min: sorted[0] ?? 0, max: sorted.at(-1) ?? 0 };
}

/** The value below which `share` of the values lie. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? 0;
}

function summariseGroup(group: Sample[]): Summary {
  const first = group[0] as Sample;
  const over = (measure: (sample: Sample) => number) => spread(group.map(measure));
  const perGigabyte = (of: (sample: Sample) => number) => over((sample) => (of(sample) * 1e9) / sample.bytes);
  const peak = (role: keyof Roles) => Math.max(...group.map(({ memory }) => memory[role]));
  const names = [...new Set(group.flatMap(({ values }) => Object.keys(values)))];
  return {
    scenario: first.scenario,
    contender: first.contender,
    x: first.x,
    relays: first.relays,
    rounds: group.length,
    bytes: first.bytes,
    seconds: over(({ seconds }) => seconds),
    megabytesPerSecond: over(({ bytes, seconds }) => bytes / 1e6 / seconds),
    cpuPerGigabyte: perGigabyte(({ cpu }) => cpu.relay + cpu.origin + cpu.client),
    cpuPerGigabyteOf: {
      eachRelay: perGigabyte(({ cpu, relays }) => cpu.relay / Math.max(1, relays)),
      origin: perGigabyte(({ cpu }) => cpu.origin),
      client: perGigabyte(({ cpu }) => cpu.client),
    },
    memory: { relay: peak('relay'), origin: peak('origin'), client: peak('client') },
    values: Object.fromEntries(names.map((name) => [name, over(({ values }) => values[name] ?? 0)])),
  };
}
