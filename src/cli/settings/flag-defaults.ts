/**
 * The flags that a command has without being given them: from the environment, and below that from the user's settings.
 *
 * Invariant: a flag of the command line takes the place of whatever is said elsewhere, also of a flag that excludes it.
 * Documentation: docs/settings.md#precedence
 */

import type { Command, Option } from 'commander';
import { HoplineError } from '../../core/errors.ts';
import { tellFailureOn } from '../terminal/failure.ts';
import { isSwitch, mayHaveDefault, parseValue } from './flag-values.ts';
import { loadSettings } from './load-settings.ts';
import type { FlagValue } from './settings.ts';

/** Runs a command with all of its flags; failures go to the stream that `jsonStream` names, if JSON is asked for. */
export async function runWithDefaults<Flags extends { readonly json?: boolean }>(
  command: Command,
  jsonStream: (flags: Flags) => NodeJS.WritableStream,
  run: (flags: Flags) => Promise<void>,
): Promise<void> {
  const tell = (work: () => Promise<void>) => {
    const flags = command.opts<Flags>();
    return tellFailureOn(flags.json ? jsonStream(flags) : undefined, work);
  };
  await tell(() => applyDefaults(command));
  await tell(() => run(command.opts<Flags>()));
}

/** Gives a command the flags that it was not given. Throws `USAGE_INVALID` for a mistake in the environment, `CONFIG_INVALID` for one in the settings. */
export async function applyDefaults(command: Command): Promise<void> {
  apply(command, flagsOfEnvironment(command, process.env), 'env');
  const settings = await loadSettings();
  if (settings) apply(command, settings.flagsOf(command), 'config');
}

function flagsOfEnvironment(command: Command, env: NodeJS.ProcessEnv): readonly FlagValue[] {
  return command.options.filter(mayHaveDefault).flatMap((option) => {
    const at = variableOf(option);
    const text = env[at];
    if (text === undefined || text === '') return [];
    const parsed = isSwitch(option) ? parseSwitch(text) : parseValue(option, [text]);
    if ('value' in parsed) return [{ option, value: parsed.value, at }];
    throw new HoplineError('USAGE_INVALID', `${at}: read ${JSON.stringify(text)}, expected ${parsed.expected}`);
  });
}

/** `HOPLINE_LIMIT_RATE` for `--limit-rate`. */
function variableOf(option: Option): string {
  // That of a key has a name of its own, which nodes and `hopline key` know as well.
  if (option.name() === 'identity') return 'HOPLINE_KEY_FILE';
  return `HOPLINE_${option.name().toUpperCase().replaceAll('-', '_')}`;
}

function parseSwitch(text: string): { readonly value: boolean } | { readonly expected: string } {
  if (/^(1|true|yes|on)$/i.test(text)) return { value: true };
  return /^(0|false|no|off)$/i.test(text) ? { value: false } : { expected: '1 or 0' };
}

/** Sets flags that nothing above them has set. */
function apply(command: Command, values: readonly FlagValue[], level: 'env' | 'config'): void {
  for (const { option, value, at } of values) {
    const name = option.attributeName();
    if (isGiven(command, name)) continue;
    const other = command.options.find((each) => excludes(each, option) && isGiven(command, each.attributeName()));
    const isOn = value !== false;
    if (other && isOn && command.getOptionValueSource(other.attributeName()) === level) {
      const code = level === 'env' ? 'USAGE_INVALID' : 'CONFIG_INVALID';
      throw new HoplineError(code, `${at}: read ${option.name()} beside ${other.name()}, expected one of them`);
    }
    if (other) continue;
    command.setOptionValueWithSource(name, option.negate ? !value : value, level);
  }
}

function isGiven(command: Command, name: string): boolean {
  const source = command.getOptionValueSource(name);
  return source !== undefined && source !== 'default';
}

function excludes(one: Option, other: Option): boolean {
  const conflicts = (option: Option) =>
    (option as unknown as { readonly conflictsWith: readonly string[] }).conflictsWith;
  return conflicts(one).includes(other.attributeName()) || conflicts(other).includes(one.attributeName());
}
