/**
 * Progress for people: a bar on a terminal, a plain line now and then elsewhere. Always on stderr.
 */

import ProgressBar from 'progress';
import { safeText } from '../core/text.ts';
import { say } from './lines.ts';
import { formatBytes, formatDuration, formatRate } from './units.ts';

const plainEveryMs = 5_000;
const minBarColumns = 14;
const barEveryMs = 100;

export interface Progress {
  /** `bytes` of the file's `size` have arrived. */
  update(bytes: number): void;
  /** Puts a line of talk where it does not break the bar. */
  say(line: string): void;
  /** Leaves the terminal on a fresh line. */
  stop(): void;
}

export const noProgress: Progress = { update: () => {}, say, stop: () => {} };

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

/** Starts showing how many of `files` files are done, and how much of `size` bytes where that is known. */
export function startFileProgress(
  files: number,
  hops: number,
  size?: number,
): { update(settled: number, bytes: number): void } & Pick<Progress, 'say' | 'stop'> {
  const started = performance.now();
  const text = (settled: number, bytes: number) => {
    const speed = formatRate(bytes, performance.now() - started);
    const done = size === undefined ? formatBytes(bytes) : `${formatBytes(bytes)} of ${formatBytes(size)}`;
    return `${settled} of ${files} files, ${done}, ${speed}, ${hopCount(hops)}`;
  };
  if (process.stderr.isTTY) {
    const bar = new ProgressBar('[:bar] :text', { total: files, width: 40, incomplete: ' ', stream: process.stderr });
    let due = 0;
    return {
      update: (settled, bytes) => {
        const now = performance.now();
        if (now < due && settled < files) return;
        due = now + barEveryMs;
        bar.update(settled / files, { text: text(settled, bytes) });
      },
      say: (line) => (bar.complete ? say(line) : bar.interrupt(safeText(line))),
      stop: () => {
        if (!bar.complete) bar.terminate();
      },
    };
  }
  let due = started + plainEveryMs;
  return {
    update: (settled, bytes) => {
      const now = performance.now();
      if (now < due) return;
      due = now + plainEveryMs;
      say(text(settled, bytes));
    },
    say,
    stop: () => {},
  };
}

function startBar(size: number, hops: number, leftBytes: number): Progress {
  const started = performance.now();
  const bar = new ProgressBar(formatBar(leftBytes, size, 0, hops, leftBytes), {
    total: Math.max(size, 1),
    curr: leftBytes,
    width: 40,
    incomplete: ' ',
    stream: process.stderr,
    renderThrottle: 100,
  }) as ProgressBar & { fmt: string };
  let last = leftBytes;
  return {
    update: (bytes) => {
      // The bar takes what room the text leaves, so the text must be in the format already and not in its tokens.
      bar.fmt = formatBar(bytes, size, performance.now() - started, hops, leftBytes);
      bar.tick(bytes - last);
      last = bytes;
    },
    say: (line) => (bar.complete ? say(line) : bar.interrupt(safeText(line))),
    stop: () => {
      if (!bar.complete) bar.terminate();
    },
  };
}

/** The longest of several texts that leaves the bar some room. */
function formatBar(bytes: number, size: number, ms: number, hops: number, leftBytes: number): string {
  const { shown, done, whole, speed, left, count } = describe(bytes, size, ms, hops, leftBytes);
  const tails = [
    `${done}/${whole} ${speed} ${left} ${count}`.trimEnd(),
    `${done}/${whole} ${speed} ${left}`,
    speed,
    '',
  ];
  const columns = process.stderr.columns || 80;
  const tail = tails.find((text) => text.length + minBarColumns <= columns) ?? '';
  return `${shown}% [:bar] ${tail}`;
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
    left: perMs > 0 ? formatDuration((size - bytes) / perMs / 1000) : '-:--',
    count: hops === 0 ? '' : hopCount(hops),
  };
}

export function hopCount(hops: number): string {
  return hops === 1 ? '1 hop' : `${hops} hops`;
}
