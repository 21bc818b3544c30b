/**
 * The user's settings: the routes that have names, and the flags that a command has without being given them.
 *
 * Knows nothing about how they are written.
 * Documentation: docs/settings.md
 */

import type { Command, Option } from 'commander';
import type { RoutePlan } from '../../wire/route.ts';

export interface UserSettings {
  readonly file: string;
  readonly routes: ReadonlyMap<string, RoutePlan['routes']>;
  /** What the file says of the flags of a command, as parsed. Throws `CONFIG_INVALID`. */
  flagsOf(command: Command): readonly FlagValue[];
}

export interface FlagValue {
  readonly option: Option;
  readonly value: unknown;
  /** Where it is written. */
  readonly at: string;
}

/** Two characters at least: one alone may be a drive of Windows. */
export function isRouteName(text: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9_-]{1,63}$/.test(text);
}
