/**
 * Progress for people: a bar, or a plain line now and then. Always on stderr; `json` is not told here.
 *
 * Invariant: a bar is no wider than the terminal has columns, also when these change.
 */

import ProgressBar from 'progress';
import { safeText } from '../../core/text.ts';
import { describeHop } from '../../wire/address.ts';
import type { RoutePlan } from '../../wire/route.ts';
import { say } from './lines.ts';
import type { ProgressStyle } from './progress-flag.ts';
import { formatBytes, formatRate, formatTime } from './units.ts';

const plainEveryMs = 5_000;
const barColumns = { least: 6, most: 40 } as const;
const sayConnectingAfterMs = 1_000;
/** Characters of the longest size, rate and time there are. */
const sizeWidth = '1023 KiB'.length;
const rateWidth = '1023 KiB/s'.length;
const timeWidth = '99:59:59'.length;
const longestSeconds = 99 * 3600 + 59 * 60 + 59;

export interface Progress<Now = number> {
  /** So many bytes have arrived. */
  update(now: Now): void;
  /** Puts a line of talk where it does not break the bar. */
  say(line: string): void;
  /** Leaves the terminal on a fresh line. */
  stop(): void;
}

const noProgress: Progress<unknown> = { update: () => {}, say, stop: () => {} };

/** A bar needs a terminal, and is what there is on one unless the user wants something else. */
function isBar(style: ProgressStyle | undefined): boolean {
  return process.stderr.isTTY && (style === undefined || style === 'bar');
}

function isSilent(style: ProgressStyle | undefined): boolean {
  return style === 'none' || style === 'json';
}

/** Says on a terminal, if nothing has stopped it within a second, which hop is being connected to. */
export function startConnecting(route: RoutePlan['routes'][number] | undefined): Progress {
  const hop = route?.at(-1)?.[0];
  if (!process.stderr.isTTY || !route || !hop) return noProgress;
  const tell = () => say(`connecting to hop ${route.length}, ${describeHop(hop)} ...`);
  const timer = setTimeout(tell, sayConnectingAfterMs);
  return { ...noProgress, stop: () => clearTimeout(timer) };
}

/** Starts showing a download of `size` bytes over `hops` hops, 0 for a server itself, of which `leftBytes` are there already. */
export function startProgress(size: number, hops: number, leftBytes = 0, style?: ProgressStyle): Progress {
  if (isSilent(style)) return noProgress;
  const started = performance.now();
  const whole = formatBytes(size);
  const way = hops === 0 ? [] : [hopCount(hops)];
  const tokens = (bytes: number) => {
    const fetched = Math.max(0, bytes - leftBytes);
    const ms = Math.max(performance.now() - started, 1);
    return {
      shown: String(size === 0 ? 100 : Math.floor((bytes / size) * 100)).padStart(3),
      done: formatBytes(bytes),
      speed: formatRate(fetched, ms),
      left: fetched > 0 ? formatTime(Math.min(((size - bytes) / fetched) * (ms / 1000), longestSeconds)) : '-:--',
    };
  };
  const widths = { shown: 3, done: sizeWidth, speed: rateWidth, left: timeWidth };
  const head = ':shown% [:bar]';
  const most = `${head} :done/${whole} :speed :left`;
  const layouts = [[most, ...way].join(' '), most, `${head} :speed`, head];
  if (isBar(style)) return startBar(Math.max(size, 1), leftBytes, { layouts, widths }, Number, tokens);
  const line = [`:shown% :done of ${whole}`, ':speed', ':left left', ...way].join(', ');
  return startLines((bytes) => fill(line, tokens(bytes)));
}

/** Starts showing how much of something has arrived whose size nobody knows. */
export function startByteProgress(style?: ProgressStyle): Progress {
  if (isSilent(style)) return noProgress;
  const started = performance.now();
  return startLines((bytes) => `${formatBytes(bytes)}, ${formatRate(bytes, performance.now() - started)}`);
}

