/** Flags that are not on the command line: which there may be, and how their values are read. */

import { InvalidArgumentError, type Option } from 'commander';

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
