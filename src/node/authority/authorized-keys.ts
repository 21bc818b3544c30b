/**
 * The text of `authorized_keys`: who may come, and with which rights, a line each.
 *
 * Knows nothing about who is there.
 * Invariant: a text with a mistake gives all of its mistakes, each with its line, and the rights of nobody.
 * Grammar: docs/security.md#authorisation
 */

import { HoplineError, mistakes } from '../../core/errors.ts';
import { readTrustedText, type TrustRules } from '../../io/disk/watched/trusted-text.ts';
import { parsePublicKey } from '../../wire/keys/key.ts';
import { endOfOptions, parseKeyOptions } from './key-options.ts';
import type { Rights } from './rights.ts';

/** A client without a key, and one that does not encrypt; a key is its text. */
export const keyless = { anonymous: 'anonymous', plain: 'plain' } as const;

/** Rights by who has them: a key's text, `anonymous` or `plain`. */
export type AuthorizedKeys = ReadonlyMap<string, Rights>;

/** What others may read, but not write. */
export const authorizedFileRules: TrustRules = { maxBytes: 1024 * 1024, isSecret: false };
const maxKeys = 10_000;
/** More would say the same. */
const maxProblems = 100;

interface Line {
  readonly options: string;
  readonly who: string;
}

/**
 * Reads `text`, which stands in `source`. Keys of `known` need no second look. Throws `CONFIG_INVALID` with a line in `problems`
 * for each mistake.
 */
export function parseAuthorizedKeys(text: string, source: string, known?: AuthorizedKeys): AuthorizedKeys {
  const problems: string[] = [];
  const lines = new Map<string, number>();
  const rights = new Map<string, Rights>();
  for (const [index, written] of text.split(/\r?\n/).entries()) {
    if (problems.length >= maxProblems) break;
    const line = splitLine(written);
    if (!line) continue;
    const place = `${source}:${index + 1}`;
    const parsed = parseKeyOptions(line.options);
    problems.push(...parsed.problems.map((problem) => `${place}: ${problem}`));
    if (parsed.rights.register.size > 0 && Object.hasOwn(keyless, line.who)) {
      problems.push(`${place}: read register before ${line.who}, expected a key behind it`);
    }
    if (known?.has(line.who) !== true) problems.push(...whoProblems(line.who, place));
    const earlier = lines.get(line.who);
    if (earlier !== undefined) {
      problems.push(`${place}: read ${shorten(line.who)} again, expected it once; it stands in line ${earlier}`);
    } else if (lines.size === maxKeys) {
      problems.push(`${place}: read more than ${maxKeys} keys, expected at most so many`);
      break;
    }
    lines.set(line.who, index + 1);
    rights.set(line.who, parsed.rights);
  }
  if (problems.length > 0) throw mistakes(problems);
  return rights;
}

/** What would be in effect by `file`. Throws `CONFIG_INVALID`, with a line in `problems` for each mistake. */
export async function checkAuthorizedFile(file: string): Promise<AuthorizedKeys> {
  const read = await readTrustedText(file, authorizedFileRules);
  if (read.kind === 'text') return parseAuthorizedKeys(read.text, file);
  throw mistakes([read.problem]);
}

/** Those of `known` that some line of `text` still has a word for, though the text as a whole is not valid. */
export function stillNamed(text: string, known: AuthorizedKeys): AuthorizedKeys {
  const lines = text.split(/\r?\n/).filter((line) => !line.trimStart().startsWith('#'));
  const words = new Set(lines.flatMap((line) => line.split(/\s+/)));
  return new Map([...known].filter(([who]) => words.has(who)));
}

/** A key as logs show it. */
export function shorten(who: string): string {
  return who.startsWith('hop1') ? who.slice(0, 12) : who;
}

/** Undefined for a comment and an empty line. */
function splitLine(written: string): Line | undefined {
  const line = written.trim();
  if (line === '' || line.startsWith('#')) return undefined;
  const end = endOfOptions(line);
  const first = line.slice(0, end);
  if (isWho(first)) return { options: '', who: first };
  const [who = ''] = line.slice(end).trimStart().split(/\s/);
  return { options: first, who };
}

function isWho(word: string): boolean {
  return Object.hasOwn(keyless, word) || /^hop(1|-secret-key-)/i.test(word);
}

function whoProblems(who: string, place: string): string[] {
  if (Object.hasOwn(keyless, who)) return [];
  if (who === '') return [`${place}: read no key, expected one behind the options, or anonymous, or plain`];
  try {
    parsePublicKey(who, place);
    return [];
  } catch (error) {
    if (error instanceof HoplineError) return [error.message];
    throw error;
  }
}
