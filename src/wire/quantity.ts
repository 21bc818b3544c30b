/**
 * How amounts are written in flags and in the configuration file: durations, sizes and rates.
 *
 * Invariant: what a `format` function writes, its `parse` function reads as the same amount.
 * Grammar: docs/configuration.md#values
 */

const durationUnits = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;
const sizeUnits = ['', 'K', 'M', 'G', 'T'];

/** Longer ones overflow a timer. */
export const maxDurationMs = 24 * 86_400_000;

/** Milliseconds: `500ms`, `5s`, `2m`, `1h`, or plain seconds; at most 24 days. Undefined if it is none. */
export function parseDuration(text: string): number | undefined {
  const [, digits, unit = 's'] = /^(\d+(?:\.\d+)?|\.\d+)(ms|s|m|h)?$/.exec(text) ?? [];
  if (digits === undefined) return undefined;
  const ms = Math.round(Number(digits) * durationUnits[unit as keyof typeof durationUnits]);
  return ms <= maxDurationMs ? ms : undefined;
}

/** In the largest unit that leaves no fraction. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s';
  const units = Object.entries(durationUnits).reverse();
  const [unit, step] = units.find(([, each]) => ms % each === 0) ?? ['ms', 1];
  return `${ms / step}${unit}`;
}

/** Bytes: a whole number, then maybe K, M, G or T, each 1,024 times the one before, and `B` or `iB`. Undefined if it is none. */
export function parseSize(text: string): number | undefined {
  const [, digits, unit = ''] = /^(\d{1,15})([KMGT]?)(?:iB|B)?$/i.exec(text) ?? [];
  return scale(digits, unit);
}

/** Bytes a second: a number, then maybe K, M, G or T as for sizes; at least 1,024. Undefined if it is none. */
export function parseRate(text: string): number | undefined {
  const [, digits, unit = ''] = /^(\d{1,15}(?:\.\d+)?)([KMGT]?)$/i.exec(text) ?? [];
  const bytes = scale(digits, unit);
  return bytes !== undefined && bytes >= 1024 ? bytes : undefined;
}

/** A size or a rate, in the largest unit that leaves no fraction. */
export function formatSize(bytes: number): string {
  let step = 0;
  while (bytes > 0 && step < sizeUnits.length - 1 && bytes % 1024 ** (step + 1) === 0) step += 1;
  return `${bytes / 1024 ** step}${sizeUnits[step]}`;
}

function scale(digits: string | undefined, unit: string): number | undefined {
  const step = sizeUnits.indexOf(unit.toUpperCase());
  const bytes = Math.round(Number(digits) * 1024 ** step);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
