/**
 * Who may ask a site: judged for each request, before anything of the site hears of it.
 *
 * Owns the answers to those who may not (RFC 9110, 11; RFC 7617; RFC 6750). Does not know where users and tokens are kept.
 * Invariant: whoever asks from another address hears nothing of credentials; the credentials that were taken go no further.
 * Documentation: docs/http/auth.md
 */

import { isUtf8 } from 'node:buffer';
import type { BlockList } from 'node:net';
import { asHoplineError, HoplineError } from '../../core/errors.ts';
import type { HttpAnswer, RawFields } from '../../http/exchange.ts';
import { countFields, fieldValue } from '../../http/fields.ts';
import { isInList } from '../../io/names/networks.ts';
import { failureAnswer, textAnswer } from '../server/answer.ts';
import type { Logins } from './logins.ts';
import { hasControls, type KeyedDigest, type Tokens, type Users } from './secret-lines.ts';

export interface SiteAuthOptions {
  /** What the credentials are for, as clients are told. */
  readonly realm: string;
  readonly addresses?: BlockList | undefined;
  /** Asked for at each request: they may change. */
  readonly users?: (() => Users) | undefined;
  readonly tokens?: (() => Tokens) | undefined;
  readonly logins: Logins;
  readonly digest: KeyedDigest;
}

interface AuthRequest {
  readonly method: string;
  readonly fields: RawFields;
  /** The address of whoever asks, as far as it can be trusted. */
  readonly client: string;
}

type AuthVerdict =
  | {
      readonly kind: 'admitted';
      /** Who logged in with a password. */
      readonly user?: string | undefined;
    }
  | { readonly kind: 'refused'; readonly answer: HttpAnswer; readonly failure: HoplineError };

export interface SiteAuth {
  /** Whether the site takes credentials, so that they end here. */
  readonly takesCredentials: boolean;
  /** Never throws. */
  judge(request: AuthRequest): Promise<AuthVerdict>;
}

export function createSiteAuth(options: SiteAuthOptions): SiteAuth {
  const { addresses, users, tokens } = options;
  const takesCredentials = users !== undefined || tokens !== undefined;
  return {
    takesCredentials,
    judge: async (request) => {
      if (addresses && !isInList(addresses, request.client)) return wrongAddress();
      return takesCredentials ? judgeCredentials(request, options) : { kind: 'admitted' };
    },
  };
}

/** Where a client that takes the gateway for its proxy has its credentials (RFC 9110, 11.7), and where any other has. */
const proxyForm = { status: 407, field: 'proxy-authorization', challenge: 'Proxy-Authenticate' };
const siteForm = { status: 401, field: 'authorization', challenge: 'WWW-Authenticate' };

async function judgeCredentials(request: AuthRequest, options: SiteAuthOptions): Promise<AuthVerdict> {
  const { fields, client } = request;
  const { users, tokens, logins, digest } = options;
  const form = request.method === 'CONNECT' ? proxyForm : siteForm;
  if (countFields(fields, form.field) > 1) return ambiguous();
  const given = fieldValue(fields, form.field);
  if (given === undefined) return challenge(form, options, 'none');
  const { scheme, text } = readCredentials(given);
  if (scheme === 'bearer' && tokens) {
    return tokens().has(digest(text)) ? { kind: 'admitted' } : challenge(form, options, 'token');
  }
  const login = scheme === 'basic' && users ? readLogin(text) : undefined;
  if (!login || !users) return challenge(form, options, 'none');
  try {
    const user = await logins.judge({ ...login, client }, users());
    return user ? { kind: 'admitted', user: user.name } : challenge(form, options, 'password');
  } catch (cause) {
    return { kind: 'refused', answer: failureAnswer(cause), failure: asHoplineError(cause) };
  }
}

/** Empty for what is no scheme with one text behind it: such credentials no site takes. */
function readCredentials(value: string): { readonly scheme: string; readonly text: string } {
  const [, scheme = '', text = ''] = /^([a-z]+) +([A-Za-z0-9._~+/-]+=*)$/i.exec(value) ?? [];
  return { scheme: scheme.toLowerCase(), text };
}

/** Undefined for what says no name and password (RFC 7617, 2). */
function readLogin(encoded: string): { readonly name: string; readonly password: string } | undefined {
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes.toString('base64') !== encoded || !isUtf8(bytes)) return undefined;
  const text = bytes.toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 || hasControls(text) ? undefined : { name: text.slice(0, colon), password: text.slice(colon + 1) };
}

type Form = typeof siteForm;

function challenge(form: Form, options: SiteAuthOptions, wrong: 'none' | 'token' | 'password'): AuthVerdict {
  const { realm, users, tokens } = options;
  const fields: string[] = [];
  if (users) fields.push(form.challenge, `Basic realm="${realm}", charset="UTF-8"`);
  const error = wrong === 'token' ? ', error="invalid_token"' : '';
  if (tokens) fields.push(form.challenge, `Bearer realm="${realm}"${error}`);
  const [text, failure] =
    wrong === 'none'
      ? [
          'this is for those who log in',
          new HoplineError('AUTH_REQUIRED', 'the request has no credentials of the site'),
        ]
      : ['this is not who may log in', new HoplineError('AUTH_DENIED', `the ${wrong} is not one of the site's`)];
  return { kind: 'refused', answer: textAnswer(form.status, text, fields), failure };
}

function wrongAddress(): AuthVerdict {
  const failure = new HoplineError('AUTH_DENIED', 'the site is not for the address that asks');
  return { kind: 'refused', answer: textAnswer(403, 'this is not served to the address that asks'), failure };
}

/** Whoever else reads the request may believe the other one. */
function ambiguous(): AuthVerdict {
  const failure = new HoplineError('PEER_PROTOCOL', 'the request has credentials twice');
  return { kind: 'refused', answer: textAnswer(400, 'the request has credentials twice'), failure };
}
