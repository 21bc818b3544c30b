/**
 * Problems of a configuration file: where each is, what was read, what was expected, one line each.
 *
 * Knows YAML's tree and the schema's issues, and no key.
 * Invariant: every problem names a line that the file has.
 */

import type * as v from 'valibot';
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  type LineCounter,
  type Pair,
  type YAMLMap,
} from 'yaml';
import { HoplineError } from '../core/errors.ts';
import { nearestName } from '../core/failure/known-names.ts';

/** From the top of the file to a value: keys of mappings and places in lists. */
export type Path = readonly (string | number)[];

/** A file as it was read, which knows where its values are. */
export interface ConfigText {
  readonly file: string;
  readonly document: Document;
  readonly lines: LineCounter;
}

export interface Problem {
  /** Characters from the beginning of the file, for the order. */
  readonly offset: number;
  readonly line: string;
}

/** All issues of a schema for the value at `above`; of a choice between several forms, those of the form that comes closest. */
export function issueProblems(
  issues: readonly v.BaseIssue<unknown>[],
  source: ConfigText,
  above: Path = [],
): Problem[] {
  return issues.flatMap((issue) => unfold(issue, above)).map(({ issue, path }) => issueProblem(issue, path, source));
}

/** A problem with the value at `path`. */
export function valueProblem(path: Path, expected: string, source: ConfigText): Problem {
  const node = source.document.getIn(path, true);
  const found = isScalar(node) ? node.value : node;
  return place(path, 'value', `read ${show(found)}, expected ${expected}`, source);
}

/** Where the value at `path` begins: `file:line:column`, and characters from the beginning of the file. */
export function placeOf(
  path: Path,
  { file, document, lines }: ConfigText,
): { readonly offset: number; readonly at: string } {
  const offset = offsetOf(document.contents, path, 'value') ?? 0;
  const { line, col } = lines.linePos(offset);
  return { offset, at: `${file}:${Math.max(1, line)}:${Math.max(1, col)}` };
}

/** A problem that the parser of YAML has found at an offset. */
export function offsetProblem(offset: number, message: string, { file, lines }: ConfigText): Problem {
  const { line, col } = lines.linePos(offset);
  return { offset, line: `${file}:${Math.max(1, line)}:${Math.max(1, col)}: ${message}` };
}

/** One error for all problems. */
export function configError(problems: readonly Problem[]): HoplineError {
  const lines = [...problems].sort((a, b) => a.offset - b.offset).map(({ line }) => line);
  const more = lines.length > 1 ? ` (and ${lines.length - 1} more)` : '';
  return new HoplineError('CONFIG_INVALID', `${lines[0]}${more}`, { problems: lines });
}

interface Unfolded {
  readonly issue: v.BaseIssue<unknown>;
  readonly path: Path;
}

function unfold(issue: v.BaseIssue<unknown>, above: Path): Unfolded[] {
  const own = (issue.path ?? []).map(({ key }) => key as string | number);
  const path = [...above, ...own];
  const deeper = (issue.issues ?? []).filter((inner) => inner.path);
  return deeper.length > 0 ? deeper.flatMap((inner) => unfold(inner, path)) : [{ issue, path }];
}

function issueProblem(issue: v.BaseIssue<unknown>, path: Path, source: ConfigText): Problem {
  const [last] = path.slice(-1);
  const [item] = issue.path?.slice(-1) ?? [];
  if (issue.type === 'never') {
    const known = issue.message.split(' ');
    const near = nearestName(String(last), known);
    const fix = near ? `a known one; did you mean ${near}?` : `one of ${known.join(', ')}; remove it`;
    return place(path, 'key', `read the unknown key "${last}", expected ${fix}`, source);
  }
  if (item?.origin !== 'key') return valueProblem(path, issue.message, source);
  if (issue.input !== undefined) return place(path, 'key', `read ${show(last)}, expected ${issue.message}`, source);
  return place(path, 'key', `read nothing, expected the key ${last}; add ${last}: VALUE`, source);
}

function place(path: Path, where: 'key' | 'value', message: string, source: ConfigText): Problem {
  const offset = offsetOf(source.document.contents, path, where) ?? 0;
  return offsetProblem(offset, path.length === 0 ? message : `${formatPath(path)}: ${message}`, source);
}

/** Where the value at `path`, or its key, begins; that of the nearest thing above it if there is no such value. */
function offsetOf(node: unknown, [key, ...rest]: Path, where: 'key' | 'value'): number | undefined {
  const found = key === undefined ? undefined : findPair(node, key);
  if (!found) return isNode(node) ? node.range?.[0] : undefined;
  const ownKey = isNode(found.key) ? found.key.range?.[0] : undefined;
  if (rest.length === 0 && where === 'key') return ownKey;
  // An empty value has a place of its own, which may be lines away.
  const isEmpty = isScalar(found.value) && found.value.value === null && !found.value.source;
  return (isEmpty ? undefined : offsetOf(found.value, rest, where)) ?? ownKey;
}

function findPair(
  node: unknown,
  key: string | number,
): { readonly key?: unknown; readonly value: unknown } | undefined {
  if (isSeq(node) && typeof key === 'number' && key < node.items.length) return { value: node.items[key] };
  if (!isMap(node)) return undefined;
  const pairs = pairsByKey.get(node) ?? new Map(node.items.map((pair) => [keyOf(pair), pair]));
  pairsByKey.set(node, pairs);
  return pairs.get(key);
}

function keyOf({ key }: Pair): unknown {
  return isScalar(key) ? key.value : key;
}

/** Of mappings that something was looked for in: there may be as many places to tell as there are keys. */
const pairsByKey = new WeakMap<YAMLMap, ReadonlyMap<unknown, Pair>>();

function formatPath(path: Path): string {
  const parts = path.map((key) => {
    if (typeof key === 'number') return `[${key}]`;
    return /^[\w-]+$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
  });
  return parts.join('').replace(/^\./, '');
}

function show(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (isSeq(value)) return 'a list';
  if (isMap(value)) return 'a mapping';
  if (isAlias(value)) return `*${value.source}`;
  // A URL may hold a password.
  const text = (JSON.stringify(value) ?? String(value)).replace(/\/\/[^/@\s]*@/g, '//***@');
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}
