/**
 * A trace for people: a table with a line a hop, and below a line what is wrong with that hop, and what to do.
 *
 * Owns the columns, and which of them go where there is no room. Knows no stream and no terminal.
 * Invariant: no line is longer than the columns that there are, if these are at least 40; what must be read is wrapped, not cut.
 */

import { connectOf, type Finding, type HopLook, legOf, roundTripsOf } from '../../client/trace/hop-look.ts';
import { hintFor } from '../../core/failure/hints.ts';
import { safeText } from '../../core/text.ts';
import { describeHop } from '../../wire/address.ts';
import { verdictOfCode } from '../terminal/route-picture.ts';
import { formatBytes, formatRate } from '../terminal/units.ts';

interface Column {
  readonly title: string;
  readonly width: number;
  readonly cell: (look: HopLook) => string;
  /** What goes first where there is no room has the highest; 0 stays. */
  readonly dispensable: number;
  /** @default right */
  readonly align?: 'left';
}

const gap = 2;
const leastAddress = 15;
const mostAddress = 40;

export interface TraceTextOptions {
  /** Characters in a line. */
  readonly columns: number;
  /** Whether rates are measured. */
  readonly rate: boolean;
  /** Whether the system can be asked of the leg to a first hop. @default false */
  readonly tcp?: boolean;
  /** Of the longest address there will be. */
  readonly addressWidth: number;
}

export function addressWidthOf(hops: readonly Parameters<typeof describeHop>[0][]): number {
  return Math.max(leastAddress, ...hops.map((hop) => describeHop(hop).length));
}

/** The line over the table. */
export function formatTraceHead(options: TraceTextOptions): string {
  return formatLine(columnsFor(options), ({ title }) => title);
}

/** The lines of one hop, in `all` of its trace. */
export function formatHopLook(look: HopLook, all: readonly HopLook[], options: TraceTextOptions): string[] {
  const isAlternate = all.find(({ route, place }) => route === look.route && place === look.place) !== look;
  const line = formatLine(columnsFor(options), ({ title, cell }) =>
    title === 'hop' ? `${look.place}${isAlternate ? '|' : ' '}` : cell(look),
  );
  return [line, ...look.findings.flatMap((finding) => formatFinding(finding, options.columns))];
}

/** What is to be read before the hops of a route, where there are several. */
export function formatRouteHead(route: number): string {
  return `route ${route}`;
}

/** What to do about a finding. */
export function adviceOf(finding: Finding): string {
  if (finding.kind === 'warning') return finding.advice;
  return finding.advice ?? hintFor(finding.error.code);
}

/** In a word what became of a hop. */
export function verdictOf({ state, findings }: HopLook): string {
  const failure = findings.find((finding) => finding.kind === 'failure');
  if (failure?.kind === 'failure') {
    if (failure.isSize) return 'mtu';
    // Of a hop that has never answered, it says who is there.
    return failure.error.code === 'PEER_PROTOCOL' && state === 'fails' ? 'no node' : verdictOfCode(failure.error.code);
  }
  if (state === 'answers') return findings.length > 0 ? 'ok, but' : 'ok';
  return { asking: '...', unreached: '-', classic: 'classic', fails: 'fails' }[state];
}

function columnsFor({ columns, rate, tcp = false, addressWidth }: TraceTextOptions): readonly Column[] {
  let chosen = tableColumns({ rate, tcp }, Math.min(mostAddress, addressWidth));
  for (;;) {
    const width = chosen.reduce((sum, column) => sum + column.width + gap, -gap);
    const worst = Math.max(...chosen.map(({ dispensable }) => dispensable));
    if (width <= columns) return chosen;
    if (worst === 0) {
      const fit = (column: Column) => ({ ...column, width: Math.max(8, column.width - (width - columns)) });
      return chosen.map((column) => (column.title === 'address' ? fit(column) : column));
    }
    chosen = chosen.filter(({ dispensable }) => dispensable < worst);
  }
}

