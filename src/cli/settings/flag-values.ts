/** Flags that are not on the command line: which there may be, and how their values are read. */

import { type Command, InvalidArgumentError, type Option } from 'commander';

/** What they say is true of one run alone, or is said where the settings are. */
const ofOneRun: ReadonlySet<string> = new Set([
  ...[
    'via',
    'config',
    'as',
    'checksum',
    'request',
    'head',
    'data',
    'flush',
    'files-from',
    'dry-run',
    'delete',
    'up',
    'help',
  ],
]);

export function mayHaveDefault(option: Option): boolean {
  return option.long !== undefined && !ofOneRun.has(option.name());
}

/** What nothing at all is a value of: content to send, and that of a field. */
const mayBeEmpty: ReadonlySet<string> = new Set(['data', 'header']);

/**
 * Ends a command with a usage error where a value is empty, as a variable of a shell is that nobody has set. To the system an
 * empty path is the working directory, so `sync ROUTE "$DIR" --delete` would empty that one.
 */
export function refuseEmpty(command: Command): void {
  const empty = 'Expected a value, and it is empty: is a variable set that should be?';
  for (const option of command.options) {
    const value: unknown = command.getOptionValue(option.attributeName());
    const isEmpty = value === '' || (Array.isArray(value) && value.includes(''));
    if (isEmpty && !mayBeEmpty.has(option.name()))
      command.error(`error: option '${option.flags}' is invalid. ${empty}`);
  }
  for (const [index, text] of command.args.entries()) {
    const argument = command.registeredArguments[Math.min(index, command.registeredArguments.length - 1)];
    if (text === '') command.error(`error: argument '${argument?.name()}' is invalid. ${empty}`);
  }
}

/** Whether it is on or off, and no more. */
export function isSwitch({ required, optional }: Option): boolean {
  return !required && !optional;
}

/** The value of a flag that takes one, from each of `texts` in turn; or what was expected instead. */
export function parseValue(
  option: Option,
  texts: readonly string[],
): { readonly value: unknown } | { readonly expected: string } {
  let value: unknown;
  if (texts.includes('') && !mayBeEmpty.has(option.name())) return { expected: 'a value that is not empty' };
  try {
    for (const text of texts)
      value = option.parseArg ? (option.parseArg as (text: string, earlier: unknown) => unknown)(text, value) : text;
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    return {
      expected: error.message
        .replace(/^Expected /, '')
        .replace(/^Allowed choices are /, 'one of ')
        .replace(/\.$/, ''),
    };
  }
  // A flag that may be repeated makes a list of what it gets.
  return texts.length > 1 && !Array.isArray(value) ? { expected: 'one value' } : { value };
}
