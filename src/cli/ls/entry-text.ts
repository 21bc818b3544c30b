/** How an entry of an origin is shown: as `ls -l` does it, and for scripts. Documentation: docs/listing.md */

import type { RemoteEntry } from '../../client/listings/list-directory.ts';
import { escapeText } from '../../core/text.ts';

type Attributes = Pick<RemoteEntry, 'kind' | 'mode' | 'mtimeNs'>;

const kindLetters = { file: '-', directory: 'd', link: 'l', other: '?' } as const satisfies Record<
  RemoteEntry['kind'],
  string
>;
const unknownMode = '?'.repeat(9);
/** Characters: as many as ten terabytes have digits. */
const sizeWidth = 14;
const timeWidth = '2026-07-18 12:34'.length;
const nsPerMs = 1_000_000n;
const nsPerSecond = 1_000_000_000n;

/** A line for an entry, by `name`. */
export function formatEntryLine(entry: RemoteEntry, name: string): string {
  const { size, mtimeNs, target } = entry;
  const time = mtimeNs === undefined ? '-' : formatTime(mtimeNs);
  const columns = [formatMode(entry), String(size ?? '-').padStart(sizeWidth), ` ${time.padEnd(timeWidth)} `];
  return `${escapeText([...columns, target === undefined ? name : `${name} -> ${target}`].join(' '))}\n`;
}

/** `-rw-r--r--`; a link has no permissions of its own. */
export function formatMode({ kind, mode = kind === 'link' ? 0o777 : undefined }: Attributes): string {
  if (mode === undefined) return `${kindLetters[kind]}${unknownMode}`;
  const bits = [...'rwxrwxrwx'].map((letter, at) => ((mode >> (8 - at)) & 1 ? letter : '-'));
  return `${kindLetters[kind]}${bits.join('')}`;
}

/** In the zone of this machine, to the minute. */
function formatTime(mtimeNs: string): string {
  const time = new Date(Number(BigInt(mtimeNs) / nsPerMs));
  const date = [time.getFullYear(), time.getMonth() + 1, time.getDate()].map(twoDigits).join('-');
  return `${date} ${[time.getHours(), time.getMinutes()].map(twoDigits).join(':')}`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}

/** In UTC, to the nanosecond. */
export function formatInstant(mtimeNs: string): string {
  const ns = BigInt(mtimeNs);
  const fraction = ((ns % nsPerSecond) + nsPerSecond) % nsPerSecond;
  const seconds = new Date(Number((ns - fraction) / nsPerMs)).toISOString().replace(/\.\d+Z$/, '');
  return `${seconds}.${String(fraction).padStart(9, '0')}Z`;
}

/** The fields of an entry for scripts. */
export function jsonOfEntry({ mtimeNs, ...entry }: RemoteEntry): object {
  return { ...entry, ...jsonOfTime(mtimeNs) };
}

export function jsonOfTime(mtimeNs: string | undefined): { readonly modified?: string } {
  return mtimeNs === undefined ? {} : { modified: formatInstant(mtimeNs) };
}
