/** The flags of an admin listener, of a node and of a gateway; no other command loads what they stand on. */

import path from 'node:path';
import { InvalidArgumentError, Option } from 'commander';
import { type AdminAddress, type AdminRules, parseAdminAddress } from '../../admin/admin-address.ts';
import { HoplineError } from '../../core/errors.ts';

export function adminOption(): Option {
  const text = 'show metrics, health and a page there: HOST:PORT of loopback, or unix:PATH';
  return new Option('--admin <ADDRESS>', text).argParser(parseAdmin);
}

export function adminTokenOption(): Option {
  const text = 'with --admin: holds what whoever looks must show; for other addresses than loopback';
  return new Option('--admin-token-file <FILE>', text);
}

/** The rules of an admin listener that flags name, over those of a file. Throws `USAGE_INVALID` for a token without a listener. */
export function adminOf(
  { admin: listen, adminTokenFile: tokenFile }: { readonly admin?: AdminAddress; readonly adminTokenFile?: string },
  file?: AdminRules,
): AdminRules | undefined {
  const rules = listen ? { listen } : file;
  if (!rules && tokenFile !== undefined) {
    throw new HoplineError('USAGE_INVALID', '--admin-token-file goes with --admin');
  }
  return rules && { ...file, ...rules, ...(tokenFile === undefined ? {} : { tokenFile: path.resolve(tokenFile) }) };
}

function parseAdmin(text: string): AdminAddress {
  const address = parseAdminAddress(text);
  if (!address) throw new InvalidArgumentError('Expected HOST:PORT, such as 127.0.0.1:7900, or unix:PATH.');
  return address;
}