/** How far several files have come. */
interface FilesNow {
  readonly arrived: number;
  readonly failed: number;
  readonly bytes: number;
}

/** Starts showing how many of `files` files are done, and how much of `size` bytes where that is known. */
export function startFileProgress(
  files: number,
  hops: number,
  size?: number,
  style?: ProgressStyle,
): Progress<FilesNow> {
  if (isSilent(style)) return noProgress;
  const started = performance.now();
  const tokens = ({ arrived, failed, bytes }: FilesNow) => ({
    count: `${arrived} of ${files} files${failed > 0 ? `, ${failed} failed` : ''}`,
    done: size === undefined ? formatBytes(bytes) : `${formatBytes(bytes)} of ${formatBytes(size)}`,
    speed: formatRate(bytes, performance.now() - started),
  });
  const { count, done } = tokens({ arrived: files, failed: files, bytes: 0 });
  const widths = { count: count.length, done: done.length - formatBytes(0).length + sizeWidth, speed: rateWidth };
  const texts = [`:count, :done, :speed, ${hopCount(hops)}`, ':count, :done, :speed', ':count, :speed', ':count'];
  const layouts = [...texts.map((text) => `[:bar] ${text}`), '[:bar]'];
  const settled = ({ arrived, failed }: FilesNow) => arrived + failed;
  if (isBar(style)) return startBar(Math.max(files, 1), 0, { layouts, widths }, settled, tokens);
  return startLines((now) => fill(texts[0] ?? '', tokens(now)));
}

type Tokens = Readonly<Record<string, string>>;

interface Look {
  /** The longest first: lines with `:bar` and tokens in them. */
  readonly layouts: readonly string[];
  /** Characters of each token at most. */
  readonly widths: Readonly<Record<string, number>>;
}

/** A bar beside the longest layout that leaves it some room. */
function startBar<Now>(
  total: number,
  done: number,
  { layouts, widths }: Look,
  count: (now: Now) => number,
  tokens: (now: Now) => Tokens,
): Progress<Now> {
  const rooms = layouts.map((layout) => fill(layout, { bar: '', ...spaces(widths) }).length);
  let curr = done;
  const open = () => {
    const columns = columnsNow();
    const fitting = rooms.findIndex((room) => room + barColumns.least <= columns);
    const place = fitting < 0 ? layouts.length - 1 : fitting;
    const width = Math.max(1, Math.min(barColumns.most, columns - (rooms[place] ?? 0)));
    const options = { total, curr, width, incomplete: ' ', stream: process.stderr, renderThrottle: 100 };
    return { columns, bar: new ProgressBar(layouts[place] ?? '', options) };
  };
  let { columns, bar } = open();
  let isDrawn = false;
  return {
    update: (now) => {
      if (columnsNow() !== columns) ({ columns, bar } = open());
      isDrawn = true;
      const next = count(now);
      bar.tick(next - curr, tokens(now));
      curr = next;
    },
    say: (line) => (isDrawn && !bar.complete ? bar.interrupt(safeText(line)) : say(line)),
    stop: () => {
      if (isDrawn && !bar.complete) bar.terminate();
      isDrawn = false;
    },
  };
}

function columnsNow(): number {
  return process.stderr.columns || 80;
}

/** A line now and then. */
function startLines<Now>(describe: (now: Now) => string): Progress<Now> {
  let due = performance.now() + plainEveryMs;
  return {
    update: (now) => {
      if (performance.now() < due) return;
      due = performance.now() + plainEveryMs;
      say(describe(now));
    },
    say,
    stop: () => {},
  };
}

function fill(layout: string, tokens: Tokens): string {
  return layout.replace(/:([a-z]+)/g, (token, name: string) => tokens[name] ?? token);
}

function spaces(widths: Look['widths']): Tokens {
  return Object.fromEntries(Object.entries(widths).map(([name, width]) => [name, ' '.repeat(width)]));
}

export function hopCount(hops: number): string {
  return hops === 1 ? '1 hop' : `${hops} hops`;
}
