/**
 * Asks for a URL, and follows redirects to the last answer.
 *
 * Owns the fields that are sent besides the user's own, and the rule which answers are not the last one. Knows nothing
 * about where content goes.
 * Invariant: the content of an answer that is passed over is dropped.
 */

import type { Readable } from 'node:stream';
import { HoplineError } from '../core/errors.ts';
import { safeText } from '../core/text.ts';
import { dropBody, type Exchange, type ExchangeNotes, type HttpAnswer, type RawFields } from '../http/exchange.ts';
import { fieldValue } from '../http/fields.ts';
import { followRedirect, isRedirect, type RedirectedRequest } from '../http/redirect.ts';

const maxRedirects = 10;
/** Characters of where a redirect leads that a message has. */
const maxToldLocation = 400;
/** Statuses that say that another try may do better. */
export const passingStatuses: readonly number[] = [502, 503, 504];

export interface AskerOptions {
  readonly body?: { readonly length: number; open(): Readable } | undefined;
  readonly follow?: boolean | undefined;
  readonly signal: AbortSignal;
  /** Called for each answer that is not the last. */
  readonly onPassed: (answered: Answered) => void;
}

/** The last answer, and the request that it is to. */
export interface Answered {
  readonly asked: RedirectedRequest;
  readonly answer: HttpAnswer;
  /** What happened on the way. */
  readonly notes: ExchangeNotes;
}

export class Asker {
  readonly #exchange: Exchange;
  readonly #options: AskerOptions;

  constructor(exchange: Exchange, options: AskerOptions) {
    this.#exchange = exchange;
    this.#options = options;
  }

  /**
   * Asks with `more` fields in front. With `mayRetry`, a status that may pass is an error at once.
   * Throws `HTTP_REDIRECT`, `HTTP_SERVER_ERROR`, and what the exchange does.
   */
  async ask(first: RedirectedRequest, more: RawFields, mayRetry: boolean): Promise<Answered> {
    const { follow, onPassed } = this.#options;
    let asked = first;
    for (let redirects = 0; ; redirects += 1) {
      const notes: ExchangeNotes = {};
      const answer = await this.#exchangeOne(asked, more, notes);
      const { status, fields } = answer;
      const isRetried = mayRetry && passingStatuses.includes(status);
      if (!isRetried && !(follow && isRedirect(status, fields))) return { asked, answer, notes };
      onPassed({ asked, answer, notes });
      await dropBody(answer.body);
      if (isRetried) throw statusError(asked.url.href, answer);
      if (redirects === maxRedirects) {
        throw new HoplineError('HTTP_REDIRECT', `${first.url.href} redirects more than ${maxRedirects} times`);
      }
      asked = followRedirect(asked, status, fields);
    }
  }

  #exchangeOne(
    { method, url, fields, hasBody }: RedirectedRequest,
    more: RawFields,
    notes: ExchangeNotes,
  ): Promise<HttpAnswer> {
    const { body, signal } = this.#options;
    const sent = [...more, ...fields];
    const addDefault = (name: string, value: string | undefined) => {
      if (value !== undefined && fieldValue(fields, name.toLowerCase()) === undefined) sent.push(name, value);
    };
    addDefault('Authorization', url.authorization);
    addDefault('User-Agent', 'hopline');
    addDefault('Accept', '*/*');
    addDefault('Accept-Encoding', 'identity');
    return this.#exchange({
      method,
      scheme: url.scheme,
      authority: url.authority,
      target: url.target,
      fields: sent,
      body: hasBody ? body?.open() : undefined,
      ...(hasBody && body ? { length: body.length } : {}),
      client: 'local',
      signal,
      notes,
    });
  }
}

/** What an answer that is no success means. */
export function statusError(href: string, { status, reason, fields }: HttpAnswer): HoplineError {
  const details = { reason: String(status) };
  if (status < 400) {
    const to = isRedirect(status, fields) ? safeText(fieldValue(fields, 'location') ?? '', maxToldLocation) : undefined;
    const message =
      to === undefined ? `${href} answered with status ${status}` : `${href} redirects to ${to} (status ${status})`;
    return new HoplineError('HTTP_REDIRECT', message, details);
  }
  const code = status < 500 ? 'HTTP_CLIENT_ERROR' : 'HTTP_SERVER_ERROR';
  return new HoplineError(code, `${href} answered ${status} ${safeText(reason, 200)}`.trimEnd(), details);
}
