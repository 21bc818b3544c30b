/** What a run leaves: a table for people, JSON for programs, charts for the documentation. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type ChartOptions, drawChart } from './chart.ts';
import type { Bench } from './measure.ts';
import { formatSize } from './options.ts';
import { findProgram } from './processes.ts';
import { type Spread, type Summary, spread, summarise } from './samples.ts';

const axes: Readonly<Record<string, { readonly label: string; readonly format: (x: number) => string }>> = {
  chain: { label: 'relays', format: String },
  small: { label: 'files', format: String },
  circuits: { label: 'circuits', format: String },
  concurrency: { label: 'clients', format: String },
  latency: { label: 'ms a leg', format: String },
  growth: { label: 'file size', format: formatSize },
  'messages-kept': { label: 'clients', format: String },
  'messages-fresh': { label: 'clients', format: String },
  http: { label: 'clients', format: String },
  handshakes: { label: 'handshakes', format: String },
};

interface Chart extends Omit<ChartOptions, 'formatX' | 'xLabel'> {
  readonly file: string;
  readonly scenario: string;
  readonly y: (summary: Summary) => Spread | undefined;
}

const charts: readonly Chart[] = [
  { file: 'chain-speed', scenario: 'chain', title: 'A file through N relays', yLabel: 'MB/s', y: speed },
  { file: 'chain-cpu', scenario: 'chain', title: 'CPU of the whole chain', yLabel: 'CPU s/GB', y: cpu },
  { file: 'chain-relay-cpu', scenario: 'chain', title: 'CPU of one relay', yLabel: 'CPU s/GB', y: relayCpu },
  { file: 'small', scenario: 'small', title: '4 KiB files', yLabel: 'files/s', y: value('filesPerSecond') },
  { file: 'concurrency-speed', scenario: 'concurrency', title: 'Clients at once', yLabel: 'MB/s', y: speed },
  { file: 'concurrency-p99', scenario: 'concurrency', title: 'Clients at once', yLabel: 'p99 ms', y: value('p99Ms') },
  {
    file: 'concurrency-memory',
    scenario: 'concurrency',
    title: 'Memory of the largest relay',
    yLabel: 'MiB',
    y: ({ memory }) => spread([memory.relay / 2 ** 20]),
  },
  {
    file: 'latency-first-byte',
    scenario: 'latency-4K',
    title: 'Time to the first byte',
    yLabel: 'ms',
    y: ({ values }) => values.firstByteMs,
  },
  { file: 'latency-speed', scenario: 'latency-64M', title: '64 MiB over long legs', yLabel: 'MB/s', y: speed },
  { file: 'growth-cpu', scenario: 'growth', title: 'CPU against file size', yLabel: 'CPU s/GB', y: cpu },
  {
    file: 'growth-memory',
    scenario: 'growth',
    title: 'Memory of the largest relay against file size',
    yLabel: 'MiB',
    y: ({ memory }) => spread([memory.relay / 2 ** 20]),
  },
  ...(['proxied', 'misses', 'hits'] as const).map((what) => ({
    file: `http-${what}`,
    scenario: `http-${what}`,
    title: `Answers of 1 KiB, ${what}`,
    yLabel: 'requests per CPU second',
    y: value('perCore'),
  })),
  { file: 'http-large', scenario: 'http-large', title: '64 MiB out of the cache', yLabel: 'MB/s', y: speed },
];

/** Prints the tables and writes the files. */
export function report(bench: Bench, started: Date): void {
  const { settings, samples, absent } = bench;
  const summaries = summarise(samples);
  for (const scenario of new Set(summaries.map((summary) => summary.scenario))) {
    console.log(formatTable(summaries.filter((summary) => summary.scenario === scenario)));
  }
  for (const { scenario, contender, reason } of absent) console.log(`${scenario}: ${contender} left out: ${reason}`);
  const result = { started: started.toISOString(), machine: describeMachine(), settings, absent, summaries, samples };
  const stamp = started.toISOString().replaceAll(/[:.]/g, '-');
  writeResult(settings.out, `${stamp}.json`, result, summaries);
  if (!settings.publish) return;
  const runs = [...othersPublished(summaries), { ...result, samples: undefined }];
  writeResult('docs', 'bench.json', { runs }, summaries, 'bench-');
}

interface PublishedRun {
  readonly summaries: readonly Pick<Summary, 'scenario'>[];
}

/** What is published of other scenarios than those just measured: each may come from a run of its own. */
function othersPublished(measured: readonly Summary[]): PublishedRun[] {
  const fresh = new Set(measured.map(({ scenario }) => scenario));
  const published = path.join('docs', 'bench.json');
  const { runs } = existsSync(published) ? JSON.parse(readFileSync(published, 'utf8')) : { runs: [] };
  return (runs as PublishedRun[])
    .map((run) => ({ ...run, summaries: run.summaries.filter(({ scenario }) => !fresh.has(scenario)) }))
    .filter(({ summaries }) => summaries.length > 0);
}

