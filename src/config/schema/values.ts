/**
 * The kinds of values that a configuration file holds: how each is written, and what to say of one that is not.
 *
 * Knows no key. The message of every schema says what was expected and shows an example, since it ends up
 * behind the place and the value in one line.
 */

import * as v from 'valibot';
import { parseDuration, parseSize } from '../../wire/quantity.ts';

/** Expected as one line for people, with an example to copy. */
interface Expected {
  readonly expected: string;
  readonly example: string;
  /** What all such text matches, for editors: it takes whatever the check takes, and may take more. */
  readonly pattern?: RegExp;
  /** Of plain numbers, those up to this one are none. */
  readonly above?: number;
}

/** Text that `parse` understands; undefined from it means that it does not. */
export function text<T>(parse: (text: string) => T | undefined, expected: Expected) {
  const message = sentence(expected);
  return v.pipe(
    v.string(message),
    v.examples([expected.example]),
    v.metadata(forEditors(expected)),
    parsed(parse, message),
  );
}

/** The path of `what`, as it is written. */
export function pathOf(what: string, example: string) {
  return text((path) => path || undefined, { expected: `the path of ${what}`, example, pattern: /./ });
}

/** Text as it is written, unless `check` throws or says false. */
export function accepted(check: (text: string) => unknown, expected: Expected) {
  const take = (written: string) => {
    try {
      return check(written) === false ? undefined : written;
    } catch {
      return undefined;
    }
  };
  return text(take, expected);
}

/** As `text`, where plain numbers are written as well. */
export function amount<T>(parse: (text: string) => T | undefined, expected: Expected) {
  const message = sentence(expected);
  return v.pipe(
    v.union([v.string(message), v.number(message)], message),
    v.examples([expected.example]),
    v.metadata(forEditors(expected)),
    v.transform(String),
    parsed(parse, message),
  );
}

export function choice<const T extends readonly string[]>(options: T) {
  return v.picklist(options, `one of ${options.join(', ')}`);
}

export function whole(least: number, most: number, example: number) {
  const range = most === Number.MAX_SAFE_INTEGER ? `from ${least}` : `from ${least} to ${most}`;
  const message = sentence({ expected: `a whole number ${range}`, example: String(example) });
  return v.pipe(
    v.number(message),
    v.integer(message),
    v.minValue(least, message),
    v.maxValue(most, message),
    v.examples([example]),
  );
}

export function yesOrNo() {
  return v.boolean('true or false');
}

export function list<S extends v.GenericSchema>(item: S, example: string) {
  return v.array(item, sentence({ expected: 'a list', example }));
}

/**
 * A mapping with these keys alone. Of an unknown key, the issue is of type `never` and its message is the list of the
 * known ones, so that whoever reports it can name the nearest.
 */
export function mapping<const E extends v.ObjectEntries>(entries: E, example: string) {
  const rest = v.never(Object.keys(entries).join(' '));
  const schema = notList(v.objectWithRest(entries, rest, sentence({ expected: 'a mapping', example })));
  // A strict schema reports one unknown key alone; this one reports each, and yields the same values.
  return schema as unknown as v.StrictObjectSchema<E, string>;
}

/** A key that may be left out, and what it is for. */
export function about<S extends v.GenericSchema>(meaning: string, schema: S) {
  return v.pipe(v.optional(schema), v.description(meaning));
}

/** A key that must be there. */
export function required<S extends v.GenericSchema>(meaning: string, schema: S) {
  return v.pipe(v.nonOptional(schema), v.description(meaning));
}

export const size = amount((text) => parseSize(text) || undefined, {
  expected: 'bytes above 0',
  example: '10G',
  pattern: /^(?=.*[1-9])\d{1,15}[KMGTkmgt]?([iI]?[bB])?$/,
  above: 0,
});

export const duration = amount(parseDuration, {
  expected: 'a duration of at most 24 days',
  example: '500ms, 5s or 2m',
  pattern: /^(\d+(\.\d+)?|\.\d+)(ms|s|m|h)?$/,
});

export const longDuration = amount((text) => parseDuration(text) || undefined, {
  expected: 'a duration above 0 and of at most 24 days',
  example: '500ms, 5s or 2m',
  pattern: /^(?=.*[1-9])(\d+(\.\d+)?|\.\d+)(ms|s|m|h)?$/,
  above: 0,
});

/** A mapping of names that the file makes up. */
export function named<N extends v.GenericSchema<string, string>, S extends v.GenericSchema>(
  name: N,
  value: S,
  expected: Expected,
) {
  return notList(v.record(name, value, sentence(expected)));
}

/** To valibot a list is an object as well, with numbers for keys; here it is none, as if there was nothing. */
function notList<S extends v.GenericSchema>(schema: S): S {
  const run: S['~run'] = (dataset, config) => {
    return schema['~run'](Array.isArray(dataset.value) ? { ...dataset, value: null } : dataset, config);
  };
  return { ...schema, '~run': run };
}

function forEditors({ pattern, above }: Expected) {
  return {
    ...(pattern ? { pattern: pattern.source } : {}),
    ...(above === undefined ? {} : { exclusiveMinimum: above }),
  };
}

function parsed<T>(parse: (text: string) => T | undefined, message: string) {
  return v.rawTransform<string, T>(({ dataset, addIssue, NEVER }) => {
    const value = parse(dataset.value);
    if (value !== undefined) return value;
    addIssue({ message });
    return NEVER;
  });
}

function sentence({ expected, example }: Expected): string {
  return `${expected}, such as ${example}`;
}
