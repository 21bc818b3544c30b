/**
 * Text in YAML as it stands in a file: parsed once, with the places of its values, and every mistake told with its line.
 *
 * Knows no key.
 * Invariant: a key that JavaScript or the parser would lose is a mistake, and a short file cannot stand for a huge value.
 */

import { isScalar, LineCounter, type Node, parseDocument, visit, type YAMLError } from 'yaml';
import { HoplineError } from '../core/errors.ts';
import { readTextFile } from '../io/disk/reading/text-file.ts';
import { type ConfigText, configError, offsetProblem, type Problem } from './problems.ts';

/** More references to one part of a file than anyone writes; without a cap, a short file could stand for a huge one. */
const maxAliases = 100;

/** `what` the file is, in messages; `isUnasked`: as of a text file. Throws `CONFIG_INVALID`, with all `problems`. */
export async function readYaml(file: string, what: string, isUnasked = false): Promise<ConfigText> {
  return parseSource(file, await readTextFile(file, { what, code: 'CONFIG_INVALID', isUnasked }));
}

/** What the file says; an empty one an empty mapping. Throws `CONFIG_INVALID`. */
export function toValue(source: ConfigText): unknown {
  try {
    return source.document.toJS({ maxAliasCount: maxAliases }) ?? {};
  } catch (cause) {
    if (cause instanceof ReferenceError) {
      const text = `read more references than ${maxAliases}, expected fewer; write out what "*" stands for`;
      throw configError([offsetProblem(0, text, source)]);
    }
    throw cause;
  }
}

function parseSource(file: string, text: string): ConfigText {
  const lines = new LineCounter();
  try {
    // The parser would compare each key with all before it: `partProblems` takes one look at each.
    const options = { prettyErrors: false, stringKeys: true, uniqueKeys: false };
    const document = parseDocument(text, { lineCounter: lines, ...options });
    const source = { file, document, lines };
    const errors = [...document.errors, ...document.warnings];
    const problems = errors.length > 0 ? errors.map((error) => syntaxProblem(error, source)) : partProblems(source);
    if (problems.length > 0) throw configError(problems);
    return source;
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new HoplineError(
      'CONFIG_INVALID',
      `${file}:1:1: read lists or mappings in each other, expected fewer levels`,
      {
        cause,
      },
    );
  }
}

const syntax: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'read a tab, expected spaces; indent by two spaces',
  MULTIPLE_DOCS: 'read a second document, expected one; remove what begins at "---"',
  BLOCK_AS_IMPLICIT_KEY: 'read a colon too many, expected one key; put text with a colon in quotes',
  MISSING_CHAR: 'read text that does not end, expected its closing quote or bracket; add it',
  NON_STRING_KEY: 'read a key that is no text, expected one; put it in quotes',
};

function syntaxProblem({ code, message, pos }: YAMLError, source: ConfigText): Problem {
  const fallback = `read what is not YAML, expected it to be: ${message}; put text with special characters in quotes`;
  return offsetProblem(pos[0], syntax[code] ?? fallback, source);
}

/** Keys that would get lost on the way to a value, those that come twice, and references to nothing. */
function partProblems(source: ConfigText): Problem[] {
  const problems: Problem[] = [];
  let aliases = 0;
  const add = (node: Node, message: string) => problems.push(offsetProblem(node.range?.[0] ?? 0, message, source));
  visit(source.document, {
    Map: (_, { items }) => {
      const keys = new Set<unknown>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        if (keys.has(key.value)) add(key, 'read a key for the second time, expected each once; remove one of them');
        keys.add(key.value);
      }
    },
    Pair: (_, { key }) => {
      if (!isScalar(key) || !lostKeys.has(String(key.value))) return;
      add(key, `read the unknown key "${key.value}", expected another; remove or rename it`);
    },
    Alias: (_, alias) => {
      aliases += 1;
      // Each is looked for in the whole file.
      if (aliases > maxAliases) return visit.BREAK;
      if (!alias.resolve(source.document))
        add(alias, `read a reference to nothing, expected text; put text with "*" in quotes`);
      return undefined;
    },
  });
  return problems;
}

/** They mean something to JavaScript, so that valibot passes over them. */
const lostKeys: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);
