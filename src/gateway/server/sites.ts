/**
 * What a site is, and the site of a host name: by the exact name, then by the longest wildcard, then the default.
 *
 * Invariant: a host that no site lists gets no site.
 */

import { isIPv4, isIPv6 } from 'node:net';
import type { Exchange, HttpAnswer } from '../../http/exchange.ts';
import type { FieldRules } from '../../http/fields.ts';
import { isHostName } from '../../wire/address.ts';
import type { SiteAuth } from '../auth/site-auth.ts';

export interface Site {
  /** A name, `*.` and a name, or `*` for all that no other site has. */
  readonly host: string;
  readonly exchange: Exchange;
  readonly requestFields?: FieldRules | undefined;
  readonly answerFields?: FieldRules | undefined;
  /** What the backend gets as Host. @default what the client sent */
  readonly hostField?: string | undefined;
  /** Whether clients' X-Original-URL, X-HTTP-Method-Override and their like go on. @default false */
  readonly passOverrides?: boolean | undefined;
  /** Bytes of the content of a request; more is 413. @default the limit */
  readonly maxBody?: number | undefined;
  /** Who may ask. @default everybody */
  readonly auth?: SiteAuth | undefined;
  /** Answers CONNECT; without it, CONNECT is refused. */
  readonly connect?:
    | ((signal: AbortSignal, traceparent?: string) => Promise<NonNullable<HttpAnswer['upgraded']>>)
    | undefined;
}

export class Sites {
  readonly #exact = new Map<string, Site>();
  /** By what follows `*`, such as `.example.org`. */
  readonly #wildcards = new Map<string, Site>();
  #default: Site | undefined;

  constructor(sites: readonly Site[]) {
    for (const site of sites) {
      const host = site.host.toLowerCase().replace(/\.$/, '');
      if (host === '*') this.#default = site;
      else if (host.startsWith('*.')) this.#wildcards.set(host.slice(1), site);
      else this.#exact.set(host, site);
    }
  }

  /** `host` is in lower case and has no port; empty if the client named none. */
  find(host: string): Site | undefined {
    const exact = this.#exact.get(host);
    if (exact) return exact;
    for (let dot = host.indexOf('.'); dot > 0; dot = host.indexOf('.', dot + 1)) {
      const site = this.#wildcards.get(host.slice(dot));
      if (site) return site;
    }
    return this.#default;
  }
}

/** Whether `text` can be the host of a site: a name, an address, `*.` and a name, or `*`. */
export function isSiteHost(text: string): boolean {
  if (text === '*' || isIPv4(text)) return true;
  const [, address = ''] = /^\[(.*)\]$/.exec(text) ?? [];
  return isIPv6(address) || isHostName(text.replace(/^\*\./, ''));
}
