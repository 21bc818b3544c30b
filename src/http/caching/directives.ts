/**
 * The directives of Cache-Control and of fields like it, as RFC 9111, section 5.2, has them.
 *
 * Pure text: knows the form of a directive, not what it asks for. Elements that
 * are not well formed keep their name and lose their value, so that a lifetime
 * that nobody can read counts as none at all, rather than as not named.
 * Rules: docs/http/cache.md
 */

/** Names in lower case; undefined without a value, '' for one that cannot be read. The first of several is kept. */
export type Directives = ReadonlyMap<string, string | undefined>;

/** More seconds than any answer lives (RFC 9111, 1.2.2). */
const maxSeconds = 2 ** 31;

const elements = /(?:[^,"]|"(?:[^"\\]|\\.)*(?:"|$))+/g;
const directive = /^([!#$%&'*+.^_`|~0-9a-z-]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([!#$%&'*+.^_`|~0-9a-z-]+)))?$/i;
const leadingToken = /^[!#$%&'*+.^_`|~0-9a-z-]+/i;
/** A member of a dictionary, and its value, of which integers, tokens, strings and booleans mean something here (RFC 9651, 3.2). */
const bareItem = String.raw`-?\d{1,15}(?:\.\d{1,3})?|[A-Za-z*][!#$%&'*+.^_\x60|~:/0-9A-Za-z-]*|"(?:[ !#-[\]-~]|\\["\\])*"|\?[01]|:[0-9A-Za-z+/=]*:`;
const member = `([a-z*][a-z0-9_.*-]*)(?:=(${bareItem}))?(?: *; *[a-z*][a-z0-9_.*-]*(?:=(?:${bareItem}))?)*`;
const dictionary = new RegExp(`^${member}(?:[ \\t]*,[ \\t]*${member})*$`);
const firstMember = new RegExp(`^${member}`);

/** Reads the lines of a field, joined by commas; undefined has no directives. */
export function parseDirectives(value: string | undefined): Directives {
  const found = new Map<string, string | undefined>();
  for (const element of value?.match(elements) ?? []) {
    const text = element.trim();
    const [, name, quoted, token] = directive.exec(text) ?? [];
    const key = (name ?? leadingToken.exec(text)?.[0] ?? '').toLowerCase();
    if (key === '') continue;
    const argument = name === undefined ? '' : (quoted?.replace(/\\(.)/g, '$1') ?? token);
    found.set(key, found.has(key) ? smaller(found.get(key), argument) : argument);
  }
  return found;
}

/**
 * Reads a field that is for some caches alone, which is a dictionary (RFC 9213, 2.1). Undefined if it is not there, is empty,
 * or is not well formed: then it is to be ignored.
 */
export function parseTargeted(value: string | undefined): Directives | undefined {
  if (value === undefined || !dictionary.test(value)) return undefined;
  const found = new Map<string, string | undefined>();
  for (const element of value.match(elements) ?? []) {
    const [, name = '', item] = firstMember.exec(element.trim()) ?? [];
    if (item === '?0') found.delete(name);
    else found.set(name, item === '?1' ? undefined : stringOf(item, name));
  }
  return found.size > 0 ? found : undefined;
}

/** The seconds that a directive names: undefined if it is not there, 0 if they cannot be read. */
export function secondsOf(directives: Directives, name: string): number | undefined {
  if (!directives.has(name)) return undefined;
  return readSeconds(directives.get(name)) ?? 0;
}

/** Whole seconds that are not negative, or undefined. */
export function readSeconds(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Math.min(Number(text), maxSeconds) : undefined;
}

/** The field names that `private` or `no-cache` is limited to, in lower case; empty if it is for the whole answer. */
export function namedFields(directives: Directives, name: string): readonly string[] {
  const names = (directives.get(name) ?? '').split(',').map((text) => text.trim().toLowerCase());
  return names.filter((text) => text !== '');
}

/** Field names come in strings, numbers do not: a value of another type than its directive has is none. */
function stringOf(item: string | undefined, name: string): string | undefined {
  const [, quoted] = /^"(.*)"$/.exec(item ?? '') ?? [];
  if (quoted === undefined) return item;
  return name === 'private' || name === 'no-cache' ? quoted.replace(/\\(.)/g, '$1') : '';
}

/** Two lifetimes contradict each other: the shorter one is safe. Without a number in one of them, neither is. */
function smaller(first: string | undefined, second: string | undefined): string | undefined {
  const [a, b] = [readSeconds(first), readSeconds(second)];
  if (a !== undefined && b !== undefined) return String(Math.min(a, b));
  return first === second ? first : '';
}
