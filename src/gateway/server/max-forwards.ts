/** Requests that go no further than here, since their Max-Forwards says so (RFC 9110, 7.6.2). */

import type { HttpAnswer, RawFields } from '../../http/exchange.ts';
import { fieldLines, fieldValue, without } from '../../http/fields.ts';
import type { RequestTarget } from '../../http/request-target.ts';

/** The answer to TRACE and OPTIONS with a Max-Forwards of zero; undefined to any other request. */
export function answerItself(method: string, target: RequestTarget, fields: RawFields): HttpAnswer | undefined {
  if ((method !== 'TRACE' && method !== 'OPTIONS') || fieldValue(fields, 'max-forwards')?.trim() !== '0')
    return undefined;
  if (method === 'OPTIONS') return { status: 204, reason: '', fields: [], body: undefined };
  const shown = without(fields, 'authorization', 'cookie', 'proxy-authorization');
  const body = Buffer.from(`TRACE ${target.target} HTTP/1.1\r\n${fieldLines(shown)}\r\n`);
  return {
    status: 200,
    reason: '',
    fields: ['Content-Type', 'message/http', 'Content-Length', String(body.length)],
    body,
  };
}