function writeResult(
  directory: string,
  name: string,
  result: object,
  summaries: readonly Summary[],
  prefix = '',
): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(path.join(directory, name), `${JSON.stringify(result, null, 2)}\n`);
  for (const chart of charts) {
    const svg = drawScenario(chart, summaries);
    if (svg !== undefined) writeFileSync(path.join(directory, `${prefix}${chart.file}.svg`), svg);
  }
  console.log(`written: ${path.join(directory, name)}`);
}

function drawScenario(chart: Chart, summaries: readonly Summary[]): string | undefined {
  const rows = summaries.filter(({ scenario }) => scenario === chart.scenario);
  const series = [...new Set(rows.map(({ contender }) => contender))].map((name) => ({
    name,
    points: rows.flatMap((row) => {
      const y = row.contender === name ? chart.y(row) : undefined;
      return y ? [{ x: row.x, y }] : [];
    }),
  }));
  const drawn = series.filter(({ points }) => points.length > 0);
  if (drawn.length === 0) return undefined;
  const axis = axisOf(chart.scenario);
  return drawChart(drawn, { title: chart.title, yLabel: chart.yLabel, xLabel: axis.label, formatX: axis.format });
}

function formatTable(rows: readonly Summary[]): string {
  const axis = axisOf(rows[0]?.scenario ?? '');
  const extra = [...new Set(rows.flatMap(({ values }) => Object.keys(values)))];
  // A cost for each GB means nothing where a run moves a few bytes.
  const tiny = rows.every(({ bytes }) => bytes < 1e6);
  const unit = tiny ? 'CPU ms a run' : 'CPU s/GB';
  const cpuOf = (row: Summary, { median, min, max }: Spread): Spread => {
    const factor = tiny ? (row.bytes / 1e9) * 1000 : 1;
    return { median: median * factor, min: min * factor, max: max * factor };
  };
  const digits = tiny ? 0 : 2;
  const head = [
    axis.label,
    'contender',
    tiny ? 'ms (min-max)' : 'MB/s (min-max)',
    `${unit} (min-max)`,
    'a relay',
    'origin',
    'client',
    'MiB relay',
    'origin',
    'client',
    ...extra,
  ];
  const body = rows.map((row) => [
    axis.format(row.x),
    row.contender,
    tiny ? formatSpread(inMilliseconds(row.seconds), 0) : formatSpread(row.megabytesPerSecond, 0),
    formatSpread(cpuOf(row, row.cpuPerGigabyte), digits),
    ...[row.cpuPerGigabyteOf.eachRelay, row.cpuPerGigabyteOf.origin, row.cpuPerGigabyteOf.client].map((of) =>
      cpuOf(row, of).median.toFixed(digits),
    ),
    ...[row.memory.relay, row.memory.origin, row.memory.client].map((bytes) => (bytes / 2 ** 20).toFixed(0)),
    ...extra.map((name) => formatValue(row.values[name])),
  ]);
  const widths = head.map((title, column) => Math.max(title.length, ...body.map((row) => row[column]?.length ?? 0)));
  const lines = [head, ...body].map((row) =>
    row.map((cell, column) => (column === 1 ? cell.padEnd(widths[1] ?? 0) : cell.padStart(widths[column] ?? 0))),
  );
  return `\n${rows[0]?.scenario}\n${lines.map((cells) => cells.join('  ')).join('\n')}`;
}

function formatSpread({ median, min, max }: Spread, digits: number): string {
  return `${median.toFixed(digits)} (${min.toFixed(digits)}-${max.toFixed(digits)})`;
}

function inMilliseconds({ median, min, max }: Spread): Spread {
  return { median: median * 1000, min: min * 1000, max: max * 1000 };
}

function formatValue(spread: Spread | undefined): string {
  if (!spread) return '-';
  return spread.median.toFixed(spread.median < 10 ? 2 : 0);
}

function axisOf(scenario: string) {
  return axes[scenario.split('-')[0] ?? ''] ?? { label: 'x', format: String };
}

function speed({ megabytesPerSecond }: Summary): Spread {
  return megabytesPerSecond;
}

function cpu({ cpuPerGigabyte }: Summary): Spread {
  return cpuPerGigabyte;
}

function relayCpu({ cpuPerGigabyteOf }: Summary): Spread {
  return cpuPerGigabyteOf.eachRelay;
}

function value(name: string): (summary: Summary) => Spread | undefined {
  return ({ values }) => values[name];
}

function describeMachine(): object {
  const versions = {
    haproxy: ['-v'],
    nginx: ['-v'],
    socat: ['-V'],
    ssh: ['-V'],
    curl: ['--version'],
  };
  return {
    cpu: os.cpus()[0]?.model,
    cores: os.cpus().length,
    memoryBytes: os.totalmem(),
    kernel: os.release(),
    node: process.version,
    load: os.loadavg(),
    programs: Object.fromEntries(Object.entries(versions).map(([name, args]) => [name, readVersion(name, args)])),
  };
}

function readVersion(name: string, args: readonly string[]): string | null {
  const program = findProgram(name);
  if (program === undefined) return null;
  const text = execFileSync('sh', ['-c', '"$0" "$@" 2>&1', program, ...args], { encoding: 'utf8' });
  return /\d+\.\d+[\w.+-]*/.exec(text)?.[0] ?? null;
}
