/**
 * The files of credentials that a site takes: users with what is kept of their passwords, or bearer tokens, a line each.
 *
 * Knows text, and nothing about requests.
 * Invariant: nothing of a line is in a message but its number and a user's name, and no secret of it stays in memory.
 * Grammar: docs/http/auth.md
 */

import { createHmac, randomBytes } from 'node:crypto';
import { mistakes } from '../../core/errors.ts';
import { readTrustedText, type TrustRules } from '../../io/disk/watched/trusted-text.ts';
import { type PasswordHash, parsePasswordHash } from './password-hash.ts';

export interface User {
  readonly name: string;
  readonly password: PasswordHash;
  /** The digest of the line that it stands in. */
  readonly line: string;
  /** The digest of name and password, once somebody has come with them. */
  proven?: string;
}

interface Token {
  readonly line: string;
}

/** By their names in NFC. */
export type Users = ReadonlyMap<string, User>;
/** By their digests. */
export type Tokens = ReadonlyMap<string, Token>;

/** Digests that say nothing about a text to whoever does not know the key, and so may be looked up in any time. */
export type KeyedDigest = (text: string) => string;

export const secretFileRules: TrustRules = { maxBytes: 4 * 1024 * 1024, isSecret: true };
const maxLines = 10_000;
const maxProblems = 100;
const maxNameLength = 255;

export function createKeyedDigest(): KeyedDigest {
  const key = randomBytes(32);
  return (text) => createHmac('sha256', key).update(text).digest('base64');
}

/** Reads `USER:HASH` lines. Those of `known` that stand there as before stay. Throws `CONFIG_INVALID`. */
export function parseUsers(text: string, source: string, digest: KeyedDigest, known?: Users): Users {
  return parseLines(text, source, 'user', (line) => {
    const [, written = '', kept = ''] = /^([^:]*):(.*)$/s.exec(line) ?? [];
    const name = written.normalize('NFC');
    if (name === '' || name.length > maxNameLength || hasControls(name)) {
      return { problem: `expected USER:HASH, the user's name of at most ${maxNameLength} characters without a colon` };
    }
    const password = parsePasswordHash(kept);
    if (!password) {
      const shown = JSON.stringify(name);
      return { problem: `expected a hash behind ${shown} as \`hopline password\` makes it, and no other kind` };
    }
    const mark = digest(line);
    const earlier = known?.get(name);
    return { key: name, value: earlier?.line === mark ? earlier : { name, password, line: mark } };
  });
}

/** Reads tokens, one a line. Throws `CONFIG_INVALID`. */
export function parseTokens(text: string, source: string, digest: KeyedDigest): Tokens {
  return parseLines(text, source, 'token', (token) => {
    if (!/^(?=.{32,1024}$)[A-Za-z0-9._~+/-]+=*$/.test(token)) {
      return { problem: 'expected a token: 32 to 1024 characters of A-Z, a-z, 0-9 and -._~+/, maybe = at the end' };
    }
    const mark = digest(token);
    return { key: mark, value: { line: mark } };
  });
}

/** Those of `known` that stand in `text` as they did before, though it is not valid as a whole. */
export function stillThere<T extends { readonly line: string }>(
  text: string,
  digest: KeyedDigest,
  known: ReadonlyMap<string, T>,
): ReadonlyMap<string, T> {
  const lines = new Set(text.split(/\r?\n/).map((line) => digest(line.trim())));
  return new Map([...known].filter(([, { line }]) => lines.has(line)));
}

/** What a file of credentials would be read as. Throws `CONFIG_INVALID`, also for one that is not to be trusted. */
export async function checkSecretFile(file: string, kind: 'basic' | 'bearer'): Promise<void> {
  const read = await readTrustedText(file, secretFileRules);
  if (read.kind !== 'text') throw mistakes([read.problem]);
  (kind === 'basic' ? parseUsers : parseTokens)(read.text, file, createKeyedDigest());
}

/** What may be in no name and no password (RFC 7617, 2). */
export function hasControls(text: string): boolean {
  return /\p{Cc}/u.test(text);
}

type ParsedLine<T> = { readonly key: string; readonly value: T } | { readonly problem: string };

function parseLines<T>(
  text: string,
  source: string,
  what: string,
  parseLine: (line: string) => ParsedLine<T>,
): ReadonlyMap<string, T> {
  const problems: string[] = [];
  const found = new Map<string, T>();
  for (const [index, written] of text.split(/\r?\n/).entries()) {
    const line = written.trim();
    if (line === '' || line.startsWith('#')) continue;
    const place = `${source}:${index + 1}`;
    const parsed = parseLine(line);
    if ('problem' in parsed) problems.push(`${place}: ${parsed.problem}`);
    else if (found.has(parsed.key)) problems.push(`${place}: read a ${what} again, expected each once`);
    else found.set(parsed.key, parsed.value);
    if (found.size > maxLines) problems.push(`${place}: read more than ${maxLines} lines, expected at most so many`);
    if (found.size > maxLines || problems.length >= maxProblems) break;
  }
  if (problems.length > 0) throw mistakes(problems);
  return found;
}
