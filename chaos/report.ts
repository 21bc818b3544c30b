/** What is printed: a line for each round, what is known of a failure, and the table at the end. */

import type { Problem, ProblemKind } from './judge.ts';
import type { RoundResult } from './round.ts';

/** One round in one line. */
export function formatRound({
  seed,
  scenario,
  keys,
  faults,
  outcome,
  codes,
  isRepeated,
  problems,
  bytesTwice,
  ms,
}: RoundResult): string {
  const verdict =
    problems.length > 0 ? [...new Set(problems.map(({ kind }) => kind))].join(' and ').toUpperCase() : 'ok';
  const how = [outcome, ...codes].join(' ');
  const repeated = isRepeated && problems.length === 0 ? `${how}, then right` : how;
  const what = faults.map(({ text, struck }) => (struck ? text : `(${text})`)).join(' + ');
  const figures = `${(ms / 1000).toFixed(1)} s, ${formatMib(bytesTwice)} MiB twice`;
  const sealed = keys ? `keys${keys.from === 'second' ? ' later' : ''}` : '';
  return `${verdict.padEnd(5)} ${String(seed).padStart(10)}  ${scenario.padEnd(12)}  ${sealed.padEnd(10)}  ${what || 'no fault'}: ${repeated}; ${figures}`;
}

/** What went wrong in a round, and how to play it again. */
export function formatFailure({ problems, evidence }: RoundResult, again: string): string {
  const lines = problems.map(({ kind, text }: Problem) => `  ${kind}: ${text}`);
  const told = evidence.flatMap((text) => text.split('\n')).map((line) => `    ${line}`);
  return [...lines, ...told, `  again: ${again}`].join('\n');
}

const problemKinds: readonly ProblemKind[] = ['wrong', 'hung', 'leaked', 'gave up', 'fetched too much'];

/** A row for each kind of fault that struck; a round with two counts in both. */
export function formatTable(rounds: readonly RoundResult[]): string {
  const groups = new Map<string, RoundResult[]>();
  for (const round of rounds) {
    for (const kind of round.kinds.length > 0 ? round.kinds : ['no fault']) {
      groups.set(kind, [...(groups.get(kind) ?? []), round]);
    }
  }
  const head = [
    'fault',
    'rounds',
    'right at first',
    'right after rerun',
    'absent with code',
    'killed',
    ...problemKinds,
    'MiB twice p50',
    'p95',
    'max',
    's p50',
    'max',
  ];
  const rows = [...groups].sort(([one], [other]) => one.localeCompare(other)).map(([kind, of]) => formatRow(kind, of));
  const keyed = rounds.filter(({ keys }) => keys);
  return alignColumns([head, ...rows, formatRow('with keys', keyed), formatRow('all', rounds)]);
}

function formatRow(name: string, rounds: readonly RoundResult[]): string[] {
  const count = (is: (round: RoundResult) => boolean) => String(rounds.filter(is).length);
  const twice = rounds.map(({ bytesTwice }) => bytesTwice);
  const times = rounds.map(({ ms }) => ms / 1000);
  return [
    name,
    String(rounds.length),
    count(({ outcome }) => outcome === 'right'),
    count(
      ({ isRepeated, problems }) => isRepeated && problems.every(({ kind }) => kind !== 'wrong' && kind !== 'hung'),
    ),
    count(({ outcome }) => outcome === 'absent'),
    count(({ outcome }) => outcome === 'killed'),
    ...problemKinds.map((kind) => count(({ problems }) => problems.some((problem) => problem.kind === kind))),
    ...[0.5, 0.95, 1].map((part) => formatMib(quantile(twice, part))),
    ...[0.5, 1].map((part) => quantile(times, part).toFixed(1)),
  ];
}

/** The least value that at least this part of `values` does not exceed; 0 of none. */
function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? 0;
}

function formatMib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}

function alignColumns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const pad = (cell: string, column: number) =>
    column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0);
  return rows.map((row) => row.map(pad).join('  ')).join('\n');
}
