/**
 * Where a redirect leads, and what of the request goes along: RFC 9110, 15.4.
 *
 * Pure. Invariant: what proves who the user is never reaches another origin, and
 * what was asked for over https is never asked for over http.
 * Rules: docs/http/client.md#redirects
 */

import { HoplineError } from '../core/errors.ts';
import type { RawFields } from './exchange.ts';
import { fieldValue, filterFields } from './fields.ts';
import { type HttpUrl, parseHttpUrl } from './http-url.ts';

/** The part of a request that a redirect may change. */
export interface RedirectedRequest {
  readonly method: string;
  readonly url: HttpUrl;
  readonly fields: RawFields;
  /** Whether the request has content. */
  readonly hasBody: boolean;
}

const statuses = [301, 302, 303, 307, 308];
/** What belongs to the origin that it was meant for. */
const personal = ['authorization', 'proxy-authorization', 'cookie', 'host'];

/** Whether an answer sends the client elsewhere. */
export function isRedirect(status: number, fields: RawFields): boolean {
  return statuses.includes(status) && fieldValue(fields, 'location') !== undefined;
}

/** The request to make next. Throws `HTTP_REDIRECT` for a place that must not be gone to. */
export function followRedirect(asked: RedirectedRequest, status: number, fields: RawFields): RedirectedRequest {
  const url = readLocation(asked.url, fields);
  if (asked.url.scheme === 'https' && url.scheme === 'http') {
    throw new HoplineError('HTTP_REDIRECT', `${asked.url.href} redirects to ${url.href}, which is not encrypted`);
  }
  const isSame = url.scheme === asked.url.scheme && url.authority === asked.url.authority;
  const becomesGet = isToBeRead(status, asked.method);
  const dropped = isSame ? [] : personal;
  const isDropped = (name: string) => dropped.includes(name) || (becomesGet && name.startsWith('content-'));
  // Whoever redirects does not log the user in elsewhere, nor under another name.
  const from = isSame ? asked.url.authorization : undefined;
  return {
    method: becomesGet ? 'GET' : asked.method,
    url: { ...url, authorization: from },
    fields: filterFields(asked.fields, (name) => !isDropped(name.toLowerCase())),
    hasBody: asked.hasBody && !becomesGet,
  };
}

function readLocation({ href }: HttpUrl, fields: RawFields): HttpUrl {
  try {
    return parseHttpUrl(fieldValue(fields, 'location') ?? '', href);
  } catch (cause) {
    throw new HoplineError('HTTP_REDIRECT', `${href} redirects to what is no http or https URL`, { cause });
  }
}

/** 303 asks for a GET; after a POST, 301 and 302 do so too, as all clients have it. */
function isToBeRead(status: number, method: string): boolean {
  if (status === 303) return method !== 'GET' && method !== 'HEAD';
  return (status === 301 || status === 302) && method === 'POST';
}
