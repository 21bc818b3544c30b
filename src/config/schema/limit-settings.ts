/**
 * The limits of core/limits.ts as keys of the configuration file.
 *
 * Invariant: every limit has a key, and no two have the same.
 */

import type * as v from 'valibot';
import { defaultLimits, type Limits } from '../../core/limits.ts';
import { maxDurationMs } from '../../wire/quantity.ts';
import { about, duration, longDuration, mapping, size, whole } from './values.ts';

type OptionalNumber = v.OptionalSchema<v.GenericSchema<unknown, number>, undefined>;

/** Whether something can be switched off by this limit; any other is at least 1. */
const mayBeZero: ReadonlySet<string> = new Set<keyof Limits>([
  'maxRefusals',
  'maxPieceRetries',
  'maxDigestCacheBytes',
  'keepMs',
  'lingerMs',
  'graceMs',
]);

/** How a limit is written in the file: with its unit, where it has one, and without. */
export function limitKeys(name: keyof Limits): readonly [plain: string, withUnit: string] {
  const withUnit = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return [withUnit.replace(/-(ms|bytes)$/, ''), withUnit];
}

export function limitsMapping() {
  const names = Object.keys(defaultLimits) as (keyof Limits)[];
  const entries = names.flatMap((name) => {
    const [plain, withUnit] = limitKeys(name);
    const least = mayBeZero.has(name) ? 0 : 1;
    const most = name.endsWith('Ms') ? maxDurationMs : Number.MAX_SAFE_INTEGER;
    const meaning = `the limit \`${name}\` of docs/limits.md`;
    const exact = about(meaning, whole(least, most, defaultLimits[name]));
    if (name.endsWith('Ms'))
      return [
        [plain, about(meaning, least ? longDuration : duration)],
        [withUnit, exact],
      ];
    if (name.endsWith('Bytes'))
      return [
        [plain, about(meaning, size)],
        [withUnit, exact],
      ];
    return [[plain, exact]];
  });
  return mapping(Object.fromEntries(entries) as Record<string, OptionalNumber>, '{max-connections: 5000}');
}
