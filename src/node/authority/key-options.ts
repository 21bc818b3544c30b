/**
 * The options in front of a key in `authorized_keys`: their names, what they take, and the rights that they make.
 *
 * Knows one line, and neither the key nor other lines.
 * Invariant: there is no right without an option that gives it.
 * Grammar: docs/security.md#authorisation
 */

import { Globs, globProblem } from '../../wire/globs.ts';
import { parseRate, parseSize } from '../../wire/quantity.ts';
import { allRights, type Rights } from './rights.ts';

const maxGlobs = 64;
const maxPools = 64;
/** As long as the name of a policy in a packet. */
const maxPoolLength = 200;
const maxCount = 1_000_000;

/** A key of the rights, or of what gives them, and its value; a problem where the text is none. */
type Parsed = { readonly value: unknown } | { readonly problem: string };

interface OptionForm {
  /** What stands between the quotes; without it, the option has no value. */
  readonly parse?: (text: string) => Parsed;
  /** How it is written. */
  readonly example: string;
}

const forms = {
  all: { example: 'all' },
  read: { parse: parseGlobs, example: 'read="docs/**"' },
  write: { parse: parseGlobs, example: 'write="incoming/**"' },
  register: { parse: parsePools, example: 'register="PP_1"' },
  'no-replace': { example: 'no-replace' },
  expires: { parse: parseExpiry, example: 'expires="2027-01-31"' },
  'limit-rate': {
    parse: (text) => orProblem(parseRate(text), 'bytes a second, at least 1K'),
    example: 'limit-rate="10M"',
  },
  'max-circuits': {
    parse: (text) => orProblem(parseCount(text), `a number from 1 to ${maxCount}`),
    example: 'max-circuits="8"',
  },
  'max-upload': { parse: (text) => orProblem(parseSize(text) || undefined, 'bytes'), example: 'max-upload="10G"' },
} as const satisfies Record<string, OptionForm>;

type OptionName = keyof typeof forms;

export interface ParsedOptions {
  readonly rights: Rights;
  /** What was read and what was expected, one for each mistake. */
  readonly problems: readonly string[];
}

type Found = ReadonlyMap<OptionName, unknown>;

/** Reads the options of one line, without the white space around them; there may be none. */
export function parseKeyOptions(text: string): ParsedOptions {
  const problems: string[] = [];
  const found = new Map<OptionName, unknown>();
  let isAllKnown = true;
  for (const option of splitOptions(text)) {
    const [, name = '', value] = /^([^=]*)(?:=(.*))?$/s.exec(option) ?? [];
    if (!isOption(name)) {
      isAllKnown = false;
      problems.push(`read "${option}", expected ${knownOptions()}`);
    } else if (found.has(name)) problems.push(`read ${name} twice, expected it once`);
    else {
      const parsed = parseValue(name, value);
      // What is there and wrong is not missing as well.
      found.set(name, 'problem' in parsed ? undefined : parsed.value);
      if ('problem' in parsed) problems.push(parsed.problem);
    }
  }
  const rights = toRights(found);
  return { rights, problems: [...problems, ...rightsProblems(found, rights, isAllKnown)] };
}

function* rightsProblems(found: Found, { read, write }: Rights, isAllKnown: boolean): Generator<string> {
  const isNamed = found.has('read') || found.has('write');
  if (found.has('all') && isNamed) {
    yield 'read all beside read or write, expected one of both: all is read="**",write="**"';
  }
  // An option that does not exist may be a right that is misspelt, and is told already.
  if (!found.has('all') && !found.has('register') && !isNamed && isAllKnown) {
    yield 'read no right, expected read="GLOB", write="GLOB", register="POOL" or all: nothing is allowed that is not written';
  }
  if (read.texts.length + write.texts.length > maxGlobs) {
    yield `read more than ${maxGlobs} globs for one key, expected at most so many`;
  }
}

/** Where the options end that begin `line`: at the first white space that no quotes are around. */
export function endOfOptions(line: string): number {
  let isQuoted = false;
  for (let at = 0; at < line.length; at += 1) {
    if (line[at] === '"') isQuoted = !isQuoted;
    else if (!isQuoted && /\s/.test(line[at] as string)) return at;
  }
  return line.length;
}

/** The parts between the commas that no quotes are around. */
function splitOptions(text: string): readonly string[] {
  return text === '' ? [] : (text.match(/(?:"[^"]*"?|[^",])+|(?<=,|^)(?=,|$)/g) ?? []);
}

function isOption(name: string): name is OptionName {
  return Object.hasOwn(forms, name);
}

function knownOptions(): string {
  return `one of ${Object.keys(forms).join(', ')}`;
}

function parseValue(name: OptionName, value: string | undefined): Parsed {
  const { parse, example }: OptionForm = forms[name];
  const wrong = { problem: `read ${name}${value === undefined ? '' : `=${value}`}, expected ${example}` };
  if (!parse) return value === undefined ? { value: true } : wrong;
  const [, quoted] = /^"([^"]*)"$/.exec(value ?? '') ?? [];
  if (quoted === undefined) return wrong;
  const parsed = parse(quoted);
  return 'problem' in parsed ? { problem: `read ${name}=${value}, expected ${parsed.problem}` } : parsed;
}

function toRights(found: Found): Rights {
  const isAll = found.has('all');
  const globs = (name: 'read' | 'write') =>
    isAll ? allRights[name] : ((found.get(name) as Globs | undefined) ?? new Globs([]));
  const amount = (name: OptionName) => found.get(name) as number | undefined;
  return {
    read: globs('read'),
    write: globs('write'),
    register: (found.get('register') as ReadonlySet<string> | undefined) ?? new Set(),
    mayReplace: !found.has('no-replace'),
    expires: amount('expires'),
    limitRate: amount('limit-rate'),
    maxCircuits: amount('max-circuits'),
    maxUploadBytes: amount('max-upload'),
  };
}

function parseGlobs(text: string): Parsed {
  const globs = text.split(',');
  const problem = globs.map(globProblem).find((each) => each !== undefined);
  return problem === undefined ? { value: new Globs(globs) } : { problem: `globs separated by commas (${problem})` };
}

function parsePools(text: string): Parsed {
  const pools = new Set(text.split(',').map((pool) => pool.trim()));
  const areNames = [...pools].every((pool) => pool !== '' && pool.length <= maxPoolLength);
  return areNames && pools.size <= maxPools
    ? { value: pools }
    : { problem: `names of pools separated by commas, at most ${maxPools}` };
}

/** A day, from its beginning in UTC, or a time of RFC 3339. */
function parseExpiry(text: string): Parsed {
  const [, day, time] = /^(\d{4}-\d\d-\d\d)(T\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d))?$/i.exec(text) ?? [];
  const midnight = day === undefined ? Number.NaN : Date.parse(`${day}T00:00:00Z`);
  // 31 February would be a day in March.
  const isDay = !Number.isNaN(midnight) && new Date(midnight).toISOString().startsWith(day as string);
  const at = time === undefined ? midnight : Date.parse(`${day}${time.toUpperCase()}`);
  return isDay && !Number.isNaN(at) ? { value: at } : { problem: 'a day such as 2027-01-31, or a time of RFC 3339' };
}

function parseCount(text: string): number | undefined {
  const count = Number(text);
  return /^\d{1,7}$/.test(text) && count >= 1 && count <= maxCount ? count : undefined;
}

function orProblem(value: number | undefined, expected: string): Parsed {
  return value === undefined ? { problem: expected } : { value };
}
