/**
 * Where an admin listener is, as it is written: `HOST:PORT` or `unix:PATH`, and which of these need a token.
 *
 * Opens nothing. Documentation: docs/monitoring.md#who-may-look
 */

import { HoplineError } from '../core/errors.ts';
import { isReachedHere } from '../node/root.ts';
import { formatHop, parseListen } from '../wire/address.ts';

export type AdminAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** What is configured of an admin listener. */
export interface AdminRules {
  readonly listen: AdminAddress;
  /** A file with the token that whoever looks must show. @default none is needed */
  readonly tokenFile?: string | undefined;
}

const leastTokenLength = 32;
/** What the system has room for in the name of a socket, on every system. */
const maxPathBytes = 100;

/** Undefined for what is neither; port 0 picks a free one. */
export function parseAdminAddress(text: string): AdminAddress | undefined {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length);
    return path === '' || Buffer.byteLength(path) > maxPathBytes ? undefined : { kind: 'unix', path };
  }
  const place = parseListen(text);
  return place && { kind: 'tcp', host: place.host, port: place.port };
}

export function formatAdminAddress(address: AdminAddress): string {
  return address.kind === 'unix' ? `unix:${address.path}` : formatHop(address);
}

/** Throws `USAGE_INVALID` for an address that other machines reach without a token, and for a token that could be guessed. */
export function checkAdmin({ listen }: AdminRules, token: string | undefined): void {
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token))
    throw refused('expected a token of one line of visible ASCII');
  if (token !== undefined && token.length < leastTokenLength) {
    throw refused(`read a token of ${token.length} characters, expected at least ${leastTokenLength}`);
  }
  if (token !== undefined || listen.kind === 'unix' || isReachedHere(listen.host)) return;
  const what = `other machines reach ${formatAdminAddress(listen)}, and nobody would ask them for a token`;
  throw new HoplineError('USAGE_INVALID', `--admin: ${what}; add --admin-token-file FILE, or listen on 127.0.0.1`);
}

function refused(why: string): HoplineError {
  return new HoplineError('USAGE_INVALID', `--admin-token-file: ${why}`);
}
