/**
 * The keys of stored answers: the URL that was asked for.
 *
 * Invariant: answers of one host are never found by the key of another.
 */

import type { HttpAnswer, HttpRequest } from '../exchange.ts';
import { fieldValue } from '../fields.ts';

const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PROPFIND', 'QUERY', 'REPORT', 'SEARCH']);

export function keyOf({ scheme, authority, target }: HttpRequest): string {
  return `${scheme}://${authority}${target}`;
}

/** The keys that an answer makes invalid: what was asked, and what it names on the same host (RFC 9111, 4.4). */
export function invalidatedKeys(request: HttpRequest, answer: HttpAnswer, key: string): readonly string[] {
  if (safeMethods.has(request.method) || answer.status < 200 || answer.status >= 400) return [];
  const keys = [key];
  for (const name of ['location', 'content-location']) {
    const value = fieldValue(answer.fields, name);
    const url = value === undefined ? undefined : parseUrl(value, key);
    if (url && url.protocol === `${request.scheme}:` && url.host === request.authority) keys.push(keyOfUrl(url));
  }
  return keys;
}

/** Whether a key belongs to a host, to a URL, or to everything. */
export function isMeant(key: string, target: string | undefined): boolean {
  if (target === undefined) return true;
  const url = /^https?:\/\//i.test(target) ? parseUrl(target) : undefined;
  return url ? key === keyOfUrl(url) : key.split('/')[2] === target.toLowerCase();
}

function keyOfUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}${url.search}`;
}

function parseUrl(text: string, base?: string): URL | undefined {
  try {
    return new URL(text, base);
  } catch {
    return undefined;
  }
}