function tableColumns(
  { rate, tcp }: Required<Pick<TraceTextOptions, 'rate' | 'tcp'>>,
  addressWidth: number,
): readonly Column[] {
  const trips = (of: (trips: NonNullable<ReturnType<typeof roundTripsOf>>) => number) => (look: HopLook) => {
    const known = roundTripsOf(look);
    return known ? formatMs(of(known)) : '';
  };
  const rates: readonly Column[] = [
    { title: 'down', width: 10, dispensable: 2, cell: ({ rates: { down } }) => formatSpeed(down) },
    { title: 'up', width: 10, dispensable: 2, cell: ({ rates: { up } }) => formatSpeed(up) },
  ];
  const ofTcp: readonly Column[] = [
    { title: 'tcp', width: 5, dispensable: 11, cell: ({ tcp: first }) => formatMs(first?.rttMs) },
    { title: 'again', width: 5, dispensable: 12, cell: ({ tcp: first }) => `${first?.retransmits ?? ''}` },
    { title: 'bytes', width: 9, dispensable: 13, cell: describeBytes },
  ];
  return [
    { title: 'hop', width: 3, dispensable: 0, cell: () => '' },
    { title: 'address', width: addressWidth, dispensable: 0, align: 'left', cell: ({ hop }) => describeHop(hop) },
    { title: 'verdict', width: 8, dispensable: 0, align: 'left', cell: verdictOf },
    { title: 'connect', width: 7, dispensable: 7, cell: (look) => formatMs(connectOf(look)) },
    { title: 'min', width: 5, dispensable: 8, cell: trips(({ minMs }) => minMs) },
    { title: 'ms', width: 5, dispensable: 0, cell: trips(({ medianMs }) => medianMs) },
    { title: 'jitter', width: 6, dispensable: 1, cell: trips(({ jitterMs }) => jitterMs) },
    { title: 'leg', width: 6, dispensable: 6, cell: describeLegTime },
    ...(rate ? rates : []),
    { title: 'key', width: 7, dispensable: 3, align: 'left', cell: ({ key }) => key ?? '' },
    { title: 'clock', width: 7, dispensable: 5, cell: describeClock },
    {
      title: 'load',
      width: 10,
      dispensable: 9,
      cell: ({ pong }) => (pong?.load ? `${pong.load.open}/${pong.load.max}` : ''),
    },
    { title: 'version', width: 8, dispensable: 10, align: 'left', cell: describeSoftware },
    ...(tcp ? ofTcp : []),
  ];
}

function formatLine(columns: readonly Column[], cell: (column: Column) => string): string {
  const cells = columns.map((column) => {
    const text = cut(safeText(cell(column)), column.width);
    return column.align === 'left' ? text.padEnd(column.width) : text.padStart(column.width);
  });
  return cells.join(' '.repeat(gap)).trimEnd();
}

function formatFinding(finding: Finding, columns: number): string[] {
  const [mark, message] = finding.kind === 'failure' ? ['x', finding.error.message] : ['!', finding.message];
  return [...wrap(safeText(message), columns, `  ${mark} `), ...wrap(`hint: ${adviceOf(finding)}`, columns, '    ')];
}

/** Text in lines of at most `columns` characters, the first behind `lead`, the others as far in. */
export function wrap(text: string, columns: number, lead: string): string[] {
  const room = Math.max(20, columns - lead.length);
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    let rest = word;
    if (line !== '' && line.length + 1 + rest.length > room) {
      lines.push(line);
      line = '';
    }
    // A word that no line has room for, such as a key, goes on in the next one.
    for (; rest.length > room; rest = rest.slice(room)) lines.push(rest.slice(0, room));
    line = line === '' ? rest : `${line} ${rest}`;
  }
  return [...lines, line].map((one, index) => `${index === 0 ? lead : ' '.repeat(lead.length)}${one}`);
}

function describeLegTime(look: HopLook): string {
  const leg = legOf(look);
  return leg ? `${leg.isBelowNoise ? '~' : ''}${formatMs(leg.medianMs)}` : '';
}

function describeClock({ clock }: HopLook): string {
  if (!clock) return '';
  const isRight = Math.abs(clock.offsetMs) <= clock.errorMs + 500;
  const seconds = clock.offsetMs / 1000;
  if (isRight) return 'right';
  return `${seconds > 0 ? '+' : '-'}${formatSpan(Math.abs(seconds))}`;
}

function describeBytes({ tcp }: HopLook): string {
  return tcp ? formatBytes(tcp.bytesSent + tcp.bytesReceived) : '';
}

function formatSpan(seconds: number): string {
  if (seconds < 120) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

/** The name is left out where it is the usual one. */
function describeSoftware({ pong }: HopLook): string {
  return pong?.software.replace(/^hopline\//, '') ?? '';
}

function formatMs(ms: number | undefined): string {
  if (ms === undefined) return '';
  return ms.toFixed(ms < 10 ? 2 : ms < 100 ? 1 : 0);
}

function formatSpeed(bytesPerSecond: number | undefined): string {
  return bytesPerSecond === undefined ? '' : formatRate(bytesPerSecond, 1000);
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}
