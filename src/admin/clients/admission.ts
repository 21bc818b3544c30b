/**
 * Who may look: every request to an admin listener is judged here before anything of the service is touched.
 *
 * Knows nothing about what is shown. Invariant: what a web page of somebody else can make a browser send is refused.
 * Rules: docs/monitoring.md#who-may-look
 */

import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { isIP } from 'node:net';

export interface Denial {
  readonly status: 400 | 401 | 403 | 405 | 421;
  readonly why: string;
  readonly fields?: Readonly<Record<string, string>>;
}

/** Why a request is refused; undefined for one that is not. `takesCommands`: whether there is anything that POST could ask for. */
export function judgeRequest(
  request: IncomingMessage,
  token: string | undefined,
  takesCommands = false,
): Denial | undefined {
  const { method, headers } = request;
  const isCommand = takesCommands && method === 'POST';
  if (method !== 'GET' && method !== 'HEAD' && !isCommand) {
    const why = 'nothing can be changed here: GET and HEAD alone';
    return { status: 405, why, fields: { Allow: 'GET, HEAD' } };
  }
  if (!isPlainHost(headers.host)) {
    // A name may be made to point here by whoever owns it, in the middle of a visit to their page.
    return { status: 421, why: 'Host names a machine; expected an IP address or localhost' };
  }
  const foreign = whyForeign(headers, isCommand);
  if (foreign !== undefined) return { status: 403, why: foreign };
  const length = headers['content-length'];
  if ((length !== undefined && !(isCommand && length === '0')) || headers['transfer-encoding'] !== undefined) {
    return { status: 400, why: 'no content is expected' };
  }
  if (token !== undefined && !showsToken(headers.authorization, token)) {
    const why = 'a token is needed: Authorization: Bearer TOKEN';
    return { status: 401, why, fields: { 'WWW-Authenticate': 'Bearer realm="hopline admin"' } };
  }
  return undefined;
}

/** Why it is not, or might not be, a page of this listener that asks. */
function whyForeign(headers: IncomingHttpHeaders, isCommand: boolean): string | undefined {
  const { host, origin } = headers;
  const isOther = origin !== undefined && origin !== `http://${host}`;
  if (isOther || (headers['sec-fetch-site'] === 'cross-site' && headers['sec-fetch-mode'] !== 'navigate')) {
    return 'the page of another site asks';
  }
  // A browser says with every POST whose page asks.
  return isCommand && origin === undefined ? 'that is for the page of this listener alone' : undefined;
}

function isPlainHost(host: string | undefined): boolean {
  const [, name] = /^(\[[0-9A-Fa-f:.]+\]|[^:[\]]+)(?::\d{1,5})?$/.exec(host ?? '') ?? [];
  if (name === undefined) return false;
  return name.toLowerCase() === 'localhost' || isIP(name.replace(/^\[|\]$/g, '')) !== 0;
}

/** Takes as long for a wrong token as for one that is nearly right, or of another length. */
function showsToken(authorization: string | undefined, token: string): boolean {
  const [, shown] = /^Bearer +(\S+)$/i.exec(authorization ?? '') ?? [];
  return shown !== undefined && timingSafeEqual(digestOf(shown), digestOf(token));
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
