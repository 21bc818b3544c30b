/**
 * Reads the file of settings: text to routes and flags, or an error that tells every problem of it.
 *
 * The values of flags are checked by the command that has them, when it runs: no other is loaded by then.
 * Documentation: docs/settings.md
 */

import type { Command, Option } from 'commander';
import * as v from 'valibot';
import {
  type ConfigText,
  configError,
  issueProblems,
  type Path,
  type Problem,
  placeOf,
} from '../../config/problems.ts';
import { about, accepted, list, mapping, named, yesOrNo } from '../../config/schema/values.ts';
import { readYaml, toValue } from '../../config/yaml-text.ts';
import { HoplineError } from '../../core/errors.ts';
import { parseHops, type RoutePlan } from '../../wire/route.ts';
import { isSwitch, mayHaveDefault, parseValue } from './flag-values.ts';
import { type FlagValue, isRouteName, type UserSettings } from './settings.ts';

const routeName = accepted(isRouteName, {
  expected: 'the name of a route, 2 to 64 of A-Z a-z 0-9 _ -',
  example: 'eu',
});
const hop = v.string('a hop, HOST:PORT, in quotes if it begins with @ or [');
const route = v.pipe(
  list(
    v.union([hop, v.pipe(v.array(hop), v.minLength(1, hop.message))], hop.message),
    '[10.0.0.2:7001, 10.0.1.5:7001]',
  ),
  v.minLength(1, 'a list of hops, such as [10.0.0.2:7001, 10.0.1.5:7001]'),
);
const flags = v.optional(v.record(v.string(), v.unknown(), 'a mapping of flags, such as {retry: 5}'));
const settings = mapping(
  {
    routes: about(
      'the routes that have a name',
      named(routeName, route, { expected: 'a mapping', example: '{eu: [10.0.0.2:7001]}' }),
    ),
    defaults: about(
      'flags of commands',
      mapping({ get: flags, put: flags, ls: flags, stat: flags, fetch: flags }, '{get: {retry: 5}}'),
    ),
  },
  '{routes: {eu: [10.0.0.2:7001]}}',
);

/** Throws `CONFIG_INVALID`, with all `problems`. */
export async function readUserSettings(file: string): Promise<UserSettings> {
  // They say where every command goes and what it encrypts.
  const source = await readYaml(file, 'the settings', true);
  const result = v.safeParse(settings, toValue(source));
  if (!result.success) throw configError(issueProblems(result.issues, source));
  const { routes = {}, defaults = {} } = result.output;
  const problems: Problem[] = [];
  const parsed = new Map<string, RoutePlan['routes']>();
  for (const [name, places] of Object.entries(routes)) {
    try {
      parsed.set(name, parsePlaces(places, ['routes', name], source));
    } catch (error) {
      problems.push(problemOf(error, ['routes', name], source));
    }
  }
  if (problems.length > 0) throw configError(problems);
  const sections = new Map(Object.entries(defaults));
  return { file, routes: parsed, flagsOf: (command) => flagsOf(command, sections.get(command.name()), source) };
}

/** A list of hops is one route, a list of lists one for each. */
function parsePlaces(
  places: readonly (string | readonly string[])[],
  path: Path,
  source: ConfigText,
): RoutePlan['routes'] {
  const isOne = typeof places[0] === 'string';
  const odd = places.findIndex((place) => (typeof place === 'string') !== isOne);
  if (odd >= 0) {
    const { at } = placeOf([...path, odd], source);
    const [read, expected] = isOne
      ? ['a list', 'a hop like those before it']
      : ['a hop', 'a route like those before it, a list of hops'];
    throw new HoplineError('CONFIG_INVALID', `${at}: read ${read}, expected ${expected}`);
  }
  const lineAt = (text: string, own: Path) => ({ at: placeOf([...path, ...own], source).at, text });
  const lines = places.map((place, index) =>
    typeof place === 'string' ? [lineAt(place, [index])] : place.map((text, hop) => lineAt(text, [index, hop])),
  );
  return parseHops(isOne ? [lines.flat()] : lines);
}

/** Of a failure whose message has its place already. */
function problemOf(error: unknown, path: Path, source: ConfigText): Problem {
  if (!(error instanceof HoplineError)) throw error;
  return { offset: placeOf(path, source).offset, line: error.message };
}

function flagsOf(command: Command, section: object | undefined, source: ConfigText): readonly FlagValue[] {
  if (section === undefined) return [];
  const known = command.options.filter(mayHaveDefault);
  const path = ['defaults', command.name()];
  const schema = mapping(
    Object.fromEntries(known.map((option) => [option.name(), v.optional(schemaOf(option))])),
    '{retry: 5}',
  );
  const result = v.safeParse(schema, section);
  if (!result.success) throw configError(issueProblems(result.issues, source, path));
  const values = result.output as Readonly<Record<string, unknown>>;
  return known.flatMap((option) => {
    const value = values[option.name()];
    return value === undefined ? [] : [{ option, value, at: placeOf([...path, option.name()], source).at }];
  });
}

/** What the file may have for a flag. */
function schemaOf(option: Option): v.GenericSchema {
  if (isSwitch(option)) return yesOrNo();
  const one = v.union([v.string(), v.number()]);
  return v.pipe(
    v.union([one, v.array(one)], 'text or a number'),
    v.rawTransform<string | number | (string | number)[], unknown>(({ dataset, addIssue, NEVER }) => {
      const texts = [dataset.value].flat().map(String);
      const parsed = parseValue(option, texts);
      if ('value' in parsed) return parsed.value;
      addIssue({ message: parsed.expected });
      return NEVER;
    }),
  );
}
