/**
 * Progress for people: a bar on a terminal, a plain line now and then elsewhere. Always on stderr.
 */

import ProgressBar from 'progress';
import { safeText } from '../../core/text.ts';
import { describeHop } from '../../wire/address.ts';
import type { RoutePlan } from '../../wire/route.ts';
import { say } from './lines.ts';
import { formatBytes, formatRate, formatTime } from './units.ts';

const plainEveryMs = 5_000;
const minBarColumns = 6;
const sayConnectingAfterMs = 1_000;

export interface Progress {
  /** `bytes` of the file's `size` have arrived. */
  update(bytes: number): void;
  /** Puts a line of talk where it does not break the bar. */
  say(line: string): void;
  /** Leaves the terminal on a fresh line. */
  stop(): void;
}

export const noProgress: Progress = { update: () => {}, say, stop: () => {} };

/** Says on a terminal, if nothing has stopped it within a second, which hop is being connected to. */
export function startConnecting(route: RoutePlan['routes'][number] | undefined): Progress {
  const hop = route?.at(-1)?.[0];
  if (!process.stderr.isTTY || !route || !hop) return noProgress;
  const tell = () => say(`connecting to hop ${route.length}, ${describeHop(hop)} ...`);
  const timer = setTimeout(tell, sayConnectingAfterMs);
  return { ...noProgress, stop: () => clearTimeout(timer) };
}

/** Starts showing a download of `size` bytes over `hops` hops, 0 for a server itself, of which `leftBytes` are there already. */
export function startProgress(size: number, hops: number, leftBytes = 0): Progress {
  return process.stderr.isTTY ? startBar(size, hops, leftBytes) : startLines(size, hops, leftBytes);
}

/** Starts showing how much of something has arrived whose size nobody knows. */
export function startByteProgress(): Progress {
  const started = performance.now();
  let due = started + plainEveryMs;
  return {
    update: (bytes) => {
      const now = performance.now();
      if (now < due) return;
      due = now + plainEveryMs;
      say(`${formatBytes(bytes)}, ${formatRate(bytes, now - started)}`);
    },
    say,
    stop: () => {},
  };
}

/** How far several files have come. */
interface FilesProgress extends Pick<Progress, 'say' | 'stop'> {
  update(counts: { readonly arrived: number; readonly failed: number; readonly bytes: number }): void;
}

/** Starts showing how many of `files` files are done, and how much of `size` bytes where that is known. */
export function startFileProgress(files: number, hops: number, size?: number): FilesProgress {
  const started = performance.now();
  const describeFiles: (counts: Parameters<FilesProgress['update']>[0]) => readonly string[] = (counts) => {
    const { arrived, failed, bytes } = counts;
    const speed = formatRate(bytes, performance.now() - started);
    const done = size === undefined ? formatBytes(bytes) : `${formatBytes(bytes)} of ${formatBytes(size)}`;
    const lost = failed > 0 ? `, ${failed} failed` : '';
    const count = `${arrived} of ${files} files${lost}`;
    return [
      `${count}, ${done}, ${speed}, ${hopCount(hops)}`,
      `${count}, ${done}, ${speed}`,
      `${count}, ${speed}`,
      count,
    ];
  };
  if (process.stderr.isTTY) {
    const bar = startFittingBar(files, 0, describeFiles({ arrived: 0, failed: 0, bytes: 0 }));
    return {
      update: (counts) => bar.update(counts.arrived + counts.failed, describeFiles(counts)),
      say: bar.say,
      stop: bar.stop,
    };
  }
  let due = started + plainEveryMs;
  return {
    update: (counts) => {
      const now = performance.now();
      if (now < due) return;
      due = now + plainEveryMs;
      say(describeFiles(counts)[0] ?? '');
    },
    say,
    stop: () => {},
  };
}

function startBar(size: number, hops: number, leftBytes: number): Progress {
  const started = performance.now();
  const texts = (bytes: number) => {
    const { shown, done, whole, speed, left, count } = describe(
      bytes,
      size,
      performance.now() - started,
      hops,
      leftBytes,
    );
    const tails = [
      `${done}/${whole} ${speed} ${left} ${count}`.trimEnd(),
      `${done}/${whole} ${speed} ${left}`,
      speed,
      '',
    ];
    return tails.map((tail) => `${shown}% [:bar] ${tail}`);
  };
  const bar = startFittingBar(Math.max(size, 1), leftBytes, texts(leftBytes));
  return { update: (bytes) => bar.update(bytes, texts(bytes)), say: bar.say, stop: bar.stop };
}

/**
 * A bar beside the longest of the texts given that leaves it some room, at whatever width the terminal has by then.
 * A text says by `:bar` where the bar stands, or else it stands first.
 */
function startFittingBar(total: number, done: number, texts: readonly string[]) {
  const bar = new ProgressBar(chooseFitting(texts), {
    total,
    curr: done,
    width: 40,
    incomplete: ' ',
    stream: process.stderr,
    renderThrottle: 100,
  }) as ProgressBar & { fmt: string };
  let last = done;
  return {
    update: (now: number, texts: readonly string[]) => {
      // The bar takes what room the text leaves, so the text must be in the format already and not in its tokens.
      bar.fmt = chooseFitting(texts);
      bar.tick(now - last);
      last = now;
    },
    say: (line: string) => (bar.complete ? say(line) : bar.interrupt(safeText(line))),
    stop: () => {
      if (!bar.complete) bar.terminate();
    },
  };
}

function chooseFitting(texts: readonly string[]): string {
  const columns = process.stderr.columns || 80;
  const formats = [...texts, ''].map((text) => (text.includes('[:bar]') ? text : `[:bar] ${text}`));
  return formats.find((format) => format.replace(':bar', '').length + minBarColumns <= columns) ?? formats.at(-1) ?? '';
}

function startLines(size: number, hops: number, leftBytes: number): Progress {
  const started = performance.now();
  let due = started + plainEveryMs;
  return {
    update: (bytes) => {
      const now = performance.now();
      if (now < due) return;
      due = now + plainEveryMs;
      const { shown, done, whole, speed, left, count } = describe(bytes, size, now - started, hops, leftBytes);
      const way = count === '' ? '' : `, ${count}`;
      say(`${shown}% ${done} of ${whole}, ${speed}, ${left} left${way}`);
    },
    say,
    stop: () => {},
  };
}

function describe(bytes: number, size: number, ms: number, hops: number, leftBytes: number) {
  const fetched = Math.max(0, bytes - leftBytes);
  const perMs = fetched / Math.max(ms, 1);
  return {
    shown: String(size === 0 ? 100 : Math.floor((bytes / size) * 100)).padStart(3),
    done: formatBytes(bytes),
    whole: formatBytes(size),
    speed: formatRate(fetched, ms),
    left: perMs > 0 ? formatTime((size - bytes) / perMs / 1000) : '-:--',
    count: hops === 0 ? '' : hopCount(hops),
  };
}

export function hopCount(hops: number): string {
  return hops === 1 ? '1 hop' : `${hops} hops`;
}
