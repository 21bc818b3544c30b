/**
 * A strict reader of OpenMetrics text, written from the ABNF of version 1.0.0 and the rules beside it; shares nothing with what
 * writes it. Throws at the first line that is not allowed.
 */

import assert from 'node:assert/strict';

export interface ReadSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface ReadFamily {
  readonly name: string;
  type: string;
  unit: string;
  help: string | undefined;
  readonly samples: ReadSample[];
}

const metricName = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const labelName = '[a-zA-Z_][a-zA-Z0-9_]*';
const escapedString = '(?:[^\\n"\\\\]|\\\\["\\\\n])*';
const realNumber = '[+-]?(?:\\d+(?:\\.\\d*)?|\\.\\d+)(?:[eE][+-]?\\d+)?';
const label = `${labelName}="${escapedString}"`;
const descriptor = new RegExp(`^# (TYPE|UNIT|HELP) (${metricName}) (.*)$`);
const sample = new RegExp(
  `^(${metricName})(?:\\{(${label}(?:,${label})*)?\\})? (${realNumber}|[+-]?Inf|NaN)(?: ${realNumber})?$`,
);

const suffixes: Readonly<Record<string, readonly string[]>> = {
  counter: ['_total', '_created'],
  gauge: [''],
  histogram: ['_bucket', '_count', '_sum', '_created'],
  unknown: [''],
};

/** The families by their names. */
export function readOpenMetrics(text: string): ReadonlyMap<string, ReadFamily> {
  assert.ok(text.endsWith('# EOF\n') || text.endsWith('# EOF'), 'ends with # EOF');
  const lines = text.replace(/\n$/, '').split('\n').slice(0, -1);
  const families = new Map<string, ReadFamily>();
  let current: ReadFamily | undefined;
  for (const line of lines) {
    if (line.startsWith('#')) current = readDescriptor(line, families, current);
    else {
      assert.ok(current, `a sample without a family: ${line}`);
      current.samples.push(readSample(line, current));
    }
  }
  for (const family of families.values()) checkFamily(family);
  return families;
}

function readDescriptor(line: string, families: Map<string, ReadFamily>, current: ReadFamily | undefined): ReadFamily {
  const [, kind, name = '', rest = ''] = descriptor.exec(line) ?? [];
  assert.ok(kind, `not a descriptor: ${line}`);
  let family = current;
  if (family?.name !== name) {
    assert.ok(!families.has(name), `${name} comes in two parts`);
    family = { name, type: 'unknown', unit: '', help: undefined, samples: [] };
    families.set(name, family);
  }
  assert.equal(family.samples.length, 0, `a descriptor behind samples: ${line}`);
  if (kind === 'TYPE') {
    assert.equal(family.type, 'unknown', `a second type: ${line}`);
    assert.ok(Object.hasOwn(suffixes, rest), `no such type: ${line}`);
    family.type = rest;
  } else if (kind === 'UNIT') {
    assert.equal(family.unit, '', `a second unit: ${line}`);
    assert.ok(name.endsWith(`_${rest}`), `the name does not end with its unit: ${line}`);
    family.unit = rest;
  } else {
    assert.equal(family.help, undefined, `a second help: ${line}`);
    assert.match(rest, /^(?:[^\\\n]|\\["\\n])*$/, `not escaped: ${line}`);
    family.help = rest;
  }
  return family;
}

function readSample(line: string, family: ReadFamily): ReadSample {
  const [, name = '', written = '', number = ''] = sample.exec(line) ?? [];
  assert.ok(name, `not a sample: ${line}`);
  const allowed = suffixes[family.type]?.map((suffix) => `${family.name}${suffix}`);
  assert.ok(allowed?.includes(name), `${name} is no sample of the ${family.type} ${family.name}`);
  const pairs = [...written.matchAll(new RegExp(`(${labelName})="(${escapedString})"`, 'g'))];
  const labels = Object.fromEntries(pairs.map(([, key, value]) => [key as string, unescapeText(value as string)]));
  assert.equal(Object.keys(labels).length, pairs.length, `a label twice: ${line}`);
  return { name, labels, value: Number(number.replace('Inf', 'Infinity')) };
}

function unescapeText(text: string): string {
  return text.replace(/\\(.)/g, (_, character) => (character === 'n' ? '\n' : character));
}

function checkFamily({ name, type, samples }: ReadFamily): void {
  const keys = samples.map((each) => `${each.name} ${JSON.stringify(Object.entries(each.labels).sort())}`);
  assert.equal(new Set(keys).size, keys.length, `${name} has a sample twice`);
  for (const { value } of samples)
    if (type === 'counter' || type === 'histogram') assert.ok(value >= 0, `${name} is below zero`);
  if (type === 'histogram') checkHistogram(name, samples);
}

function checkHistogram(name: string, samples: readonly ReadSample[]): void {
  const groups = new Map<string, ReadSample[]>();
  for (const each of samples) {
    const { le: _, ...others } = each.labels;
    const key = JSON.stringify(Object.entries(others).sort());
    groups.set(key, [...(groups.get(key) ?? []), each]);
  }
  for (const group of groups.values()) {
    const buckets = group.filter((each) => each.name === `${name}_bucket`);
    const bounds = buckets.map(({ labels }) => labels.le ?? '');
    for (const bound of bounds) assert.match(bound, /^(\d+\.\d+|\+Inf)$/, `${name} has the bound ${bound}`);
    const numbers = bounds.map((bound) => Number(bound.replace('+Inf', 'Infinity')));
    assert.deepEqual(
      numbers,
      [...new Set(numbers)].sort((one, other) => one - other),
      `${name} has bounds out of order`,
    );
    assert.equal(numbers.at(-1), Number.POSITIVE_INFINITY, `${name} has no last bucket`);
    const counts = buckets.map(({ value }) => value);
    assert.deepEqual(
      counts,
      [...counts].sort((one, other) => one - other),
      `${name} has buckets that shrink`,
    );
    assert.equal(
      group.find((each) => each.name === `${name}_count`)?.value,
      counts.at(-1),
      `${name} has another count`,
    );
    assert.ok(
      group.some((each) => each.name === `${name}_sum`),
      `${name} has no sum`,
    );
  }
}
