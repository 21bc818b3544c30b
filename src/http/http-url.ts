/**
 * An address on the web, taken apart as an exchange needs it.
 *
 * Owns the rule that user and password leave the URL at once: they become a
 * field of the request, and no other part of the program ever sees or prints them.
 * Knows nothing about connecting.
 */

import { HoplineError } from '../core/errors.ts';
import { type Address, type Port, parsePort } from '../wire/address.ts';

/** Its host is in lower case. */
export interface HttpUrl extends Address {
  readonly scheme: 'http' | 'https';
  /** The host, with the port unless it is the scheme's own. */
  readonly authority: string;
  /** Path and query. */
  readonly target: string;
  /** The whole, without user, password and fragment: what may be printed. */
  readonly href: string;
  /** What user and password become as the value of `Authorization`. */
  readonly authorization: string | undefined;
  /** What a file from there is called. */
  readonly name: string;
}

/** Parses a URL, `http://` in front of it if it has no scheme; relative to `base` if there is one. Throws `USAGE_INVALID`. */
export function parseHttpUrl(text: string, base?: string): HttpUrl {
  const url = parseOrNull(withScheme(text, base), base);
  const scheme = url?.protocol.slice(0, -1);
  if (!url || (scheme !== 'http' && scheme !== 'https') || url.hostname === '') {
    throw new HoplineError('USAGE_INVALID', 'expected a URL such as http://www.example.org/file, with http or https');
  }
  const port = portOf(url);
  const authorization = basicAuthorization(url);
  url.username = '';
  url.password = '';
  url.hash = '';
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const target = `${url.pathname}${url.search}`;
  return { scheme, host, port, authority: url.host, target, href: url.href, authorization, name: nameOf(url) };
}

function portOf({ protocol, port }: URL): Port {
  const parsed = parsePort(port || (protocol === 'https:' ? '443' : '80'));
  if (parsed === undefined) throw new HoplineError('USAGE_INVALID', 'expected a port from 1 to 65535 in a URL');
  return parsed;
}

function withScheme(text: string, base: string | undefined): string {
  return base !== undefined || /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
}

function parseOrNull(text: string, base: string | undefined): URL | null {
  try {
    return new URL(text, base);
  } catch {
    return null;
  }
}

function basicAuthorization({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined;
  return `Basic ${Buffer.from(`${decode(username)}:${decode(password)}`).toString('base64')}`;
}

/** Bytes of a file's name at most, on all systems. */
const maxNameBytes = 255;

/** The last part of the path, as far as it can be a file's name everywhere. */
function nameOf({ pathname }: URL): string {
  const last = decode(pathname.slice(pathname.lastIndexOf('/') + 1));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be in a name
  const safe = last.replaceAll(/[\x00-\x1f\x7f/\\:*?"<>|]/g, '_');
  return /^\.*$/.test(safe) ? 'index.html' : shortened(safe);
}

/** With as much of its beginning as a file's name may have, beside what is put around it while it is not whole, and its ending. */
function shortened(name: string): string {
  if (Buffer.byteLength(name) <= maxNameBytes) return name;
  const [ending = ''] = /\.[A-Za-z0-9.]{1,16}$/.exec(name) ?? [];
  let kept = '';
  for (const character of name.slice(0, name.length - ending.length)) {
    if (Buffer.byteLength(kept + character + ending) > maxNameBytes) break;
    kept += character;
  }
  return kept + ending;
}

/** What is no percent-encoding stays as it is. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
