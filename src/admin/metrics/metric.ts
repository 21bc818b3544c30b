/**
 * What a metric is: a name, what it means, and where its values come from.
 *
 * Invariant: a label has as many values as an operator has named things: no addresses of peers, files, traces or keys.
 */

import type { HistogramCounts } from '../../core/histogram.ts';
import type { Snapshot } from '../snapshot.ts';

export type Labels = Readonly<Record<string, string>>;

export interface Sample<Value> {
  readonly labels: Labels;
  readonly value: Value;
}

interface Described {
  /** As it is queried, but for what a histogram adds: a counter's ends with `_total`. */
  readonly name: string;
  readonly unit?: 'seconds' | 'bytes';
  readonly help: string;
}

interface NumberMetric extends Described {
  readonly type: 'counter' | 'gauge';
  read(snapshot: Snapshot): readonly Sample<number>[];
}

interface HistogramMetric extends Described {
  readonly type: 'histogram';
  readonly bounds: readonly number[];
  read(snapshot: Snapshot): readonly Sample<HistogramCounts>[];
}

export type Metric = NumberMetric | HistogramMetric;

type Read = (snapshot: Snapshot) => number | undefined;

/** One value without labels; none where there is nothing to count. */
export function oneValue(read: Read): (snapshot: Snapshot) => readonly Sample<number>[] {
  return (snapshot) => {
    const value = read(snapshot);
    return value === undefined ? [] : [{ labels: {}, value }];
  };
}

/** A value for each key of a mapping. */
export function valuesBy(label: string, read: (snapshot: Snapshot) => Readonly<Record<string, number>> | undefined) {
  return (snapshot: Snapshot) =>
    Object.entries(read(snapshot) ?? {}).map(([key, value]) => ({ labels: { [label]: key }, value }));
}
